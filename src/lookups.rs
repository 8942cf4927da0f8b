//! Look-ups of records' owners: how many run at once, and the records that are known to be a caller's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;

use base::time::UnixTime;

/// The maximum number of look-ups of a worker that run at once.
const MAX_RUNNING: usize = 128;
/// The same for one caller.
const MAX_RUNNING_OF_CALLER: usize = 32;
/// The maximum number of known records.
const MAX_KNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The digest of a caller and a look-up.
pub(crate) type LookupDigest = [u8; 32];

/// The look-ups of a worker.
#[derive(Debug)]
pub(crate) struct Lookups {
    running: Rc<RefCell<Running>>,
    /// When the knowledge ends that a record is the caller's.
    known: RefCell<LruCache<LookupDigest, UnixTime>>,
}

/// The number of look-ups that run.
#[derive(Debug, Default)]
struct Running {
    all: usize,
    of_callers: HashMap<LookupDigest, usize>,
}

/// The room of look-ups that run. It is released when it is dropped.
#[derive(Debug)]
pub(crate) struct LookupRoom {
    running: Rc<RefCell<Running>>,
    caller: LookupDigest,
    number: usize,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            running: Rc::default(),
            known: RefCell::new(LruCache::new(MAX_KNOWN)),
        }
    }
}

impl Lookups {
    /// Whether a record is known to be the caller's.
    pub(crate) fn is_known(&self, lookup: &LookupDigest, now: UnixTime) -> bool {
        let mut known = self.known.borrow_mut();
        known.get(lookup).is_some_and(|until| now < *until)
    }

    /// Notes that a record is the caller's.
    pub(crate) fn note(&self, lookup: LookupDigest, until: UnixTime) {
        self.known.borrow_mut().put(lookup, until);
    }

    /// Room for a caller's look-ups. `None`: too many run.
    pub(crate) fn room(&self, caller: LookupDigest, number: usize) -> Option<LookupRoom> {
        let running = &mut *self.running.borrow_mut();
        let of_caller = running.of_callers.get(&caller).copied().unwrap_or(0);
        let all = running.all.saturating_add(number);
        let own = of_caller.saturating_add(number);
        if all > MAX_RUNNING || own > MAX_RUNNING_OF_CALLER {
            return None;
        }
        running.all = all;
        running.of_callers.insert(caller, own);
        Some(LookupRoom {
            running: Rc::clone(&self.running),
            caller,
            number,
        })
    }
}

impl Drop for LookupRoom {
    fn drop(&mut self) {
        let running = &mut *self.running.borrow_mut();
        running.all = running.all.saturating_sub(self.number);
        if let Some(own) = running.of_callers.get_mut(&self.caller) {
            *own = own.saturating_sub(self.number);
            if *own == 0 {
                running.of_callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1000);

    #[test]
    fn l5_look_ups_are_bounded_for_a_caller_and_for_a_worker() {
        let lookups = Lookups::default();
        let (first, second) = (lookups.room([1; 32], 16), lookups.room([1; 32], 16));
        assert!(first.is_some() && lookups.room([1; 32], 1).is_none());
        let others: Vec<_> = (2..5)
            .map(|caller| lookups.room([caller; 32], 32))
            .collect();
        assert!(others.iter().all(Option::is_some));
        assert!(lookups.room([9; 32], 1).is_none(), "the worker is full");
        drop(second);
        assert!(lookups.room([9; 32], 16).is_some());
        drop((first, others));
        let running = lookups.running.borrow();
        assert_eq!((running.all, running.of_callers.len()), (0, 0));
    }

    #[test]
    fn l5_a_known_record_is_forgotten_in_time_and_room_is_bounded() {
        let lookups = Lookups::default();
        lookups.note(
            [1; 32],
            NOW.saturating_add(std::time::Duration::from_secs(30)),
        );
        assert!(lookups.is_known(&[1; 32], NOW));
        assert!(!lookups.is_known(&[2; 32], NOW));
        let later = NOW.saturating_add(std::time::Duration::from_secs(30));
        assert!(!lookups.is_known(&[1; 32], later));
        for number in 0..5000_u32 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            lookups.note(digest, NOW);
        }
        assert_eq!(lookups.known.borrow().len(), MAX_KNOWN.get());
    }
}
