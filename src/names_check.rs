//! The check of the secret that names the records of a store. With another secret no record is found, so all linked
//! accounts and marks seem to be gone. A record that has the same name under each secret says which secret is in use.
//! A worker looks at it when a policy is loaded, and again and again, so that replicas with different secrets are
//! noticed.

use std::cell::Cell;
use std::time::Duration;

use crate::effect::Effects;
use base::seal::Sealer;
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord};
use base::time::UnixTime;

/// How often a worker looks at the record.
const EVERY: Duration = Duration::from_secs(600);
/// When it looks again if the store is not available.
const RETRY: Duration = Duration::from_secs(30);
/// How long the record lasts after a worker with its secret wrote it. A secret that is not used any more is forgotten
/// after this time.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A worker with its secret writes the record again when it ends in less than this time.
const RENEWAL: Duration = Duration::from_secs(12 * 3600);

/// When a worker looks at the record.
#[derive(Debug, Default)]
pub(crate) struct NamesCheck {
    next: Cell<UnixTime>,
}

impl NamesCheck {
    /// Whether to look at the record now. Until it is looked at, this is said once.
    pub(crate) fn is_due(&self, now: UnixTime) -> bool {
        let is_due = self.next.get() <= now;
        if is_due {
            self.next.set(now.saturating_add(EVERY));
        }
        is_due
    }

    /// Looks at the record. Returns the error for the operator.
    pub(crate) async fn run(
        &self,
        effects: &Effects,
        resource: &str,
        sealer: &Sealer,
    ) -> Option<String> {
        match look(effects, resource, &sealer.store_names().check()?).await {
            Ok(true) => None,
            Ok(false) => {
                sealer.note_other_names();
                Some(
                    "seal: another secret names the records of the store than in this policy (`names_env`, or the \
                     only key): linked accounts, sign-outs and used tokens of the other secret are not found"
                        .to_owned(),
                )
            }
            Err(_) => {
                self.next.set(effects.now().saturating_add(RETRY));
                None
            }
        }
    }
}

/// Whether the record has this check, or none. It is written if there is none.
async fn look(effects: &Effects, resource: &str, check: &str) -> Result<bool, StoreError> {
    let key = Key::of(RecordKind::NamesCheck, &[resource], &[]);
    let expires = effects.now().saturating_add(LIFETIME);
    let record = |expires: UnixTime| StoreRecord {
        key: key.clone(),
        // The end is compared, too, when the record is replaced.
        value: format!("{check}.{}", expires.as_secs()),
        expires,
    };
    let Some(found) = effects.get(key.clone()).await? else {
        effects.create(record(expires)).await?;
        return Ok(true);
    };
    let ends = found
        .strip_prefix(check)
        .and_then(|rest| rest.strip_prefix('.'));
    let Some(ends) = ends.and_then(|ends| ends.parse().ok()) else {
        return Ok(false);
    };
    let ends = UnixTime::from_secs(ends);
    if ends.since(effects.now()) < RENEWAL {
        let replace = StoreOperation::Replace(record(ends), record(expires));
        effects.store(replace).await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
