//! The token of a linked account for a call. It is refreshed if it ends soon.

use std::time::Duration;

use thiserror::Error;

use super::AccountContext;
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
        let account = find_account(context, place)
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

/// The linked account at a place, unless its user signed out since it was linked.
pub(crate) async fn find_account(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<LinkedAccount>, StoreError> {
    let found = context.effects.get(place.key()).await?;
    let Some(account) = found.and_then(|found| place.open(&context.sealer, &found, context.now()))
    else {
        return Ok(None);
    };
    let user = (place.issuer.as_str(), place.user.as_str());
    let is_over = has_signed_out(context, user, &place.conversation, account.linked_at).await?;
    Ok((!is_over).then_some(account))
}

/// The account, if its token has not ended.
fn not_ended(account: LinkedAccount, now: UnixTime) -> Result<LinkedAccount, NoAccountToken> {
    match account.has_ended(now) {
        true => Err(NoAccountToken::NotRefreshed),
        false => Ok(account),
    }
}
