//! The values that go through the browser: links, cookies, forms and `state`. Each is sealed for one
//! purpose and has an end, so that only this filter can make or read it.

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
use oauth::client::DiscoveredServer;
use policy::{PAGES, Policy};

/// How long a link, a sign-in in a browser, a form, or an authorization request is valid, in seconds.
pub(super) const LIFETIME_S: u64 = 600;

/// Seals and opens values of one MCP server. The user stands inside a value: it is not known who opens
/// a page before it is opened.
#[derive(Clone, Copy)]
pub(super) struct Seals<'a> {
    pub(super) sealer: &'a Sealer,
    pub(super) resource: &'a str,
}

/// A value that ends.
pub(super) trait Expires {
    /// When it ends, in Unix seconds.
    fn expires(&self) -> u64;
}

/// The content of a link to a page: for which user it is, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageLink {
    pub(super) issuer: String,
    pub(super) user: String,
    #[serde(rename = "errand")]
    pub(super) purpose: LinkPurpose,
    pub(super) expires: u64,
}

/// What a user does on the page of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkPurpose {
    /// Link an account, for a conversation.
    Connect {
        conversation: ConversationId,
        connection: String,
        /// Through this client; empty: the token names none, or clients share accounts.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        client: String,
    },
    /// Answer the question about a call that is kept under this key.
    Answer { question: Key },
}

/// The user who is signed in in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BrowserUser {
    pub(super) issuer: String,
    pub(super) user: String,
    /// The user's name on pages.
    pub(super) name: String,
    /// The session at the issuer, if its ID tokens name sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// Random, so that no two sign-ins have the same cookie.
    pub(super) id: String,
    pub(super) expires: u64,
}

/// The form of the page that links an account. Sealed with the browser's sign-in and the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConnectForm {
    pub(super) expires: u64,
}

/// The form that answers a question about a call. Sealed like [`ConnectForm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswerForm {
    /// The question on the page, by the time it was asked.
    pub(super) question: u64,
    pub(super) expires: u64,
}

/// An authorization request: the `state` with which the browser leaves and comes back, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    /// The link that led to it.
    #[serde(rename = "ticket")]
    pub(super) link: PageLink,
    /// The PKCE code verifier.
    pub(super) verifier: String,
    /// A random id; the `nonce` of a sign-in.
    pub(super) id: String,
    /// The digest of the cookie of the browser in which it began.
    pub(super) browser: String,
    /// The authorization server, if the policy does not have its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discovered: Option<DiscoveredServer>,
    pub(super) expires: u64,
}

/// The link on which the user of a place links the account: valid for ten minutes, for that user only.
/// `now` is in Unix seconds.
pub fn connect_link(policy: &Policy, sealer: &Sealer, place: &AccountPlace, now: u64) -> String {
    let purpose = LinkPurpose::Connect {
        conversation: place.conversation.clone(),
        connection: place.connection.clone(),
        client: place.client.clone(),
    };
    let user = (&place.issuer, &place.user);
    link(
        policy,
        sealer,
        user,
        purpose,
        now.saturating_add(LIFETIME_S),
    )
}

/// The link on which a user answers a question about a call, valid until `expires`. Models repeat it,
/// so it is short: it holds only the question's key.
pub fn question_link(
    policy: &Policy,
    sealer: &Sealer,
    place: &QuestionPlace,
    expires: u64,
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
    expires: u64,
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

    /// Opens a value that has not ended. `now` is in Unix seconds.
    pub(super) fn open<T: DeserializeOwned + Expires>(
        &self,
        purpose: Purpose,
        bound: &[&[u8]],
        sealed: &str,
        now: u64,
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
    /// Where the account is kept that is linked on the page, if it is for that.
    pub(super) fn account_place(&self, resource: &str) -> Option<AccountPlace> {
        match &self.purpose {
            LinkPurpose::Connect {
                conversation,
                connection,
                client,
            } => Some(AccountPlace {
                resource: resource.to_owned(),
                issuer: self.issuer.clone(),
                user: self.user.clone(),
                conversation: conversation.clone(),
                connection: connection.clone(),
                client: client.clone(),
            }),
            LinkPurpose::Answer { .. } => None,
        }
    }

    /// Where the question is kept that is answered on the page, if it is for that.
    pub(super) fn question_place(&self, resource: &str) -> Option<QuestionPlace> {
        match &self.purpose {
            LinkPurpose::Answer { question } => Some(QuestionPlace {
                resource: resource.to_owned(),
                issuer: self.issuer.clone(),
                user: self.user.clone(),
                key: question.clone(),
            }),
            LinkPurpose::Connect { .. } => None,
        }
    }

    /// The name of the connection to be linked, if it is for that.
    pub(super) fn connection(&self) -> Option<&str> {
        match &self.purpose {
            LinkPurpose::Connect { connection, .. } => Some(connection),
            LinkPurpose::Answer { .. } => None,
        }
    }

    /// The client through which the account will be used, if it is for one.
    pub(super) fn client(&self) -> Option<&str> {
        match &self.purpose {
            LinkPurpose::Connect { client, .. } if !client.is_empty() => Some(client),
            _ => None,
        }
    }

    /// The path and query of its page; `sealed` is the link, sealed.
    pub(super) fn target(&self, sealed: &str) -> String {
        let page = match self.purpose {
            LinkPurpose::Connect { .. } => "connect",
            LinkPurpose::Answer { .. } => "confirm",
        };
        format!("{PAGES}{page}?ticket={sealed}")
    }
}

impl BrowserUser {
    /// When the user signed in, in Unix seconds.
    pub(super) fn signed_in_at(&self) -> u64 {
        self.expires.saturating_sub(LIFETIME_S)
    }

    /// Whether a link is for this user.
    pub(super) fn is_of(&self, link: &PageLink) -> bool {
        (&self.issuer, &self.user) == (&link.issuer, &link.user)
    }
}

impl AuthorizationRequest {
    /// When it began, in Unix seconds.
    pub(super) fn began_at(&self) -> u64 {
        self.expires.saturating_sub(LIFETIME_S)
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

/// Without the content: the code verifier is in it.
impl std::fmt::Debug for AuthorizationRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AuthorizationRequest")
    }
}

macro_rules! expires {
    ($($value:ty),*) => {$(
        impl Expires for $value {
            fn expires(&self) -> u64 {
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
    AuthorizationRequest
);
pub(super) use expires;
