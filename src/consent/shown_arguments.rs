//! The arguments of a call, as the asked user sees them.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The maximum length of a value in the list, in characters. A longer value is shortened in the list and
/// shown whole below it. So no value pushes another one out of sight.
const MAX_LISTED_VALUE_CHARS: usize = 200;
/// The maximum length of the list, in characters.
const MAX_LIST_CHARS: usize = 4000;
/// The maximum size of the list and the long values, in bytes. The question is stored until it is answered.
const MAX_SHOWN_BYTES: usize = 16 * 1024;
/// The number of combining marks that are shown on one character. More would cover other lines.
const MAX_MARKS: usize = 4;

/// Arguments in the form for a user. Everything is shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownArguments {
    /// JSON with one value on each line. Long values are shortened, and end with `… [1]`.
    pub list: String,
    /// The long values, whole, in the order of their numbers.
    pub long_values: Vec<String>,
}

/// The arguments are too long to be shown whole, so no user can agree to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too long to be shown to a user")]
pub struct TooLongToShow;

impl ShownArguments {
    /// Formats JSON that was read strictly before. Values stay as written, except for characters that are
    /// invisible or change the writing direction: these become JSON escapes.
    ///
    /// # Errors
    ///
    /// The arguments are too long.
    pub fn of(arguments: &[u8]) -> Result<Self, TooLongToShow> {
        let mut layout = Layout::default();
        layout.lay_out(&String::from_utf8_lossy(arguments));
        let Layout { list, long_values } = layout;
        let long: usize = long_values.iter().map(String::len).sum();
        let is_short = list.len().saturating_add(long) <= MAX_SHOWN_BYTES
            && list.chars().count() <= MAX_LIST_CHARS;
        let shown = Self { list, long_values };
        is_short.then_some(shown).ok_or(TooLongToShow)
    }
}

/// The name of a tool for a user, with escapes as in values.
///
/// # Errors
///
/// The name is too long.
pub fn shown_tool(tool: &str) -> Result<String, TooLongToShow> {
    let mut shown = String::with_capacity(tool.len());
    let mut marks = 0;
    for character in tool.chars() {
        match character {
            // The character ends the name in the question.
            '`' => shown.push_str("\\u0060"),
            character => push_seen(character, &mut marks, &mut shown),
        }
    }
    let is_short = shown.chars().count() <= MAX_LISTED_VALUE_CHARS;
    is_short.then_some(shown).ok_or(TooLongToShow)
}

/// Without the arguments.
impl fmt::Debug for ShownArguments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ShownArguments")
    }
}

/// The formatted arguments so far.
#[derive(Default)]
struct Layout {
    list: String,
    long_values: Vec<String>,
}

impl Layout {
    fn lay_out(&mut self, json: &str) {
        let mut depth: usize = 0;
        let mut characters = json.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' => {
                    let text = string(&mut characters);
                    self.value(text);
                }
                '{' | '[' => {
                    self.list.push(character);
                    while characters
                        .next_if(|next| next.is_ascii_whitespace())
                        .is_some()
                    {}
                    if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                        self.list.push(end);
                    } else {
                        depth = depth.saturating_add(1);
                        line(&mut self.list, depth);
                    }
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    line(&mut self.list, depth);
                    self.list.push(character);
                }
                ',' => {
                    self.list.push(',');
                    line(&mut self.list, depth);
                }
                ':' => self.list.push_str(": "),
                character if character.is_ascii_whitespace() => {}
                character => {
                    let mut word = String::from(character);
                    let goes_on = |next: &char| {
                        !matches!(next, ',' | ':' | '}' | ']') && !next.is_ascii_whitespace()
                    };
                    word.extend(std::iter::from_fn(|| characters.next_if(goes_on)));
                    self.value(word);
                }
            }
        }
    }

    /// A text, number, name or other value without parts.
    fn value(&mut self, written: String) {
        if written.chars().count() <= MAX_LISTED_VALUE_CHARS {
            return self.list.push_str(&written);
        }
        let start = written.chars().take(MAX_LISTED_VALUE_CHARS);
        self.list.extend(start);
        self.long_values.push(written);
        let _ = write!(self.list, "… [{}]", self.long_values.len());
    }
}

/// The rest of a string, up to its end.
fn string(characters: &mut impl Iterator<Item = char>) -> String {
    let mut out = String::from('"');
    let mut marks = 0;
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                out.push('\\');
                out.extend(characters.next());
            }
            '"' => break,
            character => push_seen(character, &mut marks, &mut out),
        }
    }
    out.push('"');
    out
}

/// Writes a character, or its escape if it is invisible. `marks` counts the combining marks so far.
fn push_seen(character: char, marks: &mut usize, out: &mut String) {
    *marks = match is_mark(character) {
        true => marks.saturating_add(1),
        false => 0,
    };
    if is_seen(character) && *marks <= MAX_MARKS {
        return out.push(character);
    }
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// Whether a character is drawn on the one before it (the blocks of combining marks for all scripts).
fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a character is visible and does not change its place (`Default_Ignorable_Code_Point` of Unicode,
/// controls, blanks, and changes of direction are not).
fn is_seen(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        && (!character.is_whitespace() || character == ' ')
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    (0..depth).for_each(|_| out.push_str("  "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::json::digest;

    fn shown(json: &str) -> String {
        ShownArguments::of(json.as_bytes()).unwrap().list
    }

    #[test]
    fn each_value_has_a_line() {
        let written = r#"{"a":[1.0, {"b" : "x:{,}\"\\"}],"c":{ },"d":[],"e":null}"#;
        let expected = r#"{
  "a": [
    1.0,
    {
      "b": "x:{,}\"\\"
    }
  ],
  "c": {},
  "d": [],
  "e": null
}"#;
        assert_eq!(shown(written), expected);
    }

    #[test]
    fn the_layout_keeps_every_value() {
        for written in [
            r#"{"a":1e400,"b":-0,"c":[[],[[1]],{"":{}}]}"#,
            "{\"a\":\"\u{202e}\u{200b}x\u{e0041}\u{1f600} \u{a0}\u{7f}\\u0022\\\\\"}",
        ] {
            let said = digest(written.as_bytes(), 16).unwrap();
            assert_eq!(digest(shown(written).as_bytes(), 16), Ok(said));
        }
        assert!(shown(r#"{"a":1e400,"b":-0}"#).contains("1e400"));
    }

    #[test]
    fn invisible_characters_become_escapes() {
        let text = shown("{\"to\u{200b}\":\"eve\u{202e}moc\u{e0041} \u{a0}é\"}");
        assert_eq!(
            text,
            "{\n  \"to\\u200b\": \"eve\\u202emoc\\udb40\\udc41 \\u00a0é\"\n}"
        );
    }

    #[test]
    fn a3_a_long_value_moves_no_other_one_out_of_sight() {
        let long = "x".repeat(3_900);
        let digits = "9".repeat(300);
        for (name, value) in [("note", format!("\"{long}\"")), (&*digits, digits.clone())] {
            let json = format!(r#"{{"{name}":{value},"amount":5000,"to":"eve"}}"#);
            let shown = ShownArguments::of(json.as_bytes()).unwrap();
            for seen in ["\"amount\": 5000", "\"to\": \"eve\""] {
                let at = shown.list.find(seen).unwrap();
                assert!(at < 800, "{at}");
            }
            assert!(shown.long_values.contains(&value));
        }
        let name = format!(r#"{{"{long}":1,"{long}y":2}}"#);
        let shown = ShownArguments::of(name.as_bytes()).unwrap();
        assert!(shown.list.contains("… [1]: 1") && shown.list.contains("… [2]: 2"));
        assert_eq!(shown.long_values[1], format!("\"{long}y\""));
        assert_eq!(format!("{shown:?}"), "ShownArguments");
    }

    #[test]
    fn a3_what_cannot_be_shown_whole_cannot_be_agreed_to() {
        let text = |length: usize| format!(r#"{{"a":"{}"}}"#, "é".repeat(length));
        assert!(ShownArguments::of(text(7_900).as_bytes()).is_ok());
        assert_eq!(
            ShownArguments::of(text(8_200).as_bytes()),
            Err(TooLongToShow)
        );
        let many: Vec<String> = (0..400).map(|n| format!("\"name{n}\":{n}")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(ShownArguments::of(many.as_bytes()), Err(TooLongToShow));
        assert_eq!(shown_tool("crm.get").as_deref(), Ok("crm.get"));
        let forged = shown_tool("x` with {}?\n\u{202e}").unwrap();
        assert_eq!(forged, "x\\u0060 with {}?\\u000a\\u202e");
        assert_eq!(shown_tool(&"x".repeat(201)), Err(TooLongToShow));
    }

    #[test]
    fn a3_marks_do_not_cover_other_lines() {
        let shown = shown(&format!("\"a{}\"", "\u{336}".repeat(20)));
        assert_eq!(shown.matches('\u{336}').count(), MAX_MARKS);
        assert_eq!(shown.matches("\\u0336").count(), 20 - MAX_MARKS);
    }
}
