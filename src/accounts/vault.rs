//! Where a user's tokens are kept: on this side only, sealed, under a name that says nothing, and
//! gone when the connection ends.

use serde::{Deserialize, Serialize};

use super::discovery::Discovered;
use super::token_request::Tokens;
use base::seal::{Owner, Purpose, Sealer};
use base::secret::Secret;
use base::store::{Key, Operation, Record};
use policy::Connection;

/// A token is refreshed this long before it ends, in seconds: a call still has to arrive with it.
const EARLY: u64 = 30;

/// Whose connection it is, to what, and in which conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// Who is calling.
    pub user: String,
    /// What sets this conversation of the user apart from others.
    pub conversation: Conversation,
    /// The connection's name in the policy.
    pub connection: String,
}

/// What sets a conversation apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// Nothing: all calls of a user are one.
    User,
    /// The server's session id, as the server knows it.
    Session(String),
    /// What a claim of the caller's token says.
    Claim(String),
}

/// A connection: what the user's account gave this filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// What the resource takes.
    pub access_token: Secret,
    /// What brings the next one, where the policy lets tokens be refreshed.
    pub refresh_token: Option<Secret>,
    /// When the access token ends, if the resource said so. In Unix seconds, as all times here.
    pub token_expires: Option<u64>,
    /// The account, as the resource names it.
    pub account: Option<String>,
    /// What the token is good for, if that is not what was asked for.
    pub scope: Option<String>,
    /// When the user connected it.
    pub connected: u64,
    /// When it ends, however often it is refreshed.
    pub ends: u64,
    /// Where its tokens are from, if the policy does not say it.
    pub discovered: Option<Discovered>,
}

/// What can be done with a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usable {
    /// Its token goes with the call.
    Now,
    /// Its token has to be refreshed first.
    AfterRefresh,
    /// The user has to connect again.
    No,
}

/// As it is written under the seal.
#[derive(Serialize, Deserialize)]
struct Written {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    connected: u64,
    ends: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovered: Option<Discovered>,
}

impl Place {
    /// The name of the record.
    pub fn key(&self) -> Key {
        let (kind, conversation) = self.conversation.named();
        let (resource, issuer, user) = (&self.resource, &self.issuer, &self.user);
        let named = [resource, issuer, user, kind, conversation, &self.connection];
        Key::of("connection", &named)
    }

    /// Asks for the connection. What is found opens with [`Place::open`].
    pub fn get(&self) -> Operation {
        Operation::Get(self.key())
    }

    /// Writes a connection, whatever was there. It is gone when it can be of no more use.
    pub fn put(&self, sealer: &Sealer, connected: &Connected) -> Operation {
        Operation::Put(self.record(sealer, connected))
    }

    /// Writes a connection in place of this one, which was found as `value`, if it is still there.
    pub fn replace(
        &self,
        sealer: &Sealer,
        (found, value): (&Connected, &str),
        connected: &Connected,
    ) -> Operation {
        let old = Record {
            key: self.key(),
            value: value.to_owned(),
            expires: found.last_use(),
        };
        Operation::Replace(old, self.record(sealer, connected))
    }

    fn record(&self, sealer: &Sealer, connected: &Connected) -> Record {
        let key = self.key();
        let bound = key.as_str().as_bytes();
        let written = Written {
            access_token: connected.access_token.reveal().to_owned(),
            refresh_token: connected
                .refresh_token
                .as_ref()
                .map(|token| token.reveal().to_owned()),
            token_expires: connected.token_expires,
            account: connected.account.clone(),
            scope: connected.scope.clone(),
            connected: connected.connected,
            ends: connected.ends,
            discovered: connected.discovered.clone(),
        };
        let value = sealer.seal(Purpose::Connection, self.owner(), &[bound], &written);
        Record {
            value,
            expires: connected.last_use(),
            key,
        }
    }

    /// Deletes the connection.
    pub fn delete(&self) -> Operation {
        Operation::Delete(self.key())
    }

    /// Opens what was found. `None` if it is not this place's, or has ended.
    pub fn open(&self, sealer: &Sealer, value: &str, now: u64) -> Option<Connected> {
        let key = self.key();
        let bound = key.as_str().as_bytes();
        let written: Written = sealer.open(Purpose::Connection, self.owner(), &[bound], value)?;
        let connected = Connected {
            access_token: Secret::new(written.access_token),
            refresh_token: written.refresh_token.map(Secret::new),
            token_expires: written.token_expires,
            account: written.account,
            scope: written.scope,
            connected: written.connected,
            ends: written.ends,
            discovered: written.discovered,
        };
        (now < connected.ends).then_some(connected)
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

impl Conversation {
    /// As part of a record's name.
    pub(super) fn named(&self) -> (&'static str, &str) {
        match self {
            Self::User => ("user", ""),
            Self::Session(id) => ("session", id),
            Self::Claim(value) => ("claim", value),
        }
    }
}

impl Connected {
    /// A connection just made.
    pub fn new(connection: &Connection, tokens: Tokens, account: Option<String>, now: u64) -> Self {
        let refresh_token = tokens.refresh_token.filter(|_| connection.refresh);
        Self {
            access_token: tokens.access_token,
            refresh_token,
            token_expires: tokens.expires,
            account,
            scope: tokens.scope,
            connected: now,
            ends: now.saturating_add(connection.lifetime.as_secs()),
            discovered: None,
        }
    }

    /// The same with fresh tokens. It ends when it would have ended: only the user can make that
    /// later.
    pub fn refreshed(self, tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            // A server that hands out no new one goes on with the old one (RFC 6749 section 6).
            refresh_token: tokens.refresh_token.or(self.refresh_token),
            token_expires: tokens.expires,
            scope: tokens.scope.or(self.scope),
            ..self
        }
    }

    /// Whether this filter found out itself as which client it has the tokens.
    pub fn has_found_client(&self) -> bool {
        let discovered = self.discovered.as_ref();
        discovered.is_some_and(Discovered::has_client_id)
    }

    /// What can be done with it by a call that wants it no older than `lifetime`, in seconds.
    pub fn usable(&self, lifetime: u64, now: u64) -> Usable {
        if now >= self.ends || now.saturating_sub(self.connected) >= lifetime {
            return Usable::No;
        }
        match self.token_expires {
            Some(expires) if now.saturating_add(EARLY) >= expires => match self.refresh_token {
                Some(_) => Usable::AfterRefresh,
                None if now < expires => Usable::Now,
                None => Usable::No,
            },
            _ => Usable::Now,
        }
    }

    /// When it can be of no more use.
    fn last_use(&self) -> u64 {
        match (self.token_expires, &self.refresh_token) {
            (Some(expires), None) => expires.min(self.ends),
            _ => self.ends,
        }
    }
}

#[cfg(test)]
mod tests;
