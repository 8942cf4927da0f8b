//! The token of a linked account for a call. It is refreshed if it ends soon.

use std::time::Duration;

use thiserror::Error;

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{Revoke, end_if};
use super::ends::ClientConversation;
use super::of_user::{UserPlace, noted_every};
use super::refresh::{PendingRefresh, Refreshed};
use super::refresh_lock::{LockStep, RefreshLock, SeenLock};
use super::sign_out::has_signed_out;
use super::vault::{AccountPlace, LinkedAccount, Usable};
use base::store::StoreError;
use base::time::UnixTime;

/// The maximum number of times that a call waits 100 ms for the refresh of another request: for the lock of
/// a replica that ended, and one more refresh.
const MAX_WAITS: u8 = 160;
/// After this number of waits a call looks less often.
const QUICK_WAITS: u8 = 20;
/// How often it waits before it looks again, then.
const WAITS_BETWEEN: u8 = 4;

/// Why there is no token for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAccountToken {
    /// The user has to link the account first.
    #[error("the account is not linked")]
    NotLinked,
    /// The account is sealed with a key that the policy does not have any more.
    #[error("the account is sealed with a key that the policy does not have")]
    KeyRemoved,
    /// The token has ended and could not be refreshed.
    #[error("the token could not be refreshed")]
    NotRefreshed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The linked account at a place, with a usable token. It must have been linked less than `max_age`
/// ago.
///
/// # Errors
///
/// There is no such account, its token could not be refreshed, or the store failed.
pub async fn token_for_call(
    context: &AccountContext,
    place: &AccountPlace,
    max_age: Duration,
) -> Result<LinkedAccount, NoAccountToken> {
    let mut waits = 0_u8;
    let mut seen: Option<LinkedAccount> = None;
    let mut other = SeenLock::default();
    loop {
        let account = match find_for_use(context, place).await {
            Ok(FoundAccount::Linked(account)) => *account,
            Ok(FoundAccount::NotLinked) => return Err(NoAccountToken::NotLinked),
            Ok(FoundAccount::KeyRemoved) => return Err(NoAccountToken::KeyRemoved),
            // The store fails while the call waits for a refresh, whose result the worker holds.
            Err(error) => {
                let renewed = seen.and_then(|seen| context.unkept.in_place_of(place, &seen));
                let renewed = renewed.filter(|renewed| !renewed.has_ended(context.now()));
                return renewed.ok_or(NoAccountToken::Store(error));
            }
        };
        if let Some(renewed) = context.unkept.in_place_of(place, &account) {
            return match renewed.usable(max_age, context.now()) {
                Usable::No => Err(NoAccountToken::NotLinked),
                Usable::Now | Usable::AfterRefresh => not_ended(renewed, context.now()),
            };
        }
        match account.usable(max_age, context.now()) {
            Usable::No => return Err(NoAccountToken::NotLinked),
            Usable::Now => return Ok(account),
            Usable::AfterRefresh => {}
        }
        // Only the owner of the lock refreshes a token: a second use of the refresh token would revoke all
        // tokens of the account at many authorization servers (RFC 9700 section 4.14.2).
        let lock = match RefreshLock::take(context, place, &account).await? {
            Some(lock) => lock,
            None if !account.has_ended(context.now()) => return Ok(account),
            None if waits >= MAX_WAITS => return Err(NoAccountToken::NotRefreshed),
            None => match other.look(context, place, &account).await? {
                LockStep::Taken(lock) => lock,
                LockStep::Failed => return Err(NoAccountToken::NotRefreshed),
                LockStep::On => {
                    waits = wait(context, waits).await;
                    seen = Some(account);
                    continue;
                }
            },
        };
        let place = place.clone();
        let pending = PendingRefresh {
            place,
            account,
            lock,
        };
        match context.effects.refresh(pending).await {
            Refreshed::Renewed(account) => return Ok(*account),
            Refreshed::AsBefore(account) => return not_ended(*account, context.now()),
            Refreshed::Ended => return Err(NoAccountToken::NotLinked),
            Refreshed::Store(error) => return Err(NoAccountToken::Store(error)),
            Refreshed::Changed if waits >= MAX_WAITS => return Err(NoAccountToken::NotRefreshed),
            Refreshed::Changed => waits = wait(context, waits).await,
        }
    }
}

/// Waits for the refresh of another request. Returns the number of waits so far.
async fn wait(context: &AccountContext, waits: u8) -> u8 {
    let pauses = match waits < QUICK_WAITS {
        true => 1,
        false => WAITS_BETWEEN,
    };
    for _ in 0..pauses {
        context.effects.pause().await;
    }
    waits.saturating_add(pauses)
}

/// What is found at an account's place.
pub(crate) enum FoundAccount {
    /// A linked account.
    Linked(Box<LinkedAccount>),
    /// None, or one that has ended.
    NotLinked,
    /// One that cannot be opened any more. It is deleted.
    KeyRemoved,
}

impl FoundAccount {
    /// The linked account.
    pub(crate) fn linked(self) -> Option<LinkedAccount> {
        match self {
            Self::Linked(account) => Some(*account),
            Self::NotLinked | Self::KeyRemoved => None,
        }
    }
}

/// The linked account at a place, unless it is over.
pub(crate) async fn find_account(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<FoundAccount, StoreError> {
    let found = find_linked(context, place).await?;
    let idle = context.policy.vault.idle(place.conversation.has_name());
    let (FoundAccount::Linked(account), Some(idle)) = (&found, idle) else {
        return Ok(found);
    };
    let user = UserPlace::of(place);
    let used = user.last_use(context, &place.conversation, &place.client);
    let used = used.await?.unwrap_or(account.linked_at);
    if context.now() < used.saturating_add(idle) {
        return Ok(found);
    }
    end_idle(context, place, account).await?;
    Ok(FoundAccount::NotLinked)
}

/// The same for a call that uses the account: its conversation is not idle.
async fn find_for_use(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<FoundAccount, StoreError> {
    let found = find_linked(context, place).await?;
    let FoundAccount::Linked(account) = &found else {
        return Ok(found);
    };
    ConversationPlace::watch(context, place, account.last_use());
    let Some(idle) = context.policy.vault.idle(place.conversation.has_name()) else {
        return Ok(found);
    };
    let conversation = ClientConversation::of(place);
    let (now, often) = (context.now(), noted_every(idle));
    if context.ends.has_noted_use(&conversation, often, now) {
        return Ok(found);
    }
    let user = UserPlace::of(place);
    match user.note_use(context, place, account, idle).await? {
        Some(used) => {
            context.ends.note_use(&conversation, used);
            Ok(found)
        }
        None => {
            end_idle(context, place, account).await?;
            Ok(FoundAccount::NotLinked)
        }
    }
}

/// Ends the conversation of an account, because it was idle for too long.
async fn end_idle(
    context: &AccountContext,
    place: &AccountPlace,
    idle: &LinkedAccount,
) -> Result<(), StoreError> {
    let conversation = ConversationPlace::of(place);
    let client = Some(place.client.as_str());
    conversation.end_of(context, client, Revoke::Later).await?;
    // An account that its conversation does not list ends too.
    let same = |found: &LinkedAccount| found.linked_at == idle.linked_at;
    end_if(context, place, Revoke::Later, same).await.map(drop)
}

/// The linked account at a place, unless its lifetime is over or its user signed out since it was linked. Then it is
/// ended, if that was not done before. A record that is not sealed with the first key is sealed again.
async fn find_linked(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<FoundAccount, StoreError> {
    let Some(value) = context.effects.get(place.key()).await? else {
        return Ok(FoundAccount::NotLinked);
    };
    let Some(account) = place.read(&context.sealer, &value) else {
        if !context.sealer.lacks_key_of(&value) {
            return Ok(FoundAccount::NotLinked);
        }
        // No replica can use its tokens, and with the old key a reader of the store could.
        context.effects.store(place.delete()).await?;
        return Ok(FoundAccount::KeyRemoved);
    };
    let connection = context.policy.connection(&place.connection);
    if !connection.is_some_and(|connection| account.is_of(connection)) {
        return Ok(FoundAccount::NotLinked);
    }
    let user = (place.issuer.as_str(), place.user.as_str());
    let since = account.linked_at;
    let is_over = account.last_use() <= context.now()
        || has_signed_out(context, user, &place.conversation, since).await?;
    if is_over {
        let same = |found: &LinkedAccount| found.linked_at == since;
        let ended = end_if(context, place, Revoke::Later, same).await?;
        if ended.is_some() {
            let conversation = ConversationPlace::of(place);
            conversation
                .forget_account(context, place, &account)
                .await?;
        }
        return Ok(FoundAccount::NotLinked);
    }
    if !context.sealer.is_current(&value) {
        let again = place.replace(&context.sealer, (&account, &value), &account);
        // The lists that name the account are sealed again when they are read.
        let _ = UserPlace::of(place).conversations(context).await;
        let _ = ConversationPlace::of(place).accounts(context).await;
        // If it fails, the next call tries again.
        let _ = context.effects.store(again).await;
    }
    Ok(FoundAccount::Linked(Box::new(account)))
}

/// The account, if its token has not ended.
fn not_ended(account: LinkedAccount, now: UnixTime) -> Result<LinkedAccount, NoAccountToken> {
    match account.has_ended(now) {
        true => Err(NoAccountToken::NotRefreshed),
        false => Ok(account),
    }
}
