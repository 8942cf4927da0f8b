//! Records in etcd that an attacker with write access rolled back: a deleted account that exists again, a
//! used mark or a sign-out mark that is missing. Each proxy remembers the ends that it saw in its own
//! memory, and trusts these.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use super::Host;
use base::store::{Key, RecordKind, Room, StoreError, StoreOperation, StoreRecord, Stored};

/// The number of records that a worker remembers as read: a record is read before it is deleted.
const READ: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// The minimum time for which an end is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The ends that a worker saw.
pub(super) struct Rollbacks {
    /// The digests of values that were read.
    read: RefCell<LruCache<Key, Key>>,
}

impl Rollbacks {
    pub(super) fn new() -> Self {
        Self {
            read: RefCell::new(LruCache::new(READ)),
        }
    }

    /// Whether the proxy saw the mark before that an operation creates. It must be asked when the operation
    /// is sent: later, the answers to others that are under way may have arrived.
    pub(super) fn saw_mark(host: &dyn Host, operation: &StoreOperation) -> bool {
        let StoreOperation::Create(StoreRecord { key, .. }) = operation else {
            return false;
        };
        key.room() == Room::Marks
            && matches!(
                host.store(&StoreOperation::Get(key.clone())),
                Ok(Stored::Value(Some(_)))
            )
    }

    /// The outcome of an operation on etcd, corrected if the record was rolled back. If the proxy's memory
    /// is full, fewer rollbacks are noticed.
    pub(super) fn correct(
        &self,
        host: &dyn Host,
        (operation, saw_mark): (&StoreOperation, bool),
        stored: Result<Stored, StoreError>,
    ) -> Result<Stored, StoreError> {
        let corrected = self.corrected(host, (operation, saw_mark), stored.as_ref());
        if corrected.is_some() {
            host.log("a record in etcd was rolled back; the proxy goes by what it saw before");
        }
        corrected.map_or(stored, Ok)
    }

    fn corrected(
        &self,
        host: &dyn Host,
        (operation, saw_mark): (&StoreOperation, bool),
        stored: Result<&Stored, &StoreError>,
    ) -> Option<Stored> {
        let now = host.now().whole_seconds();
        match (operation, operation.key().room(), stored.ok()?) {
            (StoreOperation::Create(record), Room::Marks, Stored::Created(first)) => {
                let _ = host.store(&StoreOperation::Create(record.clone()));
                (*first && saw_mark).then_some(Stored::Created(false))
            }
            (StoreOperation::Put(record), Room::Ends, _) => {
                let _ = host.store(&StoreOperation::Put(record.clone()));
                None
            }
            (StoreOperation::Get(key), Room::Ends, Stored::Value(found)) => {
                let Ok(Stored::Value(here)) = host.store(&StoreOperation::Get(key.clone())) else {
                    return None;
                };
                // A mark is a time. It never becomes earlier.
                let time =
                    |mark: &Option<String>| mark.as_ref().and_then(|at| at.parse::<u64>().ok());
                if time(found) < time(&here) {
                    return Some(Stored::Value(here));
                }
                if let Some(value) = found.clone().filter(|_| *found != here) {
                    let _ = host.store(&StoreOperation::Put(StoreRecord {
                        key: key.clone(),
                        value,
                        expires: now.saturating_add(REMEMBERED),
                    }));
                }
                None
            }
            (StoreOperation::Get(key), Room::Owned, Stored::Value(Some(value))) => {
                let gone = gone(key, value);
                let is_gone = host.store(&StoreOperation::Get(gone.clone()));
                self.read.borrow_mut().put(key.clone(), gone);
                matches!(is_gone, Ok(Stored::Value(Some(_)))).then_some(Stored::Value(None))
            }
            (StoreOperation::Delete(key), Room::Owned, _) => {
                let gone = self.read.borrow_mut().pop(key)?;
                let _ = host.store(&StoreOperation::Put(StoreRecord {
                    key: gone,
                    value: String::new(),
                    expires: now.saturating_add(REMEMBERED),
                }));
                None
            }
            (StoreOperation::DeleteRecord(record), Room::Owned, Stored::Created(true)) => {
                self.read.borrow_mut().pop(&record.key);
                let _ = host.store(&StoreOperation::Put(StoreRecord {
                    key: gone(&record.key, &record.value),
                    value: String::new(),
                    expires: now.saturating_add(REMEMBERED),
                }));
                None
            }
            _ => None,
        }
    }
}

/// The key of the note that a record with this value was deleted.
fn gone(key: &Key, value: &str) -> Key {
    Key::mark(RecordKind::Used, &[key.as_str()], value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use base::http::HttpRequest;
    use base::store::memory;
    use base::time::UnixTime;

    const NOW: u64 = 1_900_000_000;

    /// A proxy with one slot of memory.
    #[derive(Default)]
    struct Proxy {
        memory: RefCell<Vec<u8>>,
        log: RefCell<Vec<String>>,
    }

    impl Host for Proxy {
        fn client(&self) -> oauth::ClientNetwork {
            oauth::ClientNetwork::UNKNOWN
        }

        fn now(&self) -> UnixTime {
            UnixTime::from_millis(NOW * 1000)
        }

        fn log(&self, error: &str) {
            self.log.borrow_mut().push(error.to_owned());
        }

        fn call(&self, _: u32, _: &HttpRequest) -> Option<u32> {
            None
        }

        fn store(&self, operation: &StoreOperation) -> Result<Stored, StoreError> {
            let (stored, held) =
                memory::apply(&self.memory.borrow(), operation, UnixTime::from_secs(NOW))?;
            if let Some(held) = held {
                self.memory.replace(held);
            }
            Ok(stored)
        }

        fn wake(&self, _: Duration) {}
    }

    fn record(kind: RecordKind, value: &str) -> StoreRecord {
        StoreRecord {
            key: Key::of(kind, &["dana"], &["a"]),
            value: value.to_owned(),
            expires: UnixTime::from_secs(NOW + 600),
        }
    }

    /// What comes of operations, with the outcomes that etcd has for them.
    fn outcomes(operations: Vec<(StoreOperation, Stored)>) -> (Vec<Stored>, usize) {
        // Two workers of one proxy, in turn.
        let (proxy, workers) = (Proxy::default(), [Rollbacks::new(), Rollbacks::new()]);
        let mut corrected = Vec::new();
        for (at, (operation, stored)) in operations.into_iter().enumerate() {
            let worker = &workers[usize::from(at >= 2)];
            let saw_mark = Rollbacks::saw_mark(&proxy, &operation);
            let outcome = worker.correct(&proxy, (&operation, saw_mark), Ok(stored));
            corrected.push(outcome.unwrap());
        }
        let logged = proxy.log.borrow().len();
        (corrected, logged)
    }

    fn found(value: &str) -> Stored {
        Stored::Value(Some(value.to_owned()))
    }

    #[test]
    fn a7_a_deleted_account_stays_deleted() {
        let key = record(RecordKind::Account, "").key;
        let get = || StoreOperation::Get(key.clone());
        let (corrected, logged) = outcomes(vec![
            (get(), found("v1")),
            (StoreOperation::Delete(key.clone()), Stored::Done),
            (get(), found("v1")),
            (get(), found("v2")),
        ]);
        assert_eq!(
            (&corrected[2], &corrected[3]),
            (&Stored::Value(None), &found("v2"))
        );
        assert_eq!(logged, 1);
    }

    #[test]
    fn a7_an_account_that_was_taken_stays_taken() {
        let record = StoreRecord {
            value: "v1".into(),
            ..record(RecordKind::Account, "")
        };
        let get = || StoreOperation::Get(record.key.clone());
        let take = || StoreOperation::DeleteRecord(record.clone());
        for is_taken in [true, false] {
            let (corrected, logged) = outcomes(vec![
                (get(), found("v1")),
                (take(), Stored::Created(is_taken)),
                (get(), found("v1")),
                (get(), found("v2")),
            ]);
            let after = if is_taken {
                Stored::Value(None)
            } else {
                found("v1")
            };
            assert_eq!((&corrected[2], &corrected[3]), (&after, &found("v2")));
            assert_eq!(logged, usize::from(is_taken));
        }
    }

    #[test]
    fn a7_a_used_mark_stays_used() {
        let create = || StoreOperation::Create(record(RecordKind::AnsweredQuestion, ""));
        for first in [true, false] {
            let (corrected, logged) = outcomes(vec![
                (create(), Stored::Created(first)),
                (create(), Stored::Created(true)),
            ]);
            let expected = [Stored::Created(first), Stored::Created(false)];
            assert_eq!((corrected, logged), (expected.to_vec(), 1));
        }
    }

    #[test]
    fn a7_of_creations_under_way_the_first_one_counts_whichever_answer_comes_first() {
        let create = StoreOperation::Create(record(RecordKind::AnsweredQuestion, ""));
        let (proxy, worker) = (Proxy::default(), Rollbacks::new());
        let sent = [0; 2].map(|_| Rollbacks::saw_mark(&proxy, &create));
        let outcomes = [false, true].map(Stored::Created);
        for (saw_mark, outcome) in sent.into_iter().zip(outcomes) {
            let corrected = worker.correct(&proxy, (&create, saw_mark), Ok(outcome.clone()));
            assert_eq!(corrected, Ok(outcome));
        }
        assert!(proxy.log.borrow().is_empty());
        assert!(Rollbacks::saw_mark(&proxy, &create));
    }

    #[test]
    fn a7_a_sign_out_mark_stays() {
        let mark = |value: &str| record(RecordKind::SignOut, value);
        let get = || StoreOperation::Get(mark("").key);
        let (corrected, logged) = outcomes(vec![
            (StoreOperation::Put(mark("1900000000")), Stored::Done),
            (get(), Stored::Value(None)),
            (get(), found("1800000000")),
            (get(), found("1900000005")),
            (get(), Stored::Value(None)),
        ]);
        assert_eq!(corrected[1], found("1900000000"));
        assert_eq!(corrected[2], found("1900000000"));
        assert_eq!(corrected[3..], [found("1900000005"), found("1900000005")]);
        assert_eq!(logged, 3);
    }
}
