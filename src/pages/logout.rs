//! Back-channel logout: an issuer reports a sign-out (OpenID Connect Back-Channel Logout 1.0). Accounts
//! that the user linked before are not used any more, and sign-ins on the pages end.

use super::page_request::PageRequest;
use super::sealed::LIFETIME;
use super::{PageContext, PageOutcome, PageRefusal};
use crate::accounts::Revoke;
use crate::accounts::of_user::UserPlace;
use crate::accounts::sign_out::{PAGES_OF_USER, is_by_session, mark, write_mark};
use crate::accounts::vault::ConversationId;
use crate::reasons::Approval;
use base::http::Reply;
use base::secret::Secret;
use base::store::{Key, RecordKind, StoreError, StoreRecord};
use oauth::{IssuerId, LogoutVerification, VerifiedLogout};

/// Answers the issuer's request. A logout token that is not accepted gets an error (section 2.8).
pub(super) async fn log_out(context: &PageContext, request: &PageRequest) -> PageOutcome {
    let (status, body, user, outcome) = match run(context, request).await {
        Ok(user) => (200, "", user, Ok(Approval::LoggedOut)),
        Err(refusal) => {
            let body = "{\"error\":\"invalid_request\"}";
            (refusal.status(), body, None, Err(refusal))
        }
    };
    PageOutcome {
        reply: Reply {
            status,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            body: body.into(),
        },
        outcome,
        user,
        connection: None,
        client: None,
        tool: None,
        approval: None,
    }
}

/// The `iss` and the user of the logout token, if it names one.
async fn run(
    context: &PageContext,
    request: &PageRequest,
) -> Result<Option<(String, String)>, PageRefusal> {
    let token = request.parameter("logout_token")?;
    let token = Secret::new(token.ok_or(PageRefusal::Request)?.to_owned());
    let (issuer, logout) = verify(context, &token).await?;
    let policy = &context.policy;
    let issuer = policy.issuers.get(issuer.0);
    let issuer = issuer.map_or("", |issuer| issuer.issuer.as_str());
    let used = StoreRecord {
        key: Key::of(
            RecordKind::LogoutToken,
            &[&policy.resource, issuer, &logout.id],
            &[],
        ),
        value: String::new(),
        expires: logout.until,
    };
    if context.effects.get(used.key.clone()).await?.is_some() {
        return Err(PageRefusal::LogoutUsed);
    }
    // Sign-ins on the pages end with any session of the user: the user may have signed out in the browser
    // with the page.
    if let Some(session) = &logout.session {
        put_mark(context, mark(policy, issuer, "sid", session)).await?;
    }
    if let Some(user) = &logout.user {
        put_mark(context, mark(policy, issuer, PAGES_OF_USER, user)).await?;
    }
    let session = logout.session.filter(|_| is_by_session(policy));
    if session.is_none() && logout.user.is_none() {
        // A session that is not a conversation names no account.
        return Err(PageRefusal::Request);
    }
    let mut has_ended = false;
    if let (Some(session), Some(user)) = (&session, &logout.user) {
        has_ended = end_session(context, issuer, user, session).await;
    }
    // Some issuers use the same session id in logout tokens and access tokens, others do not. If no account
    // of the session was found, all accounts of the user end.
    if let Some(user) = logout.user.as_ref().filter(|_| !has_ended) {
        put_mark(context, mark(policy, issuer, "sub", user)).await?;
        let user = user_of(context, issuer, user);
        // If the store fails, the mark still ends the accounts: they are not used any more.
        let _ = user
            .end_where(context, Revoke::Later, |_| true, Vec::new())
            .await;
    }
    // This comes last: if something failed, the issuer may send the token again.
    context.effects.create(used).await?;
    Ok(logout.user.map(|user| (issuer.to_owned(), user)))
}

async fn put_mark(context: &PageContext, mark: Key) -> Result<(), StoreError> {
    let put = write_mark(context, mark, LIFETIME);
    context.effects.store(put).await.map(|_| ())
}

/// Ends the accounts of a session. Returns whether there was one.
async fn end_session(context: &PageContext, issuer: &str, user: &str, session: &str) -> bool {
    let user = user_of(context, issuer, user);
    let is_meant = |conversation: &ConversationId| conversation.claim() == Some(session);
    let also = vec![ConversationId::Claim(session.to_owned())];
    let ended = user.end_where(context, Revoke::Now, is_meant, also);
    // If the store fails, the marks still end the session.
    let ended = ended.await.unwrap_or_default();
    ended.iter().any(|(_, ended)| matches!(ended, Ok(Some(_))))
}

fn user_of(context: &PageContext, issuer: &str, user: &str) -> UserPlace {
    UserPlace {
        resource: context.policy.resource.clone(),
        issuer: issuer.to_owned(),
        user: user.to_owned(),
    }
}

/// Verifies a logout token. Fetches the issuer's keys first if necessary.
async fn verify(
    context: &PageContext,
    token: &Secret,
) -> Result<(IssuerId, VerifiedLogout), PageRefusal> {
    let client_id = |issuer: IssuerId| {
        let sign_in = context.policy.sign_ins.get(issuer.0)?.as_ref()?;
        let client_id = sign_in.client.token.client_id.clone();
        sign_in.back_channel_logout.then_some(client_id)
    };
    let client = context.effects.client().await;
    let verify = || {
        let mut verifier = context.verifier.borrow_mut();
        let verified = verifier.verify_logout((token, client), client_id, context.now());
        verified.map_err(PageRefusal::LogoutToken)
    };
    let fetch = match verify()? {
        (issuer, LogoutVerification::Verified(logout)) => return Ok((issuer, logout)),
        (_, LogoutVerification::PendingFetch(fetch)) => fetch,
    };
    context.effects.fetch(fetch).await;
    match verify()? {
        (issuer, LogoutVerification::Verified(logout)) => Ok((issuer, logout)),
        (_, LogoutVerification::PendingFetch(fetch)) => {
            Err(PageRefusal::LogoutToken(fetch.unavailable()))
        }
    }
}
