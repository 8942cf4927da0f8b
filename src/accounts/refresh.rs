//! Refreshing the token of a linked account. Many authorization servers accept a refresh token only once
//! (RFC 9700 section 4.14.2). So a refresh runs to its end, even if the request that began it has ended.

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{Taken, revoke, take};
use super::vault::{AccountPlace, AccountTokens, LinkedAccount};
use base::http::HttpRequest;
use base::store::{StoreError, Stored};
use oauth::client::{TokenAnswerError, TokenGrant, read_tokens, token_request};

/// The request to refresh the token of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRefresh {
    /// Where the account is kept.
    pub place: AccountPlace,
    /// The account, as it was read.
    pub account: LinkedAccount,
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
    /// The store failed; the account may still be linked.
    Store(StoreError),
}

/// Refreshes the token of an account and writes it to the account's place.
pub async fn refresh(context: AccountContext, refresh: PendingRefresh) -> Refreshed {
    let PendingRefresh { place, account } = refresh;
    let Some(request) = request(&context, &place, &account) else {
        return Refreshed::Ended;
    };
    let response = context.effects.call(request).await;
    let renewed = match read_tokens(response.as_ref(), context.now()) {
        Ok(tokens) => account.refreshed(tokens),
        Err(TokenAnswerError::TokenGrant) => return end_refused(&context, &place, account).await,
        // The user can link the account again, with a client that the server knows.
        Err(TokenAnswerError::UnknownClient)
            if account
                .tokens()
                .is_some_and(AccountTokens::has_found_client) =>
        {
            return end_refused(&context, &place, account).await;
        }
        Err(_) => return Refreshed::AsBefore(Box::new(account)),
    };
    match keep(&context, &place, &renewed).await {
        Ok(true) => Refreshed::Renewed(Box::new(renewed)),
        Ok(false) => {
            // The account ended meanwhile, so its new token ends too.
            revoke(&context, &place, &renewed).await;
            Refreshed::Ended
        }
        Err(error) => Refreshed::Store(error),
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
    match take(context, place, is_refused).await {
        Ok(Taken::Account(account)) => {
            let conversation = ConversationPlace::of(place);
            // If this fails, the conversation names an account that is not there.
            let _ = conversation.forget_account(context, place, &account).await;
            Refreshed::Ended
        }
        // Another replica refreshed it, or the user linked it again.
        Ok(Taken::Other(account)) => Refreshed::Renewed(account),
        Ok(Taken::Nothing) => Refreshed::Ended,
        Err(error) => Refreshed::Store(error),
    }
}

/// The token request. `None`: the account has no refresh token, or the policy no client for it.
fn request(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Option<HttpRequest> {
    let connection = context.policy.connection(&place.connection)?.oauth()?;
    let tokens = account.tokens()?;
    let grant = TokenGrant::Refresh {
        refresh_token: tokens.refresh_token.as_ref()?,
        resource: connection.resource.as_deref(),
    };
    let client = connection.server.client(tokens.discovered.as_ref())?;
    let credentials = context.clients.credentials(&client.token, context.now());
    Some(token_request(&client.token, credentials.as_ref(), grant))
}

/// Writes a renewed account. `false`: the account has ended or was linked again meanwhile.
async fn keep(
    context: &AccountContext,
    place: &AccountPlace,
    renewed: &LinkedAccount,
) -> Result<bool, StoreError> {
    let Some(value) = context.effects.get(place.key()).await? else {
        return Ok(false);
    };
    let found = place.open(&context.sealer, &value, context.now());
    let Some(found) = found.filter(|found| found.linked_at == renewed.linked_at) else {
        return Ok(false);
    };
    let replace = place.replace(&context.sealer, (&found, &value), renewed);
    // If the store fails here, the calls that wait can still use the new token.
    Ok(context.effects.store(replace).await != Ok(Stored::Created(false)))
}
