//! The headers for the server: first all headers that it may trust are removed, then the headers of the
//! decision are set.

use std::rc::Rc;

use super::identity_headers::{is_never_from_a_client, with_dashes};
use crate::engine::{Engine, RemovedHeaders};
use crate::pages::PAGE_COOKIES;
use mcp::headers::{HeaderEdit, Headers, PARAM_PREFIX};
use mcp::method::Era;
use oauth::Identity;
use policy::{Authorization, Hold, Policy};

/// The changes of a client's headers for the server. `body` replaces the body.
pub(super) fn headers(
    engine: &Engine,
    received: &Headers,
    identity: &Identity,
    era: Era,
    body: Option<&[u8]>,
) -> Vec<HeaderEdit> {
    let policy = &*engine.policy;
    let mut edits = removed(engine, received, era);
    let mut set = |name: &str, value: &str| {
        edits.push(HeaderEdit::Set(name.to_owned(), value.to_owned()));
    };
    let content_type = received.one("content-type").ok().flatten();
    if content_type.is_some_and(|value| value != "application/json") {
        set("content-type", "application/json");
    }
    let is_post = received.one(":method") == Ok(Some("POST"));
    if policy.compat.missing_accept && is_post && !accepts_both(received) {
        set("accept", "application/json, text/event-stream");
    }
    if let Some(user) = &identity.user {
        set(&policy.headers.user, &header_value(user));
    }
    if let Some(organization) = &identity.organization {
        set(&policy.headers.organization, &header_value(organization));
    }
    let roles: Vec<&str> = crate::authorize::known_roles(policy, identity)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| *name != "*")
        .collect();
    if !roles.is_empty() {
        set(&policy.headers.roles, &header_value(&roles.join(",")));
    }
    if let (Some(body), true) = (body, received.has("content-length")) {
        set("content-length", &body.len().to_string());
    }
    edits
}

/// Whether a client accepts both forms of an answer.
fn accepts_both(received: &Headers) -> bool {
    let accepted: Vec<String> = received
        .all("accept")
        .map(|value| String::from_utf8_lossy(value).to_ascii_lowercase())
        .collect();
    let accepts = |media: &str| accepted.iter().any(|value| value.contains(media));
    accepts("application/json") && accepts("text/event-stream")
}

/// Removes all headers that the server may trust.
fn removed(engine: &Engine, received: &Headers, era: Era) -> Vec<HeaderEdit> {
    let policy = &*engine.policy;
    // The requests of a client have the same headers.
    let removed = engine.removed_headers.get_or(&received.names(), || {
        Rc::new(RemovedHeaders {
            legacy: removed_names(policy, received, Era::Legacy),
            modern: removed_names(policy, received, Era::Modern),
        })
    });
    let names = match era {
        Era::Legacy => &removed.legacy,
        Era::Modern => &removed.modern,
    };
    let mut edits: Vec<HeaderEdit> = names.iter().cloned().map(HeaderEdit::Remove).collect();
    if !names.iter().any(|name| name == "cookie") {
        edits.extend(without_page_cookies(received));
    }
    edits
}

/// The names of the headers that are removed, each once.
fn removed_names(policy: &Policy, received: &Headers, era: Era) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in received.iter() {
        let goes = is_removed(policy, name, era) || is_double(policy, received, name);
        if goes && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The cookies without those of the filter's pages. `None`: there are none of these. Several `cookie`
/// headers become one (RFC 9113 section 8.2.3).
fn without_page_cookies(received: &Headers) -> Option<HeaderEdit> {
    if !received.has("cookie") {
        return None;
    }
    let lines: Vec<_> = received
        .all("cookie")
        .map(String::from_utf8_lossy)
        .collect();
    let pairs = lines.iter().flat_map(|line| line.split(';')).map(str::trim);
    let (pages, others): (Vec<_>, Vec<_>) = pairs.partition(|pair| is_page_cookie(pair));
    let name = || "cookie".to_owned();
    match (pages.is_empty(), others.is_empty()) {
        (true, _) => None,
        (false, true) => Some(HeaderEdit::Remove(name())),
        (false, false) => Some(HeaderEdit::Set(name(), others.join("; "))),
    }
}

/// Whether a cookie belongs to the filter's pages, in any case: servers may ignore the case.
fn is_page_cookie(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().trim();
    let start = name.get(..PAGE_COOKIES.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(PAGE_COOKIES)
}

/// Whether a header has the name of a mirrored argument's header for a server that reads other characters
/// as dashes.
fn is_double(policy: &Policy, received: &Headers, name: &str) -> bool {
    if !name.starts_with(PARAM_PREFIX) {
        return false;
    }
    let own = with_dashes(name);
    if own == name {
        return false;
    }
    let of_tools = policy.tools.iter().flat_map(|tool| &tool.param_headers);
    let declared = of_tools.map(|declared| declared.header.as_str());
    let mut others = received.iter().map(|(other, _)| other).chain(declared);
    others.any(|other| other != name && with_dashes(other) == own)
}

/// Removes trailers with names of headers that are compared with the body.
pub(crate) fn removed_trailers(engine: &Engine, received: &Headers, era: Era) -> Vec<HeaderEdit> {
    let mut edits = removed(engine, received, era);
    let protocol = received.iter().filter(|(name, _)| name.starts_with("mcp-"));
    edits.extend(protocol.map(|(name, _)| HeaderEdit::Remove(name.to_owned())));
    edits
}

fn is_removed(policy: &Policy, name: &str, era: Era) -> bool {
    if name.starts_with(':') {
        return false;
    }
    let dashed = with_dashes(name);
    let own = [
        &policy.headers.user,
        &policy.headers.organization,
        &policy.headers.roles,
    ];
    if own
        .into_iter()
        .chain(&policy.upstream.remove_headers)
        .chain(&policy.view_as.header)
        .any(|header| *header == dashed)
    {
        return true;
    }
    // The server takes such a header for the credential of an account.
    let connections = policy.connections.iter();
    let mut of_accounts = connections.flat_map(|connection| connection.apply.names());
    if dashed != "authorization" && of_accounts.any(|header| header == dashed) {
        return true;
    }
    // Names of arguments may have underscores. The header is compared with the body.
    if name != dashed && dashed.starts_with("mcp-") && !name.starts_with(PARAM_PREFIX) {
        return true;
    }
    match dashed.as_str() {
        "authorization" => {
            policy.upstream.authorization != Authorization::Pass || name != "authorization"
        }
        // A proof is for the filter, and is used.
        "dpop" => true,
        // The filter must be able to read the answer.
        "accept-encoding" => true,
        // The filter sets these to the server's own values.
        "last-event-id" | "mcp-session-id" => true,
        "content-length" => policy.hold == Hold::BufferFilter,
        "mcp-method" | "mcp-name" => era == Era::Legacy,
        _ if dashed.starts_with(PARAM_PREFIX) => era == Era::Legacy,
        _ => {
            let passes = policy
                .upstream
                .pass_headers
                .iter()
                .any(|header| header == name);
            !passes && is_never_from_a_client(&dashed)
        }
    }
}

/// A claim as a header value: visible ASCII stays, other characters are percent-encoded.
fn header_value(text: &str) -> String {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'$' | b'&'..=b'~' | b' ');
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return text.to_owned();
    }
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => value.push_str("%25"),
            b'!'..=b'~' | b' ' => value.push(char::from(byte)),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}
