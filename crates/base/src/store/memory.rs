//! Records in memory that the workers of one proxy share.
//!
//! The host keeps values by name, with compare-and-swap. It can neither list nor expire them. So the
//! records share a fixed number of slots, and each write to a slot drops the slot's expired records.

use serde::{Deserialize, Serialize};

use super::{Key, Room, StoreError, StoreOperation, StoreRecord, Stored};
use crate::time::UnixTime;

/// How many slots each room has.
const END_SLOTS: u64 = 16;
const MARK_SLOTS: u64 = 48;
const OWNED_SLOTS: u64 = 64;
const REQUEST_SLOTS: u64 = 64;
/// The size limit of a slot, in bytes: 16 MiB for all slots.
const MAX_SLOT_BYTES: usize = 128 * 1024;
/// The size limit of a slot of running requests, in bytes: 1 MiB for all of them.
const MAX_REQUESTS_BYTES: usize = 16 * 1024;
/// What the records of one owner may take of a slot, in bytes.
const MAX_OWNER_BYTES: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct SlotRecord {
    key: String,
    value: String,
    expires: UnixTime,
}

/// The name of the slot that keeps a record.
pub fn slot(key: &Key) -> String {
    let owner = key.of_owner();
    let digits = owner.get(1..9).unwrap_or_default();
    let digits = u64::from_str_radix(digits, 16).unwrap_or(0);
    match key.room() {
        Room::Check => "checks".to_owned(),
        Room::Ends => format!("ends-{}", digits % END_SLOTS),
        Room::Locks | Room::Marks => format!("marks-{}", digits % MARK_SLOTS),
        Room::Owned => format!("owned-{}", digits % OWNED_SLOTS),
        Room::Requests => format!("requests-{}", digits % REQUEST_SLOTS),
    }
}

/// Does an operation on the content of its slot. Returns the slot's new content if it changes.
///
/// # Errors
///
/// The slot is full, or its content was not written by this module.
pub fn apply(
    held: &[u8],
    operation: &StoreOperation,
    now: UnixTime,
) -> Result<(Stored, Option<Vec<u8>>), StoreError> {
    let mut records: Vec<SlotRecord> = if held.is_empty() {
        Vec::new()
    } else {
        serde_json::from_slice(held).map_err(|_| StoreError::Unavailable)?
    };
    records.retain(|record| now < record.expires);
    let key = operation.key().as_str();
    let at = records.iter().position(|record| record.key == key);
    let found = at.and_then(|at| records.get(at));
    match operation {
        StoreOperation::Get(_) => {
            let value = found.map(|record| record.value.clone());
            return Ok((Stored::Value(value), None));
        }
        StoreOperation::Create(_) if found.is_some() => return Ok((Stored::Created(false), None)),
        StoreOperation::Replace(old, _) | StoreOperation::DeleteRecord(old)
            if found.is_none_or(|found| found.value != old.value) =>
        {
            return Ok((Stored::Created(false), None));
        }
        StoreOperation::Delete(_) if found.is_none() => return Ok((Stored::Done, None)),
        _ => {}
    }
    records.retain(|record| record.key != key);
    let outcome = match operation {
        StoreOperation::Put(record) => {
            records.push(kept(record));
            Stored::Done
        }
        StoreOperation::Create(record) | StoreOperation::Replace(_, record) => {
            records.push(kept(record));
            Stored::Created(true)
        }
        StoreOperation::DeleteRecord(_) => Stored::Created(true),
        StoreOperation::Get(_) | StoreOperation::Delete(_) => Stored::Done,
    };
    if operation.key().room() == Room::Requests {
        drop_oldest(&mut records);
    }
    let held = serde_json::to_vec(&records).map_err(|_| StoreError::Unavailable)?;
    let grows = !matches!(
        operation,
        StoreOperation::Get(_) | StoreOperation::Delete(_) | StoreOperation::DeleteRecord(_)
    );
    let owner = operation.key().of_owner();
    let of_owner = records
        .iter()
        .filter(|record| record.key.starts_with(owner));
    let of_owner: usize = of_owner.map(SlotRecord::size).sum();
    if grows && (held.len() > MAX_SLOT_BYTES || of_owner > MAX_OWNER_BYTES) {
        return Err(StoreError::Full);
    }
    Ok((outcome, Some(held)))
}

impl SlotRecord {
    /// Its size in the slot, in bytes, to a few digits of its time.
    fn size(&self) -> usize {
        const MEMBERS: usize = r#"{"key":"","value":"","expires":1900000000},"#.len();
        let size = self.key.len().saturating_add(self.value.len());
        size.saturating_add(MEMBERS)
    }
}

/// Drops the oldest records of a slot that is too large.
fn drop_oldest(records: &mut Vec<SlotRecord>) {
    let mut size = 0_usize;
    let newest_first = records.iter().rev();
    let fit = newest_first.take_while(|record| {
        size = size.saturating_add(record.size());
        size <= MAX_REQUESTS_BYTES
    });
    let dropped = records.len().saturating_sub(fit.count());
    records.drain(..dropped);
}

fn kept(record: &StoreRecord) -> SlotRecord {
    SlotRecord {
        key: record.key.as_str().to_owned(),
        value: record.value.clone(),
        expires: record.expires,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::store::{RecordKind, StoreNames};

    const NOW: u64 = 1_900_000_000;

    /// A slot that remembers the outcome of each operation.
    #[derive(Default)]
    struct Slot(Vec<u8>);

    impl Slot {
        fn apply(&mut self, operation: &StoreOperation, now: u64) -> Result<Stored, StoreError> {
            let (outcome, held) = apply(&self.0, operation, UnixTime::from_secs(now))?;
            self.0 = held.unwrap_or_else(|| self.0.clone());
            Ok(outcome)
        }

        fn get(&mut self, name: &str, now: u64) -> Option<String> {
            match self.apply(&StoreOperation::Get(key(name)), now) {
                Ok(Stored::Value(value)) => value,
                outcome => panic!("{outcome:?}"),
            }
        }
    }

    fn key(name: &str) -> Key {
        Key::of(RecordKind::Question, &["owner"], &[name])
    }

    fn record(name: &str, value: &str, expires: u64) -> StoreRecord {
        let value = value.to_owned();
        let key = key(name);
        StoreRecord {
            key,
            value,
            expires: UnixTime::from_secs(expires),
        }
    }

    #[test]
    fn a_record_is_kept_until_it_expires() {
        let mut slot = Slot::default();
        let put = |value, expires| StoreOperation::Put(record("a", value, expires));
        assert_eq!(slot.apply(&put("1", NOW + 10), NOW), Ok(Stored::Done));
        assert_eq!(slot.get("a", NOW + 9).as_deref(), Some("1"));
        assert_eq!(slot.get("a", NOW + 10), None);
        assert_eq!(slot.get("b", NOW), None);
        assert_eq!(slot.apply(&put("2", NOW + 20), NOW), Ok(Stored::Done));
        assert_eq!(slot.get("a", NOW + 19).as_deref(), Some("2"));
        let delete = StoreOperation::Delete(key("a"));
        assert_eq!(slot.apply(&delete, NOW), Ok(Stored::Done));
        assert_eq!(slot.get("a", NOW), None);
        assert_eq!(slot.apply(&delete, NOW), Ok(Stored::Done));
    }

    #[test]
    fn b44_a_second_create_fails_until_the_record_expires() {
        let mut slot = Slot::default();
        let create = StoreOperation::Create(record("a", "", NOW + 10));
        assert_eq!(slot.apply(&create, NOW), Ok(Stored::Created(true)));
        assert_eq!(slot.apply(&create, NOW + 9), Ok(Stored::Created(false)));
        let other = StoreOperation::Create(record("b", "", NOW + 10));
        assert_eq!(slot.apply(&other, NOW), Ok(Stored::Created(true)));
        let later = StoreOperation::Create(record("a", "", NOW + 30));
        assert_eq!(slot.apply(&later, NOW + 10), Ok(Stored::Created(true)));
    }

    #[test]
    fn replace_fails_if_the_record_changed() {
        let mut slot = Slot::default();
        let (old, new) = (record("a", "1", NOW + 10), record("a", "2", NOW + 20));
        let replace = StoreOperation::Replace(old.clone(), new);
        assert_eq!(slot.apply(&replace, NOW), Ok(Stored::Created(false)));
        assert_eq!(slot.get("a", NOW), None);
        slot.apply(&StoreOperation::Put(old), NOW).unwrap();
        assert_eq!(slot.apply(&replace, NOW), Ok(Stored::Created(true)));
        assert_eq!(slot.apply(&replace, NOW), Ok(Stored::Created(false)));
        assert_eq!(slot.get("a", NOW + 19).as_deref(), Some("2"));
    }

    #[test]
    fn a_record_that_changed_is_not_deleted() {
        let mut slot = Slot::default();
        let (old, new) = (record("a", "1", NOW + 10), record("a", "2", NOW + 20));
        let delete = |record: &StoreRecord| StoreOperation::DeleteRecord(record.clone());
        assert_eq!(slot.apply(&delete(&old), NOW), Ok(Stored::Created(false)));
        slot.apply(&StoreOperation::Put(new.clone()), NOW).unwrap();
        assert_eq!(slot.apply(&delete(&old), NOW), Ok(Stored::Created(false)));
        assert_eq!(slot.get("a", NOW).as_deref(), Some("2"));
        assert_eq!(slot.apply(&delete(&new), NOW), Ok(Stored::Created(true)));
        assert_eq!(slot.apply(&delete(&new), NOW), Ok(Stored::Created(false)));
        assert_eq!(slot.get("a", NOW), None);
    }

    #[test]
    fn a_full_slot_refuses_writes_and_drops_only_expired_records() {
        let mut slot = Slot::default();
        let big = "x".repeat(60_000);
        let put = |owner: &str, expires: u64| {
            let key = Key::of(RecordKind::Question, &[owner], &["a"]);
            StoreOperation::Put(StoreRecord {
                key,
                value: big.clone(),
                expires: UnixTime::from_secs(expires),
            })
        };
        for owner in ["a", "b"] {
            assert_eq!(slot.apply(&put(owner, NOW + 10), NOW), Ok(Stored::Done));
        }
        let late = put("c", NOW + 20);
        assert_eq!(slot.apply(&late, NOW), Err(StoreError::Full));
        let first = StoreOperation::Get(put("a", 0).key().clone());
        assert!(matches!(
            slot.apply(&first, NOW),
            Ok(Stored::Value(Some(_)))
        ));
        assert_eq!(slot.apply(&late, NOW + 10), Ok(Stored::Done));
    }

    #[test]
    fn a2_no_owner_fills_a_slot() {
        let mut slot = Slot::default();
        let put = |owner: &str, name: &str| {
            let key = Key::of(RecordKind::Question, &[owner], &[name]);
            StoreOperation::Put(StoreRecord {
                key,
                value: "x".repeat(10_000),
                expires: UnixTime::from_secs(NOW + 10),
            })
        };
        let written = (0..1000).filter(|n| slot.apply(&put("eve", &n.to_string()), NOW).is_ok());
        assert_eq!(written.count(), 6);
        assert_eq!(slot.apply(&put("anna", "a"), NOW), Ok(Stored::Done));
        let delete = StoreOperation::Delete(put("eve", "0").key().clone());
        assert_eq!(slot.apply(&delete, NOW), Ok(Stored::Done));
        assert_eq!(slot.apply(&put("eve", "new"), NOW), Ok(Stored::Done));
    }

    #[test]
    fn a2_what_ends_something_has_room_of_its_own() {
        let ends = Key::of(RecordKind::SignOut, &["a"], &[]);
        assert!(slot(&ends).starts_with("ends-"));
        for kind in [RecordKind::Account, RecordKind::Question, RecordKind::Used] {
            assert!(!slot(&Key::of(kind, &["a"], &[])).starts_with("ends-"));
        }
    }

    #[test]
    fn a2_places_are_keyed() {
        let names = [
            StoreNames::default(),
            StoreNames::new([1; 32]),
            StoreNames::new([2; 32]),
        ];
        let key = Key::of(RecordKind::Account, &["anna"], &["a"]);
        let beside = Key::of(RecordKind::Account, &["anna"], &["b"]);
        let named = |names: &StoreNames, key: &Key| {
            names.name(StoreOperation::Get(key.clone())).key().clone()
        };
        assert_eq!(named(&names[0], &key), key);
        assert_ne!(named(&names[1], &key), named(&names[2], &key));
        assert_ne!(named(&names[1], &key).of_owner(), key.of_owner());
        // The records of an owner stay together.
        let (one, other) = (named(&names[1], &key), named(&names[1], &beside));
        assert_eq!(one.of_owner(), other.of_owner());
        assert_ne!(one, other);
        assert_eq!(format!("{:?}", names[1]), "StoreNames");
    }

    #[test]
    fn content_that_is_not_a_list_of_records_is_an_error() {
        let get = StoreOperation::Get(key("a"));
        assert_eq!(
            apply(b"{", &get, UnixTime::from_secs(NOW)),
            Err(StoreError::Unavailable)
        );
    }

    #[test]
    fn records_of_one_owner_share_a_slot() {
        let of_owner =
            |owner: &str, n: u32| Key::of(RecordKind::Question, &[owner], &[&n.to_string()]);
        let of = |owner: &str| -> HashSet<String> {
            (0..50).map(|n| slot(&of_owner(owner, n))).collect()
        };
        assert_eq!((of("anna").len(), of("ben").len()), (1, 1));
        assert_ne!(of("anna"), of("ben"));
        let names: HashSet<_> = (0..50).map(|n| of_owner("anna", n)).collect();
        assert_eq!(names.len(), 50);
        // Marks are many, and have more places.
        let mark = |n: u32| Key::mark(RecordKind::Used, &["anna"], &n.to_string());
        let slots: HashSet<_> = (0..500).map(|n| slot(&mark(n))).collect();
        assert!((2..=16).contains(&slots.len()));
    }

    #[test]
    fn owners_spread_over_all_slots() {
        let of_owner = |n: u32| Key::of(RecordKind::Question, &[&n.to_string()], &[]);
        let slots: HashSet<_> = (0..5000).map(|n| slot(&of_owner(n))).collect();
        assert_eq!(slots.len() as u64, OWNED_SLOTS);
    }

    #[test]
    fn r4_the_oldest_running_requests_make_room() {
        let mut slot = Slot::default();
        let record = |number: u32| StoreRecord {
            key: Key::of(RecordKind::RunningRequest, &["u"], &[&number.to_string()]),
            value: number.to_string(),
            expires: UnixTime::from_secs(NOW + 60),
        };
        for number in 0..1000 {
            let put = StoreOperation::Put(record(number));
            assert_eq!(slot.apply(&put, NOW), Ok(Stored::Done));
            assert!(slot.0.len() <= MAX_REQUESTS_BYTES + 2, "{}", slot.0.len());
        }
        let mut found = |number| {
            let get = StoreOperation::Get(record(number).key);
            slot.apply(&get, NOW) != Ok(Stored::Value(None))
        };
        assert!(found(999) && found(950) && !found(0) && !found(800));
        let slots: HashSet<String> = (0..1000)
            .map(|user| Key::of(RecordKind::RunningRequest, &[&user.to_string()], &[]))
            .map(|key| super::slot(&key))
            .collect();
        assert_eq!(slots.len() as u64, REQUEST_SLOTS);
    }
}
