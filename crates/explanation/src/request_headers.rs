//! The headers of a request: those that a client would send with this body, and those that are given.

use mcp::headers::{Headers, encode};
use mcp::message::Message;
use policy::Policy;

use crate::caller_token::Token;
use crate::error::ExplainError;
use crate::printable_text::printable;
use base::time::UnixTime;

/// The version that clients of the older era state after the initialization.
const LEGACY_VERSION: &str = "2025-11-25";
/// The nesting depth that the filter reads.
const MAX_DEPTH: usize = 64;

type Pairs = Vec<(String, Vec<u8>)>;

/// The headers of the request. `given` replace those of the client.
pub(crate) fn headers(
    policy: &Policy,
    body: &[u8],
    token: Option<&Token>,
    given: &[String],
    now: UnixTime,
) -> Result<Headers, ExplainError> {
    let given: Vec<(String, &str)> = given
        .iter()
        .map(|header| parse(header))
        .collect::<Result<_, _>>()?;
    let method = given.iter().find(|(name, _)| name == ":method");
    let mut pairs = of_client(policy, body);
    if let Some(token) = token {
        let method = method.map_or("POST", |(_, method)| method);
        pairs.extend(credentials(policy, token, method, now)?);
    }
    pairs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    let added = given.into_iter().filter(|(_, value)| !value.is_empty());
    pairs.extend(added.map(|(name, value)| (name, value.as_bytes().to_vec())));
    Ok(Headers::new(pairs))
}

/// A header in the form `Name: value`, or `Name:` to remove it.
fn parse(header: &str) -> Result<(String, &str), ExplainError> {
    // `:method` and `:path` are headers too.
    let pseudo = header.strip_prefix(':');
    let split = pseudo.unwrap_or(header).split_once(':');
    let Some((name, value)) = split.filter(|(name, _)| is_name(name)) else {
        return Err(ExplainError::NoHeader(printable(header)));
    };
    let name = name.to_ascii_lowercase();
    let value = value.trim();
    if name == "authorization" && !value.is_empty() {
        return Err(ExplainError::TokenAsHeader);
    }
    let colon = if pseudo.is_some() { ":" } else { "" };
    Ok((format!("{colon}{name}"), value))
}

fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// The token and its proof.
fn credentials(
    policy: &Policy,
    token: &Token,
    method: &str,
    now: UnixTime,
) -> Result<Pairs, ExplainError> {
    let text = &token.text;
    let header = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    Ok(match &token.prover {
        None => vec![header("authorization", format!("Bearer {text}"))],
        Some(prover) => vec![
            header("authorization", format!("DPoP {text}")),
            header("dpop", prover.proof(method, &policy.resource, text, now)?),
        ],
    })
}

/// The headers that a client sends with this body.
fn of_client(policy: &Policy, body: &[u8]) -> Pairs {
    let authority = policy.resource.split("://").nth(1).unwrap_or_default();
    let authority = authority.split('/').next().unwrap_or_default();
    let mut pairs = Pairs::new();
    let mut send = |name: &str, value: &str| pairs.push((name.into(), value.into()));
    send(":method", "POST");
    send(":path", &policy.path);
    send(":authority", authority);
    send("accept", "application/json, text/event-stream");
    send("content-length", &body.len().to_string());
    send("content-type", "application/json");
    // A body that cannot be read is refused with any headers.
    let Ok(message) = Message::read(body, &policy.names, MAX_DEPTH) else {
        return pairs;
    };
    let params = &message.params;
    let Some(version) = &params.protocol_version else {
        if message.method != "initialize" {
            send("mcp-protocol-version", LEGACY_VERSION);
        }
        return pairs;
    };
    send("mcp-protocol-version", version);
    send("mcp-method", &encode(&message.method));
    let named = match &*message.method {
        "tools/call" | "prompts/get" => &params.name,
        "resources/read" => &params.uri,
        _ => &None,
    };
    if let Some(named) = named {
        send("mcp-name", &encode(named));
    }
    pairs
}
