//! Whether a text is data in a notation like JSON: JSON5, Python's `repr`, one value on each line. Source code
//! and logs are not: they have other tokens, or words beside each other.

/// Whether the text, or one of its lines, is a value or several, and one of them is an object with members. A
/// text that ends too early counts, too.
pub(super) fn is_data(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    Data::read(text) || lines.any(|line| line.starts_with(['{', '[']) && Data::read(line))
}

/// The reader's place in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// A value or the end of its container.
    Value,
    /// A key or the end of the object.
    Key,
    /// The colon after a key.
    Colon,
    /// A comma, the end of the container, or, outside of all, a line end.
    Separator,
}

struct Data<'t> {
    rest: &'t str,
    /// The open containers. True: an object.
    open: Vec<bool>,
    expects: Expects,
    has_member: bool,
}

impl Data<'_> {
    fn read(text: &str) -> bool {
        let mut data = Data {
            rest: text.trim_start_matches('\u{feff}'),
            open: Vec::new(),
            expects: Expects::Value,
            has_member: false,
        };
        while !data.rest.is_empty() {
            if data.step().is_none() {
                return false;
            }
        }
        data.has_member
    }

    /// Takes one token. `None`: data has no such token here.
    fn step(&mut self) -> Option<()> {
        let first = self.rest.chars().next()?;
        if first.is_whitespace() {
            let ends_value = matches!(first, '\n' | '\r') && self.open.is_empty();
            if ends_value && self.expects == Expects::Separator {
                self.expects = Expects::Value;
            }
            return self.take(first.len_utf8());
        }
        if let Some(length) = comment(self.rest) {
            return self.take(length);
        }
        match (first, self.expects) {
            ('{' | '[' | '(', Expects::Value) => {
                self.open.push(first == '{');
                self.expects = match first {
                    '{' => Expects::Key,
                    _ => Expects::Value,
                };
                self.take(1)
            }
            ('}', Expects::Key | Expects::Separator) => self.close(true),
            (']' | ')', Expects::Value | Expects::Separator) => self.close(false),
            (',', Expects::Separator) => {
                self.expects = match self.open.last() {
                    Some(true) => Expects::Key,
                    _ => Expects::Value,
                };
                self.take(1)
            }
            (':', Expects::Colon) => {
                self.has_member = true;
                self.expects = Expects::Value;
                self.take(1)
            }
            (_, Expects::Value) => {
                self.expects = Expects::Separator;
                self.scalar(first)
            }
            (_, Expects::Key) => {
                self.expects = Expects::Colon;
                self.scalar(first)
            }
            _ => None,
        }
    }

    fn close(&mut self, is_object: bool) -> Option<()> {
        (self.open.pop()? == is_object).then_some(())?;
        self.expects = Expects::Separator;
        self.take(1)
    }

    /// Takes a string, a number or a word.
    fn scalar(&mut self, first: char) -> Option<()> {
        if matches!(first, '"' | '\'' | '`') {
            let mut is_escaped = false;
            let inside = self.rest.get(1..)?;
            let end = inside.find(|character| {
                let is_end = character == first && !is_escaped;
                is_escaped = character == '\\' && !is_escaped;
                is_end
            });
            let length = end.map_or(self.rest.len(), |end| end.saturating_add(2));
            return self.take(length);
        }
        let is_of_word =
            |character: char| character.is_alphanumeric() || "_-+.$".contains(character);
        let end = self.rest.find(|character| !is_of_word(character));
        let length = end.unwrap_or(self.rest.len());
        (length > 0).then_some(())?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<()> {
        self.rest = self.rest.get(length..)?;
        Some(())
    }
}

/// The length of a comment that starts here.
fn comment(rest: &str) -> Option<usize> {
    let end = if rest.starts_with("/*") {
        rest.find("*/").map(|end| end.saturating_add(2))
    } else if rest.starts_with("//") || rest.starts_with('#') {
        rest.find(['\n', '\r'])
    } else {
        return None;
    };
    Some(end.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r13_data_in_a_notation_like_json_is_data() {
        for text in [
            "{'a': 1}",
            "{a: None, b: [1, 2,],}",
            "[{'a': 1}, {'b': 'x y'}]",
            "{\"a\":1}\n{\"b\":2}",
            "[{\"a\": NaN}]",
            "// x\n{a: 1}",
            "Found:\n{'a': 1}",
            "Found:\n[{'a': 1}]\nend",
            "[{'a': 1}, {'b': 'cut o",
            "{\"ratio\": NaN, \"limit\": Infinity}",
            "({'a': 1},)",
        ] {
            assert!(is_data(text), "{text}");
        }
    }

    #[test]
    fn r13_source_code_logs_and_markup_are_no_data() {
        for text in [
            "{ let x = 1; }",
            "{ return a: b; }",
            "interface A { a: string; }",
            "def f():\n    return {\"id\": 1}  # x",
            "[INFO] 2026-01-01 done {\"a\":1}",
            "[2026-01-01 10:00:00] {\"a\":1}",
            "[link](https://example.com)",
            "[package]\nname = \"x\"",
            "[1, 2, x]",
            "{a, b}",
            "{}",
            "",
        ] {
            assert!(!is_data(text), "{text}");
        }
    }
}
