//! What goes through the browser, each sealed for one purpose, with an end: nobody but this filter
//! reads or makes it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::discovery::Discovered;
use super::question;
use super::refusal::PageRefusal;
use super::vault::{Conversation, Place};
use base::seal::{Owner, Purpose, Sealer};
use base::store::Key;

/// How long a link, a sign-in in the browser, or a connection under way lasts, in seconds.
pub(super) const LASTS: u64 = 600;

/// Seals and opens for one MCP server. Whose something is stands inside: who opens a page is not
/// known yet.
#[derive(Clone, Copy)]
pub(super) struct Seals<'a> {
    pub(super) sealer: &'a Sealer,
    pub(super) resource: &'a str,
}

/// Something that ends.
pub(super) trait Ends {
    /// When, in Unix seconds.
    fn expires(&self) -> u64;
}

/// Who is to do what on a page: the link in the answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) issuer: String,
    pub(super) user: String,
    pub(super) errand: LinkPurpose,
    pub(super) expires: u64,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkPurpose {
    /// To connect an account, in a conversation.
    Connect {
        conversation: Conversation,
        connection: String,
    },
    /// To answer the question about a call that has this name.
    Answer { question: Key },
}

/// Who is signed in in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Browser {
    pub(super) issuer: String,
    pub(super) user: String,
    /// As the user is called on pages.
    pub(super) name: String,
    pub(super) expires: u64,
}

/// The form of a page. Bound to the browser's sign-in and the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    pub(super) expires: u64,
}

/// The form that answers a question. Bound as the other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswerForm {
    /// Which question the page showed.
    pub(super) question: u64,
    pub(super) expires: u64,
}

/// The `state` with which the browser goes away and comes back, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    /// What it is for.
    pub(super) ticket: Ticket,
    /// The PKCE code verifier.
    pub(super) verifier: String,
    /// Which one it is; the `nonce` of a sign-in.
    pub(super) id: String,
    /// The digest of the cookie of the browser it began in.
    pub(super) browser: String,
    /// Where it goes, if the policy does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discovered: Option<Discovered>,
    pub(super) expires: u64,
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

    /// Opens something that has not ended.
    pub(super) fn open<T: DeserializeOwned + Ends>(
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

impl Ticket {
    /// Where what is connected with it belongs.
    pub(super) fn place(&self, resource: &str) -> Option<Place> {
        let LinkPurpose::Connect {
            conversation,
            connection,
        } = &self.errand
        else {
            return None;
        };
        Some(Place {
            resource: resource.to_owned(),
            issuer: self.issuer.clone(),
            user: self.user.clone(),
            conversation: conversation.clone(),
            connection: connection.clone(),
        })
    }

    /// The question it is about, where it is about one.
    pub(super) fn question(&self, resource: &str) -> Option<question::Place> {
        let LinkPurpose::Answer { question } = &self.errand else {
            return None;
        };
        Some(question::Place {
            resource: resource.to_owned(),
            issuer: self.issuer.clone(),
            user: self.user.clone(),
            key: question.clone(),
        })
    }

    /// What is to be connected, where something is.
    pub(super) fn connection(&self) -> Option<&str> {
        match &self.errand {
            LinkPurpose::Connect { connection, .. } => Some(connection),
            LinkPurpose::Answer { .. } => None,
        }
    }

    /// The page it leads to.
    pub(super) fn page(&self) -> &'static str {
        match self.errand {
            LinkPurpose::Connect { .. } => "connect",
            LinkPurpose::Answer { .. } => "confirm",
        }
    }
}

impl Browser {
    /// When the user signed in, in Unix seconds.
    pub(super) fn signed_in(&self) -> u64 {
        self.expires.saturating_sub(LASTS)
    }

    /// Whether a ticket is the user's.
    pub(super) fn is_of(&self, ticket: &Ticket) -> bool {
        (&self.issuer, &self.user) == (&ticket.issuer, &ticket.user)
    }
}

impl AuthorizationRequest {
    /// When it began, in Unix seconds.
    pub(super) fn began(&self) -> u64 {
        self.expires.saturating_sub(LASTS)
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

/// Random bytes as a text of 43 characters.
pub(super) fn random_text(random: super::Random) -> Result<String, PageRefusal> {
    let bytes = (random.0)().ok_or(PageRefusal::Random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Says nothing: there is a code verifier in it.
impl std::fmt::Debug for AuthorizationRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AuthorizationRequest")
    }
}

impl Ends for Ticket {
    fn expires(&self) -> u64 {
        self.expires
    }
}

impl Ends for Browser {
    fn expires(&self) -> u64 {
        self.expires
    }
}

impl Ends for Form {
    fn expires(&self) -> u64 {
        self.expires
    }
}

impl Ends for AnswerForm {
    fn expires(&self) -> u64 {
        self.expires
    }
}

impl Ends for AuthorizationRequest {
    fn expires(&self) -> u64 {
        self.expires
    }
}
