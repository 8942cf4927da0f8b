//! `mcp-auth token`: tokens for tests, signed with a local key. The policy reads the given caller from them.

mod local_key;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base::hex;
use base::time::UnixTime;
use oauth::{Delegation, Identity, Signatures, TokenCheck, TokenType, TrustedIssuer};
use policy::Policy;
use serde_json::{Map, Value, json};

use self::local_key::{KeyAlgorithm, key_note, local_key};
use crate::terminal_text::{printable, wrapped};
use crate::{CommandOutput, Failure, explain, files, identity_claims, policy_file};

/// The bytes of randomness in the id of a token.
const ID_BYTES: usize = 16;

/// The arguments of `mcp-auth token`.
#[derive(Debug, clap::Args)]
pub(crate) struct TestTokenArguments {
    /// The policy that will read the token.
    #[arg(long)]
    policy: PathBuf,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// The user.
    #[arg(long, required_unless_present_any = ["jwks", "claims", "claim"])]
    user: Option<String>,
    /// The organization.
    #[arg(long)]
    organization: Option<String>,
    /// A role. Several may be given.
    #[arg(long)]
    role: Vec<String>,
    /// A scope. Several may be given.
    #[arg(long)]
    scope: Vec<String>,
    /// A claim. The value is JSON, or else a text. It replaces other values.
    #[arg(long, value_name = "NAME=VALUE")]
    claim: Vec<String>,
    /// More claims, as a JSON object.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The issuer. Default: the first one of the policy that signs.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The audience. Default: the first one that the policy accepts.
    #[arg(long)]
    audience: Option<String>,
    /// How long the token is valid.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    lifetime: Duration,
    /// The algorithm of a new key. Default: the first one that the policy accepts.
    #[arg(long, value_enum)]
    algorithm: Option<KeyAlgorithm>,
    /// The private key, in PEM. If the file does not exist, a new key is written to it.
    #[arg(long, value_name = "FILE", default_value = "mcp-auth-test-key.pem")]
    key: PathBuf,
    /// In place of a token: print the key set that checks it.
    #[arg(long)]
    jwks: bool,
    /// Print JSON: the token, its claims, and when it expires. A key set is JSON anyway.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &TestTokenArguments) -> Result<CommandOutput, Failure> {
    let (policy, _) = policy_file::load(&arguments.policy)?.single(arguments.path.as_deref())?;
    let (issuer, signatures) = issuer(&policy, arguments.issuer.as_deref())?;
    let (key, mut notes) = local_key(&arguments.key, arguments.algorithm, &signatures.algorithms)?;
    if arguments.jwks {
        return Ok(output(format!("{:#}\n", key.key_set()), &notes));
    }
    let claims = claims(arguments, issuer)?;
    let header = match signatures.types.first() {
        Some(TokenType::AccessToken) => json!({"typ": "at+jwt"}),
        Some(TokenType::Absent) => json!({"typ": null}),
        Some(TokenType::Jwt) | None => json!({}),
    };
    let token = key.sign(&header, &Value::Object(claims.clone()));
    let token = token.map_err(explain::cannot_sign)?;
    notes.extend(key_note(&signatures.keys, &key, &arguments.key));
    if policy.dpop.as_ref().is_some_and(|rules| rules.required) && !claims.contains_key("cnf") {
        notes.push("the policy accepts only tokens that are bound to a key: bind it with --claim 'cnf={\"jkt\": \"...\"}'".to_owned());
    }
    let stdout = match arguments.json {
        true => {
            let expires = claims.get("exp").cloned();
            let key = files::name(&arguments.key);
            format!(
                "{:#}\n",
                json!({"token": token, "claims": claims, "expires": expires, "key": key})
            )
        }
        false => format!("{token}\n"),
    };
    Ok(output(stdout, &notes))
}

/// The output, with notes about it that are no part of it.
fn output(stdout: String, notes: &[String]) -> CommandOutput {
    let warning = "this key is for tests: a policy that accepts it accepts every token that a reader of the key file makes";
    let notes = notes.iter().map(String::as_str).chain([warning]);
    CommandOutput {
        stdout,
        stderr: notes
            .map(|note| wrapped("note: ", "  ", &printable(note)))
            .collect(),
        status: 0,
    }
}

/// The issuer of the token, and the tokens that the policy accepts from it.
fn issuer<'p>(
    policy: &'p Policy,
    name: Option<&str>,
) -> Result<(&'p TrustedIssuer, &'p Signatures), Failure> {
    if policy.local.is_some() {
        return Err(Failure::usage(
            "the policy names the caller, under `local`, and reads no tokens",
            "send requests without a token",
        ));
    }
    let signs = |issuer: &'p TrustedIssuer| match &issuer.check {
        TokenCheck::Signature(signatures) => Some((issuer, signatures)),
        TokenCheck::Introspection(..) => None,
    };
    let is_meant = |issuer: &&TrustedIssuer| {
        name.is_none_or(|name| issuer.is_named(name) || issuer.issuer == name)
    };
    let mut found = policy.issuers.iter().filter(is_meant).peekable();
    if found.peek().is_none() {
        let names: Vec<String> = policy
            .issuers
            .iter()
            .map(|issuer| format!("`{}`", issuer.issuer))
            .collect();
        return Err(Failure::usage(
            format!(
                "the policy has no issuer `{}`",
                printable(name.unwrap_or_default())
            ),
            format!("it has {}", printable(&names.join(", "))),
        ));
    }
    found.find_map(signs).ok_or_else(|| {
        Failure::usage(
            "the issuer introspects its tokens, so that no signature makes one",
            "get a token from the issuer, or add an issuer with `jwks` to the policy of the test",
        )
    })
}

/// The claims, so that the policy reads the given caller in them.
fn claims(
    arguments: &TestTokenArguments,
    issuer: &TrustedIssuer,
) -> Result<Map<String, Value>, Failure> {
    refuse_unread(arguments, issuer)?;
    let wanted = Identity {
        user: arguments.user.clone(),
        organization: arguments.organization.clone(),
        roles: arguments.role.clone(),
        scopes: arguments.scope.clone(),
        actors: Vec::new(),
    };
    let mut claims = match &arguments.claims {
        Some(path) => explain::read_claims(path)?,
        None => Map::new(),
    };
    identity_claims::add(
        &mut claims,
        identity_claims::of_identity(&wanted, &issuer.claims),
    );
    if let Some(clients) = issuer
        .without_audience
        .as_ref()
        .filter(|_| arguments.audience.is_none())
    {
        let client = clients.values.first().map_or("", String::as_str);
        identity_claims::set_at(&mut claims, clients.claim.steps(), json!(client));
    }
    if let Delegation::Accepted {
        actors,
        required: true,
    } = &issuer.delegation
    {
        let actor = actors.as_ref().and_then(|actors| actors.first());
        let actor = actor.map_or("test-agent", String::as_str);
        claims.entry("act").or_insert_with(|| json!({"sub": actor}));
    }
    if let Some(audience) = &arguments.audience {
        claims.insert("aud".to_owned(), json!(audience));
    }
    if let Some(name) = arguments
        .issuer
        .as_ref()
        .filter(|name| issuer.is_named(name))
    {
        claims.insert("iss".to_owned(), json!(name));
    }
    claims.entry("jti").or_insert(json!(id()?));
    for claim in &arguments.claim {
        let (name, value) = claim
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| {
                Failure::usage(
                    format!("`{}` is no claim", printable(claim)),
                    "write --claim NAME=VALUE, such as --claim amr='[\"mfa\"]'",
                )
            })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        claims.insert(name.to_owned(), value);
    }
    explanation::fill_in(
        std::slice::from_ref(issuer),
        &mut claims,
        None,
        arguments.lifetime,
        now(),
    );
    refuse_other_caller(&wanted, &claims, issuer)?;
    Ok(claims)
}

/// Refuses parts of a caller that the policy does not read, and a lifetime that it does not accept.
fn refuse_unread(arguments: &TestTokenArguments, issuer: &TrustedIssuer) -> Result<(), Failure> {
    let unread = |option: &str, key: &str| {
        Err(Failure::usage(
            format!(
                "the policy reads no {key} from the tokens of `{}`",
                printable(&issuer.issuer)
            ),
            format!("leave {option} away, or name the claim under `identity.{key}`"),
        ))
    };
    if arguments.organization.is_some() && issuer.claims.organization.is_none() {
        return unread("--organization", "organization");
    }
    if !arguments.role.is_empty() && issuer.claims.roles.is_none() {
        return unread("--role", "roles");
    }
    if arguments.lifetime > issuer.max_lifetime {
        let longest = humantime::format_duration(issuer.max_lifetime);
        return Err(Failure::usage(
            format!("the policy accepts tokens that are valid for at most {longest}"),
            "give a shorter --lifetime; --claim exp=SECONDS makes a token that the policy refuses",
        ));
    }
    Ok(())
}

/// Refuses claims in which the policy would read another caller than the given one.
fn refuse_other_caller(
    wanted: &Identity,
    claims: &Map<String, Value>,
    issuer: &TrustedIssuer,
) -> Result<(), Failure> {
    let failure = |message: String| {
        Failure::usage(
            message,
            "look at `identity` in the policy, and at --claim and --claims, which replace claims of the caller",
        )
    };
    let mut read = Identity::of_claims(claims, &issuer.claims).map_err(|error| {
        failure(format!(
            "the policy reads no caller from these claims: {error}"
        ))
    })?;
    let sorted = |values: &[String]| {
        let mut values = values.to_vec();
        values.sort_unstable();
        values
    };
    read.roles.sort_unstable();
    read.scopes.sort_unstable();
    let is_read = (wanted.user.is_none() || wanted.user == read.user)
        && (wanted.organization.is_none() || wanted.organization == read.organization)
        && (wanted.roles.is_empty() || sorted(&wanted.roles) == read.roles)
        && (wanted.scopes.is_empty() || sorted(&wanted.scopes) == read.scopes);
    match is_read {
        true => Ok(()),
        false => Err(failure(
            "the policy would read another caller from these claims".to_owned(),
        )),
    }
}

/// The id of a token.
fn id() -> Result<String, Failure> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::usage(format!("no randomness: {error}"), "try again"))?;
    Ok(hex::encode(&bytes))
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_duration(since.unwrap_or_default()).whole_seconds()
}
