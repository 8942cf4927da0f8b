//! JSON inside a text, and a text inside base64.

use std::cell::Cell;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use base::json::tree::{Node, Value};
use base::json::{JsonError, JsonErrorKind};

/// The maximum number of JSON values that are read of one message and its texts. A value needs up to 80
/// times the memory of its text.
pub(super) const MAX_VALUES: usize = 1_000_000;

/// The content of a text.
pub(super) enum Inside {
    /// JSON.
    Json(Node),
    /// Text that lenient parsers may read as JSON.
    Nearly,
    /// Words.
    Words,
}

/// The number of values that may still be read of one message.
#[derive(Debug)]
pub(super) struct ValuesLeft {
    left: Cell<usize>,
    /// Whether the message has more values.
    is_exceeded: Cell<bool>,
}

impl Default for ValuesLeft {
    fn default() -> Self {
        Self::at_most(MAX_VALUES)
    }
}

impl ValuesLeft {
    /// A limit.
    pub(super) fn at_most(values: usize) -> Self {
        Self {
            left: Cell::new(values),
            is_exceeded: Cell::new(false),
        }
    }

    /// Whether the message has more values. Then it cannot be judged as a whole.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }

    /// Reads JSON of the message.
    pub(super) fn read(&self, text: &[u8], max_depth: usize) -> Result<Node, JsonError> {
        let mut left = self.left.get();
        let node = Node::read_within(text, max_depth, &mut left);
        self.left.set(left);
        if matches!(&node, Err(error) if error.kind == JsonErrorKind::TooManyValues) {
            self.is_exceeded.set(true);
        }
        node
    }

    /// Reads the content of a text.
    pub(super) fn look(&self, text: &str, max_depth: usize) -> Inside {
        // Most texts: JSON, a comment or a record starts with another character, or on a later line.
        let first = text.bytes().next();
        if first.is_some_and(|first| first.is_ascii_alphanumeric())
            && memchr::memchr(b'\n', text.as_bytes()).is_none()
        {
            return Inside::Words;
        }
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if start.starts_with(['{', '[', '"'])
            && let Ok(node) = self.read(text.as_bytes(), max_depth)
        {
            return match node.value {
                // A text may hold a JSON string.
                Value::Array(_) | Value::Object(_) | Value::Text(_) => Inside::Json(node),
                _ => Inside::Words,
            };
        }
        let is_json_to_some = starts_like_json(start)
            // A comment before JSON.
            || start.starts_with("/*")
            || start.starts_with("//")
            // One JSON value on each line.
            || start.lines().skip(1).any(starts_a_record);
        if is_json_to_some {
            Inside::Nearly
        } else {
            Inside::Words
        }
    }
}

/// Whether a text that is not JSON starts like JSON for lenient parsers: with other quotes, without quotes,
/// with `NaN` or `undefined`, or with extra commas.
fn starts_like_json(start: &str) -> bool {
    let mut letters = start.chars();
    let first = letters.next();
    let inside = letters.as_str().trim_start();
    let second = inside.chars().next();
    match (first, second) {
        (Some('{'), Some(second)) => second.is_alphanumeric() || "\"'}/_$,[".contains(second),
        (Some('['), Some(second)) => {
            second.is_ascii_digit()
                || "{[\"'-,]".contains(second)
                || inside.starts_with("/*")
                || inside.starts_with("//")
                || starts_with_bare_number(inside)
                || starts_with_literal(inside)
        }
        _ => false,
    }
}

/// Whether a list starts with a number that JSON does not allow: `[.5`.
fn starts_with_bare_number(inside: &str) -> bool {
    let digits = inside.strip_prefix(['+', '.']);
    digits.is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a list starts with a value that is written as a word: `[None, {`.
fn starts_with_literal(inside: &str) -> bool {
    const LITERALS: [&str; 7] = [
        "null",
        "true",
        "false",
        "none",
        "nan",
        "infinity",
        "undefined",
    ];
    let end = inside.find(|c: char| !c.is_alphabetic());
    let (word, behind) = inside.split_at(end.unwrap_or(inside.len()));
    let is_literal = LITERALS
        .iter()
        .any(|literal| literal.eq_ignore_ascii_case(word));
    is_literal && behind.trim_start().starts_with([',', ']', '/'])
}

/// Whether a line starts with an object or with a list of objects.
fn starts_a_record(line: &str) -> bool {
    let line = line.trim_start();
    let inside = line.strip_prefix(['{', '[']).map(str::trim_start);
    match (line.chars().next(), inside) {
        (Some('{'), Some(inside)) => inside.starts_with(['"', '\'']),
        (Some('['), Some(inside)) => inside.starts_with(['{', '[']),
        _ => false,
    }
}

/// Decodes base64, in either alphabet, with or without padding and line breaks.
pub(super) fn decode(encoded: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let packed: String = encoded.split_whitespace().collect();
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(&packed).ok())
}

/// Encodes a text in base64.
pub(super) fn encode(text: &str) -> String {
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> &'static str {
        match ValuesLeft::default().look(text, 16) {
            Inside::Json(_) => "json",
            Inside::Nearly => "nearly",
            Inside::Words => "words",
        }
    }

    #[test]
    fn s12_whatever_parses_as_a_list_or_an_object_is_json() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "[null]",
            "[null,{\"a\":1}]",
            "[true,{}]",
            "[false]",
            "[ \n null ]",
            "[-1]",
            "[\"a\"]",
            "[[]]",
            "{\"\":0}",
            "\"{}\"",
            "[1e9]",
        ] {
            assert_eq!(look(text), "json", "{text}");
        }
    }

    #[test]
    fn s12_what_a_lenient_reader_takes_for_json_is_nearly_json() {
        for text in [
            "[null,{\"a\":1},]",
            "[None, {'a': 1}]",
            "[True]x",
            "[NaN,{\"a\":1}]",
            "[undefined , {a:1}]",
            "[-Infinity]",
            "[,{\"a\":1}]",
            "[+1,{}]",
            "[.5,{}]",
            "[/**/{\"a\":1}]",
            "{a:1}",
            "{$a:1}",
            "{,\"a\":1}",
            "[true // x\n,{}]",
            "\u{feff}[null]",
            "\u{a0}[null]",
            "[null]{\"a\":1}",
            "{\"a\":1}\n{\"b\":2}",
            "null\n{\"a\":1}",
            "1\n[{\"a\":1}]",
            "Found:\n{\"a\":1}",
            "# x\r\n  {'a':1}",
            "/* x */{\"a\":1}",
            "// x\n{\"a\":1}",
            "[]]",
            "{}{",
        ] {
            assert_eq!(look(text), "nearly", "{text}");
        }
    }

    #[test]
    fn s12_words_are_words() {
        for text in [
            "",
            "null",
            "true",
            "1",
            "-1",
            "words",
            "[note] see below",
            "[true story]",
            "[link](x)",
            "[nullable]",
            "see\n[1] x\n- {y}",
            "a {b}",
            "[x",
            "{ }",
            "{-}",
        ] {
            let expected = if text == "{ }" { "json" } else { "words" };
            assert_eq!(look(text), expected, "{text}");
        }
    }

    #[test]
    fn k2_the_values_of_one_message_are_counted_in_all_its_texts() {
        let left = ValuesLeft::at_most(8);
        assert!(matches!(left.look("[1,2,3]", 8), Inside::Json(_)));
        assert!(matches!(left.look("[1,2]", 8), Inside::Json(_)));
        assert!(!left.is_exceeded());
        assert!(matches!(left.look("[1,2]", 8), Inside::Nearly));
        assert!(left.is_exceeded());
    }
}
