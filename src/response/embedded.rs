//! JSON inside a text, and a text inside base64.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use base::json::tree::Node;

/// What a text is, as far as fields go.
pub(super) enum Inside {
    /// JSON.
    Json(Node),
    /// What some would read as JSON.
    Nearly,
    /// Words.
    Words,
}

/// Looks into a text.
pub(super) fn look(text: &str, max_depth: usize) -> Inside {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let mut letters = start.chars();
    let first = letters.next();
    let second = letters.find(|letter| !letter.is_whitespace());
    let looks_like_it = match (first, second) {
        (Some('{'), Some(second)) => second.is_alphanumeric() || "\"'}/_".contains(second),
        (Some('['), Some(second)) => second.is_ascii_digit() || "{[\"'-]".contains(second),
        _ => false,
    };
    match Node::read(text.as_bytes(), max_depth) {
        Ok(node) if looks_like_it || first == Some('"') => Inside::Json(node),
        // A comment before it, or a list of one word: lenient readers may go on.
        _ if looks_like_it || start.starts_with("/*") || start.starts_with("//") => Inside::Nearly,
        _ => Inside::Words,
    }
}

/// What base64 stands for, in either alphabet, with or without padding and line breaks.
pub(super) fn decode(encoded: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let packed: String = encoded.split_whitespace().collect();
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(&packed).ok())
}

/// A text in base64.
pub(super) fn encode(text: &str) -> String {
    base64::prelude::BASE64_STANDARD.encode(text)
}
