//! Whole exchanges against a host that enforces Envoy's rules, under every chunking.

mod agree;
mod anonymous;
mod approvals;
mod arguments;
mod asked;
mod auth_tools;
mod compat;
mod confirm;
mod connect;
mod conversations;
mod cors;
mod decided;
mod decisions;
mod discovered;
mod error_texts;
mod every_message;
mod fake_proxy;
mod handles;
mod ids;
mod instructions;
mod known_lists;
mod lists;
mod local;
mod lookups;
mod max_result;
mod messages;
mod metadata;
mod one_pass;
mod owners;
mod pages;
mod pins;
mod possession;
mod proxy;
mod real_answers;
mod sign_in;
mod single_use;
mod spellings;
mod token_exchange;
mod tokens;
mod transport;
mod upstream;
mod view_as;
mod waiting;

use std::rc::Rc;

use serde_json::{Value, json};

use self::fake_proxy::{FakeProxy, Outcome, Request};
use crate::effect;
use policy::Policy;

const NOW: u64 = 1_800_000_000;

/// The policy of most tests, with changes.
fn policy(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"inline": tokens::key_set()},
            "identity": {"organization": "org_id", "roles": "roles"},
        }],
        "roles": {
            "support": {"tools": ["crm.*"], "prompts": ["crm.*"], "resources": ["crm://{organization}/*"], "deny": ["crm.purge"]},
        },
        "arguments": {"user_id": {"set": "user"}, "organization_id": {"set": "organization"}, "role": "remove"},
        "tools": {
            "crm.assign": {"arguments": {"user_id": "keep"}},
            "crm.notes": {"arguments": {"organization_id": {"set": "organization"}}},
            "crm.refund": {"scopes": ["crm:write"], "when": "args.amount <= 100"},
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    Rc::new(Policy::parse(document.to_string().as_bytes()).unwrap())
}

/// Sends a request in every chunking, with and without trailers, and checks that it makes no
/// difference.
fn send(policy: &Rc<Policy>, request: &Request) -> Outcome {
    let whole = FakeProxy::new(policy).send(request, &[], false);
    for chunking in chunkings(request.body.len()) {
        for trailers in [false, true] {
            let other = FakeProxy::new(policy).send(request, &chunking, trailers);
            assert_eq!(other, whole, "chunks {chunking:?}, trailers {trailers}");
        }
    }
    whole
}

/// Where to cut a body: byte by byte, and in two at some places.
fn chunkings(length: usize) -> Vec<Vec<usize>> {
    let mut cuts = vec![(1..length).collect::<Vec<_>>()];
    cuts.extend((0..length).step_by(7).map(|cut| vec![cut]));
    cuts
}

/// A call of an earlier era.
fn call(tool: &str, arguments: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    );
    Request::post(&body)
}

/// The same call in 2026-07-28.
fn modern_call(tool: &str, arguments: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    Request::post(&body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", tool)
}

/// The arguments the server received.
fn received(outcome: &Outcome) -> String {
    let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    body["params"]["arguments"].to_string()
}

/// The policy of most tests.
fn default() -> Rc<Policy> {
    policy(json!({}))
}

/// The refusal of a body of an earlier era.
fn refusal(body: &str) -> (u16, i64, &'static str) {
    send(&default(), &Request::post(body)).refusal()
}

/// Tells a request with a new token from which network it comes.
fn with_client(
    transaction: &mut super::Transaction,
    progress: effect::Progress<super::End>,
) -> effect::Progress<super::End> {
    assert_eq!(progress, effect::Progress::Waits(effect::Effect::Client));
    let client = effect::Outcome::Client(oauth::ClientNetwork::UNKNOWN);
    transaction.resume(client, fake_proxy::now(0)).unwrap()
}
