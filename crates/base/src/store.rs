//! What outlasts a request: records of this filter's own, each with an end, in the proxy's memory or
//! in etcd, where every replica finds them.
//!
//! Nothing here does any I/O: [`memory`] works on bytes the host keeps, [`etcd`] turns operations into
//! calls and answers into outcomes.

pub mod etcd;
pub mod memory;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of a record. It says nothing about who or what the record is about.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(String);

/// What is asked of a store. Times are in Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Reads a record.
    Get(Key),
    /// Writes a record, whatever was there.
    Put(Record),
    /// Writes a record unless there is one: of all that try, one succeeds.
    Create(Record),
    /// Writes the second in place of the first, if that is what is there.
    Replace(Record, Record),
    /// Takes a record out, if there is one.
    Delete(Key),
}

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// What it says: a text of visible ASCII, sealed where it is a secret.
    pub value: String,
    /// When it is gone by itself.
    pub expires: u64,
}

/// What came of an operation.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// What a `Get` found.
    Value(Option<String>),
    /// A `Put` or `Delete` was done.
    Done,
    /// Whether a `Create` was the first, or a `Replace` found what it was to replace.
    Created(bool),
}

/// How many digits of a name say where it is kept.
const PLACE: usize = 8;

/// An operation that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is no room: nothing that has not ended is ever thrown out.
    #[error("the store is full")]
    Full,
    /// The store did not answer, or not in a way that can be read.
    #[error("the store is not available")]
    Unavailable,
}

impl Key {
    /// The name of what these texts name together. No two lists of texts are one.
    pub fn of(what: &str, named: &[&str]) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        for text in std::iter::once(&what).chain(named) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let hash = hash.finalize();
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The same for what is kept beside all else of these owners, where there are several places.
    pub fn beside(what: &str, owners: &[&str], named: &[&str]) -> Self {
        let (place, name) = (Self::of(what, owners).0, Self::of(what, named).0);
        let places = place.chars().take(PLACE);
        Self(places.chain(name.chars().skip(PLACE)).collect())
    }

    /// The digits that say where it is, where there are several places.
    pub fn place(&self) -> &str {
        self.0.get(..PLACE).unwrap_or_default()
    }

    /// The name as a text of hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Operation {
    /// The record it is about.
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
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = formatter.debug_struct("Record");
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
