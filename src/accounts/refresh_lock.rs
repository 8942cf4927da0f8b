//! The lock of a token that is being refreshed. Its owner alone uses the refresh token, and writes the lock again at
//! least every ten seconds. A request that sees the same lock for longer takes it: its owner's replica has ended. The
//! request measures this time with its own clock, so the clocks of replicas may differ.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::AccountContext;
use super::vault::{AccountPlace, LinkedAccount};
use base::secret::Secret;
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord, Stored};
use base::time::UnixTime;

/// The time limit of the call that refreshes a token.
pub(super) const REFRESH_CALL_LIMIT: Duration = Duration::from_secs(5);
/// An owner writes its lock again within this time: the delay before the call, the call, and the operations of the
/// store. After a refresh that failed, the server is not asked again for this time.
const OWNED: Duration = Duration::from_secs(10);
/// How far the clocks of replicas may differ.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(30);
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
    /// Different for each owner, so that none extends the lock of another.
    owner: String,
    taken: UnixTime,
}

/// The lock of another task, as a request that waits for it sees it.
#[derive(Debug, Default)]
pub(super) struct SeenLock {
    /// The value of the lock, and when the request saw it first.
    seen: Option<(String, UnixTime)>,
}

/// What a request that waits for a lock does next.
#[derive(Debug)]
pub(super) enum LockStep {
    /// It goes on waiting.
    On,
    /// It has taken the lock of a task that ended.
    Taken(RefreshLock),
    /// The refresh failed a short time ago.
    Failed,
}

impl RefreshLock {
    /// Takes the lock. `None`: another task owns it.
    pub(super) async fn take(
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
    ) -> Result<Option<Self>, StoreError> {
        let taken = context.now();
        let owner = format!("{:016x}", RandomState::new().build_hasher().finish());
        let record = record(key(place, &account.access_token()), &owner, taken);
        let is_taken = context.effects.create(record.clone()).await?;
        Ok(is_taken.then_some(Self {
            record,
            owner,
            taken,
        }))
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
            expires: context.now().saturating_add(OWNED),
            ..self.record.clone()
        };
        self.replace(context, failed).await;
    }

    async fn extend(&mut self, context: &AccountContext) -> bool {
        let now = context.now();
        let longer = record(self.record.key.clone(), &self.owner, now);
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

impl SeenLock {
    /// Looks at the lock again. If it is the same for too long, its owner has ended, and this request takes it.
    pub(super) async fn look(
        &mut self,
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
    ) -> Result<LockStep, StoreError> {
        let key = key(place, &account.access_token());
        let value = match context.effects.get(key.clone()).await? {
            None => return Ok(LockStep::On),
            Some(value) if value == FAILED => return Ok(LockStep::Failed),
            Some(value) => value,
        };
        let now = context.now();
        let since = match self.seen.take() {
            Some((seen, since)) if seen == value => since,
            _ => now,
        };
        let (_, written) = value.split_once('.').unwrap_or_default();
        let written = written.parse().map(UnixTime::from_secs);
        self.seen = Some((value.clone(), since));
        let (true, Ok(written)) = (now.since(since) >= OWNED, written) else {
            return Ok(LockStep::On);
        };
        let ended = StoreRecord {
            key: key.clone(),
            value,
            expires: expires(written),
        };
        let owner = format!("{:016x}", RandomState::new().build_hasher().finish());
        let record = record(key, &owner, now);
        let replace = StoreOperation::Replace(ended, record.clone());
        Ok(match context.effects.store(replace).await? {
            Stored::Created(true) => LockStep::Taken(RefreshLock {
                record,
                owner,
                taken: now,
            }),
            _ => LockStep::On,
        })
    }
}

/// The record of a lock that its owner writes now.
fn record(key: Key, owner: &str, now: UnixTime) -> StoreRecord {
    StoreRecord {
        key,
        value: format!("{owner}.{}", now.as_secs()),
        expires: expires(now),
    }
}

/// When a lock ends that was written then and is not written again. No replica's clock is ahead of this.
fn expires(written: UnixTime) -> UnixTime {
    let lasts = OWNED.saturating_add(MAX_CLOCK_DIFFERENCE);
    written.saturating_add(lasts)
}

/// The key of the lock for one access token of an account.
pub(super) fn key(place: &AccountPlace, access_token: &Secret) -> Key {
    Key::of(
        RecordKind::Refresh,
        &[&place.resource, &place.issuer, &place.user],
        &[place.key().as_str(), access_token.reveal()],
    )
}
