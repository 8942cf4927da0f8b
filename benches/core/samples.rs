//! What the benchmarks read: a policy, tokens, requests and answers.

use std::fmt::Write;
use std::rc::Rc;

use base::time::UnixTime;
use mcp::headers::Headers;
use oauth::Algorithm;
#[cfg(feature = "cel")]
use oauth::Identity;
use oauth::signing::SigningKey;
use policy::Policy;
use serde_json::{Value, json};

/// When everything happens.
pub(crate) const NOW: UnixTime = UnixTime::from_millis(1_800_000_000_000);

const ISSUER: &str = "https://login.example.com";
const RESOURCE: &str = "https://crm.example.com/mcp";

/// An issuer with one key, and a token signed with it.
pub(crate) struct Issuer {
    pub(crate) algorithm: &'static str,
    key_set: Value,
    token: String,
}

impl Issuer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("k1");
        Self {
            algorithm: algorithm.name(),
            key_set: key.key_set(),
            token: key.sign(&json!({}), &claims()).unwrap(),
        }
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

fn claims() -> Value {
    let now = NOW.as_secs();
    json!({
        "iss": ISSUER,
        "sub": "7f5d0b1c-59ab-4d3c-8a55-2d0f6f1f6b1e",
        "aud": RESOURCE,
        "iat": now.saturating_sub(10),
        "exp": now.saturating_add(290),
        "org_id": "acme",
        "realm_access": {"roles": ["support", "offline_access"]},
        "scope": "openid crm:read crm:write",
        "azp": "crm-assistant",
    })
}

/// A policy of defaults with one role.
pub(crate) fn policy(issuer: &Issuer) -> Rc<Policy> {
    policy_with_results(issuer, &json!([]))
}

/// The same with two rules for results.
pub(crate) fn judging_policy(issuer: &Issuer) -> Rc<Policy> {
    let owner = json!({"field": "organization_id", "is": "organization"});
    let rules = json!([
        {"tools": ["crm.*"], "owner": owner, "redact": ["ssn"], "text": "keep"},
        {"tools": ["crm.*"], "detect": ["email"], "text": "keep"},
    ]);
    policy_with_results(issuer, &rules)
}

/// The answer to a call: a list as text and as structured content, every second item of which
/// belongs to another organization.
pub(crate) fn records(id: &Value, size: usize) -> Vec<u8> {
    let item = |number: usize| {
        json!({
            "id": format!("ticket-{number}"),
            "organization_id": if number.is_multiple_of(2) { "acme" } else { "globex" },
            "ssn": format!("078-05-{number:04}"),
            "contact": format!("c{number}@example.com"),
            "note": "The customer asked for a call. Nobody answered the phone at noon.",
            "open": true,
        })
    };
    let items: Vec<Value> = (0..size / 400).map(item).collect();
    let list = json!({"items": items});
    let content = json!([{"type": "text", "text": list.to_string()}]);
    let result = json!({"content": content, "structuredContent": list, "isError": false});
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    answer.to_string().into_bytes()
}

/// The same policy with a decision point. It receives one argument. Its answers are remembered.
pub(crate) fn deciding_policy(issuer: &Issuer) -> Rc<Policy> {
    let mut document = document(issuer, &json!([]));
    let decide = json!({
        "authzen": {"cluster": "pdp", "path": "/access/v1/evaluation"},
        "arguments": ["user_id"],
        "cache": "5m",
    });
    let keys = document.as_object_mut().unwrap();
    keys.insert("decide".to_owned(), decide);
    Rc::new(Policy::parse(document.to_string().as_bytes()).unwrap())
}

fn policy_with_results(issuer: &Issuer, results: &Value) -> Rc<Policy> {
    let document = document(issuer, results);
    Rc::new(Policy::parse(document.to_string().as_bytes()).unwrap())
}

fn document(issuer: &Issuer, results: &Value) -> Value {
    json!({
        "results": results,
        "resource": RESOURCE,
        "issuers": [{
            "issuer": ISSUER,
            "jwks": {"inline": issuer.key_set},
            "algorithms": [issuer.algorithm],
            "identity": {"organization": "org_id", "roles": "realm_access.roles"},
        }],
        "roles": {"support": {"tools": ["crm.import_tickets", "crm.even_*"]}},
    })
}

#[cfg(feature = "cel")]
pub(crate) fn identity() -> Identity {
    Identity {
        user: Some("7f5d0b1c-59ab-4d3c-8a55-2d0f6f1f6b1e".into()),
        organization: Some("acme".into()),
        roles: vec!["support".into()],
        scopes: vec!["crm:read".into()],
        ..Identity::default()
    }
}

/// A tool call of exactly this size. `edited`: with an argument that the filter replaces.
pub(crate) fn call(size: usize, edited: bool) -> Vec<u8> {
    let user = if edited {
        r#""user_id":"somebody","#
    } else {
        ""
    };
    let start = format!(
        r#"{{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{{"name":"crm.import_tickets","arguments":{{{user}"#
    );
    let end = r#"},"_meta":{"progressToken":"p-42"}}}"#;
    let rest = size.saturating_sub(start.len()).saturating_sub(end.len());
    format!("{start}{}{end}", members(rest)).into_bytes()
}

/// The arguments of a call of about this size.
pub(crate) fn arguments(size: usize) -> Vec<u8> {
    format!("{{{}}}", members(size.saturating_sub(2))).into_bytes()
}

/// Tickets as a model writes them, followed by as much text as makes up the size.
fn members(size: usize) -> String {
    let mut text = String::from(r#""limit":100,"dry_run":false,"tickets":["#);
    let last = r#"],"comment":""}"#.len();
    let mut number = 1000_u32;
    loop {
        let comma = if number > 1000 { "," } else { "" };
        let ticket = format!(
            r#"{comma}{{"id":"T-{number}","subject":"Invoice {number} was charged twice","priority":"high","tags":["billing","refund"],"amount":129.50,"open":true,"note":"Customer says: \"please refund\".\nSent from Zürich."}}"#
        );
        if text.len().saturating_add(ticket.len()).saturating_add(last) > size {
            break;
        }
        text.push_str(&ticket);
        number = number.saturating_add(1);
    }
    text.push_str(r#"],"comment":""#);
    let missing = size.saturating_sub(text.len()).saturating_sub(1);
    text.extend("imported by the assistant ".chars().cycle().take(missing));
    text.push('"');
    text
}

pub(crate) fn list_request() -> Vec<u8> {
    br#"{"jsonrpc":"2.0","id":42,"method":"tools/list"}"#.to_vec()
}

/// The answer to a list request. Every other tool is one the caller may use.
pub(crate) fn tools(count: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"jsonrpc":"2.0","id":42,"result":{"tools":["#);
    for number in 0..count {
        let comma = if number > 0 { "," } else { "" };
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        write!(
            text,
            r#"{comma}{{"name":"crm.{parity}_{number}","title":"Find tickets","description":"Finds the tickets of a customer, newest first. Use it before answering questions about open issues.","inputSchema":{{"type":"object","properties":{{"customer":{{"type":"string","description":"The customer's id"}},"limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["customer"]}},"annotations":{{"readOnlyHint":true}}}}"#
        )
        .unwrap();
    }
    text.push_str("]}}");
    text.into_bytes()
}

/// The headers an MCP client sends with a message, as Envoy hands them over.
pub(crate) fn headers(authorization: &str, length: usize) -> Headers {
    map(&[
        (":authority", "crm.example.com"),
        (":path", "/mcp"),
        (":method", "POST"),
        (":scheme", "https"),
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "gzip, deflate"),
        ("authorization", authorization),
        ("content-type", "application/json"),
        ("content-length", &length.to_string()),
        ("mcp-protocol-version", "2025-11-25"),
        ("user-agent", "python-httpx/0.28.1"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "8c1e3f0a-7d57-4a4e-9c7e-0c2f9c2b7f11"),
    ])
}

pub(crate) fn answer_headers(media: &str) -> Headers {
    map(&[(":status", "200"), ("content-type", media)])
}

fn map(pairs: &[(&str, &str)]) -> Headers {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Headers::new(pairs.iter().map(pair).collect())
}
