//! Linked accounts in the store. They are sealed, under a key that is a hash, until the link to the account
//! ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use base::hex;
use base::json::{Reader, outline};
use base::seal::{Owner, Purpose, Sealer};
use base::secret::Secret;
use base::store::{Key, RecordKind, StoreOperation, StoreRecord};
use base::time::UnixTime;
use oauth::VerifiedToken;
use oauth::client::{DiscoveredServer, Tokens};
use policy::{
    AppliedCredential, ClientSharing, Connection, Conversation, OAuthConnection, Policy,
    SessionSharing, TestUser, UnusableCredential, UsedCredential,
};
use thiserror::Error;

/// A token is refreshed this long before its end, so that the call with it has time.
const REFRESH_MARGIN: Duration = Duration::from_secs(30);
/// A record stays in the store for this long after its end, so that a worker can take it and revoke its token.
pub(super) const END_GRACE: Duration = Duration::from_secs(600);
/// A value of `_meta` that is longer, in bytes, is replaced by its hash.
const MAX_META_VALUE: usize = 64;

/// The user, the connection and the conversation of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPlace {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// The calling user's id.
    pub user: String,
    /// The conversation in which the account is used.
    pub conversation: ConversationId,
    /// The connection's name in the policy.
    pub connection: String,
    /// The client that uses the account. Empty if all clients of the user share it, or the token names no
    /// client.
    pub client: String,
    /// The test user that the caller acts as. Empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub test_user: String,
    /// The id of an account that is kept but not current. Empty for the current one, which calls use.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kept: String,
}

/// Why a caller has no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAccountPlace {
    /// The token does not name the user or the conversation.
    #[error("the token does not name the conversation")]
    NoConversation,
    /// The caller acts as a test user, and the policy does not give this test user the connection.
    #[error("a test user has no linked account")]
    TestUser,
}

/// A conversation of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationId {
    /// All calls of a user are one conversation.
    User,
    /// The server's session id, as the server knows it.
    Session(String),
    /// The value of a claim of the caller's token.
    Claim(String),
    /// A key of the call's `_meta`, and its value or the hash of it. The client chooses both.
    Meta(String, String),
    /// The part of a conversation that is in this session of the server.
    InSession(Box<Self>, String),
}

/// What a call says about its conversation, beside the caller's token.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOrigin<'a> {
    /// The server's own session id.
    pub session: Option<&'a str>,
    /// The conversation that the call's `_meta` names.
    pub meta: Option<&'a ConversationId>,
}

/// A linked account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedAccount {
    /// Its credential at the resource.
    pub credential: AccountCredential,
    /// The source of its credential, as [`Connection::source`] names it. `None`: it is of an earlier version.
    pub source: Option<String>,
    /// The account's name at the resource.
    pub name: Option<String>,
    /// When the user linked it.
    pub linked_at: UnixTime,
    /// When the link ends. A refresh does not change it.
    pub ends: UnixTime,
}

/// The credential of a linked account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCredential {
    /// The tokens of an authorization server.
    Tokens(AccountTokens),
    /// A key that the user typed.
    Key(Secret),
    /// A user name and a password that the user typed.
    Password(String, Secret),
}

/// The tokens that an authorization server gave this filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTokens {
    /// The access token for the resource.
    pub access_token: Secret,
    /// The refresh token, if the policy allows refreshes.
    pub refresh_token: Option<Secret>,
    /// When the access token ends. `None`: the authorization server did not say.
    pub expires: Option<UnixTime>,
    /// The token's scope, if it is not the requested one.
    pub scope: Option<String>,
    /// The authorization server, if the policy does not have the endpoints.
    pub discovered: Option<DiscoveredServer>,
}

/// Whether a linked account can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usable {
    /// Yes.
    Now,
    /// Yes, after its token is refreshed.
    AfterRefresh,
    /// No: the user has to link it again.
    No,
}

/// A linked account, as JSON that is then sealed.
#[derive(Serialize, Deserialize)]
struct WrittenAccount {
    #[serde(flatten)]
    credential: WrittenCredential,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    connected: UnixTime,
    ends: UnixTime,
    /// When the store drops the record. Records of earlier versions end with their accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_until: Option<UnixTime>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenCredential {
    Tokens {
        access_token: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        token_expires: Option<UnixTime>,
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        discovered: Option<DiscoveredServer>,
    },
    Key {
        key: String,
    },
    Password {
        user: String,
        password: String,
    },
}

impl WrittenCredential {
    fn of(credential: &AccountCredential) -> Self {
        let reveal = |secret: &Secret| secret.reveal().to_owned();
        match credential {
            AccountCredential::Tokens(tokens) => Self::Tokens {
                access_token: reveal(&tokens.access_token),
                refresh_token: tokens.refresh_token.as_ref().map(reveal),
                token_expires: tokens.expires,
                scope: tokens.scope.clone(),
                discovered: tokens.discovered.clone(),
            },
            AccountCredential::Key(key) => Self::Key { key: reveal(key) },
            AccountCredential::Password(user, password) => Self::Password {
                user: user.clone(),
                password: reveal(password),
            },
        }
    }

    fn read(self) -> AccountCredential {
        match self {
            Self::Tokens {
                access_token,
                refresh_token,
                token_expires,
                scope,
                discovered,
            } => AccountCredential::Tokens(AccountTokens {
                access_token: Secret::new(access_token),
                refresh_token: refresh_token.map(Secret::new),
                expires: token_expires,
                scope,
                discovered,
            }),
            Self::Key { key } => AccountCredential::Key(Secret::new(key)),
            Self::Password { user, password } => {
                AccountCredential::Password(user, Secret::new(password))
            }
        }
    }
}

impl AccountPlace {
    /// The place of the caller's account at a connection. `test_user` is the test user that the caller acts
    /// as.
    ///
    /// # Errors
    ///
    /// The caller cannot have an account there.
    pub fn of_caller(
        policy: &Policy,
        caller: &VerifiedToken,
        test_user: Option<(&str, &TestUser)>,
        origin: CallOrigin<'_>,
        connection: &Connection,
    ) -> Result<Self, NoAccountPlace> {
        if test_user.is_some_and(|(_, user)| !user.connections.contains(&connection.name)) {
            return Err(NoAccountPlace::TestUser);
        }
        // Its account is needed before there is a session.
        let is_of_all_requests = policy.upstream.connection() == Some(&connection.name);
        let origin = match is_of_all_requests {
            true => CallOrigin::default(),
            false => origin,
        };
        let user = caller.identity().user.clone();
        let conversation = ConversationId::of_caller(policy, caller, origin);
        match (user, conversation) {
            (Some(user), Some(conversation)) => Ok(Self {
                resource: policy.resource.clone(),
                issuer: caller.issuer_name().to_owned(),
                user,
                conversation,
                connection: connection.name.clone(),
                client: client_of(policy, caller).to_owned(),
                test_user: test_user.map_or_else(String::new, |(name, _)| name.to_owned()),
                kept: String::new(),
            }),
            _ => Err(NoAccountPlace::NoConversation),
        }
    }

    /// The key of the record.
    pub fn key(&self) -> Key {
        let owner = [self.resource.as_str(), &self.issuer, &self.user];
        let account = [self.connection.as_str(), &self.client];
        let conversation = self.conversation.named();
        // Most places have neither. The list of the others begins with a URL.
        let more = match (self.test_user.as_str(), self.kept.as_str()) {
            ("", "") => Vec::new(),
            (test_user, kept) => vec!["", test_user, kept],
        };
        let named = [&more[..], &owner, &conversation, &account].concat();
        Key::of(RecordKind::Account, &owner, &named)
    }

    /// Reads the account. The value opens with [`AccountPlace::open`].
    pub fn get(&self) -> StoreOperation {
        StoreOperation::Get(self.key())
    }

    /// Writes an account, or replaces the one at this place. The record ends when the account is not usable
    /// any more.
    pub fn put(&self, sealer: &Sealer, account: &LinkedAccount) -> StoreOperation {
        StoreOperation::Put(self.record(sealer, account))
    }

    /// Writes an account, if there is none at this place.
    pub(super) fn create(&self, sealer: &Sealer, account: &LinkedAccount) -> StoreOperation {
        StoreOperation::Create(self.record(sealer, account))
    }

    /// Writes an account in place of `found`, which was read as `value`, if it has not changed since.
    pub fn replace(
        &self,
        sealer: &Sealer,
        (found, value): (&LinkedAccount, &str),
        account: &LinkedAccount,
    ) -> StoreOperation {
        let old = self.found_record(sealer, found, value);
        StoreOperation::Replace(old, self.record(sealer, account))
    }

    /// Deletes the account `found`, which was read as `value`, if it has not changed since.
    pub(super) fn take(
        &self,
        sealer: &Sealer,
        found: &LinkedAccount,
        value: &str,
    ) -> StoreOperation {
        StoreOperation::DeleteRecord(self.found_record(sealer, found, value))
    }

    /// The record of `found`, which was read as `value`.
    fn found_record(&self, sealer: &Sealer, found: &LinkedAccount, value: &str) -> StoreRecord {
        let written = self.written(sealer, value);
        let expires = written.and_then(|written| written.kept_until);
        StoreRecord {
            key: self.key(),
            value: value.to_owned(),
            expires: expires.unwrap_or_else(|| found.last_use()),
        }
    }

    fn record(&self, sealer: &Sealer, account: &LinkedAccount) -> StoreRecord {
        let key = self.key();
        let bound = key.as_str().as_bytes();
        let expires = account.last_use().saturating_add(END_GRACE);
        let written = WrittenAccount {
            credential: WrittenCredential::of(&account.credential),
            source: account.source.clone(),
            account: account.name.clone(),
            connected: account.linked_at,
            ends: account.ends,
            kept_until: Some(expires),
        };
        let value = sealer.seal(Purpose::Connection, self.owner(), &[bound], &written);
        StoreRecord {
            value,
            expires,
            key,
        }
    }

    /// Deletes the account.
    pub fn delete(&self) -> StoreOperation {
        StoreOperation::Delete(self.key())
    }

    /// Opens a value that was read. `None`: it belongs to another place, or has ended.
    pub fn open(&self, sealer: &Sealer, value: &str, now: UnixTime) -> Option<LinkedAccount> {
        let account = self.read(sealer, value)?;
        (now < account.last_use()).then_some(account)
    }

    fn written(&self, sealer: &Sealer, value: &str) -> Option<WrittenAccount> {
        let key = self.key();
        let bound = key.as_str().as_bytes();
        sealer.open(Purpose::Connection, self.owner(), &[bound], value)
    }

    /// Opens a value that was read, also if the account has ended.
    pub(super) fn read(&self, sealer: &Sealer, value: &str) -> Option<LinkedAccount> {
        let written = self.written(sealer, value)?;
        Some(LinkedAccount {
            credential: written.credential.read(),
            source: written.source,
            name: written.account,
            linked_at: written.connected,
            ends: written.ends,
        })
    }

    /// The names of its user: the resource, the issuer and the id.
    pub(super) fn owner_names(&self) -> [&str; 3] {
        [&self.resource, &self.issuer, &self.user]
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            resource: &self.resource,
            issuer: &self.issuer,
            user: &self.user,
            view: "",
        }
    }
}

/// The client of a caller, for linked accounts and agreements. Empty if clients share them, or the token
/// names no client.
pub fn client_of<'t>(policy: &Policy, caller: &'t VerifiedToken) -> &'t str {
    match policy.vault.clients {
        ClientSharing::Own => caller.client().unwrap_or_default(),
        ClientSharing::Shared => "",
    }
}

impl ConversationId {
    /// The conversation of a call. `None`: the token lacks the claim that names the conversation.
    pub fn of_caller(
        policy: &Policy,
        caller: &VerifiedToken,
        origin: CallOrigin<'_>,
    ) -> Option<Self> {
        let named = match &policy.vault.conversation {
            Conversation::Session => None,
            Conversation::Claim(_) => Some(Self::Claim(caller.conversation()?.to_owned())),
            Conversation::Meta(_) => origin.meta.cloned(),
        };
        let divides = policy.vault.sessions == SessionSharing::Own;
        Some(match (named, origin.session.filter(|_| divides)) {
            (None, None) => Self::User,
            (None, Some(session)) => Self::Session(session.to_owned()),
            (Some(named), None) => named,
            (Some(named), Some(session)) => Self::InSession(Box::new(named), session.to_owned()),
        })
    }

    /// The conversation that the `_meta` of a call names, if the policy goes by it. `body` was read strictly.
    pub(crate) fn of_meta(policy: &Policy, body: &[u8]) -> Option<Self> {
        let Conversation::Meta(meta) = &policy.vault.conversation else {
            return None;
        };
        meta.keys().iter().find_map(|key| {
            let start = outline::find(body, &["params", "_meta", key])?;
            let value = Reader::new(body.get(start..)?, 1).string().ok()?.value;
            let value = match value.len() <= MAX_META_VALUE {
                true => value.into_owned(),
                false => hex::encode(&hmac_sha256::Hash::hash(value.as_bytes())),
            };
            Some(Self::Meta(key.clone(), value))
        })
    }

    /// Its parts in a record's key. Each conversation has others.
    pub(crate) fn named(&self) -> Vec<&str> {
        match self {
            Self::User => vec!["user", ""],
            Self::Session(id) => vec!["session", id],
            Self::Claim(value) => vec!["claim", value],
            Self::Meta(key, value) => vec!["meta", key, value],
            Self::InSession(of, id) => [&of.named()[..], &["session", id]].concat(),
        }
    }

    /// Whether a session, a claim or the client names it.
    pub fn has_name(&self) -> bool {
        *self != Self::User
    }

    /// The server's session that it is in.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Session(id) | Self::InSession(_, id) => Some(id),
            Self::User | Self::Claim(_) | Self::Meta(..) => None,
        }
    }

    /// The value of the claim that names it.
    pub fn claim(&self) -> Option<&str> {
        match self {
            Self::Claim(value) => Some(value),
            Self::InSession(of, _) => of.claim(),
            Self::User | Self::Session(_) | Self::Meta(..) => None,
        }
    }
}

impl LinkedAccount {
    /// An account that is linked at `now`.
    pub fn new(connection: &Connection, credential: AccountCredential, now: UnixTime) -> Self {
        Self {
            credential,
            source: Some(connection.source()),
            name: None,
            linked_at: now,
            ends: now.saturating_add(connection.lifetime),
        }
    }

    /// Whether both come from one link of the user. A refresh changes the tokens of a link, and nothing else.
    pub(super) fn is_of_same_link(&self, other: &Self) -> bool {
        self.linked_at == other.linked_at && self.name == other.name
    }

    /// Whether its credential is one for this connection. The policy may have another authorization server under
    /// the same name by now, which must not receive tokens of the one before.
    pub fn is_of(&self, connection: &Connection) -> bool {
        let mut source = self.source.iter();
        source.all(|source| *source == connection.source())
    }

    /// Its tokens, if an authorization server gave it some.
    pub fn tokens(&self) -> Option<&AccountTokens> {
        match &self.credential {
            AccountCredential::Tokens(tokens) => Some(tokens),
            AccountCredential::Key(_) | AccountCredential::Password(..) => None,
        }
    }

    /// The headers in which the server receives its credential.
    ///
    /// # Errors
    ///
    /// A header cannot have the credential: the policy has changed since the account was linked.
    pub fn headers(
        &self,
        connection: &Connection,
    ) -> Result<AppliedCredential, UnusableCredential> {
        connection.apply.headers(match &self.credential {
            AccountCredential::Tokens(tokens) => UsedCredential::Key(&tokens.access_token),
            AccountCredential::Key(key) => UsedCredential::Key(key),
            AccountCredential::Password(user, password) => UsedCredential::Password(user, password),
        })
    }

    /// For tests: the same account with other tokens.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_tokens(mut self, change: impl FnOnce(&mut AccountTokens)) -> Self {
        if let AccountCredential::Tokens(tokens) = &mut self.credential {
            change(tokens);
        }
        self
    }

    /// The access token; empty for a key or password.
    pub(super) fn access_token(&self) -> Secret {
        let tokens = self.tokens();
        let token = tokens.map(|tokens| tokens.access_token.clone());
        token.unwrap_or_else(|| Secret::new(String::new()))
    }

    /// The same account with new tokens. The end of the link does not change.
    pub fn refreshed(self, tokens: Tokens) -> Self {
        let AccountCredential::Tokens(before) = self.credential else {
            return self;
        };
        Self {
            credential: AccountCredential::Tokens(before.refreshed(tokens)),
            ..self
        }
    }

    /// Whether a call can use the account, if it must have been linked less than `max_age` ago.
    pub fn usable(&self, max_age: Duration, now: UnixTime) -> Usable {
        if now >= self.ends || now.since(self.linked_at) >= max_age {
            return Usable::No;
        }
        match self.tokens() {
            Some(tokens) => tokens.usable(now),
            None => Usable::Now,
        }
    }

    /// Whether a call can still use its credential without a refresh.
    pub fn has_ended(&self, now: UnixTime) -> bool {
        let expires = self.tokens().and_then(|tokens| tokens.expires);
        expires.is_some_and(|expires| now >= expires)
    }

    /// The end of the account's use.
    pub(crate) fn last_use(&self) -> UnixTime {
        match self.tokens() {
            Some(AccountTokens {
                expires: Some(expires),
                refresh_token: None,
                ..
            }) => (*expires).min(self.ends),
            _ => self.ends,
        }
    }
}

impl AccountTokens {
    /// The tokens that a connection's authorization server gave.
    pub fn new(oauth: &OAuthConnection, tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token.filter(|_| oauth.refresh),
            expires: tokens.expires,
            scope: tokens.scope,
            discovered: None,
        }
    }

    fn refreshed(self, tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            // Without a new refresh token the old one stays valid (RFC 6749 section 6).
            refresh_token: tokens.refresh_token.or(self.refresh_token),
            expires: tokens.expires,
            scope: tokens.scope.or(self.scope),
            ..self
        }
    }

    /// Whether the client id was discovered, and is not the policy's.
    pub fn has_found_client(&self) -> bool {
        let discovered = self.discovered.as_ref();
        discovered.is_some_and(DiscoveredServer::has_client_id)
    }

    fn usable(&self, now: UnixTime) -> Usable {
        match self.expires {
            Some(expires) if now.saturating_add(REFRESH_MARGIN) >= expires => {
                match self.refresh_token {
                    Some(_) => Usable::AfterRefresh,
                    None if now < expires => Usable::Now,
                    None => Usable::No,
                }
            }
            _ => Usable::Now,
        }
    }
}

#[cfg(test)]
mod tests;
