//! Linking an account: the page that asks the user, the authorization request, and the redirect back.

use super::account_name::account_name;
use super::content::{self, ConnectPage};
use super::find_client::find_client;
use super::page_request::PageRequest;
use super::sealed::{AuthorizationRequest, ConnectForm, PageLink};
use super::tries::Try;
use super::{PageContext, PageOutcome, PageRefusal, redirect_uri};
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::revoke;
use crate::accounts::vault::{AccountPlace, ConversationId, LinkedAccount};
use crate::reasons::Approval;
use base::seal::Purpose;
use base::secret::Secret;
use base::time::UnixTime;
use oauth::client::{
    AuthorizationUrl, DiscoveredServer, IssParameter, TokenGrant, Tokens, missing_scopes,
};
use policy::{AccountSource, Connection, Policy, SignInNeeds};

/// The page that asks the user of the link whether to link the account.
pub(super) fn show(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    let connection = context.connection(&link)?;
    let user = match context.user_of_page(request, link)? {
        Ok(user) => user,
        Err(instead) => return Ok(instead),
    };
    let place = user.link.account_place(&context.policy.resource);
    let form = ConnectForm {
        expires: context.expires(),
    };
    let page = ConnectPage {
        policy: &context.policy,
        connection,
        name: &user.browser.name,
        client: user.link.client(),
        one_conversation: place.is_some_and(|it| it.conversation != ConversationId::User),
        link: &user.sealed_link,
        form: &user.seal_form(context, &form),
    };
    let link = &user.link;
    Ok(PageOutcome::of_connection(
        page.reply(),
        Approval::ConnectPageShown,
        link,
    ))
}

/// The user agreed: sends the browser to the authorization server.
pub(super) async fn go(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    let connection = context.connection(&link)?;
    let user = context.user_of_form(request, link)?;
    let _: ConnectForm = user.open_form(context, request)?;
    let link = user.link;
    match find_client(context, connection).await {
        Ok(discovered) => leave(context, request, link, connection, discovered).await,
        // The log needs the connection.
        Err(refusal) => Ok(PageOutcome {
            user: Some((link.issuer, link.user)),
            connection: Some((connection.name.clone(), None)),
            ..PageOutcome::refused(refusal)
        }),
    }
}

/// The page that leads to the authorization server.
async fn leave(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    connection: &Connection,
    discovered: Option<DiscoveredServer>,
) -> Result<PageOutcome, PageRefusal> {
    let with = (discovered, SignInNeeds::default());
    let new = context.new_authorization_request(request, link, Purpose::Connecting, with)?;
    let authorization = new.authorization;
    let client = connection.server.client(authorization.discovered.as_ref());
    let client = client.ok_or(PageRefusal::Link)?;
    let place = authorization.link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let conversation = ConversationPlace::of(&place);
    let (id, expires) = (&authorization.id, authorization.expires);
    let noted = conversation.note_request(context, &place, id, expires);
    if !noted.await? {
        return Err(PageRefusal::TooManyTries);
    }
    let is_named_by_id_token = matches!(connection.account, Some(AccountSource::IdToken(_)));
    let url = AuthorizationUrl {
        redirect_uri: &callback(&context.policy, connection),
        scopes: &connection.scopes,
        resource: connection.resource.as_deref(),
        state: &authorization.state(),
        nonce: is_named_by_id_token.then_some(authorization.id.as_str()),
        code_challenge: &authorization.challenge(),
        max_age_s: None,
        acr: &[],
        prompt: None,
    };
    let url = url.of(&client).ok_or(PageRefusal::Link)?;
    let mut reply = content::onward(connection, &url);
    reply.headers.extend(new.cookies);
    let link = &authorization.link;
    Ok(PageOutcome::of_connection(
        reply,
        Approval::SentToConnect,
        link,
    ))
}

/// The redirect from the authorization server of the connection `name`: links the account.
pub(super) async fn came_back(
    context: &PageContext,
    request: &PageRequest,
    name: &str,
) -> Result<PageOutcome, PageRefusal> {
    let authorization = context.authorization_request(request, Purpose::Connecting)?;
    let link = &authorization.link;
    if link.connection() != Some(name) {
        return Err(PageRefusal::IssuerMismatch);
    }
    let connection = context.connection(link)?;
    let discovered = authorization.discovered.as_ref();
    let is_required = connection.iss == IssParameter::Required
        || discovered.is_some_and(|discovered| discovered.iss);
    request.check_issuer(&connection.issuer, is_required)?;
    let (_, browser) = context
        .browser_user(request)
        .ok_or(PageRefusal::NotSignedIn)?;
    if !browser.is_of(link) {
        return Err(PageRefusal::OtherUser);
    }
    let code = request.code()?;
    let place = link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let (outcome, account) = match context.take_try(&authorization).await? {
        Try::First => {
            let tokens = redeem(context, connection, &authorization, &code).await?;
            let account = LinkedAccount {
                discovered: authorization.discovered.clone(),
                ..LinkedAccount::new(connection, tokens.clone(), None, context.now())
            };
            let named = account_name(context, connection, &authorization, &tokens).await;
            let linked = match named {
                Ok(name) => {
                    let account = LinkedAccount {
                        name,
                        ..account.clone()
                    };
                    link_account(context, &authorization, &place, &account).await
                }
                Err(refusal) => Err(refusal),
            };
            if linked.is_err() {
                revoke(context, &place, &account).await;
            }
            (Approval::Connected, linked?)
        }
        Try::Again => {
            let began_at = authorization.began_at();
            (
                Approval::ConnectedBefore,
                linked_since(context, &place, began_at).await?,
            )
        }
    };
    let missing = missing_scopes(&connection.scopes, account.scope.as_deref());
    let outcome = match outcome {
        Approval::Connected if !missing.is_empty() => Approval::ConnectedWithLess,
        outcome => outcome,
    };
    let reply = content::done(connection, account.name.as_deref(), &missing);
    Ok(PageOutcome {
        connection: Some((connection.name.clone(), account.name)),
        ..PageOutcome::of_connection(reply, outcome, link)
    })
}

/// Keeps an account, unless its conversation has ended since the authorization request.
async fn link_account(
    context: &PageContext,
    authorization: &AuthorizationRequest,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Result<LinkedAccount, PageRefusal> {
    let conversation = ConversationPlace::of(place);
    if !conversation.awaits(context, &authorization.id).await? {
        return Err(PageRefusal::ConversationEnded);
    }
    let put = place.put(&context.sealer, account);
    context.effects.store(put).await?;
    // This comes after the account is written. So either this sees that the conversation ended, or the end
    // of the conversation sees the account.
    let noted = conversation.note_account(context, &authorization.id, account.ends);
    match noted.await {
        Ok(true) => Ok(account.clone()),
        ended => {
            context.effects.store(place.delete()).await?;
            Err(ended.map_or_else(PageRefusal::Store, |_| PageRefusal::ConversationEnded))
        }
    }
}

/// Redeems the code at the connection's authorization server.
async fn redeem(
    context: &PageContext,
    connection: &Connection,
    authorization: &AuthorizationRequest,
    code: &Secret,
) -> Result<Tokens, PageRefusal> {
    let client = connection.server.client(authorization.discovered.as_ref());
    let client = client.ok_or(PageRefusal::State)?;
    let grant = TokenGrant::Code {
        code: code.reveal(),
        verifier: &authorization.verifier,
        redirect_uri: &callback(&context.policy, connection),
        resource: connection.resource.as_deref(),
    };
    let tokens = context.request_tokens(&client.token, grant).await;
    tokens.map_err(PageRefusal::Tokens)
}

/// The account that was linked by an authorization request that began at this time: the browser loads the
/// page again.
async fn linked_since(
    context: &PageContext,
    place: &AccountPlace,
    began_at: UnixTime,
) -> Result<LinkedAccount, PageRefusal> {
    let found = context.effects.get(place.key()).await?;
    let found = found.and_then(|found| place.open(&context.sealer, &found, context.now()));
    let found = found.filter(|found| began_at <= found.linked_at);
    found.ok_or(PageRefusal::StateUsed)
}

/// The redirect URI of a connection. Each connection has its own, so that the response of one authorization
/// server is not accepted as that of another (RFC 9700 section 4.4.2.2).
pub(super) fn callback(policy: &Policy, connection: &Connection) -> String {
    redirect_uri(policy, &format!("callback/{}", connection.name))
}
