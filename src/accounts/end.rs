//! Ending a linked account. Its record is deleted. Then its token is revoked, if the authorization server
//! offers revocation. The record stays deleted if the revocation fails.

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::vault::{AccountPlace, LinkedAccount};
use base::http::HttpRequest;
use base::store::StoreError;
use oauth::client::{RevokedToken, revocation_request};

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
}

impl Revocation {
    /// Its name in results and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::NotOffered => "not_offered",
        }
    }
}

/// Ends the account at a place, and the authorization requests that may link another one. `None`: there was
/// no account.
///
/// # Errors
///
/// The store is not available; the record may still be there.
pub async fn disconnect(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<EndedAccount>, StoreError> {
    let conversation = ConversationPlace::of(place);
    conversation.forget(context, place).await?;
    end(context, place).await
}

/// Ends the account at a place. `None`: there was no account.
///
/// # Errors
///
/// The store is not available; the record may still be there.
pub(super) async fn end(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<EndedAccount>, StoreError> {
    let Some(found) = context.effects.get(place.key()).await? else {
        return Ok(None);
    };
    let account = place.open(&context.sealer, &found, context.now());
    // A record that cannot be opened is deleted too.
    context.effects.store(place.delete()).await?;
    let Some(account) = account else {
        return Ok(None);
    };
    let revocation = revoke(context, place, &account).await;
    let name = account.name;
    Ok(Some(EndedAccount { name, revocation }))
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
    let client = connection.server.client(account.discovered.as_ref())?;
    let token = match &account.refresh_token {
        Some(token) => RevokedToken::Refresh(token),
        None => RevokedToken::Access(&account.access_token),
    };
    let credentials = context.clients.credentials(&client.token, context.now());
    revocation_request(&client, credentials.as_ref(), token)
}
