//! Texts that are no JSON and resemble it: source code, logs, Markdown, TOML, and also JSON5 or Python's `repr`
//! of data. A text passes with `text: keep` unless it may have a field of the rule.

mod data;

use std::borrow::Cow;
use std::collections::HashSet;

use mcp::argument_names::fold;
use policy::{FieldPath, Missing, ResultRule};

use super::key_path::steps;

/// The length of a key that is compared, in bytes.
const MAX_KEY: usize = 512;

/// Whether a text may have a field of a rule: a name of one, where a key or the name of a column may stand, or
/// objects that need an owner.
pub(super) fn may_hold(rule: &ResultRule, text: &str) -> bool {
    let owner = rule.owner.as_ref();
    let fields = rule.redact.iter().chain(owner.map(|owner| &owner.field));
    let needs_owner = owner.is_some_and(|owner| owner.missing != Missing::Keep);
    LastNames::of(fields).are_in(text) || needs_owner && data::is_data(text)
}

/// The last names of the paths of fields. The outer keys of a text are unknown.
struct LastNames<'r> {
    names: HashSet<&'r str>,
    /// Whether each name is one of them.
    is_any: bool,
}

impl<'r> LastNames<'r> {
    fn of(fields: impl Iterator<Item = &'r FieldPath>) -> Self {
        let mut last = Self {
            names: HashSet::new(),
            is_any: false,
        };
        for name in fields.flat_map(FieldPath::last_names) {
            match name {
                Some(name) => {
                    last.names.insert(name);
                }
                None => last.is_any = true,
            }
        }
        last
    }

    /// Whether one of the names stands alone between delimiters, such as quotes of any kind, or before `:` or
    /// `=`.
    fn are_in(&self, text: &str) -> bool {
        let text = without_escapes(text);
        let mut rest = &*text;
        loop {
            let end = rest.find(is_delimiter);
            let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let part = part.trim();
            let last_word = part.rsplit(char::is_whitespace).next().unwrap_or_default();
            if self.has(part)
                || last_word.len() < part.len() && self.has(last_word) && is_key(behind)
            {
                return true;
            }
            let mut characters = behind.chars();
            if characters.next().is_none() {
                return false;
            }
            rest = characters.as_str();
        }
    }

    /// Whether a key is one of the names.
    fn has(&self, key: &str) -> bool {
        if key.is_empty() || key.len() > MAX_KEY {
            return false;
        }
        let is_name = |name: &str| !name.is_empty() && (self.is_any || self.names.contains(name));
        is_name(&fold(key))
            || key.contains(['.', '/']) && steps(key).last().is_some_and(|step| is_name(&step))
    }
}

/// Whether `:` or `=` follows a key, perhaps after a quote or the start of a comment.
fn is_key(behind: &str) -> bool {
    let is_between =
        |character: char| character.is_whitespace() || "\"'`\\\u{2019}\u{201d}".contains(character);
    let behind = behind.trim_start_matches(is_between);
    behind.starts_with([':', '=', '\u{ff1a}']) || behind.starts_with("/*")
}

/// Characters that no name has, and that may stand before or after one.
fn is_delimiter(character: char) -> bool {
    "\"'`\u{2018}\u{2019}\u{201c}\u{201d}{}[](),;:=<>|&?!\\#*\n\r\t\u{ff1a}".contains(character)
}

/// The text with the characters that its escapes stand for: `\u0073`, `\x73`.
fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") && !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let length = match behind.chars().next() {
            Some('u') => 5,
            Some('x') => 3,
            _ => 1,
        };
        let digits = behind.get(1..length);
        let escaped = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match escaped.and_then(char::from_u32) {
            Some(character) => {
                out.push(character);
                rest = behind.get(length..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> bool {
        let fields = ["ssn", "card.number"].map(|path| FieldPath::parse(path).unwrap());
        LastNames::of(fields.iter()).are_in(text)
    }

    #[test]
    fn r13_a_text_that_names_a_hidden_field_where_a_key_may_stand_is_found() {
        for text in [
            "{'ssn': '123-45-6789'}",
            "{ssn: 1}",
            "{\"ssn\" : 1,}",
            "{\"a\":1}\n{\"SSN\":2}",
            "[None, {'SSN': 1}]",
            "{'customer.ssn': 1}",
            "{'number': 1}",
            "{'card_number': 1}",
            "{'cardNumber' /* x */ : 1}",
            "{\"\\u0073sn\": NaN}",
            "{\"\\x73sn\": NaN}",
            "[['name', 'ssn'], ['Ann', '1']]",
            "{\\\"ssn\\\": 1",
            "[x]\nssn = \"1\"",
            "{ let ssn = 1; }",
            "{\u{201c}ssn\u{201d}: 1}",
            "{s\u{200b}sn: 1}",
            "{`ssn`: 1}",
            "[a]\n| name | ssn |",
            "// x\nuser.ssn = 1",
            "{ssn=1, a=2}",
        ] {
            assert!(names(text), "{text}");
        }
    }

    #[test]
    fn r13_text_that_merely_resembles_json_is_not_found() {
        for text in [
            "{ let x = class_name(); }",
            "[INFO] 2026-01-01 the ssn check passed\n{\"level\":1} x",
            "[link](https://example.com/a)\n[b]: https://example.com",
            "[package]\nname = \"x\"\nversion = \"1\"",
            "def f():\n    return {\"id\": 1, \"tags\": [\"a\"]}  # [see](x)",
            "{\"ratio\": NaN, \"limit\": Infinity}",
            "{className: 'x', numbers: [1]}",
            "/* a */ int main() { return 0; }",
        ] {
            assert!(!names(text), "{text}");
        }
    }
}
