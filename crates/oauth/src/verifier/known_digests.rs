//! The digests of tokens that were verified before, so that a request does not compute its token's digest again.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use base::same_bytes::same_bytes;
use lru::LruCache;

use super::MAX_CACHED_TOKENS;
use crate::bearer::{BearerToken, TokenDigest};

/// The maximum number of bytes of all remembered tokens.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The number of bytes at the end of a token that find it. They are a part of its signature.
const HASHED_BYTES: usize = 64;

/// Tokens with their digests. A token is found by a keyed hash of its end, and its whole text is compared. So the digest
/// is always that of the given token. Of tokens with the same end, the last one is remembered.
#[derive(Debug)]
pub(super) struct KnownDigests {
    digests: LruCache<u64, KnownToken>,
    hashes: RandomState,
    bytes: usize,
}

struct KnownToken {
    text: Box<str>,
    digest: TokenDigest,
}

/// Without the token.
impl fmt::Debug for KnownToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KnownToken")
    }
}

impl KnownDigests {
    pub(super) fn new() -> Self {
        Self {
            digests: LruCache::new(MAX_CACHED_TOKENS),
            hashes: RandomState::new(),
            bytes: 0,
        }
    }

    /// The digest of a remembered token.
    pub(super) fn get(&mut self, token: &BearerToken<'_>) -> Option<TokenDigest> {
        let text = token.secret().as_bytes();
        let known = self.digests.get(&self.hash(text))?;
        same_bytes(known.text.as_bytes(), text).then_some(known.digest)
    }

    /// Remembers the digest of a verified token. The tokens that were not used for the longest time make room.
    pub(super) fn put(&mut self, token: &BearerToken<'_>, digest: TokenDigest) {
        let text = token.secret();
        let known = KnownToken {
            text: text.into(),
            digest,
        };
        let replaced = self.digests.push(self.hash(text.as_bytes()), known);
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

    fn hash(&self, token: &[u8]) -> u64 {
        let start = token.len().saturating_sub(HASHED_BYTES);
        self.hashes.hash_one(token.get(start..).unwrap_or_default())
    }

    fn forget(&mut self, entry: Option<(u64, KnownToken)>) {
        if let Some((_, token)) = entry {
            self.bytes = self.bytes.saturating_sub(token.text.len());
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
    fn of_tokens_with_the_same_end_one_is_remembered() {
        let mut known = KnownDigests::new();
        let end = "c".repeat(HASHED_BYTES);
        let (one, other) = (header(&format!("a{end}")), header(&format!("bb{end}")));
        let one = BearerToken::of_header(&one).unwrap();
        let other = BearerToken::of_header(&other).unwrap();
        known.put(&one, one.digest());
        assert_eq!(known.get(&other), None);
        known.put(&other, other.digest());
        assert_eq!(
            (known.get(&one), known.get(&other)),
            (None, Some(other.digest()))
        );
        assert_eq!(known.bytes, HASHED_BYTES + 2);
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
