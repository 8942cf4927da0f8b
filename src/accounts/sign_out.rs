//! Whether a user signed out at the issuer. The issuer says so by back-channel logout; a record in the
//! store, the sign-out mark, keeps when.

use super::AccountContext;
use super::vault::ConversationId;
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord};
use oauth::ClaimPath;
use policy::Policy;

/// The mark that ends a user's sign-ins on the pages, whichever session the user signed out of.
pub(crate) const PAGES_OF_USER: &str = "pages";

/// The keys of the marks that end what a user did in a conversation.
pub fn marks(policy: &Policy, issuer: &str, user: &str, conversation: &ConversationId) -> Vec<Key> {
    if !sends_logouts(policy, issuer) {
        return Vec::new();
    }
    let mut marks = vec![mark(policy, issuer, "sub", user)];
    if let (true, ConversationId::Claim(session)) = (is_by_session(policy), conversation) {
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
    matches!(&policy.conversation, policy::Conversation::Claim(claim) if *claim == sid)
}

/// Whether a user signed out at the issuer at or after `since`, in Unix seconds.
///
/// # Errors
///
/// The store is not available.
pub async fn has_signed_out(
    context: &AccountContext,
    (issuer, user): (&str, &str),
    conversation: &ConversationId,
    since: u64,
) -> Result<bool, StoreError> {
    is_marked(
        context,
        marks(&context.policy, issuer, user, conversation),
        since,
    )
    .await
}

/// Whether a user who signed in on the pages at `since`, in Unix seconds, signed out at the issuer at or
/// after that: out of any session, or out of the `session` of this sign-in.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn has_left_pages(
    context: &AccountContext,
    (issuer, user): (&str, &str),
    session: Option<&str>,
    since: u64,
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
    since: u64,
) -> Result<bool, StoreError> {
    for mark in marks {
        let value = context.effects.get(mark).await?;
        // A mark that cannot be read counts.
        if value.is_some_and(|value| value.parse().map_or(true, |at: u64| since <= at)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an issuer tells this filter who signs out.
fn sends_logouts(policy: &Policy, issuer: &str) -> bool {
    let mut issuers = policy.issuers.iter().zip(&policy.sign_ins);
    issuers.any(|(each, sign_in)| {
        each.issuer == issuer && sign_in.as_ref().is_some_and(|it| it.back_channel_logout)
    })
}

/// Writes a mark, for as long as anything from before it could be used: accounts, and links and
/// sign-ins of pages, which last `page_lifetime_s`.
pub(crate) fn write_mark(
    context: &AccountContext,
    mark: Key,
    page_lifetime_s: u64,
) -> StoreOperation {
    let lifetimes = context.policy.connections.iter().map(|each| each.lifetime);
    let longest = lifetimes.max().unwrap_or_default().as_secs();
    let longest = longest.max(page_lifetime_s);
    StoreOperation::Put(StoreRecord {
        key: mark,
        value: context.now().to_string(),
        expires: context.now().saturating_add(longest).saturating_add(1),
    })
}
