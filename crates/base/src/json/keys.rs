//! The keys of the objects being read, to find duplicates.

use std::cmp::Ordering;

use super::Span;

/// In objects with up to this many keys each pair of keys is compared; others are sorted.
const MAX_KEYS_COMPARED_IN_PAIRS: usize = 16;

/// The keys of all open objects, the innermost object last.
#[derive(Debug, Default)]
pub(super) struct OpenKeys {
    keys: Vec<OpenKey>,
    /// The keys that are written with escapes, resolved, one behind the other.
    resolved: String,
}

/// A key: its first eight bytes as a number, which decides most comparisons, and the place of all of them.
#[derive(Debug, Clone, Copy)]
struct OpenKey {
    first_bytes: u64,
    start: usize,
    end: usize,
    /// Whether it is among the resolved keys, and not in the input.
    is_resolved: bool,
}

impl OpenKeys {
    /// Starts an object. Returns the index of its first key.
    pub(super) fn open(&self) -> usize {
        self.keys.len()
    }

    /// Adds a key of the innermost object that is written without escapes. `span`: its place in the input, without quotes.
    #[inline]
    pub(super) fn push_written(&mut self, input: &[u8], span: &Span) {
        self.keys.push(OpenKey {
            first_bytes: first_bytes(input, span),
            start: span.start,
            end: span.end,
            is_resolved: false,
        });
    }

    /// Adds a key of the innermost object that is written with escapes.
    pub(super) fn push_resolved(&mut self, key: &str) {
        let start = self.resolved.len();
        self.resolved.push_str(key);
        let end = self.resolved.len();
        self.keys.push(OpenKey {
            first_bytes: first_bytes(self.resolved.as_bytes(), &(start..end)),
            start,
            end,
            is_resolved: true,
        });
    }

    /// Forgets the keys of objects that are read again.
    pub(super) fn forget(&mut self, first: usize) {
        self.keys.truncate(first);
    }

    /// Ends an object and drops its keys. False if a key is there twice.
    #[inline]
    pub(super) fn close(&mut self, input: &[u8], first: usize) -> bool {
        let keys = self.keys.get(first..).unwrap_or_default();
        let is_distinct = begin_differently(keys) || self.differ(input, first);
        self.keys.truncate(first);
        is_distinct
    }

    /// Whether all keys from an index on differ.
    fn differ(&mut self, input: &[u8], first: usize) -> bool {
        let resolved = self.resolved.as_bytes();
        let keys = self.keys.get_mut(first..).unwrap_or_default();
        if keys.len() <= MAX_KEYS_COMPARED_IN_PAIRS {
            let mut rest = &*keys;
            while let Some((key, others)) = rest.split_first() {
                let is_it = |other: &OpenKey| key.compare(other, input, resolved).is_eq();
                if others.iter().any(is_it) {
                    return false;
                }
                rest = others;
            }
            return true;
        }
        keys.sort_unstable_by(|one, other| one.compare(other, input, resolved));
        let is_twice = |pair: &[OpenKey]| match pair {
            [one, other] => one.compare(other, input, resolved).is_eq(),
            _ => false,
        };
        !keys.windows(2).any(is_twice)
    }
}

impl OpenKey {
    #[inline]
    fn compare(&self, other: &Self, input: &[u8], resolved: &[u8]) -> Ordering {
        let by_first_bytes = self.first_bytes.cmp(&other.first_bytes);
        by_first_bytes.then_with(|| {
            self.bytes(input, resolved)
                .cmp(other.bytes(input, resolved))
        })
    }

    fn bytes<'b>(&self, input: &'b [u8], resolved: &'b [u8]) -> &'b [u8] {
        let text = if self.is_resolved { resolved } else { input };
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Whether a hash of their first bytes tells all keys of an object apart.
#[inline]
fn begin_differently(keys: &[OpenKey]) -> bool {
    /// 2^64 divided by the golden ratio spreads the numbers (Knuth, "The Art of Computer Programming", section 6.4).
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut seen = 0_u64;
    keys.iter().all(|key| {
        let bit = 1_u64 << (key.first_bytes.wrapping_mul(SPREAD) >> 58);
        let is_new = seen & bit == 0;
        seen |= bit;
        is_new
    })
}

/// The first eight bytes of a key, as a number: fewer bytes are filled up with zeros.
#[inline]
fn first_bytes(text: &[u8], key: &Span) -> u64 {
    let length = key.end.saturating_sub(key.start);
    let from_key = text.get(key.start..).unwrap_or_default();
    match from_key.first_chunk::<8>() {
        Some(bytes) if length >= 8 => u64::from_le_bytes(*bytes),
        Some(bytes) => {
            let bits = u32::try_from(length).unwrap_or(0).wrapping_mul(8);
            u64::from_le_bytes(*bytes) & (1_u64 << bits).wrapping_sub(1)
        }
        None => {
            let bytes = from_key.iter().take(length).rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    }
}
