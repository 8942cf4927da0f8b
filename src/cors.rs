//! CORS: preflights, and the headers that let a web page read an answer (Fetch, "CORS protocol"). Pages of
//! the policy's origins may. Headers of the server do not extend that.

use base::http::Reply;
use mcp::headers::{HeaderEdit, Headers, PARAM_PREFIX};
use policy::Policy;

/// The methods that pages may use.
const METHODS: &str = "POST, GET, DELETE";
/// Request headers that pages may send: those of MCP clients.
const REQUEST_HEADERS: &[&str] = &[
    "accept",
    "authorization",
    "baggage",
    "content-type",
    "dpop",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
];
/// Response headers that pages may read.
const RESPONSE_HEADERS: &str =
    "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, DPoP-Nonce, Retry-After";
/// How long a browser caches a preflight, in seconds. The request after it is checked in any case.
const MAX_AGE: &str = "7200";
/// The maximum number of headers in a preflight.
const MAX_HEADERS: usize = 64;

/// Whether a request is a preflight (Fetch, "CORS-preflight request").
pub fn is_preflight(method: &str, headers: &Headers) -> bool {
    method == "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method")
}

/// The answer to a preflight of this origin, or of all (`*`). `policy` may allow further headers.
pub fn preflight(origin: &str, asked: &Headers, policy: Option<&Policy>) -> Reply {
    let mut headers = vec![
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-allow-methods", METHODS.to_owned()),
        ("access-control-max-age", MAX_AGE.to_owned()),
        ("vary", "Origin".to_owned()),
    ];
    let names = allowed_headers(asked, policy);
    if !names.is_empty() {
        headers.push(("access-control-allow-headers", names.join(", ")));
    }
    Reply {
        status: 204,
        headers,
        body: Vec::new(),
    }
}

/// The headers of a preflight that the page may send.
fn allowed_headers(asked: &Headers, policy: Option<&Policy>) -> Vec<String> {
    let is_policys = |name: &String| {
        policy.is_some_and(|policy| {
            policy.origin_headers.contains(name) || policy.view_as.header.as_ref() == Some(name)
        })
    };
    asked
        .all("access-control-request-headers")
        .flat_map(|list| list.split(|byte| *byte == b','))
        .take(MAX_HEADERS)
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| {
            REQUEST_HEADERS.contains(&name.as_str()) || is_policys(name) || is_param(name)
        })
        .collect()
}

fn is_param(name: &str) -> bool {
    // The characters of such header names (MCP 2026-07-28 "Custom Headers").
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.strip_prefix(PARAM_PREFIX)
        .is_some_and(|param| !param.is_empty() && param.bytes().all(plain))
}

/// The headers that let a page read a reply of the filter.
pub fn reply_headers(policy: &Policy, origin: Option<&str>) -> Vec<(&'static str, String)> {
    match origin.filter(|origin| policy.allows_origin(origin)) {
        None => Vec::new(),
        Some(origin) => vec![
            ("access-control-allow-origin", origin.to_owned()),
            ("access-control-expose-headers", RESPONSE_HEADERS.to_owned()),
            ("vary", "Origin".to_owned()),
        ],
    }
}

/// The changes of an answer's headers: the server's CORS headers are removed, the filter's are set.
pub fn answer_headers(
    policy: &Policy,
    origin: Option<&str>,
    received: &Headers,
) -> Vec<HeaderEdit> {
    let mut edits: Vec<HeaderEdit> = Vec::new();
    for (name, _) in received.iter() {
        let removed = HeaderEdit::Remove(name.to_owned());
        if name.starts_with("access-control-") && !edits.contains(&removed) {
            edits.push(removed);
        }
    }
    for (name, value) in reply_headers(policy, origin) {
        let value = match name {
            "vary" => varied(received),
            _ => value,
        };
        edits.push(HeaderEdit::Set(name.to_owned(), value));
    }
    edits
}

/// `Vary` of the server, with `Origin`.
fn varied(received: &Headers) -> String {
    let own = received
        .all("vary")
        .map(String::from_utf8_lossy)
        .flat_map(|value| {
            value
                .split(',')
                .map(str::trim)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("origin"));
    let mut names: Vec<String> = own.filter(|name| name.is_ascii()).collect();
    names.push("Origin".to_owned());
    names.join(", ")
}

#[cfg(test)]
mod tests;
