//! The keys of the objects being read, to find duplicates.

use std::borrow::Cow;

use super::Span;

/// In objects with up to this many keys each pair of keys is compared; others are sorted.
const MAX_KEYS_COMPARED_IN_PAIRS: usize = 16;

/// The keys of all open objects, the innermost object last. Each key follows its first eight bytes as a
/// number, which decides most comparisons.
#[derive(Debug, Default)]
pub(super) struct OpenKeys<'a>(Vec<(u64, Cow<'a, str>)>);

impl<'a> OpenKeys<'a> {
    /// Starts an object. Returns the index of its first key.
    pub(super) fn open(&self) -> usize {
        self.0.len()
    }

    /// Adds a key of the innermost object. `input` is the whole text, and `span` the position of the key in it.
    #[inline]
    pub(super) fn push(&mut self, input: &str, span: &Span, key: Cow<'a, str>) {
        let is_written = matches!(key, Cow::Borrowed(_));
        let written = is_written.then(|| input.as_bytes().get(span.start.saturating_add(1)..));
        let word = first_bytes(&key, written.flatten().unwrap_or_default());
        self.0.push((word, key));
    }

    /// Forgets the keys of objects that are read again.
    pub(super) fn forget(&mut self, first: usize) {
        self.0.truncate(first);
    }

    /// Ends an object and drops its keys. False if a key is there twice.
    pub(super) fn close(&mut self, first: usize) -> bool {
        let keys = self.0.get_mut(first..).unwrap_or_default();
        let distinct = if keys.len() <= MAX_KEYS_COMPARED_IN_PAIRS {
            let mut rest = &*keys;
            loop {
                match rest.split_first() {
                    Some((key, others)) if !others.contains(key) => rest = others,
                    found => break found.is_none(),
                }
            }
        } else {
            keys.sort_unstable();
            !keys.windows(2).any(|pair| pair.first() == pair.last())
        };
        self.0.truncate(first);
        distinct
    }
}

/// The first eight bytes of a key, as a number. `written`: the input from the key on, if it is written without escapes.
#[inline]
fn first_bytes(key: &str, written: &[u8]) -> u64 {
    match written.first_chunk::<8>() {
        Some(bytes) => {
            let missing = 8_usize.saturating_sub(key.len());
            let bits = u32::try_from(missing).unwrap_or(8).saturating_mul(8);
            u64::from_le_bytes(*bytes) & u64::MAX.checked_shr(bits).unwrap_or(0)
        }
        None => {
            let bytes = key.bytes().take(8).rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(byte))
        }
    }
}
