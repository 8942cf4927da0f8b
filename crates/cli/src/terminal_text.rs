//! Plain text for terminals.

use std::fmt::Write;

use explanation::hides;
pub(crate) use explanation::printable;

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

/// A character of a line, or one that stands for a character that could move or hide text. The columns stay.
pub(crate) fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        character if hides(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    }
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
}
