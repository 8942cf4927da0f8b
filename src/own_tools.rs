//! The filter's own tools: they show the caller and its linked accounts, and end accounts. The server does
//! not see calls of them. [`definition()`] describes a tool in lists, [`answer`] answers a call.

mod definition;
mod sentences;
mod switch;

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

pub use self::definition::{definition, set};
use crate::accounts::vault::{AccountPlace, CallOrigin, LinkedAccount, NoAccountPlace};
use crate::accounts::{AccountContext, disconnect, find_account};
use crate::authorize::{Principal, Target, known_roles, may_see, operations};
use base::store::StoreError;
use base::time::UnixTime;
use oauth::client::missing_scopes;
use oauth::{Identity, VerifiedToken};
use policy::{Connection, OwnTool, Policy, TestUser};

const NO_CONNECTION: &str = "There is no such connection; auth_connections lists them.";

/// The caller of one of the filter's own tools.
#[derive(Debug, Clone, Copy)]
pub struct OwnToolCaller<'a> {
    /// The user who signed in.
    pub own: &'a Identity,
    /// The identity that the rights are based on: the user, or the view.
    pub caller: Principal<'a>,
    /// The name of the view. Empty without a view.
    pub view: &'a str,
    /// The test user that the caller acts as, with its name.
    pub test_user: Option<(&'a str, &'a TestUser)>,
    /// How the caller is identified, as in the log.
    pub identified_by: Option<&'a str>,
    /// The names of the user's roles.
    pub roles: &'a [String],
    /// The names of the view's roles.
    pub view_roles: &'a [String],
    /// The caller's token, if there is one.
    pub token: Option<&'a VerifiedToken>,
    /// What the call says about its conversation.
    pub origin: CallOrigin<'a>,
}

/// The answer to a call.
#[derive(Debug, Default)]
pub struct OwnToolAnswer {
    /// The result of `tools/call`.
    pub result: Value,
    /// The connection of the call, for the log.
    pub connection: Option<String>,
    /// The account that was ended, for the log.
    pub account: Option<String>,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OwnToolError {
    /// The token does not name the conversation.
    #[error("the token does not name the conversation")]
    NoConversation,
    /// There is no key to seal with.
    #[error("there is no key to seal with")]
    NoSealKey,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers a call of one of the filter's own tools. `accounts` is missing if there is no seal key.
///
/// # Errors
///
/// The store failed, the token does not name the conversation, or there is no seal key.
pub async fn answer(
    policy: &Policy,
    accounts: Option<&AccountContext>,
    caller: &OwnToolCaller<'_>,
    tool: OwnTool,
    arguments: &[u8],
) -> Result<OwnToolAnswer, OwnToolError> {
    let named = match read_arguments(tool, arguments) {
        Ok(named) => named,
        Err(expected) => return Ok(failed(expected)),
    };
    match tool {
        OwnTool::WhoAmI => {
            let said = caller.who_am_i();
            Ok(complete(&said, sentences::who_am_i(&said)))
        }
        OwnTool::Connections => {
            let mut connections = Vec::new();
            for connection in &policy.connections {
                connections.extend(caller.shown(policy, accounts, connection).await?);
            }
            let now = accounts.map(AccountContext::now);
            let text = sentences::connections(&connections, now);
            Ok(complete(&json!({"connections": connections}), text))
        }
        OwnTool::Switch => match policy.connection(&named) {
            Some(connection)
                if connection.is_connected_by_users()
                    && !caller.tools_of(policy, connection).is_empty() =>
            {
                switch::answer(policy, accounts, caller, connection).await
            }
            _ => Ok(failed(NO_CONNECTION)),
        },
        OwnTool::Disconnect => {
            let Some(connection) = policy.connection(&named) else {
                return Ok(failed(NO_CONNECTION));
            };
            // A connection that only tools of other callers need is not named.
            let is_needed = !caller.tools_of(policy, connection).is_empty();
            let place = match caller.place(policy, connection) {
                Ok(place) => place,
                Err(NoAccountPlace::NoConversation) if is_needed => {
                    return Err(OwnToolError::NoConversation);
                }
                Err(_) => return Ok(failed(NO_CONNECTION)),
            };
            let accounts = accounts.ok_or(OwnToolError::NoSealKey)?;
            let ended = disconnect(accounts, &place).await?;
            if ended.is_none() && !is_needed {
                return Ok(failed(NO_CONNECTION));
            }
            let mut said = json!({"connection": named, "disconnected": ended.is_some()});
            if let Some(ended) = &ended {
                set(&mut said, "revoked", json!(ended.revocation.name()));
            }
            let text = sentences::disconnected(connection, ended.as_ref());
            Ok(OwnToolAnswer {
                connection: Some(named),
                account: ended.and_then(|ended| ended.name),
                ..complete(&said, text)
            })
        }
    }
}

/// The result of `auth_whoami`.
#[derive(Serialize)]
struct WhoAmI<'a> {
    roles: &'a [String],
    scopes: &'a [String],
    identified_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_age_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_as: Option<ActingAs<'a>>,
}

#[derive(Serialize)]
struct ActingAs<'a> {
    view: &'a str,
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
}

/// A connection in the result of `auth_connections`.
#[derive(Serialize)]
struct ShownConnection<'a> {
    name: &'a str,
    title: &'a str,
    connected: bool,
    tools: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Scopes that were requested and not granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_scopes: Vec<&'a str>,
    /// When the connection ends.
    #[serde(skip)]
    ends: Option<UnixTime>,
}

impl OwnToolCaller<'_> {
    fn who_am_i(&self) -> WhoAmI<'_> {
        let other = self.caller.identity;
        let acting_as = ActingAs {
            view: self.view,
            roles: self.view_roles,
            user: other.user.as_deref(),
            organization: other.organization.as_deref(),
        };
        WhoAmI {
            roles: self.roles,
            scopes: &self.own.scopes,
            identified_by: self.identified_by,
            user: self.own.user.as_deref(),
            organization: self.own.organization.as_deref(),
            token_age_s: self.caller.token_age.map(|age| age.as_secs()),
            acting_as: (!self.view.is_empty()).then_some(acting_as),
        }
    }

    /// A connection in the list, if one of the caller's tools needs it or it is linked.
    async fn shown<'c>(
        &self,
        policy: &Policy,
        accounts: Option<&AccountContext>,
        connection: &'c Connection,
    ) -> Result<Option<ShownConnection<'c>>, StoreError> {
        let Ok(place) = self.place(policy, connection) else {
            return Ok(None);
        };
        let account = match accounts {
            Some(accounts) => find_account(accounts, &place).await?.linked(),
            None => None,
        };
        let tools = self.tools_of(policy, connection);
        if account.is_none() && tools.is_empty() {
            return Ok(None);
        }
        let missing = match (
            connection.oauth(),
            account.as_ref().and_then(LinkedAccount::tokens),
        ) {
            (Some(oauth), Some(tokens)) => missing_scopes(&oauth.scopes, tokens.scope.as_deref()),
            _ => Vec::new(),
        };
        let date = |of: fn(&LinkedAccount) -> UnixTime| account.as_ref().map(|it| date(of(it)));
        Ok(Some(ShownConnection {
            name: &connection.name,
            title: &connection.title,
            connected: account.is_some(),
            tools,
            since: date(|account| account.linked_at),
            until: date(|account| account.ends),
            missing_scopes: missing,
            ends: account.as_ref().map(|account| account.ends),
            account: account.and_then(|account| account.name),
        }))
    }

    fn place(
        &self,
        policy: &Policy,
        connection: &Connection,
    ) -> Result<AccountPlace, NoAccountPlace> {
        let token = self.token.ok_or(NoAccountPlace::NoConversation)?;
        AccountPlace::of_caller(policy, token, self.test_user, self.origin, connection)
    }

    /// The caller's tools that need a connection: names or patterns, as the policy writes them.
    fn tools_of(&self, policy: &Policy, connection: &Connection) -> Vec<String> {
        let identity = self.caller.identity;
        let roles = known_roles(policy, identity);
        let granted = roles.iter().flat_map(|(_, role)| &role.tools);
        let granted = granted.map(|grant| grant.pattern.written());
        let ruled = policy.tools.iter().map(|tool| tool.pattern.written());
        let needs_it = |tool: &str| {
            let operations = operations(policy, identity, Target::Tool(tool));
            let needed = policy.connection_for(&operations);
            needed.is_some_and(|(needed, _)| needed.name == connection.name)
        };
        let mut tools: Vec<String> = granted
            .chain(ruled)
            .filter(|tool| needs_it(tool) && may_see(policy, self.caller, Target::Tool(tool)))
            .map(str::to_owned)
            .collect();
        tools.sort_unstable();
        tools.dedup();
        tools
    }
}

/// The name of the connection in the arguments, for the tool that has one.
fn read_arguments(tool: OwnTool, arguments: &[u8]) -> Result<String, &'static str> {
    let arguments: Value = serde_json::from_slice(arguments).unwrap_or_default();
    let arguments = arguments.as_object().ok_or("Expected an object.")?;
    let connection = arguments.get("connection").and_then(Value::as_str);
    match (tool, connection, arguments.len()) {
        (OwnTool::Disconnect | OwnTool::Switch, Some(connection), 1) => Ok(connection.to_owned()),
        (OwnTool::Disconnect | OwnTool::Switch, ..) => {
            Err("Expected one argument, `connection`: a text.")
        }
        (_, _, 0) => Ok(String::new()),
        _ => Err("Expected no arguments."),
    }
}

/// A result: its fields for programs, and a text for people and models.
fn complete(said: &impl Serialize, text: String) -> OwnToolAnswer {
    let said = json!(said);
    let content = json!([{"type": "text", "text": text}]);
    OwnToolAnswer {
        result: json!({"content": content, "structuredContent": said}),
        ..OwnToolAnswer::default()
    }
}

/// A result with an error text for the model.
fn failed(message: &str) -> OwnToolAnswer {
    OwnToolAnswer {
        result: json!({"content": [{"type": "text", "text": message}], "isError": true}),
        ..OwnToolAnswer::default()
    }
}

fn date(time: UnixTime) -> String {
    let mut date = String::new();
    if let Some(then) = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs())) {
        // Fails only for years after 9999.
        let _ = write!(date, "{}", humantime::format_rfc3339_seconds(then));
    }
    date
}
