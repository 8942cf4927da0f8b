//! Plain text for terminals.

use std::fmt::Write;

/// The maximum width of a line of prose.
const WIDTH: usize = 100;

/// Prose broken into lines: the first starts with `first`, the others with `rest`.
pub(crate) fn wrapped(first: &str, rest: &str, prose: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut has_words = false;
    for word in prose.split_whitespace() {
        let width = line.chars().count() + 1 + word.chars().count();
        if has_words && width > WIDTH {
            let _ = writeln!(lines, "{}", line.trim_end());
            line = rest.to_owned();
            has_words = false;
        }
        if has_words {
            line.push(' ');
        }
        line.push_str(word);
        has_words = true;
    }
    let _ = writeln!(lines, "{}", line.trim_end());
    lines
}

/// Whether a character could move or hide text on a terminal.
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A character of a line, or one that stands for a character that could move or hide text. The columns stay.
pub(crate) fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        character if hides(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

/// Text from a file. Characters that could move or hide text on a terminal are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if hides(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// `1 role`, `2 roles`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_within_the_width() {
        let prose = "word ".repeat(60);
        let text = wrapped("label   ", "        ", &prose);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().count(), 61);
    }

    #[test]
    fn b45_nothing_moves_the_cursor_or_turns_the_text_around() {
        assert_eq!(printable("é\u{1b}[2J\u{202e}x"), "é\\u{1b}[2J\\u{202e}x");
    }
}
