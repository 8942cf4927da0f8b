//! Records in memory that the workers of one proxy share.
//!
//! The host keeps values by name, with compare-and-swap. It can neither list nor expire them. So the
//! records share a fixed number of slots, and each write to a slot drops the slot's expired records.

use serde::{Deserialize, Serialize};

use super::{Key, StoreError, StoreOperation, StoreRecord, Stored};

/// How many slots there are.
const SLOTS: u64 = 256;
/// The size limit of a slot, in bytes: 16 MiB for all slots.
const MAX_SLOT_BYTES: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct SlotRecord {
    key: String,
    value: String,
    expires: u64,
}

/// The slot that keeps a record.
pub fn slot(key: &Key) -> u64 {
    u64::from_str_radix(key.slot_digits(), 16).unwrap_or(0) % SLOTS
}

/// Does an operation on the content of its slot. Returns the slot's new content if it changes.
///
/// # Errors
///
/// The slot is full, or its content was not written by this module.
pub fn apply(
    held: &[u8],
    operation: &StoreOperation,
    now: u64,
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
        StoreOperation::Replace(old, _) if found.is_none_or(|found| found.value != old.value) => {
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
        StoreOperation::Get(_) | StoreOperation::Delete(_) => Stored::Done,
    };
    let held = serde_json::to_vec(&records).map_err(|_| StoreError::Unavailable)?;
    if held.len() > MAX_SLOT_BYTES {
        return Err(StoreError::Full);
    }
    Ok((outcome, Some(held)))
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
    use super::*;

    const NOW: u64 = 1_900_000_000;

    /// A slot that remembers the outcome of each operation.
    #[derive(Default)]
    struct Slot(Vec<u8>);

    impl Slot {
        fn apply(&mut self, operation: &StoreOperation, now: u64) -> Result<Stored, StoreError> {
            let (outcome, held) = apply(&self.0, operation, now)?;
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
        Key::of("test", &[name])
    }

    fn record(name: &str, value: &str, expires: u64) -> StoreRecord {
        let value = value.to_owned();
        let key = key(name);
        StoreRecord {
            key,
            value,
            expires,
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
    fn a_full_slot_refuses_writes_and_drops_only_expired_records() {
        let mut slot = Slot::default();
        let big = "x".repeat(20_000);
        for name in ["a", "b", "c"] {
            let put = StoreOperation::Put(record(name, &big, NOW + 10));
            assert_eq!(slot.apply(&put, NOW), Ok(Stored::Done));
        }
        let put = StoreOperation::Put(record("d", &big, NOW + 20));
        assert_eq!(slot.apply(&put, NOW), Err(StoreError::Full));
        assert!(slot.get("a", NOW).is_some());
        assert_eq!(slot.apply(&put, NOW + 10), Ok(Stored::Done));
    }

    #[test]
    fn content_that_is_not_a_list_of_records_is_an_error() {
        let get = StoreOperation::Get(key("a"));
        assert_eq!(apply(b"{", &get, NOW), Err(StoreError::Unavailable));
    }

    #[test]
    fn records_of_one_owner_share_a_slot() {
        let beside = |owner: &str, n: u32| Key::beside("test", &[owner], &[owner, &n.to_string()]);
        let of = |owner: &str| -> std::collections::HashSet<u64> {
            (0..50).map(|n| slot(&beside(owner, n))).collect()
        };
        assert_eq!((of("anna").len(), of("ben").len()), (1, 1));
        assert_ne!(of("anna"), of("ben"));
        let names: std::collections::HashSet<String> = (0..50)
            .map(|n| beside("anna", n).as_str().to_owned())
            .collect();
        assert_eq!(names.len(), 50);
    }

    #[test]
    fn keys_spread_over_all_slots() {
        let slots: std::collections::HashSet<u64> =
            (0..5000).map(|n| slot(&key(&n.to_string()))).collect();
        assert_eq!(slots.len() as u64, SLOTS);
    }
}
