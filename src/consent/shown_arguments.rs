//! The arguments of a call, as they are shown to the user who is asked about it.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// How many characters are shown.
const MAX_SHOWN: usize = 4000;

/// Arguments, laid out for a user.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownArguments {
    /// JSON with one value a line.
    pub text: String,
    /// How many more characters there are.
    pub more: usize,
}

impl ShownArguments {
    /// Lays out JSON that was read strictly before. Values stay as they are written, except for characters
    /// that are invisible or change the writing direction: they become JSON escapes.
    pub fn of(arguments: &[u8]) -> Self {
        let laid_out = lay_out(&String::from_utf8_lossy(arguments));
        let more = laid_out.chars().count().saturating_sub(MAX_SHOWN);
        let text = match more {
            0 => laid_out,
            _ => laid_out.chars().take(MAX_SHOWN).collect(),
        };
        Self { text, more }
    }
}

/// Without the arguments.
impl fmt::Debug for ShownArguments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ShownArguments")
    }
}

fn lay_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut depth: usize = 0;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                string(&mut characters, &mut out);
            }
            '{' | '[' => {
                out.push(character);
                while characters
                    .next_if(|next| next.is_ascii_whitespace())
                    .is_some()
                {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth = depth.saturating_add(1);
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            character if character.is_ascii_whitespace() => {}
            character => out.push(character),
        }
    }
    out
}

/// The rest of a string, up to its end.
fn string(characters: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                out.push('\\');
                out.extend(characters.next());
            }
            '"' => return out.push('"'),
            character if is_seen(character) => out.push(character),
            character => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// Whether a character is visible, and where it stands (Unicode's `Default_Ignorable_Code_Point`,
/// controls, and what is blank or turns the direction).
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
        ShownArguments::of(json.as_bytes()).text
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
    fn characters_beyond_the_limit_are_counted() {
        let long = format!(r#""{}""#, "é".repeat(MAX_SHOWN + 3));
        let shown = ShownArguments::of(long.as_bytes());
        assert_eq!((shown.text.chars().count(), shown.more), (MAX_SHOWN, 5));
        assert_eq!(format!("{shown:?}"), "ShownArguments");
    }
}
