//! A shipped configuration as the template of others. It is changed line by line, so that its comments and
//! its settings stay as they are shipped.

use std::ops::Range;

use crate::Failure;

/// The lines of a shipped configuration.
#[derive(Debug, Clone)]
pub(super) struct Template {
    lines: Vec<String>,
}

impl Template {
    /// The lines of a text.
    pub(super) fn of(text: &str) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }

    /// The only line that starts with this text, spaces aside.
    pub(super) fn line(&self, start: &str) -> Result<usize, Failure> {
        self.line_in(0..self.lines.len(), start)
    }

    /// The only line of these that starts with this text.
    pub(super) fn line_in(&self, range: Range<usize>, start: &str) -> Result<usize, Failure> {
        let lines = self.lines.get(range.clone()).unwrap_or_default();
        let starts = |line: &String| line.trim_start().starts_with(start);
        let mut found = lines.iter().zip(range).filter(|(line, _)| starts(line));
        match (found.next(), found.next()) {
            (Some((_, index)), None) => Ok(index),
            _ => Err(changed(start)),
        }
    }

    /// Replaces what follows this text in each line that starts with it. A comment at the end stays.
    pub(super) fn set(&mut self, start: &str, value: &str) -> Result<(), Failure> {
        let mut is_found = false;
        for line in &mut self.lines {
            let indent = indent(line);
            if let Some(rest) = line.trim_start().strip_prefix(start) {
                let comment = rest.find("  #").and_then(|at| rest.get(at..));
                *line = format!("{indent}{start}{value}{}", comment.unwrap_or_default());
                is_found = true;
            }
        }
        is_found.then_some(()).ok_or_else(|| changed(start))
    }

    /// What follows this text in the first line that starts with it, without a comment.
    pub(super) fn value(&self, start: &str) -> Result<String, Failure> {
        let mut lines = self.lines.iter();
        let rest = lines.find_map(|line| line.trim_start().strip_prefix(start));
        let rest = rest.ok_or_else(|| changed(start))?;
        let end = rest.find("  #").unwrap_or(rest.len());
        Ok(rest.get(..end).unwrap_or_default().trim().to_owned())
    }

    /// The lines that belong to a line: those behind it that are indented more, or the items of a list at
    /// its own indentation.
    pub(super) fn block(&self, index: usize) -> Range<usize> {
        let depth = |line: &String| indent(line).len();
        let own = self.lines.get(index).map_or(0, depth);
        let start = index.saturating_add(1);
        let mut end = start;
        for (line, number) in self.lines.iter().zip(0..).skip(start) {
            if line.trim().is_empty() {
                continue;
            }
            if depth(line) <= own {
                break;
            }
            end = usize::saturating_add(number, 1);
        }
        start..end
    }

    /// The items of a list, each with the comments before it.
    pub(super) fn items(&self, list: Range<usize>) -> Vec<Range<usize>> {
        let lines = self.lines.get(list.clone()).unwrap_or_default();
        let own = lines.first().map_or(0, |line| indent(line).len());
        let is_outer = |line: &&String| indent(line).len() == own && !line.trim().is_empty();
        let mut items: Vec<Range<usize>> = Vec::new();
        let mut start = None;
        for (line, number) in lines.iter().zip(list.clone()) {
            let is_comment = line.trim_start().starts_with('#');
            if !is_outer(&line) {
                continue;
            }
            if is_comment {
                start = start.or(Some(number));
            } else {
                let first = start.take().unwrap_or(number);
                if let Some(last) = items.last_mut() {
                    last.end = first;
                }
                items.push(first..list.end);
            }
        }
        items
    }

    /// A part as a template of its own, without blank lines at its end.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let mut lines = self.lines.get(range).unwrap_or_default().to_vec();
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        Self { lines }
    }

    /// Replaces these lines.
    pub(super) fn replace(&mut self, range: Range<usize>, lines: Vec<String>) {
        self.lines.splice(range, lines);
    }

    /// Replaces the lines that belong to a line by a text, indented as they are.
    pub(super) fn replace_block(&mut self, index: usize, text: &str) {
        let block = self.block(index);
        let first = self.lines.get(block.start).map_or("", |line| indent(line));
        let lines = indented(text, first);
        self.replace(block, lines);
    }

    /// The lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// The lines without the indentation of the first one.
    pub(super) fn dedented(&self) -> String {
        let own = self.lines.first().map_or("", |line| indent(line));
        let dedent = |line: &String| line.strip_prefix(own).unwrap_or(line).to_owned() + "\n";
        self.lines.iter().map(dedent).collect()
    }

    /// Replaces a word in each line.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        for line in &mut self.lines {
            *line = line.replace(from, to);
        }
    }

    /// Adds lines behind a line, with its indentation.
    pub(super) fn add_behind(&mut self, index: usize, text: &str) {
        let own = self.lines.get(index).map_or("", |line| indent(line));
        let lines = indented(text, own);
        let at = index.saturating_add(1).min(self.lines.len());
        self.replace(at..at, lines);
    }
}

/// A text, line by line, with this indentation.
pub(super) fn indented(text: &str, indent: &str) -> Vec<String> {
    let indent = |line: &str| match line.trim_end() {
        "" => String::new(),
        line => format!("{indent}{line}"),
    };
    text.lines().map(indent).collect()
}

fn indent(line: &str) -> &str {
    let depth = line.len().saturating_sub(line.trim_start().len());
    line.get(..depth).unwrap_or_default()
}

/// The templates and the code are built together, and tests render all of them.
fn changed(start: &str) -> Failure {
    Failure::usage(
        format!("the shipped configuration has no single line `{start}`"),
        "report this as a bug",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:\n  # first\n  - name: x  # yours\n    v: 1\n\n  - name: y\nb: 2\n";

    #[test]
    fn a_value_changes_and_its_comment_stays() {
        let mut template = Template::of(TEXT);
        template.set("- name: ", "z").unwrap();
        assert!(template.text().contains("  - name: z  # yours\n"));
        assert!(template.set("c: ", "1").is_err());
    }

    #[test]
    fn a_block_and_its_items_are_found() {
        let template = Template::of(TEXT);
        let list = template.block(template.line("a:").unwrap());
        assert_eq!(list, 1..6);
        assert_eq!(template.items(list), [1..5, 5..6]);
        let first = template.part(1..5);
        assert_eq!(first.dedented(), "# first\n- name: x  # yours\n  v: 1\n");
    }

    #[test]
    fn a_block_is_replaced_with_its_indentation() {
        let mut template = Template::of(TEXT);
        template.replace_block(0, "k:\n  l: 1\n\nm: 2\n");
        assert_eq!(template.text(), "a:\n  k:\n    l: 1\n\n  m: 2\nb: 2\n");
    }
}
