//! Mistakes and warnings, shown with the line of the file that they are in.

use std::collections::BTreeMap;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::proxy_file::Finding;
use crate::terminal_text::{printable, visible};
use crate::yaml::{Place, lines};

/// The maximum number of mistakes in a report.
const MAX_REPORTED: usize = 50;
/// What stands for the rest of a line with a secret.
const HIDDEN: &str = "***";
/// How a message's last part starts if it says what to do.
const HINTS: [&str; 14] = [
    "did you mean ",
    "write ",
    "use ",
    "put ",
    "name ",
    "copy ",
    "remove ",
    "quote ",
    "close ",
    "start ",
    "set ",
    "as one claim ",
    "only `*` ",
    "`sha256sum ",
];

/// A mistake or a warning in a file.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    /// Whether it is a mistake.
    pub(crate) is_error: bool,
    file: String,
    place: Place,
    message: String,
    /// What to do.
    help: Option<String>,
    /// All of it for a terminal, with colours, in whole lines.
    shown: String,
}

impl Diagnostic {
    /// The findings in a file, in the order of its lines. `text`: the whole file.
    pub(crate) fn all(
        file: &str,
        text: &str,
        findings: impl IntoIterator<Item = Finding>,
    ) -> Vec<Self> {
        let mut findings: Vec<Finding> = findings.into_iter().collect();
        findings.sort_by_key(|finding| finding.place);
        let lines = lines(text);
        let line = |place: Place| {
            let index = place.line.saturating_sub(1);
            lines.get(index).copied().unwrap_or_default()
        };
        let mut secrets: BTreeMap<usize, usize> = BTreeMap::new();
        for Finding { place, message, .. } in &findings {
            if let Some(column) = secret(line(*place), *place, message) {
                let first = secrets.entry(place.line).or_insert(column);
                *first = column.min(*first);
            }
        }
        let of = |finding: Finding| {
            let line = line(finding.place);
            let hidden_from = secrets.get(&finding.place.line).copied();
            Self::of(file, line, hidden_from, finding)
        };
        findings.into_iter().map(of).collect()
    }

    /// One mistake.
    pub(crate) fn error(
        file: &str,
        text: &str,
        place: Place,
        message: impl Into<String>,
    ) -> Vec<Self> {
        let message = message.into();
        let finding = Finding {
            place,
            is_error: true,
            message,
        };
        Self::all(file, text, [finding])
    }

    fn of(file: &str, line: &str, hidden_from: Option<usize>, finding: Finding) -> Self {
        let Finding {
            place,
            is_error,
            message,
        } = finding;
        let (message, help) = match split_hint(&message) {
            Some((message, help)) => (printable(message), Some(printable(help))),
            None => (printable(&message), None),
        };
        let start = place.column.saturating_sub(1);
        let width = match place.width {
            0 => word(line, start),
            width => width,
        };
        let mut shown: String = line.chars().map(visible).collect();
        let mut characters = start..start.saturating_add(width);
        if let Some(hidden_from) = hidden_from {
            shown = shown
                .chars()
                .take(hidden_from)
                .chain(HIDDEN.chars())
                .collect();
            characters.start = characters.start.min(hidden_from);
            characters.end = characters.end.min(hidden_from.saturating_add(HIDDEN.len()));
        }
        let byte = |character: usize| {
            let mut starts = shown.char_indices().map(|(byte, _)| byte);
            starts.nth(character).unwrap_or(shown.len())
        };
        let span = byte(characters.start)..byte(characters.end);
        let level = if is_error {
            Level::ERROR
        } else {
            Level::WARNING
        };
        let snippet = Snippet::source(shown.as_str())
            .line_start(place.line)
            .path(file)
            .annotation(AnnotationKind::Primary.span(span));
        let group = level.primary_title(message.as_str()).element(snippet);
        let group = match &help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        let shown = Renderer::styled().render(&[group]);
        Self {
            is_error,
            file: file.to_owned(),
            place,
            message,
            help,
            shown: format!("{shown}\n\n"),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "severity": if self.is_error { "error" } else { "warning" },
            "file": self.file,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
            "help": self.help,
        })
    }
}

/// All of them for a terminal, with colours: the mistakes first, and not all of very many.
pub(crate) fn report(diagnostics: &[Diagnostic]) -> String {
    let (errors, warnings): (Vec<&Diagnostic>, Vec<_>) = diagnostics
        .iter()
        .partition(|diagnostic| diagnostic.is_error);
    let mut shown: String = errors
        .iter()
        .take(MAX_REPORTED)
        .map(|error| error.shown.as_str())
        .collect();
    let more = errors.len().saturating_sub(MAX_REPORTED);
    if more > 0 {
        shown.push_str(&format!("and {more} more\n\n"));
    }
    shown.extend(warnings.iter().map(|warning| warning.shown.as_str()));
    shown
}

/// A message without its last part, and this part, if it says what to do.
fn split_hint(message: &str) -> Option<(&str, &str)> {
    let (start, hint) = message.rsplit_once("; ")?;
    HINTS
        .iter()
        .any(|begin| hint.starts_with(begin))
        .then_some((start, hint))
}

/// The number of characters of a line that a report may show, if a secret follows.
fn secret(line: &str, place: Place, message: &str) -> Option<usize> {
    if !message.contains("_env`") && !message.contains("is a secret in a file") {
        return None;
    }
    let start = place.column.saturating_sub(1);
    let rest = line.chars().skip(start);
    let key = rest.take_while(|character| *character != ':').count();
    let is_key = start.saturating_add(key) < line.chars().count();
    // The value, if the place is not that of its key.
    Some(match is_key {
        true => start.saturating_add(key).saturating_add(2),
        false => start,
    })
}

/// The number of characters of the key or value that begins here, at least one.
fn word(line: &str, start: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(start).collect();
    let end = match rest.as_slice() {
        [quote @ ('"' | '\''), inner @ ..] => {
            let end = inner.iter().position(|character| character == quote);
            end.map_or(rest.len(), |end| end.saturating_add(2))
        }
        ['[' | '{', ..] => 1,
        rest => {
            let ends = |pair: &[char]| {
                matches!(pair, [',' | ']' | '}', ..] | [':'] | [':' | ' ', ' ' | '#'])
            };
            (1..rest.len())
                .find(|index| {
                    ends(
                        rest.get(*index..)
                            .map_or(&[], |rest| rest.get(..2).unwrap_or(rest)),
                    )
                })
                .unwrap_or(rest.len())
        }
    };
    let trailing = rest
        .iter()
        .take(end)
        .rev()
        .take_while(|character| character.is_whitespace());
    end.saturating_sub(trailing.count()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize, message: &str) -> String {
        let place = Place {
            line,
            column,
            width: 0,
        };
        let all = Diagnostic::error("p.yaml", text, place, message);
        anstream::adapter::strip_str(&report(&all)).to_string()
    }

    #[test]
    fn a_mistake_is_underlined_in_its_line() {
        let text = "roles:\n  support: {tools: [a], extends: [manger]}\n";
        let shown = shown(
            text,
            2,
            35,
            "unknown role `manger`; did you mean `manager`?",
        );
        let expected = "\
error: unknown role `manger`
 --> p.yaml:2:35
  |
2 |   support: {tools: [a], extends: [manger]}
  |                                   ^^^^^^
  |
  = help: did you mean `manager`?

";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_word_ends_where_yaml_ends_it() {
        for (line, expected) in [
            ("abc: d", 3),
            ("'a: b': c", 6),
            ("\"x", 2),
            ("a b c # d", 5),
            ("[a, b]", 1),
            ("a.b]", 3),
            ("a, b", 1),
            ("a:", 1),
            ("http://x y", 10),
            ("", 1),
        ] {
            assert_eq!(word(line, 0), expected, "{line}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = shown(
            "seal: {key: 7c1f}\n",
            1,
            8,
            "unknown key `key`, expected `key_env`",
        );
        assert!(
            found.contains("1 | seal: {key: ***") && !found.contains("7c1f"),
            "{found}"
        );
        let found = shown(
            "env: {K: 7c1f}\n",
            1,
            10,
            "`K` is a secret in a file; name it under x",
        );
        assert!(
            found.contains("1 | env: {K: ***") && !found.contains("7c1f"),
            "{found}"
        );
        let place = |column| Place {
            line: 1,
            column,
            width: 1,
        };
        let finding = |column, message: &str| Finding {
            place: place(column),
            is_error: true,
            message: message.to_owned(),
        };
        let all = Diagnostic::all(
            "p",
            "{key: 7c1f, b: 1}",
            [finding(13, "x"), finding(2, "did you mean `key_env`?")],
        );
        assert!(!report(&all).contains("7c1f"));
    }

    #[test]
    fn b45_the_source_cannot_move_or_hide_text() {
        let found = shown("a: \u{1b}[2J\u{202e}x\u{200b}\r\nb: 1\r\n", 1, 1, "m");
        assert!(
            found.contains("a: \u{fffd}[2J\u{fffd}x\u{fffd}"),
            "{found:?}"
        );
        assert!(shown("a: 1\r\nb: 2\rc: 3", 3, 1, "m").contains("3 | c: 3"));
    }

    #[test]
    fn places_outside_of_the_file_are_shown_too() {
        assert!(shown("", 1, 1, "the file is empty").contains("p.yaml:1:1"));
        assert!(shown("a", 7, 9, "m").contains("error: m"));
    }
}
