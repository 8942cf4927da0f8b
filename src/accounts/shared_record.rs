//! A sealed record with entries that several requests add and remove. Each change is a compare-and-swap, so
//! that no change is lost.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AccountContext;
use base::seal::{Owner, Purpose, Sealer};
use base::store::{Key, StoreError, StoreOperation, StoreRecord, Stored};
use base::time::UnixTime;

/// The maximum number of tries of a change while other requests change the record.
const MAX_TRIES: u8 = 16;

/// The entries of a record.
pub(crate) trait Entries:
    Clone + Default + PartialEq + Serialize + DeserializeOwned
{
    /// When the last entry ends. In 1970 without entries.
    fn last_end(&self) -> UnixTime;
    /// Removes the entries that have ended.
    fn forget_ended(&mut self, now: UnixTime);
}

/// Where a record is kept, and for which purpose and owner it is sealed.
pub(crate) struct SharedRecord<'a> {
    pub(crate) key: Key,
    pub(crate) purpose: Purpose,
    pub(crate) owner: Owner<'a>,
}

impl SharedRecord<'_> {
    /// The entries that have not ended.
    pub(crate) async fn read<E: Entries>(&self, context: &AccountContext) -> Result<E, StoreError> {
        let value = context.effects.get(self.key.clone()).await?;
        let found = value
            .as_ref()
            .and_then(|value| self.open::<E>(context, value));
        if let (Some(value), Some(found)) = (value, &found)
            && !context.sealer.is_current(&value)
        {
            self.seal_again(context, value, found).await;
        }
        let mut entries = found.unwrap_or_default();
        entries.forget_ended(context.now());
        Ok(entries)
    }

    /// Changes the entries. `change` runs again if another request changed the record meanwhile.
    pub(crate) async fn change<E: Entries, T>(
        &self,
        context: &AccountContext,
        change: impl Fn(&mut E) -> T,
    ) -> Result<T, StoreError> {
        for _ in 0..MAX_TRIES {
            let value = context.effects.get(self.key.clone()).await?;
            let found = value
                .as_ref()
                .and_then(|value| self.open::<E>(context, value));
            let mut entries = found.clone().unwrap_or_default();
            entries.forget_ended(context.now());
            let before = entries.clone();
            let outcome = change(&mut entries);
            let is_current = value
                .as_ref()
                .is_none_or(|value| context.sealer.is_current(value));
            if entries == before && is_current {
                return Ok(outcome);
            }
            let record = self.record(&context.sealer, &entries);
            let operation = match (value, found) {
                (None, _) => StoreOperation::Create(record),
                (Some(value), Some(found)) => {
                    let old = StoreRecord {
                        key: self.key.clone(),
                        value,
                        expires: found.last_end(),
                    };
                    StoreOperation::Replace(old, record)
                }
                // A record that cannot be opened was not written by this filter.
                (Some(_), None) => StoreOperation::Put(record),
            };
            match context.effects.store(operation).await? {
                Stored::Done | Stored::Created(true) => return Ok(outcome),
                Stored::Created(false) => {}
                Stored::Value(_) => return Err(StoreError::Unavailable),
            }
        }
        Err(StoreError::Unavailable)
    }

    /// Seals the record with the first key. If it fails, the next request tries again.
    async fn seal_again<E: Entries>(&self, context: &AccountContext, value: String, found: &E) {
        let old = StoreRecord {
            key: self.key.clone(),
            value,
            expires: found.last_end(),
        };
        let again = StoreOperation::Replace(old, self.record(&context.sealer, found));
        let _ = context.effects.store(again).await;
    }

    fn open<E: Entries>(&self, context: &AccountContext, value: &str) -> Option<E> {
        let bound = [self.key.as_str().as_bytes()];
        context.sealer.open(self.purpose, self.owner, &bound, value)
    }

    /// The record of these entries. Without entries it expires at once.
    pub(crate) fn record<E: Entries>(&self, sealer: &Sealer, entries: &E) -> StoreRecord {
        let bound = [self.key.as_str().as_bytes()];
        StoreRecord {
            key: self.key.clone(),
            value: sealer.seal(self.purpose, self.owner, &bound, entries),
            expires: entries.last_end(),
        }
    }
}
