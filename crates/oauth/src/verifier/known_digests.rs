//! The digests of tokens that were verified before, so that a request does not compute its token's digest again.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};

use lru::LruCache;

use super::MAX_CACHED_TOKENS;
use crate::bearer::{BearerToken, TokenDigest};

/// The maximum number of bytes of all remembered tokens.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Tokens with their digests. A token is found by a keyed hash, and its whole text is compared. So the digest is
/// always that of the given token.
#[derive(Debug)]
pub(super) struct KnownDigests {
    digests: LruCache<TokenText, TokenDigest>,
    bytes: usize,
}

/// The text of a token. Its `Debug` form does not show it.
#[derive(PartialEq, Eq)]
struct TokenText(Box<str>);

impl Borrow<str> for TokenText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// As `str`, for `Borrow`.
impl Hash for TokenText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0).hash(state);
    }
}

/// Without the token.
impl fmt::Debug for TokenText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenText")
    }
}

impl KnownDigests {
    pub(super) fn new() -> Self {
        Self {
            digests: LruCache::new(MAX_CACHED_TOKENS),
            bytes: 0,
        }
    }

    /// The digest of a remembered token.
    pub(super) fn get(&mut self, token: &BearerToken<'_>) -> Option<TokenDigest> {
        self.digests.get(token.secret()).copied()
    }

    /// Remembers the digest of a verified token. The tokens that were not used for the longest time make room.
    pub(super) fn put(&mut self, token: &BearerToken<'_>, digest: TokenDigest) {
        let text = token.secret();
        let replaced = self.digests.push(TokenText(text.into()), digest);
        self.bytes = self.bytes.saturating_add(text.len());
        self.forget(replaced);
        while self.bytes > MAX_BYTES {
            let oldest = self.digests.pop_lru();
            if oldest.is_none() {
                return;
            }
            self.forget(oldest);
        }
    }

    fn forget(&mut self, entry: Option<(TokenText, TokenDigest)>) {
        if let Some((token, _)) = entry {
            self.bytes = self.bytes.saturating_sub(token.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        format!("Bearer {text}")
    }

    #[test]
    fn a_digest_is_that_of_the_whole_token() {
        let mut known = KnownDigests::new();
        let (one, other) = (header("a.b.c"), header("a.b.d"));
        let one = BearerToken::of_header(&one).unwrap();
        let other = BearerToken::of_header(&other).unwrap();
        assert_eq!(known.get(&one), None);
        known.put(&one, one.digest());
        assert_eq!(known.get(&one), Some(one.digest()));
        assert_eq!(known.get(&other), None);
        known.put(&one, one.digest());
        assert_eq!(known.bytes, 5);
    }

    #[test]
    fn the_bytes_of_remembered_tokens_are_bounded() {
        const SIZE: usize = 32 * 1024;
        let mut known = KnownDigests::new();
        for number in 0..400 {
            let text = header(&format!("{number:0>SIZE$}"));
            let token = BearerToken::of_header(&text).unwrap();
            known.put(&token, token.digest());
            assert_eq!(known.bytes, known.digests.len() * SIZE);
        }
        assert_eq!(known.bytes, MAX_BYTES);
        let last = header(&format!("{:0>SIZE$}", 399));
        assert!(known.get(&BearerToken::of_header(&last).unwrap()).is_some());
    }
}
