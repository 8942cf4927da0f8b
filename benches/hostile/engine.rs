//! A caller, and a policy with a rule of each kind for its requests and answers.

use std::rc::Rc;
use std::time::Duration;

use base::time::UnixTime;
use mcp::headers::Headers;
use mcp_auth_filter::effect::{Effect, Outcome, Progress};
use mcp_auth_filter::engine::{Engine, Secrets};
use mcp_auth_filter::step::End;
use mcp_auth_filter::transaction::Transaction;
use oauth::signing::SigningKey;
use oauth::{Algorithm, ClientNetwork, Verifier};
use policy::Policy;
use serde_json::{Value, json};

use super::time;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const ISSUER: &str = "https://login.example.com";
const RESOURCE: &str = "https://crm.example.com/mcp";
const TOOL: &str = "crm.search";

/// One caller of one engine.
pub(crate) struct Caller {
    engine: Rc<Engine>,
    authorization: String,
}

impl Caller {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(Algorithm::EdDSA)
            .unwrap()
            .with_key_id("k1");
        let policy = Policy::parse(policy(&key.key_set()).to_string().as_bytes()).unwrap();
        let policy = Rc::new(policy);
        let verifier = Verifier::new(policy.issuers.clone()).unwrap();
        let token = key.sign(&json!({}), &claims()).unwrap();
        Self {
            engine: Rc::new(Engine::new(policy, Secrets::default(), verifier)),
            authorization: format!("Bearer {token}"),
        }
    }

    /// The time of a call with these arguments, up to the decision.
    pub(crate) fn request(&mut self, arguments: &[u8]) -> Duration {
        let body = call(arguments);
        let mut transaction = self.held(body.len());
        time(move || {
            let progress = transaction.resume(Outcome::Body(body), NOW);
            (transaction, progress)
        })
    }

    /// The time of the answer to a call: this result, as JSON.
    pub(crate) fn answer(&mut self, result: &[u8]) -> Duration {
        self.answered(&call(b"{}"), result, "application/json")
    }

    /// The time of the answer to `tools/list`: this result, as JSON.
    pub(crate) fn list(&mut self, result: &[u8]) -> Duration {
        let request = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        self.answered(request, result, "application/json")
    }

    /// The time of an event stream that is the answer to a call.
    pub(crate) fn stream(&mut self, body: &[u8]) -> Duration {
        let (mut transaction, _) = self.forwarded(&call(b"{}"));
        transaction.response_headers(&answer_headers("text/event-stream"), false);
        time(|| {
            for part in body.chunks(4096) {
                transaction.response_body(part, NOW);
            }
        })
    }

    fn answered(&mut self, request: &[u8], result: &[u8], media: &str) -> Duration {
        let (mut transaction, id) = self.forwarded(request);
        let answer = [
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#).as_bytes(),
            result,
            b"}",
        ]
        .concat();
        transaction.response_headers(&answer_headers(media), false);
        time(|| transaction.response_body(&answer, NOW))
    }

    /// A request that was forwarded, and the id that the server knows it by.
    fn forwarded(&self, body: &[u8]) -> (Transaction, Value) {
        let mut transaction = self.held(body.len());
        let progress = transaction.resume(Outcome::Body(body.to_vec()), NOW);
        let Some(Progress::Done(End::Forward(forward))) = progress else {
            panic!("the request is not forwarded: {progress:?}");
        };
        let sent = forward.body.unwrap_or_else(|| body.to_vec());
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        (transaction, sent.get("id").unwrap().clone())
    }

    /// A request up to the point where the engine waits for its body.
    fn held(&self, length: usize) -> Transaction {
        let mut transaction = Transaction::new(Rc::clone(&self.engine));
        let headers = headers(&self.authorization, length);
        let mut progress = transaction.request_headers(headers, false, NOW);
        if progress == Progress::Waits(Effect::Client) {
            // A token that was not seen before.
            let client = Outcome::Client(ClientNetwork::UNKNOWN);
            progress = transaction.resume(client, NOW).unwrap();
        }
        assert_eq!(progress, Progress::Waits(Effect::Body(None)));
        transaction
    }
}

fn policy(key_set: &Value) -> Value {
    let results = json!([
        {"tools": ["*"], "owner": {"field": "organization_id", "is": "organization"},
         "redact": ["ssn", "password"], "detect": ["email", "card", "secret"],
         "text": "keep"},
    ]);
    json!({
        "resource": RESOURCE,
        "issuers": [{
            "issuer": ISSUER,
            "jwks": {"inline": key_set},
            "identity": {"organization": "org_id", "roles": "roles"},
        }],
        "roles": {"support": {"tools": ["crm.*"]}},
        "tools": {TOOL: {"when": "!has(args.ids) || args.ids.all(x, x in args.allowed)"}},
        "arguments": {"customer_number": {"set": "organization"}},
        "results": results,
        "max_body": "1MiB",
        "max_response": "16MiB",
    })
}

fn claims() -> Value {
    let now = NOW.as_secs();
    json!({
        "iss": ISSUER,
        "sub": "u-1",
        "aud": RESOURCE,
        "iat": now.saturating_sub(10),
        "exp": now.saturating_add(290),
        "org_id": "acme",
        "roles": ["support"],
    })
}

fn call(arguments: &[u8]) -> Vec<u8> {
    let start = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{TOOL}","arguments":"#
    );
    [start.as_bytes(), arguments, b"}}"].concat()
}

fn headers(authorization: &str, length: usize) -> Headers {
    map(&[
        (":authority", "crm.example.com"),
        (":path", "/mcp"),
        (":method", "POST"),
        (":scheme", "https"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", authorization),
        ("content-type", "application/json"),
        ("content-length", &length.to_string()),
        ("mcp-protocol-version", "2025-11-25"),
    ])
}

fn answer_headers(media: &str) -> Headers {
    map(&[(":status", "200"), ("content-type", media)])
}

fn map(pairs: &[(&str, &str)]) -> Headers {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Headers::new(pairs.iter().map(pair).collect())
}
