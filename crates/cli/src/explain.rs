//! `mcp-auth explain`: the decision about one request, made by the code that decides in the proxy.

mod log_line;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use base::seal::Sealer;
use base::time::UnixTime;
use mcp::headers::Headers;
use mcp_auth_filter::accounts::Clients;
use mcp_auth_filter::accounts::token_exchange::TokenExchanger;
use mcp_auth_filter::audit::Record;
use mcp_auth_filter::credential::Credential;
use mcp_auth_filter::engine::{Engine, Secrets};
use mcp_auth_filter::host::dry_run::{DryRun, Nothing};
use mcp_auth_filter::step::End;
use mcp_auth_filter::transaction::{Peer, Transaction};
use oauth::client::TokenClient;
use oauth::{BearerToken, Verifier};
use policy::{Authorization, Policy, Subject};
use serde_json::{Map, Value};

use crate::answer::{self, Answer};
use crate::given_token::{GivenToken, TokenFacts};
use crate::{CommandOutput, Failure, caller_token, files, policy_file, report, request_headers};

/// The arguments of `mcp-auth explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    /// The policy, in YAML or JSON.
    #[arg(long)]
    policy: PathBuf,
    /// The caller: the claims of a token, or an introspection response, as JSON.
    ///
    /// They are not verified. Missing `iss`, `aud`, `exp` and `iat` are added. A policy with `local` does
    /// not use them.
    #[arg(long)]
    claims: Option<PathBuf>,
    /// The caller: a token, alone or as its header has it; `-` reads standard input.
    ///
    /// Its signature is checked with the key set of --jwks or of the policy. Without one, all other checks are
    /// made.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["claims", "age"])]
    token: Option<PathBuf>,
    /// The key set of the issuer, to check the signature of --token.
    #[arg(long, value_name = "FILE", requires = "token")]
    jwks: Option<PathBuf>,
    /// The request: a JSON-RPC message as the client sends it; `-` reads standard input.
    #[arg(long, required_unless_present = "log_line")]
    request: Option<PathBuf>,
    /// In place of a request: lines of the access log; `-` reads standard input. A record has no claims and no
    /// arguments, so only the roles of its caller are judged again.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["request", "claims", "token", "response", "header", "view_as", "age"]
    )]
    log_line: Option<PathBuf>,
    /// The server's answer, to show the caller's view of it: a JSON-RPC message, or an event stream. Keys
    /// from the VM's environment are replaced by fixed ones.
    #[arg(long)]
    response: Option<PathBuf>,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long)]
    path: Option<String>,
    /// A header of the request that replaces the client's. `Name:` removes it.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The view that the caller asks for, in the header that the policy has for it.
    #[arg(long, value_name = "role:NAME or user:ID")]
    view_as: Option<String>,
    /// The time since the caller signed in (`auth_time`).
    #[arg(long, value_name = "SECONDS")]
    age: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A judged request.
pub(crate) struct ExplainedRequest {
    /// The access-log record.
    pub(crate) record: Record,
    /// The end of the request.
    pub(crate) end: End,
    /// The body as it arrived.
    pub(crate) body: Vec<u8>,
    /// The answer that the caller receives.
    pub(crate) answer: Option<Answer>,
    /// The claims that were filled in.
    pub(crate) filled_in: Vec<&'static str>,
    /// Whether the signature of the token was checked.
    pub(crate) is_verified: bool,
    /// What the token says, if a token was given.
    pub(crate) token: Option<TokenFacts>,
    /// The variable with the key of the hash that stands for callers, if it is not set here.
    pub(crate) missing_key: Option<String>,
}

pub(crate) fn run(arguments: &ExplainArguments) -> Result<CommandOutput, Failure> {
    let all = [
        Some(&arguments.policy),
        arguments.request.as_ref(),
        arguments.claims.as_ref(),
        arguments.token.as_ref(),
        arguments.jwks.as_ref(),
        arguments.response.as_ref(),
        arguments.log_line.as_ref(),
    ];
    refuse_two_from_stdin(&all.into_iter().flatten().collect::<Vec<_>>())?;
    let loaded = policy_file::load(&arguments.policy);
    let loaded = loaded.map_err(|failure| Failure {
        status: 2,
        ..failure
    })?;
    let (policy, _) = loaded.single(arguments.path.as_deref())?;
    let request = match (&arguments.request, &arguments.log_line) {
        (Some(request), _) => request,
        (None, Some(log)) => return log_line::explain(log, &policy, arguments.json),
        (None, None) => {
            return Err(Failure::usage(
                "there is no request",
                "give one with --request FILE",
            ));
        }
    };
    let mut headers = arguments.header.clone();
    headers.extend(view_as(arguments, &policy)?);
    let claims = arguments.claims.as_deref();
    let jwks = arguments.jwks.as_deref();
    let token = arguments.token.as_deref();
    let inputs = RequestInputs {
        claims: claims.map(caller_token::read).transpose()?,
        token: token.map(GivenToken::read).transpose()?,
        jwks: jwks.map(files::read_text).transpose()?,
        body: files::read(request)?,
        response: arguments.response.as_deref().map(files::read).transpose()?,
        headers,
        age: arguments.age,
    };
    let (judged, policy) = decide(policy, inputs)?;
    let source = CallerSource {
        claims: claims.map(files::name),
        keys: jwks.map_or_else(|| "the policy's key set".to_owned(), files::name),
    };
    Ok(CommandOutput {
        status: u8::from(matches!(judged.end, End::Reply(_))),
        stdout: if arguments.json {
            report::json(judged)
        } else {
            report::text(judged, &policy, &source)
        },
        stderr: String::new(),
    })
}

/// The files that the caller comes from.
#[derive(Debug)]
pub(crate) struct CallerSource {
    /// The file of the claims.
    pub(crate) claims: Option<String>,
    /// The key set that checked the signature of a token.
    pub(crate) keys: String,
}

/// A request, and what is known about its caller.
#[derive(Debug, Default)]
pub(crate) struct RequestInputs {
    /// The claims of the caller's token.
    pub(crate) claims: Option<Map<String, Value>>,
    /// In place of claims: the caller's token.
    pub(crate) token: Option<GivenToken>,
    /// The key set that checks its signature.
    pub(crate) jwks: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The server's answer.
    pub(crate) response: Option<Vec<u8>>,
    /// Headers that replace those of a client, as `--header` has them.
    pub(crate) headers: Vec<String>,
    /// The seconds since the sign-in.
    pub(crate) age: Option<u64>,
}

/// Decides about a request, like the proxy.
pub(crate) fn decide(
    mut policy: Policy,
    inputs: RequestInputs,
) -> Result<(ExplainedRequest, Rc<Policy>), Failure> {
    let now = now();
    let jwks = inputs.jwks.as_deref();
    let facts = inputs.token.as_ref();
    let facts = facts.map(|token| token.facts(&policy, jwks, now));
    let token = token(&inputs, &mut policy, now)?;
    let is_verified = token.as_ref().is_some_and(|token| token.is_verified);
    let (body, given) = (inputs.body, inputs.headers);
    let headers =
        request_headers::headers(&policy, &body, token.as_ref(), &given, now.whole_seconds())?;
    let policy = Rc::new(policy);
    let (mut record, end, answer) = judge(&policy, headers, &body, inputs.response, now)?;
    let missing_key = missing_key(&policy);
    if missing_key.is_some() {
        (record.subject, record.account) = (None, None);
        record.actors.clear();
    }
    let judged = ExplainedRequest {
        record,
        end,
        body,
        answer,
        filled_in: token.map_or_else(Vec::new, |token| token.filled_in),
        is_verified,
        token: facts,
        missing_key,
    };
    Ok((judged, policy))
}

/// The caller's token, or one that is made from its claims. `None` with `local`.
fn token(
    inputs: &RequestInputs,
    policy: &mut Policy,
    now: UnixTime,
) -> Result<Option<caller_token::Token>, Failure> {
    match (&inputs.claims, &inputs.token, policy.local.is_some()) {
        (Some(claims), _, false) => {
            caller_token::sign(policy, claims.clone(), inputs.age, now.whole_seconds()).map(Some)
        }
        (None, Some(token), false) => token.present(policy, inputs.jwks.as_deref()).map(Some),
        (None, None, true) => Ok(None),
        (_, _, true) => Err(Failure::usage(
            "the policy names the caller, under `local`",
            "leave --claims and --token away",
        )),
        (None, None, false) => Err(Failure::usage(
            "the request has no caller",
            "give a token's claims with --claims FILE, or a token with --token FILE",
        )),
    }
}

/// The value of the header that asks for a view.
fn view_as(arguments: &ExplainArguments, policy: &Policy) -> Result<Option<String>, Failure> {
    let Some(wish) = &arguments.view_as else {
        return Ok(None);
    };
    match &policy.view_as.header {
        Some(header) => Ok(Some(format!("{header}: {wish}"))),
        None => Err(Failure::usage(
            "the policy has no header for --view-as",
            "name one with `view_as: {header: x-view-as}`, or give the claims what \
             `identity.view_as` names",
        )),
    }
}

fn refuse_two_from_stdin(paths: &[&PathBuf]) -> Result<(), Failure> {
    let from_stdin = paths.iter().filter(|path| files::is_stdin(path)).count();
    if from_stdin > 1 {
        return Err(Failure::usage(
            "standard input can be read only once",
            "give `-` for one of the files",
        ));
    }
    Ok(())
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::from_duration(since.unwrap_or_default())
}

/// Runs the request through a transaction, like a host.
fn judge(
    policy: &Rc<Policy>,
    headers: Headers,
    body: &[u8],
    response: Option<Vec<u8>>,
    now: UnixTime,
) -> Result<(Record, End, Option<Answer>), Failure> {
    let bug = |what: &str| Failure::usage(what, "report this as a bug, with the files");
    let verifier = Verifier::new(policy.issuers.clone()).map_err(|error| {
        Failure::usage(
            format!("the key set is not accepted: {error}"),
            "give the key set of the issuer, as its `jwks_uri` has it",
        )
    })?;
    let secrets = stand_ins(policy);
    preload_exchanged(policy, &secrets, &headers);
    let engine = Rc::new(Engine::new(Rc::clone(policy), secrets, verifier));
    let mut transaction = Transaction::new(Rc::clone(&engine));
    // With `local` the request comes from this machine.
    transaction.set_peer(Peer::of(b"127.0.0.1:1", b"127.0.0.1:2"));
    let worker = DryRun::new(engine, Rc::new(Nothing::default()), now);
    let end = worker.request(&mut transaction, headers, body);
    let end = end.ok_or_else(|| bug("the request was not decided"))?;
    let (status, answer) = match (&end, response) {
        (End::Reply(reply), _) => (reply.status, None),
        (End::Forward(_), None) => (0, None),
        (End::Forward(_), Some(sent)) => (200, Some(answer::pass(&mut transaction, sent, now))),
    };
    let record = transaction.finish(status, mcp_auth_filter::transaction::Ending::Whole, now);
    let record = record.ok_or_else(|| bug("there is no record"))?;
    Ok((record, end, answer))
}

/// A token in place of the one that only the authorization server can issue.
fn preload_exchanged(policy: &Policy, secrets: &Secrets, headers: &Headers) {
    let authorization = headers.one("authorization").ok().flatten();
    let token = authorization.and_then(BearerToken::of_header);
    let (Some(exchanger), Authorization::Exchange(exchange), Some(token)) =
        (&secrets.exchanger, &policy.upstream.authorization, token)
    else {
        return;
    };
    let place =
        |client: &TokenClient| format!("{}{}", client.endpoint.cluster, client.endpoint.path);
    let first = place(&exchange.client);
    let second = exchange.id_jag.as_ref().map(place);
    let second = second.map_or_else(String::new, |second| format!(", then at {second}"));
    let stand_in = format!("(what the caller's token is exchanged for at {first}{second})");
    if let Ok(credential) = Credential::new("Bearer", &stand_in) {
        exchanger.preload_for_dry_run(token.digest(), credential, UnixTime::MAX);
    }
}

/// The key of the hash that stands for callers in the log.
fn audit_key(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|key| !key.is_empty())
}

/// The variable with this key, if the log has hashes and the variable is not set here.
fn missing_key(policy: &Policy) -> Option<String> {
    let name = policy.audit.key_env.as_deref()?;
    let is_missing = policy.audit.subject == Subject::Hash && audit_key(name).is_none();
    is_missing.then(|| name.to_owned())
}

/// Secrets in place of those that only the proxy has.
fn stand_ins(policy: &Policy) -> Secrets {
    const STAND_IN: &str = "in place of a key that only the proxy has";
    let sealer = policy
        .seal
        .as_ref()
        .and_then(|_| Sealer::new(STAND_IN).ok());
    let credential = match &policy.upstream.authorization {
        Authorization::Static(credential) => {
            let stand_in = format!("(the value of {})", credential.env);
            Credential::new(&credential.scheme, &stand_in).ok()
        }
        _ => None,
    };
    let exchanger = match &policy.upstream.authorization {
        Authorization::Exchange(exchange) => {
            let exchanger = TokenExchanger::new((**exchange).clone(), Clients::default());
            Some(Rc::new(exchanger))
        }
        _ => None,
    };
    Secrets {
        audit_key: policy.audit.key_env.as_deref().map(|name| {
            audit_key(name)
                .unwrap_or_else(|| STAND_IN.to_owned())
                .into()
        }),
        sealer: sealer.map(Rc::new),
        credential: credential.map(Rc::new),
        exchanger,
        ..Secrets::default()
    }
}
