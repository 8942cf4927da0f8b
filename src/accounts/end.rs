//! Ending a linked account. Its record is deleted. Then its token is revoked, if the authorization server
//! offers revocation. The record stays deleted if the revocation fails.

use super::AccountContext;
use super::vault::{AccountPlace, LinkedAccount};
use base::http::HttpRequest;
use base::store::{StoreError, Stored};
use oauth::client::{RevokedToken, revocation_request};

/// The maximum number of tries to take an account while other requests change it.
const MAX_TRIES: u8 = 8;

/// An account that was ended.
#[derive(Debug, PartialEq, Eq)]
pub struct EndedAccount {
    /// The account's name at the resource.
    pub name: Option<String>,
    /// Whether its token was revoked.
    pub revocation: Revocation,
}

/// The outcome of a token's revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token is revoked.
    Confirmed,
    /// The authorization server did not answer, or refused.
    Failed,
    /// The authorization server has no revocation endpoint.
    NotOffered,
    /// The token is revoked after the request.
    Later,
}

/// When the token of an account that ended is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoke {
    /// Now: the result is told.
    Now,
    /// At a tick of the worker: no request waits for it.
    Later,
}

/// The attempt to take an account out of the store.
#[derive(Debug)]
pub(super) enum TakenAccount {
    /// It is taken: no other request or replica gets it.
    Account(Box<LinkedAccount>),
    /// Another account is there, which stays.
    Other,
    /// None is there.
    Nothing,
}

impl Revocation {
    /// Its name in results and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::NotOffered => "not_offered",
            Self::Later => "later",
        }
    }
}

/// Ends the account at a place. `None`: there was no account.
///
/// # Errors
///
/// The store is not available; the record may still be there.
pub(super) async fn end(
    context: &AccountContext,
    place: &AccountPlace,
    how: Revoke,
) -> Result<Option<EndedAccount>, StoreError> {
    end_if(context, place, how, |_| true).await
}

/// Ends the account at a place if it is one of these. `None`: there was none.
///
/// # Errors
///
/// The store is not available; the record may still be there.
pub(super) async fn end_if(
    context: &AccountContext,
    place: &AccountPlace,
    how: Revoke,
    is_meant: impl Fn(&LinkedAccount) -> bool,
) -> Result<Option<EndedAccount>, StoreError> {
    let TakenAccount::Account(account) = take(context, place, is_meant).await? else {
        return Ok(None);
    };
    let name = account.name.clone();
    let revocation = match how {
        Revoke::Now => revoke(context, place, &account).await,
        Revoke::Later => {
            context.ends.revoke_later(place.clone(), *account);
            Revocation::Later
        }
    };
    Ok(Some(EndedAccount { name, revocation }))
}

/// Takes an account out of the store, if it is one of these. Of all requests and replicas that try, one gets it.
pub(super) async fn take(
    context: &AccountContext,
    place: &AccountPlace,
    is_meant: impl Fn(&LinkedAccount) -> bool,
) -> Result<TakenAccount, StoreError> {
    for _ in 0..MAX_TRIES {
        let Some(value) = context.effects.get(place.key()).await? else {
            return Ok(TakenAccount::Nothing);
        };
        let Some(account) = place.read(&context.sealer, &value) else {
            // A record that cannot be opened is deleted too.
            context.effects.store(place.delete()).await?;
            return Ok(TakenAccount::Nothing);
        };
        if !is_meant(&account) {
            return Ok(TakenAccount::Other);
        }
        let take = place.take(&context.sealer, &account, &value);
        match context.effects.store(take).await? {
            Stored::Created(true) => return Ok(TakenAccount::Account(Box::new(account))),
            Stored::Created(false) => {}
            Stored::Done | Stored::Value(_) => return Err(StoreError::Unavailable),
        }
    }
    Err(StoreError::Unavailable)
}

/// Revokes the token of an account that is not in the store.
pub(crate) async fn revoke(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Revocation {
    match revocation(context, place, account) {
        Some(request) => match context.effects.call(request).await {
            // The status is 200 also for a token that was not valid (RFC 7009 section 2.2).
            Some(response) if response.status == 200 => Revocation::Confirmed,
            _ => Revocation::Failed,
        },
        None => Revocation::NotOffered,
    }
}

fn revocation(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Option<HttpRequest> {
    let connection = context.policy.connection(&place.connection)?;
    let connection = Some(connection).filter(|connection| account.is_of(connection))?;
    let tokens = account.tokens()?;
    let client = connection
        .oauth()?
        .server
        .client(tokens.discovered.as_ref())?;
    let token = match &tokens.refresh_token {
        Some(token) => RevokedToken::Refresh(token),
        None => RevokedToken::Access(&tokens.access_token),
    };
    let credentials = context.clients.credentials(&client.token, context.now());
    revocation_request(&client, credentials.as_ref(), token)
}
