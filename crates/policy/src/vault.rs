//! What linked accounts belong to, and when they end together.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::connections::document::{ClientSharing, Conversation, SessionSharing, VaultDocument};
use super::error::{Errors, PolicyError};

/// The maximum number of conversations with linked accounts of a user.
pub const MAX_CONVERSATIONS: u16 = 64;
/// How long a conversation may be idle that nothing names: without a session to delete, and without another value
/// in the next conversation, nothing else would end it before the lifetime of its accounts.
const IDLE_WITHOUT_NAME: Duration = Duration::from_secs(1800);
/// The limits of `idle`, as for the lifetime of an account.
const IDLE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(90 * 24 * 3600);
/// The maximum length of a key of `_meta`.
const MAX_META_KEY: usize = 256;

/// Keys of `_meta` (MCP "Base Protocol"): one, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaKeys(Vec<String>);

impl MetaKeys {
    /// The keys in their order. The first one that a call has counts.
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for MetaKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetaKeysVisitor)
    }
}

struct MetaKeysVisitor;

impl<'de> Visitor<'de> for MetaKeysVisitor {
    type Value = MetaKeys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key of `_meta`, such as openai/session, or a list of keys")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<MetaKeys, E> {
        Ok(MetaKeys(vec![key.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MetaKeys, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = list.next_element()? {
            keys.push(key);
        }
        Ok(MetaKeys(keys))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for MetaKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MetaKeys".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A key of `_meta`, or a list of keys: the first one that a call has counts.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1}
            ]
        })
    }
}

/// What linked accounts belong to, and when they end together.
#[derive(Debug, Clone)]
pub struct Vault {
    /// The meaning of a conversation.
    pub conversation: Conversation,
    /// Whether clients of a user share linked accounts and agreements.
    pub clients: ClientSharing,
    /// Whether sessions of a conversation share them.
    pub sessions: SessionSharing,
    /// The maximum number of conversations of a user and a client.
    pub conversations: usize,
    /// How long a conversation may be idle, if the policy says so.
    idle: Option<Duration>,
    /// Whether the policy says nothing about sessions, although a claim names the conversation. Before there were
    /// `sessions`, these shared accounts then.
    pub(super) is_silent_about_sessions: bool,
}

impl Vault {
    /// How long a conversation may be idle. `None`: until the end of its accounts.
    pub fn idle(&self, has_name: bool) -> Option<Duration> {
        self.idle.or((!has_name).then_some(IDLE_WITHOUT_NAME))
    }
}

/// Checks `vault`.
pub(super) fn compile_vault(document: &VaultDocument, errors: &mut Errors) -> Vault {
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("vault.{key}"), message));
    };
    let idle = document.idle.map(|idle| idle.0);
    if idle.is_some_and(|idle| !IDLE.contains(&idle)) {
        refuse("idle", "expected 10s to 90d");
    }
    let sessions = document.sessions.unwrap_or_default();
    if sessions == SessionSharing::Shared && matches!(document.conversation, Conversation::Session)
    {
        let message = "`shared` needs a claim or `_meta` as `conversation`: with `session`, the session is \
                       the conversation";
        refuse("sessions", message);
    }
    if let Conversation::Meta(meta) = &document.conversation {
        let is_usable = |key: &String| !key.is_empty() && key.len() <= MAX_META_KEY;
        if meta.keys().is_empty() || !meta.keys().iter().all(is_usable) {
            let message = "expected a key of `_meta`, such as `openai/session`, or a list of keys";
            refuse("conversation.meta", message);
        }
    }
    Vault {
        conversation: document.conversation.clone(),
        clients: document.clients,
        sessions,
        conversations: document
            .conversations
            .map_or(MAX_CONVERSATIONS, |limit| limit.0)
            .into(),
        idle,
        is_silent_about_sessions: document.sessions.is_none()
            && matches!(document.conversation, Conversation::Claim(_)),
    }
}
