//! Linking an account: the page that asks the user, the authorization request, and the redirect back.

mod typed;

use super::account_name::account_name;
use super::content::{self, ConnectPage};
use super::find_client::find_client;
use super::page_request::PageRequest;
use super::sealed::{AuthorizationRequest, ConnectForm, PageLink, random_text};
use super::signed_in_user::SignedInUser;
use super::tries::Try;
use super::{PageContext, PageOutcome, PageRefusal, redirect_uri};
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::current::{self, choose};
use crate::accounts::kept::accounts_at;
use crate::accounts::of_user::UserPlace;
use crate::accounts::vault::{AccountCredential, AccountPlace, AccountTokens, LinkedAccount};
use crate::accounts::{Revoke, revoke};
use crate::reasons::Approval;
use base::http::Reply;
use base::seal::Purpose;
use base::secret::Secret;
use base::time::UnixTime;
use oauth::client::{
    AuthorizationUrl, DiscoveredServer, IssParameter, Prompt, TokenGrant, Tokens, missing_scopes,
};
use policy::{AccountSource, Connection, ConnectionKind, OAuthConnection, Policy, SignInNeeds};

/// The page that asks the user of the link whether to link the account, and which one.
pub(super) async fn show(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    context.connection(&link)?;
    let user = match context.user_of_page(request, link)? {
        Ok(user) => user,
        Err(instead) => return Ok(instead),
    };
    let reply = page(context, &user, None).await?;
    Ok(PageOutcome::of_connection(
        reply,
        Approval::ConnectPageShown,
        &user.link,
    ))
}

/// The page, with what was wrong with the form before.
async fn page(
    context: &PageContext,
    user: &SignedInUser,
    problem: Option<PageRefusal>,
) -> Result<Reply, PageRefusal> {
    let connection = context.connection(&user.link)?;
    let place = user.link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let form = ConnectForm {
        expires: context.expires(),
    };
    let page = ConnectPage {
        policy: &context.policy,
        connection,
        name: &user.browser.name,
        client: user.link.client(),
        test_user: &place.test_user,
        one_conversation: place.conversation.has_name(),
        accounts: &accounts_at(context, &place).await?,
        link: &user.sealed_link,
        form: &user.seal_form(context, &form),
        problem,
    };
    Ok(page.reply())
}

/// The user agreed: sends the browser to the authorization server, or takes what the user typed or chose.
pub(super) async fn go(
    context: &PageContext,
    request: &PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    let link = context.link(request)?;
    let connection = context.connection(&link)?;
    let user = context.user_of_form(request, link)?;
    let _: ConnectForm = user.open_form(context, request)?;
    let done = match (request.parameter("account")?, &connection.kind) {
        (Some(chosen), _) => choose_account(context, &user.link, connection, chosen).await,
        (None, ConnectionKind::Typed(typed)) => {
            typed::link(context, request, &user.link, (connection, typed)).await
        }
        (None, ConnectionKind::OAuth(oauth)) => {
            let link = user.link.clone();
            go_to_server(context, request, link, (connection, oauth)).await
        }
        (None, ConnectionKind::Assigned(_)) => Err(PageRefusal::Link),
    };
    let refusal = match done {
        Ok(done) => return Ok(done),
        Err(refusal) => refusal,
    };
    let reply = match refusal {
        PageRefusal::CredentialRefused
        | PageRefusal::CredentialUnchecked
        | PageRefusal::CredentialUnusable => page(context, &user, Some(refusal)).await?,
        _ => content::refused(refusal),
    };
    // The log needs the connection.
    Ok(PageOutcome {
        outcome: Err(refusal),
        ..PageOutcome::of_connection(reply, Approval::ConnectPageShown, &user.link)
    })
}

/// Makes an account that is kept the one that calls use.
async fn choose_account(
    context: &PageContext,
    link: &PageLink,
    connection: &Connection,
    chosen: &str,
) -> Result<PageOutcome, PageRefusal> {
    let place = link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?.kept_as(chosen);
    if chosen.is_empty() {
        return Err(PageRefusal::Request);
    }
    let id = random_text(context.random)?;
    let chosen = choose(context, &place, &id).await?;
    let chosen = chosen.ok_or(PageRefusal::AccountGone)?;
    let reply = content::done(connection, chosen.name.as_deref(), &[]);
    Ok(PageOutcome {
        connection: Some((connection.name.clone(), chosen.name)),
        ..PageOutcome::of_connection(reply, Approval::AccountChosen, link)
    })
}

/// Sends the browser to the authorization server. With `another` the user chooses an account there.
async fn go_to_server(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    (connection, oauth): (&Connection, &OAuthConnection),
) -> Result<PageOutcome, PageRefusal> {
    let another = request.parameter("another")?.is_some();
    let place = link.account_place(&context.policy.resource);
    // The browser is most likely signed in there as the caller.
    let is_test_user = place.is_some_and(|place| !place.test_user.is_empty());
    let discovered = find_client(context, connection, oauth).await?;
    let prompt = (another || is_test_user).then_some(Prompt::SelectAccount);
    leave(
        context,
        request,
        link,
        (connection, oauth),
        (discovered, prompt),
    )
    .await
}

/// The page that leads to the authorization server.
async fn leave(
    context: &PageContext,
    request: &PageRequest,
    link: PageLink,
    (connection, oauth): (&Connection, &OAuthConnection),
    (discovered, prompt): (Option<DiscoveredServer>, Option<Prompt>),
) -> Result<PageOutcome, PageRefusal> {
    let with = (discovered, SignInNeeds::default());
    let new = context.new_authorization_request(request, link, Purpose::Connecting, with)?;
    let authorization = new.authorization;
    let client = oauth.server.client(authorization.discovered.as_ref());
    let client = client.ok_or(PageRefusal::Link)?;
    let place = authorization.link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let conversation = ConversationPlace::of(&place);
    UserPlace::of(&place)
        .make_room(context, &place, Revoke::Now)
        .await?;
    let (id, expires) = (&authorization.id, authorization.expires);
    let noted = conversation.note_request(context, &place, id, expires);
    if !noted.await? {
        return Err(PageRefusal::TooManyTries);
    }
    let is_named_by_id_token = matches!(oauth.account, Some(AccountSource::IdToken(_)));
    let url = AuthorizationUrl {
        redirect_uri: &callback(&context.policy, connection),
        scopes: &oauth.scopes,
        resource: oauth.resource.as_deref(),
        state: &authorization.state(),
        nonce: is_named_by_id_token.then_some(authorization.id.as_str()),
        code_challenge: &authorization.challenge(),
        max_age_s: None,
        acr: &[],
        prompt,
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
    let oauth = connection.oauth().ok_or(PageRefusal::Link)?;
    let discovered = authorization.discovered.as_ref();
    let is_required =
        oauth.iss == IssParameter::Required || discovered.is_some_and(|discovered| discovered.iss);
    request.check_issuer(&oauth.issuer, is_required)?;
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
            let redirect_uri = callback(&context.policy, connection);
            let tokens = redeem(context, oauth, (&authorization, &redirect_uri), &code).await?;
            let account_tokens = AccountTokens {
                discovered: authorization.discovered.clone(),
                ..AccountTokens::new(oauth, tokens.clone())
            };
            let credential = AccountCredential::Tokens(account_tokens);
            let account = LinkedAccount::new(connection, credential, context.now());
            let named = account_name(context, oauth, &authorization, &tokens).await;
            let linked = match named {
                Ok(name) => {
                    let account = LinkedAccount {
                        name,
                        ..account.clone()
                    };
                    let linked =
                        link_account(context, connection, &authorization.id, &place, &account);
                    linked.await.map(|()| account)
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
    let missing = not_granted(oauth, &account);
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

/// The requested scopes that the token of an account does not have.
fn not_granted<'o>(oauth: &'o OAuthConnection, account: &LinkedAccount) -> Vec<&'o str> {
    let tokens = account.tokens();
    missing_scopes(
        &oauth.scopes,
        tokens.and_then(|tokens| tokens.scope.as_deref()),
    )
}

/// Keeps an account, unless its conversation has ended since the request with this id was noted.
async fn link_account(
    context: &PageContext,
    connection: &Connection,
    request: &str,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Result<(), PageRefusal> {
    let conversation = ConversationPlace::of(place);
    let (user, ends) = (UserPlace::of(place), account.last_use());
    // This comes first: an account that is not noted would not be shown, nor end with the others. The store may
    // have written it although no answer says so.
    if !conversation.note_account(context, request, ends).await? {
        return Err(PageRefusal::ConversationEnded);
    }
    user.note_linked(context, place, ends).await?;
    let id = random_text(context.random)?;
    let replaced = current::link(context, connection, place, (account, &id)).await?;
    // This comes after the account is written. So either this sees that the conversation ended, or the end
    // of the conversation sees the account.
    match conversation.keeps(context, place).await {
        Ok(true) => {
            replaced.revoke(context, place).await;
            ConversationPlace::watch(context, place, ends);
            // Another link may have been under way when this one made room. What fails here is done at the next.
            let _ = user.make_room(context, place, Revoke::Later).await;
            Ok(())
        }
        Ok(false) => {
            current::unlink(context, place, account).await?;
            replaced.end(context, place).await?;
            Err(PageRefusal::ConversationEnded)
        }
        Err(error) => {
            replaced.revoke(context, place).await;
            current::unlink(context, place, account).await?;
            Err(PageRefusal::Store(error))
        }
    }
}

/// Redeems the code at the connection's authorization server.
async fn redeem(
    context: &PageContext,
    oauth: &OAuthConnection,
    (authorization, redirect_uri): (&AuthorizationRequest, &str),
    code: &Secret,
) -> Result<Tokens, PageRefusal> {
    let client = oauth.server.client(authorization.discovered.as_ref());
    let client = client.ok_or(PageRefusal::State)?;
    let grant = TokenGrant::Code {
        code: code.reveal(),
        verifier: &authorization.verifier,
        redirect_uri,
        resource: oauth.resource.as_deref(),
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
