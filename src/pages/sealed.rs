//! Values that go through the browser: links, cookies, forms and `state`. Each is sealed for one purpose
//! and expires, so that only the filter can make or read it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::page_refusal::PageRefusal;
use crate::accounts::Random;
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::consent::call_question::QuestionPlace;
use base::seal::{Owner, Purpose, Sealer};
use base::store::Key;
use base::time::UnixTime;
use oauth::client::DiscoveredServer;
use policy::{PAGES, Policy, SignInNeeds};

/// How long a link, a sign-in in a browser, a form, or an authorization request is valid.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// The path of the page with the calls that wait for approval.
pub(super) const APPROVALS: &str = "/.mcp-auth/approvals";

/// The path of the page with the accounts of a user.
pub(super) const OVERVIEW: &str = "/.mcp-auth/";

/// Seals and opens values of one MCP server. The user is inside the value: the filter does not know the
/// user of a page before it opens the value.
#[derive(Clone, Copy)]
pub(super) struct Seals<'a> {
    pub(super) sealer: &'a Sealer,
    pub(super) resource: &'a str,
}

/// A value that expires.
pub(super) trait Expires {
    /// When it expires.
    fn expires(&self) -> UnixTime;
}

/// The content of a link to a page: its user and its purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageLink {
    pub(super) issuer: String,
    pub(super) user: String,
    #[serde(rename = "errand")]
    pub(super) purpose: LinkPurpose,
    pub(super) expires: UnixTime,
}

/// The purpose of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkPurpose {
    /// Link an account, for a conversation.
    Connect {
        conversation: ConversationId,
        connection: String,
        /// The client. Empty if the token names none, or clients share accounts.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        client: String,
        /// The test user that the caller acts as. Empty without one.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        test_user: String,
    },
    /// Answer the question about a call. Its record has this key.
    Answer { question: Key },
    /// See the calls that wait for approval. The link is for all users of the issuer.
    Approvals,
    /// See the own accounts. The link is for all users of the issuer.
    Overview,
    /// Answer for the call of another user, after one more sign-in.
    Decide(Decided),
}

/// An answer for the call of another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decided {
    /// The user id of the caller.
    pub(super) caller: String,
    /// The record of the question.
    pub(super) question: Key,
    /// The id of the question.
    pub(super) id: String,
    /// Whether the call may be made.
    pub(super) yes: bool,
}

/// The signed-in user of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BrowserUser {
    pub(super) issuer: String,
    pub(super) user: String,
    /// The user's name on pages.
    pub(super) name: String,
    /// The organization, as the ID token names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<String>,
    /// The roles in the ID token that approve calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<String>,
    /// The session at the issuer, if its ID tokens name sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// When the user signed in, as the ID token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) auth_time: Option<UnixTime>,
    /// How strong the sign-in was, as the ID token says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) acr: Option<String>,
    /// A random id, so that each sign-in has its own cookie.
    pub(super) id: String,
    pub(super) expires: UnixTime,
}

/// The form of the page that links an account. Sealed with the browser's sign-in and the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConnectForm {
    pub(super) expires: UnixTime,
}

/// The form that answers a question about a call. Sealed like [`ConnectForm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswerForm {
    /// The question on the page, by the time it was asked.
    pub(super) question: u64,
    pub(super) expires: UnixTime,
}

/// The form that answers for the call of another user. Sealed with the browser's sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ApprovalForm {
    /// The user id of the caller.
    pub(super) caller: String,
    /// The record of the question.
    pub(super) question: Key,
    /// The id of the question.
    pub(super) id: String,
    /// The sign-in that the answer needs.
    #[serde(default)]
    pub(super) needs: SignInNeeds,
    pub(super) expires: UnixTime,
}

/// An authorization request, used once. It is kept in a cookie of the browser in which it began. So `state` is
/// short, which some servers require, and no request without a sign-in can fill the store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    /// The link that led to it.
    #[serde(rename = "ticket")]
    pub(super) link: PageLink,
    /// The PKCE code verifier.
    pub(super) verifier: String,
    /// A random id; the `nonce` of a sign-in.
    pub(super) id: String,
    /// The authorization server, if the policy does not have its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discovered: Option<DiscoveredServer>,
    /// The sign-in that was requested.
    #[serde(default)]
    pub(super) needs: SignInNeeds,
    pub(super) expires: UnixTime,
}

/// The link on which the user of a place links the account. It is valid for ten minutes, for this user
/// only.
pub fn connect_link(
    policy: &Policy,
    sealer: &Sealer,
    place: &AccountPlace,
    now: UnixTime,
) -> String {
    let purpose = LinkPurpose::Connect {
        conversation: place.conversation.clone(),
        connection: place.connection.clone(),
        client: place.client.clone(),
        test_user: place.test_user.clone(),
    };
    let user = (&place.issuer, &place.user);
    link(policy, sealer, user, purpose, now.saturating_add(LIFETIME))
}

/// The link on which a user answers a question about a call, valid until `expires`. Models repeat links, so
/// it is short: it has only the question's key.
pub fn question_link(
    policy: &Policy,
    sealer: &Sealer,
    place: &QuestionPlace,
    expires: UnixTime,
) -> String {
    let question = place.key.clone();
    let user = (&place.issuer, &place.user);
    link(
        policy,
        sealer,
        user,
        LinkPurpose::Answer { question },
        expires,
    )
}

fn link(
    policy: &Policy,
    sealer: &Sealer,
    (issuer, user): (&String, &String),
    purpose: LinkPurpose,
    expires: UnixTime,
) -> String {
    let (issuer, user) = (issuer.clone(), user.clone());
    let link = PageLink {
        issuer,
        user,
        purpose,
        expires,
    };
    let resource = &policy.resource;
    let sealed = Seals { sealer, resource }.seal(Purpose::Ticket, &[], &link);
    format!("{}{}", policy.origin(), link.target(&sealed))
}

impl Seals<'_> {
    pub(super) fn seal<T: Serialize>(
        &self,
        purpose: Purpose,
        bound: &[&[u8]],
        value: &T,
    ) -> String {
        self.sealer.seal(purpose, self.owner(), bound, value)
    }

    /// Opens a value that has not expired.
    pub(super) fn open<T: DeserializeOwned + Expires>(
        &self,
        purpose: Purpose,
        bound: &[&[u8]],
        sealed: &str,
        now: UnixTime,
    ) -> Option<T> {
        let value: T = self.sealer.open(purpose, self.owner(), bound, sealed)?;
        (now < value.expires()).then_some(value)
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            resource: self.resource,
            issuer: "",
            user: "",
            view: "",
        }
    }
}

impl PageLink {
    /// A link to a page for all users of an issuer.
    pub(super) fn to_page(purpose: LinkPurpose, issuer: &str, expires: UnixTime) -> Self {
        Self {
            issuer: issuer.to_owned(),
            user: String::new(),
            purpose,
            expires,
        }
    }

    /// The place of the account that the link is for.
    pub(super) fn account_place(&self, resource: &str) -> Option<AccountPlace> {
        match &self.purpose {
            LinkPurpose::Connect {
                conversation,
                connection,
                client,
                test_user,
            } => Some(AccountPlace {
                resource: resource.to_owned(),
                issuer: self.issuer.clone(),
                user: self.user.clone(),
                conversation: conversation.clone(),
                connection: connection.clone(),
                client: client.clone(),
                test_user: test_user.clone(),
                kept: String::new(),
            }),
            LinkPurpose::Answer { .. }
            | LinkPurpose::Approvals
            | LinkPurpose::Decide(_)
            | LinkPurpose::Overview => None,
        }
    }

    /// The place of the question that the link is for.
    pub(super) fn question_place(&self, resource: &str) -> Option<QuestionPlace> {
        match &self.purpose {
            LinkPurpose::Answer { question } => Some(QuestionPlace {
                resource: resource.to_owned(),
                issuer: self.issuer.clone(),
                user: self.user.clone(),
                key: question.clone(),
            }),
            LinkPurpose::Connect { .. }
            | LinkPurpose::Approvals
            | LinkPurpose::Decide(_)
            | LinkPurpose::Overview => None,
        }
    }

    /// The name of the connection that the link is for.
    pub(super) fn connection(&self) -> Option<&str> {
        match &self.purpose {
            LinkPurpose::Connect { connection, .. } => Some(connection),
            LinkPurpose::Answer { .. }
            | LinkPurpose::Approvals
            | LinkPurpose::Decide(_)
            | LinkPurpose::Overview => None,
        }
    }

    /// The client that will use the account, if it is bound to one.
    pub(super) fn client(&self) -> Option<&str> {
        match &self.purpose {
            LinkPurpose::Connect { client, .. } if !client.is_empty() => Some(client),
            _ => None,
        }
    }

    /// The path and query of its page. `sealed` is the sealed link.
    pub(super) fn target(&self, sealed: &str) -> String {
        let path = self.purpose.page_path();
        match self.purpose {
            LinkPurpose::Connect { .. } | LinkPurpose::Answer { .. } => {
                format!("{path}?ticket={sealed}")
            }
            // Its user is the one who signs in.
            LinkPurpose::Approvals | LinkPurpose::Decide(_) | LinkPurpose::Overview => path,
        }
    }
}

impl LinkPurpose {
    /// The path of its page.
    pub(super) fn page_path(&self) -> String {
        match self {
            Self::Connect { .. } => format!("{PAGES}connect"),
            Self::Answer { .. } => format!("{PAGES}confirm"),
            Self::Approvals | Self::Decide(_) => APPROVALS.to_owned(),
            Self::Overview => OVERVIEW.to_owned(),
        }
    }
}

impl BrowserUser {
    /// When the user signed in.
    pub(super) fn signed_in_at(&self) -> UnixTime {
        self.expires.saturating_sub(LIFETIME)
    }

    /// Whether a link is for this user.
    pub(super) fn is_of(&self, link: &PageLink) -> bool {
        (&self.issuer, &self.user) == (&link.issuer, &link.user)
    }
}

impl AuthorizationRequest {
    /// The start of the authorization request.
    pub(super) fn began_at(&self) -> UnixTime {
        self.expires.saturating_sub(LIFETIME)
    }

    /// The `state` of the request and of the redirect back: 43 characters.
    pub(super) fn state(&self) -> String {
        digest(&format!("state {}", self.id))
    }

    /// The PKCE code challenge (RFC 7636 section 4.2, S256).
    pub(super) fn challenge(&self) -> String {
        digest(&self.verifier)
    }
}

/// A SHA-256 in base64url.
pub(super) fn digest(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(text.as_bytes()))
}

/// 32 random bytes in base64url: 43 characters.
pub(super) fn random_text(random: Random) -> Result<String, PageRefusal> {
    let bytes = (random.0)().ok_or(PageRefusal::Random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Without the content, which has the code verifier.
impl std::fmt::Debug for AuthorizationRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AuthorizationRequest")
    }
}

macro_rules! expires {
    ($($value:ty),*) => {$(
        impl Expires for $value {
            fn expires(&self) -> base::time::UnixTime {
                self.expires
            }
        }
    )*};
}

expires!(
    PageLink,
    BrowserUser,
    ConnectForm,
    AnswerForm,
    ApprovalForm,
    AuthorizationRequest
);
pub(super) use expires;
