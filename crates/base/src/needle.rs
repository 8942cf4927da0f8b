//! Texts that every message is searched for.

use std::sync::OnceLock;

use memchr::memmem::Finder;

/// A text that every message is searched for. Its search is prepared once: for a short message that would cost more than
/// the search.
#[derive(Debug)]
pub struct Needle {
    text: &'static [u8],
    finder: OnceLock<Finder<'static>>,
}

impl Needle {
    /// A text to search for.
    pub const fn new(text: &'static str) -> Self {
        Self {
            text: text.as_bytes(),
            finder: OnceLock::new(),
        }
    }

    /// Whether it is in a message.
    pub fn is_in(&self, message: &[u8]) -> bool {
        let finder = self.finder.get_or_init(|| Finder::new(self.text));
        finder.find(message).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_each_time() {
        static NEEDLE: Needle = Needle::new("taskId");
        for (message, is_in) in [
            ("", false),
            ("taskI", false),
            ("xtaskIdx", true),
            ("taskid", false),
        ] {
            assert_eq!(NEEDLE.is_in(message.as_bytes()), is_in, "{message}");
        }
    }
}
