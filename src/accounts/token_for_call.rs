//! The token of a linked account for a call. It is refreshed if it ends soon.

use std::time::Duration;

use thiserror::Error;

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{Revoke, end_if};
use super::ends::ClientConversation;
use super::of_user::{UserPlace, noted_every};
use super::refresh::{PendingRefresh, Refreshed};
use super::sign_out::has_signed_out;
use super::vault::{AccountPlace, LinkedAccount, Usable};
use base::store::{Key, RecordKind, StoreError, StoreRecord};
use base::time::UnixTime;

/// The maximum duration of a refresh: one call and some store operations, each with a time
/// limit.
const REFRESH_LIMIT: Duration = Duration::from_secs(20);
/// The maximum number of times that a call waits 100 ms for the refresh of another request.
const MAX_WAITS: u8 = 30;

/// Why there is no token for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAccountToken {
    /// The user has to link the account first.
    #[error("the account is not linked")]
    NotLinked,
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
    loop {
        let account = find_for_use(context, place)
            .await?
            .ok_or(NoAccountToken::NotLinked)?;
        match account.usable(max_age, context.now()) {
            Usable::No => return Err(NoAccountToken::NotLinked),
            Usable::Now => return Ok(account),
            Usable::AfterRefresh => {}
        }
        // Only the first request refreshes a token: a second use of the refresh token would revoke all
        // tokens of the account at many authorization servers (RFC 9700 section 4.14.2).
        let token = account.tokens().map(|tokens| tokens.access_token.reveal());
        let token = token.unwrap_or_default();
        let first = StoreRecord {
            key: Key::of(
                RecordKind::Refresh,
                &[&place.resource, &place.issuer, &place.user],
                &[place.key().as_str(), token],
            ),
            value: String::new(),
            expires: context.now().saturating_add(REFRESH_LIMIT),
        };
        if context.effects.create(first).await? {
            let place = place.clone();
            return match context
                .effects
                .refresh(PendingRefresh { place, account })
                .await
            {
                Refreshed::Renewed(account) => Ok(*account),
                Refreshed::AsBefore(account) => not_ended(*account, context.now()),
                Refreshed::Ended => Err(NoAccountToken::NotLinked),
                Refreshed::Store(error) => Err(NoAccountToken::Store(error)),
            };
        }
        match not_ended(account, context.now()) {
            Err(_) if waits < MAX_WAITS => context.effects.pause().await,
            result => return result,
        }
        waits = waits.saturating_add(1);
    }
}

/// The linked account at a place, unless it is over.
pub(crate) async fn find_account(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<LinkedAccount>, StoreError> {
    let Some(account) = find_linked(context, place).await? else {
        return Ok(None);
    };
    let Some(idle) = context.policy.vault.idle(place.conversation.has_name()) else {
        return Ok(Some(account));
    };
    let user = UserPlace::of(place);
    let used = user.last_use(context, &place.conversation, &place.client);
    let used = used.await?.unwrap_or(account.linked_at);
    if context.now() < used.saturating_add(idle) {
        return Ok(Some(account));
    }
    end_idle(context, place, &account).await?;
    Ok(None)
}

/// The same for a call that uses the account: its conversation is not idle.
async fn find_for_use(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<LinkedAccount>, StoreError> {
    let Some(account) = find_linked(context, place).await? else {
        return Ok(None);
    };
    ConversationPlace::watch(context, place, account.last_use());
    let Some(idle) = context.policy.vault.idle(place.conversation.has_name()) else {
        return Ok(Some(account));
    };
    let conversation = ClientConversation::of(place);
    let (now, often) = (context.now(), noted_every(idle));
    if context.ends.has_noted_use(&conversation, often, now) {
        return Ok(Some(account));
    }
    let user = UserPlace::of(place);
    match user.note_use(context, place, &account, idle).await? {
        Some(used) => {
            context.ends.note_use(&conversation, used);
            Ok(Some(account))
        }
        None => {
            end_idle(context, place, &account).await?;
            Ok(None)
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
/// ended, if that was not done before.
async fn find_linked(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<LinkedAccount>, StoreError> {
    let Some(found) = context.effects.get(place.key()).await? else {
        return Ok(None);
    };
    let Some(account) = place.read(&context.sealer, &found) else {
        return Ok(None);
    };
    let user = (place.issuer.as_str(), place.user.as_str());
    let since = account.linked_at;
    let is_over = account.last_use() <= context.now()
        || has_signed_out(context, user, &place.conversation, since).await?;
    if !is_over {
        return Ok(Some(account));
    }
    let same = |found: &LinkedAccount| found.linked_at == since;
    let ended = end_if(context, place, Revoke::Later, same).await?;
    if ended.is_some() {
        let conversation = ConversationPlace::of(place);
        conversation
            .forget_account(context, place, &account)
            .await?;
    }
    Ok(None)
}

/// The account, if its token has not ended.
fn not_ended(account: LinkedAccount, now: UnixTime) -> Result<LinkedAccount, NoAccountToken> {
    match account.has_ended(now) {
        true => Err(NoAccountToken::NotRefreshed),
        false => Ok(account),
    }
}
