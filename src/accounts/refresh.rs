//! Refreshing the token of a linked account. Many authorization servers accept a refresh token only once
//! (RFC 9700 section 4.14.2). So a refresh runs to its end, even if the request that began it has ended, and
//! new tokens that cannot be kept are not lost. The result belongs to the account that it was requested for. The user
//! may have chosen another account meanwhile, and then the account is at another place.

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{TakenAccount, revoke, take};
use super::kept::{accounts_at, may_be_same};
use super::refresh_lock::{REFRESH_CALL_LIMIT, RefreshLock};
use super::vault::{AccountPlace, AccountTokens, LinkedAccount};
use base::http::HttpRequest;
use base::secret::Secret;
use base::store::{Key, StoreError, Stored};
use oauth::client::{TokenAnswerError, TokenGrant, read_tokens, token_request};

/// The maximum number of tries of a write while other requests change the record.
const MAX_TRIES: u8 = 8;

/// The request to refresh the token of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRefresh {
    /// Where the account is kept.
    pub place: AccountPlace,
    /// The account, as it was read.
    pub account: LinkedAccount,
    /// The lock under which the refresh token is used.
    pub lock: RefreshLock,
}

/// The result of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The account with its new token.
    Renewed(Box<LinkedAccount>),
    /// The account with its old token: the authorization server issued no new one.
    AsBefore(Box<LinkedAccount>),
    /// The account is not linked any more.
    Ended,
    /// The account changed, or another task has the lock now. The account has to be read again.
    Changed,
    /// The store failed; the account may still be linked.
    Store(StoreError),
}

/// The result of writing an account with new tokens.
enum Kept {
    /// It is in the store.
    Yes,
    /// It is in the store, and is not the current account any more.
    Elsewhere,
    /// The store has other tokens of the same link.
    Changed,
    /// The account has ended. The account of a later link is at its place.
    Replaced(Box<LinkedAccount>),
    /// The account has ended.
    Ended,
}

/// What the store has of an account that was refreshed.
enum Searched {
    /// The account before the refresh, at this place, and the value of its record.
    Before(Box<AccountPlace>, Box<LinkedAccount>, String),
    /// Something else.
    Over(Kept),
}

/// Refreshes the token of an account and writes it to the account's place.
pub async fn refresh(context: AccountContext, refresh: PendingRefresh) -> Refreshed {
    let PendingRefresh {
        place,
        account,
        mut lock,
    } = refresh;
    let Some(request) = request(&context, &place, &account) else {
        return Refreshed::Ended;
    };
    if !lock.covers_call(&context).await {
        return Refreshed::Changed;
    }
    let response = context.effects.call(request).await;
    let spent = account.access_token();
    let renewed = match read_tokens(response.as_ref(), context.now()) {
        Ok(tokens) => account.refreshed(tokens),
        Err(error) if is_end(&error, &account) => {
            return end_refused(&context, &place, account).await;
        }
        Err(_) => {
            lock.note_failure(&context).await;
            return Refreshed::AsBefore(Box::new(account));
        }
    };
    lock.cover_write(&context).await;
    match keep(&context, &place, &spent, &renewed).await {
        Ok(Kept::Yes) => Refreshed::Renewed(Box::new(renewed)),
        Ok(kept) => give_up(&context, &place, &renewed, kept).await,
        Err(_) => {
            let now = context.now();
            // Without room, the user is asked again when the token has ended.
            context.unkept.hold(place, spent, renewed.clone(), now);
            Refreshed::Renewed(Box::new(renewed))
        }
    }
}

/// Tries again to write an account that the worker holds. Returns the error for the operator.
pub async fn keep_again(context: AccountContext, key: Key) -> Option<String> {
    let held = context.unkept.find(&key)?;
    let connection = &held.place.connection;
    match keep(&context, &held.place, &held.spent, &held.renewed).await {
        Ok(kept) => {
            context.unkept.forget(&held);
            if !matches!(kept, Kept::Yes) {
                give_up(&context, &held.place, &held.renewed, kept).await;
            }
            None
        }
        Err(error) => match context.unkept.put_off(&held, context.now()) {
            Some(1) => Some(format!(
                "connection `{connection}`: a refreshed token could not be kept: {error}; it is tried again"
            )),
            Some(_) => None,
            None => {
                revoke(&context, &held.place, &held.renewed).await;
                Some(format!(
                    "connection `{connection}`: a refreshed token could not be kept: {error}; its user has to \
                     link the account again"
                ))
            }
        },
    }
}

/// Whether the account cannot be used any more after this answer.
fn is_end(error: &TokenAnswerError, account: &LinkedAccount) -> bool {
    match error {
        TokenAnswerError::TokenGrant => true,
        // The user can link the account again, with a client that the server knows.
        TokenAnswerError::UnknownClient => {
            let tokens = account.tokens();
            tokens.is_some_and(AccountTokens::has_found_client)
        }
        _ => false,
    }
}

/// Ends what a renewed account has of its own, if it is not the one in the store.
async fn give_up(
    context: &AccountContext,
    place: &AccountPlace,
    renewed: &LinkedAccount,
    kept: Kept,
) -> Refreshed {
    match kept {
        Kept::Yes | Kept::Elsewhere | Kept::Changed => Refreshed::Changed,
        Kept::Replaced(by) => {
            let connection = context.policy.connection(&place.connection);
            let may_be_same = |connection| may_be_same(connection, &by, renewed);
            if !connection.is_some_and(may_be_same) {
                revoke(context, place, renewed).await;
            }
            Refreshed::Changed
        }
        Kept::Ended => {
            // The account ended meanwhile, so its new token ends too.
            revoke(context, place, renewed).await;
            Refreshed::Ended
        }
    }
}

/// Ends an account whose refresh token is not accepted any more. Otherwise it would be shown as linked until its
/// lifetime ends.
async fn end_refused(
    context: &AccountContext,
    place: &AccountPlace,
    refused: LinkedAccount,
) -> Refreshed {
    let refresh_token = |account: &LinkedAccount| account.tokens()?.refresh_token.clone();
    let is_refused = |found: &LinkedAccount| refresh_token(found) == refresh_token(&refused);
    let places = match places(context, place, &refused).await {
        Ok(places) => places,
        Err(error) => return Refreshed::Store(error),
    };
    let mut refreshed = Refreshed::Ended;
    for at in places {
        match take(context, &at, is_refused).await {
            Ok(TakenAccount::Account(account)) => {
                let conversation = ConversationPlace::of(&at);
                // If this fails, the conversation names an account that is not there.
                let _ = conversation.forget_account(context, &at, &account).await;
                break;
            }
            // Another replica refreshed it, or the user linked it again or chose another one.
            Ok(TakenAccount::Other) => refreshed = Refreshed::Changed,
            Ok(TakenAccount::Nothing) => {}
            Err(error) => return Refreshed::Store(error),
        }
    }
    refreshed
}

/// The token request. `None`: the account has no refresh token, or the policy no client for it.
fn request(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Option<HttpRequest> {
    let connection = context.policy.connection(&place.connection)?;
    let connection = connection.oauth().filter(|_| account.is_of(connection))?;
    let tokens = account.tokens()?;
    let grant = TokenGrant::Refresh {
        refresh_token: tokens.refresh_token.as_ref()?,
        resource: connection.resource.as_deref(),
    };
    let client = connection.server.client(tokens.discovered.as_ref())?;
    let credentials = context.clients.credentials(&client.token, context.now());
    let mut request = token_request(&client.token, credentials.as_ref(), grant);
    request.timeout = Some(REFRESH_CALL_LIMIT);
    Some(request)
}

/// Writes a renewed account in place of the one whose refresh token is spent.
async fn keep(
    context: &AccountContext,
    place: &AccountPlace,
    spent: &Secret,
    renewed: &LinkedAccount,
) -> Result<Kept, StoreError> {
    for _ in 0..MAX_TRIES {
        let (at, found, value) = match search(context, place, spent, renewed).await? {
            Searched::Before(at, found, value) => (at, found, value),
            Searched::Over(kept) => return Ok(kept),
        };
        let replace = at.replace(&context.sealer, (&found, &value), renewed);
        match context.effects.store(replace).await? {
            Stored::Created(true) => return Ok(Kept::at(&at)),
            Stored::Created(false) => {}
            Stored::Done | Stored::Value(_) => return Err(StoreError::Unavailable),
        }
    }
    Err(StoreError::Unavailable)
}

/// Finds the record of an account after its refresh token was used. The record is mostly at the place of the account.
/// Otherwise it is at the place of another account of the same user.
async fn search(
    context: &AccountContext,
    place: &AccountPlace,
    spent: &Secret,
    renewed: &LinkedAccount,
) -> Result<Searched, StoreError> {
    let mut over = Kept::Ended;
    let mut elsewhere = Vec::new();
    // Most accounts are where they were.
    let mut next = Some(place.clone());
    let mut has_listed = false;
    while let Some(at) = next {
        let value = context.effects.get(at.key()).await?;
        let found = value.as_deref();
        let found = found.and_then(|value| at.open(&context.sealer, value, context.now()));
        match (found, value) {
            // The answer to an earlier write was lost.
            (Some(found), _) if found == *renewed => return Ok(Searched::Over(Kept::at(&at))),
            (Some(found), Some(value)) if found.is_of_same_link(renewed) => {
                if found.access_token() == *spent {
                    return Ok(Searched::Before(Box::new(at), Box::new(found), value));
                }
                over = Kept::Changed;
            }
            (Some(found), _) if at == *place && !matches!(over, Kept::Changed) => {
                over = Kept::Replaced(Box::new(found));
            }
            _ => {}
        }
        if !std::mem::replace(&mut has_listed, true) {
            elsewhere = places(context, place, renewed).await?.split_off(1);
            elsewhere.reverse();
        }
        next = elsewhere.pop();
    }
    Ok(Searched::Over(over))
}

/// The places where an account may be: its place, and those of kept accounts. Its place comes once more at the end,
/// because the user may choose the account during the search.
async fn places(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Result<Vec<AccountPlace>, StoreError> {
    let kept = accounts_at(context, place).await?;
    let kept = kept.into_iter().filter(|kept| {
        let is_kept = !kept.place.kept.is_empty();
        is_kept && kept.since == account.linked_at && kept.name == account.name
    });
    let places = std::iter::once(place.clone()).chain(kept.map(|kept| kept.place));
    Ok(places.chain([place.clone()]).collect())
}

impl Kept {
    /// The account is in the store, at this place.
    fn at(place: &AccountPlace) -> Self {
        match place.kept.is_empty() {
            true => Self::Yes,
            false => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests;
