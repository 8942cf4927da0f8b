//! Integer ids of requests to the server. No two requests that run behind one proxy have the same: its workers
//! take blocks of ids from a counter that they share. Replicas begin at random places.

use std::cell::Cell;

/// The filter's ids are from here to `i32::MAX`: some servers read ids as 32-bit integers. A client's own id in
/// this range is replaced too.
const FIRST: u32 = 1 << 30;
const COUNT: u32 = 1 << 30;
/// The number of ids in a block.
pub(crate) const BLOCK: u32 = 4096;

/// The ids that one worker may give to requests.
#[derive(Debug, Default)]
pub(crate) struct IntegerIds {
    /// The next one, counted from `FIRST`.
    next: Cell<u32>,
    left: Cell<u32>,
}

impl IntegerIds {
    /// Whether an id has the form of the filter's.
    pub(crate) fn has(id: i64) -> bool {
        let first = i64::from(FIRST);
        (first..first.saturating_add(i64::from(COUNT))).contains(&id)
    }

    /// Whether the worker needs another block.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.get() == 0
    }

    /// The place of the block after this one in the counter.
    pub(crate) fn after(block: u32) -> u32 {
        block.wrapping_add(BLOCK) % COUNT
    }

    /// A random block, to begin with. Without random bytes it is the first one.
    pub(crate) fn any_block(random: Option<[u8; 32]>) -> u32 {
        let [a, b, c, d, ..] = random.unwrap_or_default();
        u32::from_be_bytes([a, b, c, d]) % COUNT
    }

    /// Gives the worker a block.
    pub(crate) fn give(&self, block: u32) {
        self.next.set(block % COUNT);
        self.left.set(BLOCK);
    }

    /// Takes the next id. Where the host keeps no counter, a worker begins at a random place.
    pub(crate) fn take(&self, random: impl FnOnce() -> Option<[u8; 32]>) -> u32 {
        if self.is_used_up() {
            self.give(Self::any_block(random()));
        }
        let next = self.next.get();
        self.next.set(next.wrapping_add(1) % COUNT);
        self.left.set(self.left.get().saturating_sub(1));
        FIRST.saturating_add(next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn r4_ids_are_32_bit_integers_and_differ() {
        let (one, other) = (IntegerIds::default(), IntegerIds::default());
        let mut block = COUNT - BLOCK / 2;
        let mut seen = HashSet::new();
        for worker in [&one, &other, &one] {
            worker.give(block);
            block = IntegerIds::after(block);
            while !worker.is_used_up() {
                let id = worker.take(|| None);
                assert!(
                    i32::try_from(id).is_ok() && IntegerIds::has(i64::from(id)),
                    "{id}"
                );
                assert!(seen.insert(id), "{id}");
            }
        }
        assert_eq!(seen.len() as u32, 3 * BLOCK);
        for id in [0, 1, -1, (1 << 30) - 1, 1 << 31, i64::MAX, i64::MIN] {
            assert!(!IntegerIds::has(id), "{id}");
        }
    }
}
