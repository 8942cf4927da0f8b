//! Records that outlast a request. Each expires. They are kept in the proxy's memory, or in etcd, which
//! all replicas share.
//!
//! [`memory`] edits bytes that the host keeps. [`etcd`] turns operations into HTTP requests and
//! responses into outcomes.

pub mod etcd;
pub mod memory;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hex;

/// The name of a record: a hash, so that it does not reveal the user or the content.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(String);

/// An operation on a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOperation {
    /// Reads a record.
    Get(Key),
    /// Writes a record and replaces an older one.
    Put(StoreRecord),
    /// Writes a record unless one exists. Of several attempts, exactly one succeeds.
    Create(StoreRecord),
    /// Replaces the first record by the second, if the store still holds the first.
    Replace(StoreRecord, StoreRecord),
    /// Deletes a record, if it exists.
    Delete(Key),
}

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreRecord {
    /// Its name.
    pub key: Key,
    /// Visible ASCII. Secrets are sealed.
    pub value: String,
    /// When the store drops it, in Unix seconds.
    pub expires: u64,
}

/// The outcome of an operation that was done.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// The value that a `Get` found.
    Value(Option<String>),
    /// A `Put` or `Delete` was done.
    Done,
    /// Whether a `Create` or `Replace` wrote its record.
    Created(bool),
}

/// The first digits of a key choose the slot of memory that keeps the record.
const SLOT_DIGITS: usize = 8;

/// An operation that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The store has no room. It never drops a record before its expiry.
    #[error("the store is full")]
    Full,
    /// The store did not respond, or its response cannot be read.
    #[error("the store is not available")]
    Unavailable,
}

impl Key {
    /// The key of these texts. Different lists of texts have different keys.
    pub fn of(kind: &str, names: &[&str]) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        for text in std::iter::once(&kind).chain(names) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        Self(hex::encode(&hash.finalize()))
    }

    /// The same, in the slot that keeps all other records of these owners.
    pub fn beside(kind: &str, owners: &[&str], names: &[&str]) -> Self {
        let (slot, name) = (Self::of(kind, owners).0, Self::of(kind, names).0);
        let slot = slot.chars().take(SLOT_DIGITS);
        Self(slot.chain(name.chars().skip(SLOT_DIGITS)).collect())
    }

    /// The digits that choose the slot.
    pub fn slot_digits(&self) -> &str {
        self.0.get(..SLOT_DIGITS).unwrap_or_default()
    }

    /// The key as hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StoreOperation {
    /// The key of the record.
    pub fn key(&self) -> &Key {
        match self {
            Self::Get(key) | Self::Delete(key) => key,
            Self::Put(record) | Self::Create(record) | Self::Replace(_, record) => &record.key,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.get(..8).unwrap_or_default())
    }
}

/// Without the value.
impl fmt::Debug for StoreRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = formatter.debug_struct("StoreRecord");
        record
            .field("key", &self.key)
            .field("expires", &self.expires);
        record.finish_non_exhaustive()
    }
}

/// Without the value.
impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(formatter, "Value({})", value.is_some()),
            Self::Done => formatter.write_str("Done"),
            Self::Created(first) => write!(formatter, "Created({first})"),
        }
    }
}
