//! Text from a file, made safe to show.

/// Whether a character could move or hide text on a terminal.
pub fn hides(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Text from a file. Characters that could move or hide text on a terminal are escaped.
pub fn printable(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b45_nothing_moves_the_cursor_or_turns_the_text_around() {
        assert_eq!(printable("é\u{1b}[2J\u{202e}x"), "é\\u{1b}[2J\\u{202e}x");
    }
}
