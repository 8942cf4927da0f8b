//! `mcp-auth accounts`: the linked accounts of a user. The engine reads and ends them; no token is printed.

mod network;

use std::path::PathBuf;
use std::rc::Rc;

use mcp_auth_filter::accounts::conversation::{ConversationAccount, ConversationPlace};
use mcp_auth_filter::accounts::of_user::conversations_of_user;
use mcp_auth_filter::accounts::vault::ConversationId;
use mcp_auth_filter::accounts::{
    AccountContext, Clients, EndedAccount, Ends, Random, Revocation, end_at,
};
use mcp_auth_filter::effect::Effects;
use mcp_auth_filter::seal_keys::sealer;
use oauth::Algorithm;
use oauth::client::ClientAuth;
use oauth::signing::SigningKey;
use policy::{Connection, Policy, PolicyError};
use serde_json::{Value, json};

use self::network::Network;
use crate::terminal_text::printable;
use crate::{CommandOutput, Failure, policy_file};
use base::store::StoreError;
use base::time::UnixTime;

/// The arguments of `mcp-auth accounts`.
#[derive(Debug, clap::Args)]
pub(crate) struct AccountsArguments {
    /// The URL of etcd's client port.
    #[arg(long, value_name = "URL")]
    store: String,
    /// The policy. The keys of `seal`, and secrets of clients to revoke tokens, are in the variables that it
    /// names.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// The issuer of the user's tokens. Not needed if the policy has one.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The user, as the token names it.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// End the user's accounts at this connection, in all conversations.
    #[arg(long, value_name = "CONNECTION", conflicts_with = "end_all")]
    end: Option<String>,
    /// End all accounts of the user, in all conversations.
    #[arg(long)]
    end_all: bool,
    /// Certificates that etcd's certificate may be signed by, in PEM. Default: those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate for etcd, in PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A linked account, and what became of it.
struct ListedAccount {
    account: ConversationAccount,
    end: Option<Result<Option<EndedAccount>, StoreError>>,
}

pub(crate) fn run(arguments: &AccountsArguments) -> Result<CommandOutput, Failure> {
    let (policy, _) = policy_file::load(&arguments.policy)?.single(arguments.path.as_deref())?;
    let issuer = issuer(&policy, arguments.issuer.as_deref())?;
    if let Some(name) = &arguments.end
        && policy.connection(name).is_none()
    {
        let names: Vec<&str> = policy
            .connections
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        return Err(Failure::usage(
            format!("the policy has no connection `{}`", printable(name)),
            format!("name one of: {}", names.join(", ")),
        ));
    }
    let (context, missing) = context(policy)?;
    let network = Network::new(arguments, &context)?;
    let user = arguments.user.clone();
    let end = match (&arguments.end, arguments.end_all) {
        (Some(connection), _) => Which::One(connection.clone()),
        (None, true) => Which::All,
        (None, false) => Which::None,
    };
    let shown = network.run(|effects| {
        let context = AccountContext {
            effects,
            ..context.clone()
        };
        async move { work(&context, &issuer, &user, &end).await }
    });
    let shown = shown.map_err(|error| {
        let reason = network.last_error();
        Failure::usage(
            format!("{error}: {}", printable(&reason)),
            "check the URL and the certificates; etcd's JSON gateway answers at its client port",
        )
    })?;
    let failed = shown.iter().any(|it| matches!(it.end, Some(Err(_))));
    let stdout = match arguments.json {
        true => format!(
            "{:#}\n",
            json!({"user": arguments.user, "accounts": shown.iter().map(ListedAccount::json).collect::<Vec<_>>()})
        ),
        false => text(&arguments.user, &shown),
    };
    let ends = shown.iter().any(|it| it.end.is_some());
    let missing = missing.filter(|_| ends).map(|name| {
        format!(
            "the variable `{}` is not set: tokens of that client are not revoked\n",
            printable(&name)
        )
    });
    Ok(CommandOutput {
        stdout,
        stderr: missing.unwrap_or_default(),
        status: u8::from(failed),
    })
}

/// The accounts to end.
enum Which {
    None,
    One(String),
    All,
}

/// Lists the accounts of a user, and ends those that are to end.
async fn work(
    context: &AccountContext,
    issuer: &str,
    user: &str,
    which: &Which,
) -> Result<Vec<ListedAccount>, StoreError> {
    let resource = context.policy.resource.clone();
    let known = conversations_of_user(context, &resource, issuer, user).await?;
    let mut conversations: Vec<ConversationId> = Vec::new();
    for each in known {
        if !conversations.contains(&each.conversation) {
            conversations.push(each.conversation);
        }
    }
    let mut shown = Vec::new();
    for conversation in conversations {
        let place = ConversationPlace {
            resource: resource.clone(),
            issuer: issuer.to_owned(),
            user: user.to_owned(),
            conversation,
        };
        for account in place.accounts(context).await? {
            let is_meant = match which {
                Which::None => false,
                Which::One(connection) => account.place.connection == *connection,
                Which::All => true,
            };
            let end = match is_meant {
                true => Some(end_at(context, &account.place).await),
                false => None,
            };
            shown.push(ListedAccount { account, end });
        }
        if matches!(which, Which::All) {
            // Authorization requests that are under way link no account any more.
            place.end(context).await?;
        }
    }
    Ok(shown)
}

/// The context of the engine, with the secrets of the environment. Also the name of a variable of a client
/// that is missing: without it tokens are not revoked.
fn context(policy: Policy) -> Result<(AccountContext, Option<String>), Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let missing = |name: &str| {
        Failure::usage(
            format!("the variable `{}` is not set", printable(name)),
            "set it to the value that Envoy has",
        )
    };
    let Some(seal) = &policy.seal else {
        return Err(Failure::usage(
            "the policy has no `seal`, so it keeps no accounts",
            "name the policy that has `connections`",
        ));
    };
    if let Some((_, name)) = seal
        .keys()
        .chain(seal.names())
        .find(|(_, name)| variable(name).is_none())
    {
        return Err(missing(name));
    }
    let sealer = sealer(seal, |path, name| {
        variable(name).ok_or_else(|| PolicyError::new(path, "is not set"))
    });
    let sealer = sealer.map_err(|error| {
        Failure::usage(
            printable(&error.to_string()),
            "set the keys to the values that Envoy has",
        )
    })?;
    let unset = policy.connections.iter().find_map(|connection| {
        let name = connection.oauth()?.server.auth().env()?;
        variable(name).is_none().then(|| name.to_owned())
    });
    // The server refuses what stands in for a missing secret or key, so its token counts as not revoked.
    let unknown_key = SigningKey::generate(Algorithm::ES256).and_then(|key| key.to_pem());
    let unknown_key = unknown_key.ok();
    let is_key = |name: &str| {
        let mut servers = policy.connections.iter().filter_map(Connection::oauth);
        servers.any(|oauth| match oauth.server.auth() {
            ClientAuth::Key { env, .. } => env == name,
            ClientAuth::Public | ClientAuth::Secret { .. } => false,
        })
    };
    let clients = Clients::of(&policy, &|name| {
        let stand_in = || match &unknown_key {
            Some(key) if is_key(name) => key.reveal().to_owned(),
            _ => "-".to_owned(),
        };
        Some(variable(name).unwrap_or_else(stand_in))
    });
    let clients = clients.map(|clients| clients.with_random(Random(random)));
    let context = AccountContext {
        policy: Rc::new(policy),
        sealer: Rc::new(sealer),
        clients: Rc::new(clients.unwrap_or_default()),
        unkept: Rc::default(),
        effects: Effects::default(),
        ends: Ends::default(),
    };
    Ok((context, unset))
}

/// Random bytes of the system.
fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// The issuer, as the policy has it.
fn issuer(policy: &Policy, named: Option<&str>) -> Result<String, Failure> {
    let names: Vec<&str> = policy.issuers.iter().map(|it| it.issuer.as_str()).collect();
    match (named, &*names) {
        (Some(named), names) if names.contains(&named) => Ok(named.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (Some(named), _) => Err(Failure::usage(
            format!("the policy has no issuer `{}`", printable(named)),
            format!("say which with --issuer: {}", names.join(", ")),
        )),
        (None, _) => Err(Failure::usage(
            "the policy has several issuers",
            format!("say which with --issuer: {}", names.join(", ")),
        )),
    }
}

impl ListedAccount {
    /// What became of it, as a word.
    fn state(&self) -> &'static str {
        match &self.end {
            None => "linked",
            Some(Ok(_)) => "ended",
            Some(Err(_)) => "not ended",
        }
    }

    /// What became of its token, in words.
    fn revocation(&self) -> Option<&'static str> {
        let ended = self.end.as_ref()?.as_ref().ok()?;
        Some(match ended.as_ref()?.revocation {
            Revocation::Confirmed => "token revoked",
            Revocation::Failed => "token not revoked: the authorization server did not confirm it",
            Revocation::NotOffered => {
                "token not revoked: the authorization server does not offer it"
            }
            Revocation::Later => "token revoked later",
        })
    }

    /// The conversation's kind. Ids of sessions are secrets.
    fn conversation(&self) -> &'static str {
        match self.account.place.conversation {
            ConversationId::User => "all calls of the user",
            ConversationId::Session(_) => "a session",
            ConversationId::Claim(_) => "a sign-in",
            ConversationId::Meta(..) => "a conversation that the client names",
            ConversationId::InSession(..) => "a session of a sign-in",
        }
    }

    fn json(&self) -> Value {
        json!({
            "connection": self.account.place.connection,
            "account": self.account.name,
            "client": self.account.place.client,
            "conversation": self.conversation(),
            "since": self.account.since.as_secs(),
            "until": self.account.until.as_secs(),
            "state": self.state(),
            "revocation": self.revocation(),
        })
    }
}

fn text(user: &str, shown: &[ListedAccount]) -> String {
    if shown.is_empty() {
        return format!("{} has no linked account\n", printable(user));
    }
    let time = |time: UnixTime| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.as_secs());
        humantime::format_rfc3339_seconds(time).to_string()
    };
    let lines = shown.iter().map(|it| {
        let place = &it.account.place;
        let name = it.account.name.as_deref();
        let name = name.map(|name| format!(" as {}", printable(name)));
        let client = match place.client.is_empty() {
            true => String::new(),
            false => format!(", client {}", printable(&place.client)),
        };
        let revocation = it.revocation().map(|it| format!("; {it}"));
        format!(
            "{}{}{client}, {}: {} since {}, until {}{}\n",
            printable(&place.connection),
            name.unwrap_or_default(),
            it.conversation(),
            it.state(),
            time(it.account.since),
            time(it.account.until),
            revocation.unwrap_or_default(),
        )
    });
    lines.collect()
}
