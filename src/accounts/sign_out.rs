//! Sign-outs at the issuer. The issuer reports them by back-channel logout. A record in the store, the
//! sign-out mark, keeps their time.

use std::time::Duration;

use super::AccountContext;
use super::vault::ConversationId;
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord};
use base::time::UnixTime;
use oauth::ClaimPath;
use policy::Policy;

/// The mark that ends a user's sign-ins on the pages. It does not depend on the session that the user
/// signed out of.
pub(crate) const PAGES_OF_USER: &str = "pages";

/// The keys of the marks that end the accounts of a user in a conversation.
pub fn marks(policy: &Policy, issuer: &str, user: &str, conversation: &ConversationId) -> Vec<Key> {
    if !sends_logouts(policy, issuer) {
        return Vec::new();
    }
    let mut marks = vec![mark(policy, issuer, "sub", user)];
    if let (true, Some(session)) = (is_by_session(policy), conversation.claim()) {
        marks.push(mark(policy, issuer, "sid", session));
    }
    marks
}

/// The key of the mark for a user (`sub`), a session (`sid`) or the pages of a user of an issuer.
pub(crate) fn mark(policy: &Policy, issuer: &str, claim: &str, value: &str) -> Key {
    Key::of(
        RecordKind::SignOut,
        &[&policy.resource, issuer, claim, value],
        &[],
    )
}

/// Whether a conversation is a session of the issuer.
pub(crate) fn is_by_session(policy: &Policy) -> bool {
    let sid = ClaimPath::claim("sid");
    matches!(&policy.vault.conversation, policy::Conversation::Claim(claim) if *claim == sid)
}

/// Whether a user signed out at the issuer at or after `since`.
///
/// # Errors
///
/// The store is not available.
pub async fn has_signed_out(
    context: &AccountContext,
    (issuer, user): (&str, &str),
    conversation: &ConversationId,
    since: UnixTime,
) -> Result<bool, StoreError> {
    is_marked(
        context,
        marks(&context.policy, issuer, user, conversation),
        since,
    )
    .await
}

/// Whether a user who signed in on the pages at `since`, has signed out at the issuer
/// since: out of any session, or out of the `session` of this sign-in.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn has_left_pages(
    context: &AccountContext,
    (issuer, user): (&str, &str),
    session: Option<&str>,
    since: UnixTime,
) -> Result<bool, StoreError> {
    let policy = &context.policy;
    if !sends_logouts(policy, issuer) {
        return Ok(false);
    }
    let mut marks = vec![mark(policy, issuer, PAGES_OF_USER, user)];
    marks.extend(session.map(|session| mark(policy, issuer, "sid", session)));
    is_marked(context, marks, since).await
}

/// Whether one of these marks was written at or after `since`.
async fn is_marked(
    context: &AccountContext,
    marks: Vec<Key>,
    since: UnixTime,
) -> Result<bool, StoreError> {
    for mark in marks {
        let value = context.effects.get(mark).await?;
        // A mark that cannot be read counts as a sign-out.
        if value.is_some_and(|value| {
            value
                .parse()
                .map_or(true, |at| since <= UnixTime::from_secs(at))
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an issuer reports sign-outs to the filter.
fn sends_logouts(policy: &Policy, issuer: &str) -> bool {
    let mut issuers = policy.issuers.iter().zip(&policy.sign_ins);
    issuers.any(|(each, sign_in)| {
        each.issuer == issuer && sign_in.as_ref().is_some_and(|it| it.back_channel_logout)
    })
}

/// Writes a mark. It lasts as long as accounts, links and sign-ins from before it can be used. Links and
/// sign-ins of pages last `page_lifetime`.
pub(crate) fn write_mark(
    context: &AccountContext,
    mark: Key,
    page_lifetime: Duration,
) -> StoreOperation {
    let lifetimes = context.policy.connections.iter().map(|each| each.lifetime);
    let longest = lifetimes.max().unwrap_or_default().max(page_lifetime);
    StoreOperation::Put(StoreRecord {
        key: mark,
        value: context.now().as_secs().to_string(),
        expires: context
            .now()
            .saturating_add(longest)
            .saturating_add(Duration::from_secs(1)),
    })
}
