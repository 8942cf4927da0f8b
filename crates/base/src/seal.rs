//! Sealed ids: ids of the server (session, event, task, request state) and states of the filter,
//! encrypted and bound to one caller. The filter does not store them, and every replica with the same
//! key opens them.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac_sha256::HKDF;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::store::StoreNames;

/// The minimum length of the secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;
/// The maximum length of a sealed id, in bytes: no request is larger.
const MAX_SEALED_BYTES: usize = 1024 * 1024;

/// Seals ids with AES-SIV (RFC 5297). It needs no nonce, so an id has one sealed form for one caller:
/// clients compare session ids.
pub struct Sealer {
    key: [u8; 64],
}

/// The secret is too short to derive a key from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a secret of at least {MIN_SECRET_BYTES} characters, such as `openssl rand -hex 32` prints"
)]
pub struct ShortSecret;

/// The purpose of a sealed id. It does not open for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `Mcp-Session-Id`.
    Session,
    /// An event id, which the client sends back as `Last-Event-ID`.
    Event,
    /// A task id.
    Task,
    /// `requestState`.
    RequestState,
    /// The id of a request of the server.
    ServerRequest,
    /// A linked account in the store.
    Connection,
    /// The link that a caller opens to link an account.
    Ticket,
    /// The cookie that names the user signed in in a browser.
    Browser,
    /// A form on a page of the filter.
    Form,
    /// The `state` of a sign-in at an issuer of the policy (RFC 6749 section 4.1.1).
    SignIn,
    /// The `state` of an account being linked (RFC 6749 section 4.1.1).
    Connecting,
    /// A `requestState` that the filter made.
    Question,
    /// The filter's client registration at an authorization server.
    Client,
    /// A question in the store that the user answers on a page.
    Answer,
    /// A question to another person about a call, in the store.
    Approval,
    /// The open questions of an organization, in the store.
    OpenApprovals,
    /// The open questions of a user, in the store.
    OpenQuestions,
    /// What is linked in a conversation, in the store.
    Conversation,
    /// The codes that were redeemed for a user's links, in the store.
    Tries,
    /// The conversations of a user, in the store.
    UserConversations,
}

/// The caller a sealed id belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The MCP server. An id of one server does not open at another.
    pub resource: &'a str,
    /// The `iss` of the caller's token; empty if there is none.
    pub issuer: &'a str,
    /// The user; empty for an anonymous caller. A user id is never empty.
    pub user: &'a str,
    /// The test user or role the caller acts as; empty without one.
    pub view: &'a str,
}

impl Sealer {
    /// A sealer whose key is derived from a secret (RFC 5869).
    ///
    /// # Errors
    ///
    /// The secret is too short.
    pub fn new(secret: &str) -> Result<Self, ShortSecret> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(ShortSecret);
        }
        let mut key = [0; 64];
        let extracted = HKDF::extract(b"", secret);
        HKDF::expand(&mut key, extracted, b"mcp-auth-filter handles");
        Ok(Self { key })
    }

    /// Seals an id. It opens only for the same purpose, owner and `bound` values.
    pub fn seal<T: Serialize>(
        &self,
        purpose: Purpose,
        owner: Owner<'_>,
        bound: &[&[u8]],
        id: &T,
    ) -> String {
        let plain = serde_json::to_vec(id).unwrap_or_default();
        let sealed = self
            .cipher()
            .encrypt(associated(purpose, owner, bound), &plain)
            .unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Opens a sealed id. `None`: the text is no sealed id, or has another purpose, owner or binding.
    pub fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        owner: Owner<'_>,
        bound: &[&[u8]],
        sealed: &str,
    ) -> Option<T> {
        if sealed.len() > MAX_SEALED_BYTES {
            return None;
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = self
            .cipher()
            .decrypt(associated(purpose, owner, bound), &sealed)
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// The names that a store gives to records, from the same secret.
    pub fn store_names(&self) -> StoreNames {
        StoreNames::new(hmac_sha256::HMAC::mac(
            b"mcp-auth-filter record names",
            self.key,
        ))
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(&self.key.into())
    }
}

/// The associated data. AES-SIV authenticates it as a list: `["ab", "c"]` differs from `["a", "bc"]`.
fn associated<'a>(purpose: Purpose, owner: Owner<'a>, bound: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let purpose: &[u8] = match purpose {
        Purpose::Session => b"session",
        Purpose::Event => b"event",
        Purpose::Task => b"task",
        Purpose::RequestState => b"request state",
        Purpose::ServerRequest => b"server request",
        Purpose::Connection => b"connection",
        Purpose::Ticket => b"ticket",
        Purpose::Browser => b"browser",
        Purpose::Form => b"form",
        Purpose::SignIn => b"sign-in",
        Purpose::Connecting => b"connecting",
        Purpose::Question => b"question",
        Purpose::Client => b"client",
        Purpose::Answer => b"answer",
        Purpose::Approval => b"approval",
        Purpose::OpenApprovals => b"open approvals",
        Purpose::OpenQuestions => b"open questions",
        Purpose::Conversation => b"conversation",
        Purpose::Tries => b"tries",
        Purpose::UserConversations => b"user conversations",
    };
    let owner = [owner.resource, owner.issuer, owner.user, owner.view].map(str::as_bytes);
    [&[purpose], &owner[..], bound].concat()
}

/// Without the key.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b24_a_sealed_id_opens_for_its_owner_and_purpose_only() {
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        let owner = Owner {
            resource: "https://a/mcp",
            issuer: "https://i",
            user: "dana",
            view: "",
        };
        let sealed = sealer.seal(Purpose::Session, owner, &[b"x"], &"id-1");
        let open = |sealer: &Sealer, purpose, owner, bound: &[&[u8]], sealed: &str| {
            sealer.open::<String>(purpose, owner, bound, sealed)
        };
        assert_eq!(
            open(&sealer, Purpose::Session, owner, &[b"x"], &sealed).as_deref(),
            Some("id-1")
        );
        assert_eq!(
            sealer.seal(Purpose::Session, owner, &[b"x"], &"id-1"),
            sealed
        );
        let other = |change: fn(&mut Owner<'_>)| {
            let mut owner = owner;
            change(&mut owner);
            owner
        };
        for owner in [
            other(|owner| owner.resource = "https://b/mcp"),
            other(|owner| owner.issuer = "https://j"),
            other(|owner| owner.view = "role:support"),
            other(|owner| (owner.resource, owner.issuer) = ("https://a/mc", "phttps://i")),
            Owner {
                user: "eve",
                ..owner
            },
        ] {
            assert_eq!(
                open(&sealer, Purpose::Session, owner, &[b"x"], &sealed),
                None
            );
        }
        for (purpose, bound) in [
            (Purpose::Task, &[&b"x"[..]][..]),
            (Purpose::Session, &[b"y"]),
            (Purpose::Session, &[]),
            (Purpose::Session, &[b"x", b""]),
        ] {
            assert_eq!(open(&sealer, purpose, owner, bound, &sealed), None);
        }
        let stranger = Sealer::new(&"t".repeat(32)).unwrap();
        assert_eq!(
            open(&stranger, Purpose::Session, owner, &[b"x"], &sealed),
            None
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                open(&sealer, Purpose::Session, owner, &[b"x"], &changed),
                None
            );
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(Sealer::new(&"s".repeat(31)).err(), Some(ShortSecret));
    }

    #[test]
    fn b45_the_key_is_not_printed() {
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        assert_eq!(format!("{sealer:?}"), "Sealer");
    }
}
