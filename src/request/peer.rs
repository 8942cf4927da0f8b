//! Requests under a policy with `local`, which accepts requests from its own machine only.

use std::net::SocketAddr;

use url::{Host, Url};

use crate::refusal::Refusal;
use mcp::headers::Headers;
use policy::Policy;

/// Headers in which proxies name their client.
const FORWARDED: &[&str] = &[
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-forwarded-host",
    "x-real-ip",
];

/// Both ends of the connection of a request. By default the request may come from anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    here: Option<SocketAddr>,
    there: Option<SocketAddr>,
}

impl Peer {
    /// A connection between two addresses as Envoy writes them: `127.0.0.1:80`, `[::1]:80`. A Unix socket
    /// has no address. A client that sends MCP through one is another proxy.
    pub fn of(here: &[u8], there: &[u8]) -> Self {
        let read = |address| str::from_utf8(address).ok()?.parse().ok();
        Self {
            here: read(here),
            there: read(there),
        }
    }

    /// Whether both ends are on the loopback interface. No packet from another machine reaches it.
    fn is_loopback(self) -> bool {
        let loopback =
            |end: Option<SocketAddr>| end.is_some_and(|end| end.ip().to_canonical().is_loopback());
        loopback(self.here) && loopback(self.there)
    }
}

/// Refuses requests from other machines, and from web pages whose host name resolves to this machine (DNS
/// rebinding).
pub(super) fn check(policy: &Policy, headers: &Headers, from: Peer) -> Result<(), Refusal> {
    if policy.local.is_none() {
        return Ok(());
    }
    if !from.is_loopback() || was_forwarded(headers) {
        return Err(Refusal::NotLocal);
    }
    let authority = headers.one(":authority").map_err(Refusal::Header)?;
    if !is_own_host(policy, authority.unwrap_or_default()) {
        return Err(Refusal::Host);
    }
    Ok(())
}

/// Whether another proxy forwarded the request. One entry may be Envoy's own, with any address of this
/// machine.
fn was_forwarded(headers: &Headers) -> bool {
    let lists = headers.all("x-forwarded-for");
    let entries = lists.flat_map(|list| list.split(|byte| *byte == b','));
    FORWARDED.iter().any(|name| headers.has(name)) || entries.count() > 1
}

/// Whether an authority, with any port, names this machine or the server.
fn is_own_host(policy: &Policy, authority: &str) -> bool {
    let host = |text: &str| Url::parse(text).ok()?.host().map(|host| host.to_owned());
    // An authority has no other parts of a URL. With them it would name another host.
    if authority.contains(['/', '?', '#', '@', '\\']) {
        return false;
    }
    match host(&format!("http://{authority}/")) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) if name == "localhost" => true,
        Some(own) => host(&policy.resource) == Some(own),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_have_to_be_loopback() {
        for (here, peer, expected) in [
            ("127.0.0.1:80", "127.0.0.1:5000", true),
            ("127.8.9.1:80", "127.0.0.1:5000", true),
            ("[::1]:80", "[::1]:5000", true),
            ("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:5000", true),
            ("127.0.0.1:80", "10.0.0.2:5000", false),
            ("10.0.0.1:80", "127.0.0.1:5000", false),
            ("0.0.0.0:80", "127.0.0.1:5000", false),
            ("[::ffff:10.0.0.1]:80", "[::1]:5000", false),
            ("/run/envoy.sock", "@", false),
            ("127.0.0.1", "127.0.0.1", false),
            ("", "", false),
        ] {
            let between = Peer::of(here.as_bytes(), peer.as_bytes());
            assert_eq!(between.is_loopback(), expected, "{here} {peer}");
        }
        assert!(!Peer::default().is_loopback());
    }
}
