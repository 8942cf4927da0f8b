//! The lock of a token that is being refreshed. Its owner alone uses the refresh token. It lasts a little
//! longer than one call, and its owner extends it: after the end of a replica other requests wait for
//! seconds, and then refresh the token themselves.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::AccountContext;
use super::vault::{AccountPlace, LinkedAccount};
use base::secret::Secret;
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord, Stored};
use base::time::UnixTime;

/// The time limit of the call that refreshes a token.
pub(super) const REFRESH_CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long a lock lasts: the delay before the call, the call, one operation of the store, and the difference
/// of two replicas' clocks.
pub(super) const LOCK_LIFETIME: Duration = Duration::from_secs(10);
/// A call begins with a lock that is younger than this.
const CALL_DELAY: Duration = Duration::from_secs(2);
/// The owner extends a lock that is older than this before it writes.
const WRITE_DELAY: Duration = Duration::from_secs(4);
/// The value of a lock after a refresh that failed: until its end, no request asks the server again.
const FAILED: &str = "failed";

/// A lock that this task owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshLock {
    record: StoreRecord,
    taken: UnixTime,
}

impl RefreshLock {
    /// Takes the lock. `None`: another task owns it.
    pub(super) async fn take(
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
    ) -> Result<Option<Self>, StoreError> {
        let taken = context.now();
        let record = StoreRecord {
            key: key(place, &account.access_token()),
            // Different for each owner, so that none extends the lock of another.
            value: format!("{:016x}", RandomState::new().build_hasher().finish()),
            expires: taken.saturating_add(LOCK_LIFETIME),
        };
        let is_taken = context.effects.create(record.clone()).await?;
        Ok(is_taken.then_some(Self { record, taken }))
    }

    /// Whether the refresh under the lock of another task failed a short time ago.
    pub(super) async fn has_failed(
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
    ) -> Result<bool, StoreError> {
        let found = context
            .effects
            .get(key(place, &account.access_token()))
            .await?;
        Ok(found.as_deref() == Some(FAILED))
    }

    /// Makes the lock last for the call. `false`: another task may own it now.
    pub(super) async fn covers_call(&mut self, context: &AccountContext) -> bool {
        context.now().since(self.taken) < CALL_DELAY || self.extend(context).await
    }

    /// Makes the lock last for the write of the new tokens, if the store is available.
    pub(super) async fn cover_write(&mut self, context: &AccountContext) {
        if context.now().since(self.taken) >= WRITE_DELAY {
            self.extend(context).await;
        }
    }

    /// Notes that the refresh failed.
    pub(super) async fn note_failure(mut self, context: &AccountContext) {
        let failed = StoreRecord {
            value: FAILED.to_owned(),
            ..self.record.clone()
        };
        self.replace(context, failed).await;
    }

    async fn extend(&mut self, context: &AccountContext) -> bool {
        let now = context.now();
        let longer = StoreRecord {
            expires: now.saturating_add(LOCK_LIFETIME),
            ..self.record.clone()
        };
        let is_owner = self.replace(context, longer).await;
        if is_owner {
            self.taken = now;
        }
        is_owner
    }

    async fn replace(&mut self, context: &AccountContext, with: StoreRecord) -> bool {
        let replace = StoreOperation::Replace(self.record.clone(), with.clone());
        let is_owner = context.effects.store(replace).await == Ok(Stored::Created(true));
        if is_owner {
            self.record = with;
        }
        is_owner
    }
}

/// The key of the lock for one access token of an account.
pub(super) fn key(place: &AccountPlace, access_token: &Secret) -> Key {
    Key::of(
        RecordKind::Refresh,
        &[&place.resource, &place.issuer, &place.user],
        &[place.key().as_str(), access_token.reveal()],
    )
}
