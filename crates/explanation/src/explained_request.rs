//! The decision about one request, made by the code that decides in the proxy.

use std::rc::Rc;

use base::http::HttpRequest;
use base::seal::Sealer;
use base::time::UnixTime;
use mcp::headers::Headers;
use mcp_auth_filter::accounts::Clients;
use mcp_auth_filter::accounts::assigned::AssignedCredentials;
use mcp_auth_filter::accounts::token_exchange::TokenExchanger;
use mcp_auth_filter::audit::Record;
use mcp_auth_filter::credential::Credential;
use mcp_auth_filter::decision_point::DecisionPoints;
use mcp_auth_filter::engine::{Engine, Secrets};
use mcp_auth_filter::host::dry_run::DryRun;
use mcp_auth_filter::step::End;
use mcp_auth_filter::transaction::{Peer, Transaction};
use oauth::client::TokenClient;
use oauth::{BearerToken, Verifier};
use policy::{Authorization, Policy, StaticCredential, Subject};
use serde_json::{Map, Value};

use crate::answer::{self, Answer};
use crate::error::ExplainError;
use crate::given_servers::GivenServers;
use crate::given_token::{GivenToken, TokenFacts};
use crate::{caller_token, request_headers};

/// The start of the evidence of a verified token. Here the signature was made for the decision.
const VERIFIED: &str = "verified, ";
const NOT_VERIFIED: &str = "claims as given, NOT verified, ";

/// A request, and what is known about its caller.
#[derive(Debug, Default)]
pub struct RequestInputs {
    /// The claims of the caller's token.
    pub claims: Option<Map<String, Value>>,
    /// In place of claims: the caller's token.
    pub token: Option<GivenToken>,
    /// The key set that checks its signature.
    pub jwks: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// The server's answer.
    pub response: Option<Vec<u8>>,
    /// The server's answer to look-ups: a JSON-RPC message, a result, or the record alone.
    pub lookup: Option<Vec<u8>>,
    /// The answer of the decision point, for all questions. `None`: it does not answer.
    pub decision: Option<Vec<u8>>,
    /// Headers that replace those of a client: `Name: value`, or `Name:` to remove one.
    pub headers: Vec<String>,
    /// The seconds since the sign-in.
    pub age: Option<u64>,
}

/// The part of the proxy's surroundings that a decision uses.
#[derive(Debug)]
pub struct Surroundings {
    /// The time.
    pub now: UnixTime,
    /// The key of the hash that stands for callers in the log, if it is known.
    pub audit_key: Option<String>,
}

/// A judged request.
#[derive(Debug)]
pub struct ExplainedRequest {
    /// The access-log record.
    pub record: Record,
    /// The end of the request.
    pub end: End,
    /// The headers as they arrived.
    pub headers: Headers,
    /// The body as it arrived.
    pub body: Vec<u8>,
    /// The answer that the caller receives.
    pub answer: Option<Answer>,
    /// The messages with which the filter looks up the owners of records.
    pub lookups: Vec<String>,
    /// The calls to decision points.
    pub questions: Vec<HttpRequest>,
    /// The claims that were filled in.
    pub filled_in: Vec<&'static str>,
    /// Whether the signature of the token was checked.
    pub is_verified: bool,
    /// What the token says, if a token was given.
    pub token: Option<TokenFacts>,
    /// The variable with the key of the hash that stands for callers, if it is not set here.
    pub missing_key: Option<String>,
}

/// Decides about a request, like the proxy.
///
/// # Errors
///
/// The caller or a header is missing or wrong.
pub fn decide(
    mut policy: Policy,
    inputs: RequestInputs,
    surroundings: Surroundings,
) -> Result<(ExplainedRequest, Rc<Policy>), ExplainError> {
    let now = surroundings.now;
    let jwks = inputs.jwks.as_deref();
    let facts = inputs.token.as_ref();
    let facts = facts.map(|token| token.facts(&policy, jwks, now));
    let token = token(&inputs, &mut policy, now)?;
    let is_verified = token.as_ref().is_some_and(|token| token.is_verified);
    let (body, given) = (inputs.body, inputs.headers);
    let headers =
        request_headers::headers(&policy, &body, token.as_ref(), &given, now.whole_seconds())?;
    let policy = Rc::new(policy);
    let missing_key = missing_key(&policy, surroundings.audit_key.as_deref());
    let arrived = headers.clone();
    let servers = Rc::new(GivenServers::new(&policy, inputs.lookup, inputs.decision));
    let (record, end, answer) = judge(
        &policy,
        headers,
        &body,
        inputs.response,
        &servers,
        surroundings,
    )?;
    let mut record = honest(record, is_verified);
    if missing_key.is_some() {
        (record.subject, record.account) = (None, None);
        record.actors.clear();
    }
    let judged = ExplainedRequest {
        record,
        end,
        headers: arrived,
        body,
        answer,
        lookups: servers.lookups(),
        questions: servers.questions(),
        filled_in: token.map_or_else(Vec::new, |token| token.filled_in),
        is_verified,
        token: facts,
        missing_key,
    };
    Ok((judged, policy))
}

/// The record without the claim that a signature was verified.
fn honest(mut record: Record, is_verified: bool) -> Record {
    if is_verified {
        return record;
    }
    for evidence in &mut record.decision.evidence {
        if evidence.source == "token"
            && let Some(rest) = evidence.summary.strip_prefix(VERIFIED)
        {
            evidence.summary = format!("{NOT_VERIFIED}{rest}").into();
        }
    }
    record
}

/// The caller's token, or one that is made from its claims. `None` with `local`.
fn token(
    inputs: &RequestInputs,
    policy: &mut Policy,
    now: UnixTime,
) -> Result<Option<caller_token::Token>, ExplainError> {
    match (&inputs.claims, &inputs.token, policy.local.is_some()) {
        (Some(claims), _, false) => {
            caller_token::sign(policy, claims.clone(), inputs.age, now.whole_seconds()).map(Some)
        }
        (None, Some(token), false) => token.present(policy, inputs.jwks.as_deref()).map(Some),
        (None, None, true) => Ok(None),
        (_, _, true) => Err(ExplainError::CallerOfPolicy),
        (None, None, false) => Err(ExplainError::NoCaller),
    }
}

/// Runs the request through a transaction, like a host.
fn judge(
    policy: &Rc<Policy>,
    headers: Headers,
    body: &[u8],
    response: Option<Vec<u8>>,
    servers: &Rc<GivenServers>,
    Surroundings { now, audit_key }: Surroundings,
) -> Result<(Record, End, Option<Answer>), ExplainError> {
    let verifier = Verifier::new(policy.issuers.clone())?;
    let secrets = stand_ins(policy, audit_key);
    preload_exchanged(policy, &secrets, &headers);
    let engine = Rc::new(Engine::new(Rc::clone(policy), secrets, verifier));
    let mut transaction = Transaction::new(Rc::clone(&engine));
    // With `local` the request comes from this machine.
    transaction.set_peer(Peer::of(b"127.0.0.1:1", b"127.0.0.1:2"));
    let worker = DryRun::new(engine, Rc::<GivenServers>::clone(servers), now);
    let end = worker.request(&mut transaction, headers, body);
    let end = end.ok_or(ExplainError::Undecided)?;
    let (status, answer) = match (&end, response) {
        (End::Reply(reply), _) => (reply.status, None),
        (End::Forward(_), None) => (0, None),
        (End::Forward(_), Some(sent)) => (
            200,
            Some(answer::pass(&worker, &mut transaction, sent, now)),
        ),
    };
    let record = transaction.finish(status, mcp_auth_filter::transaction::Ending::Whole, now);
    let record = record.ok_or(ExplainError::Undecided)?;
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

/// The decision points, with credentials that only the proxy has.
fn decision_points(policy: &Policy) -> Option<DecisionPoints> {
    let stand_in = |written: &StaticCredential| {
        Credential::new(&written.scheme, &format!("(the value of {})", written.env))
    };
    DecisionPoints::of(policy, stand_in).ok().flatten()
}

/// The variable with the key of the log's hashes, if the log has them and the key is not known here.
fn missing_key(policy: &Policy, audit_key: Option<&str>) -> Option<String> {
    let name = policy.audit.key_env.as_deref()?;
    let is_missing = policy.audit.subject == Subject::Hash && audit_key.is_none();
    is_missing.then(|| name.to_owned())
}

/// Secrets in place of those that only the proxy has.
fn stand_ins(policy: &Policy, audit_key: Option<String>) -> Secrets {
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
        audit_key: policy.audit.key_env.as_ref().map(|_| {
            let key = audit_key.unwrap_or_else(|| STAND_IN.to_owned());
            key.into()
        }),
        sealer: sealer.map(Rc::new),
        credential: credential.map(Rc::new),
        exchanger,
        decision_points: decision_points(policy).map(Rc::new),
        // A text with `:` stands in for a key, and for a user name and a password.
        assigned: AssignedCredentials::of(policy, &|name| Some(format!("(the value:of {name})")))
            .unwrap_or_default(),
        ..Secrets::default()
    }
}
