//! Challenges and redirects of the server. A challenge names an authorization server to the client, and a
//! redirect another URL: with the filter before it, neither is the server's to choose.

use memchr::memmem;

use super::Answering;
use super::changes::Changes;
use crate::refusal::Refusal;
use base::json::tree::Node;
use mcp::headers::{HeaderEdit, Headers};
use policy::Authorization;

/// Where a tool's result has a challenge in the place of a header.
const META_CHALLENGE: &str = "mcp/www_authenticate";

/// Headers that tell a client where to go or what to authenticate with.
pub(super) const HEADERS: [&str; 6] = [
    "authentication-info",
    "location",
    "proxy-authenticate",
    "proxy-authentication-info",
    "refresh",
    "www-authenticate",
];

impl Answering {
    /// Whether the server is the one that the client authenticates at.
    pub(super) fn passes_credentials(&self) -> bool {
        self.policy.upstream.authorization == Authorization::Pass
    }

    /// Takes such headers out of an answer.
    ///
    /// # Errors
    ///
    /// The answer is a challenge or a redirect.
    pub(super) fn without_challenge(&self, headers: &Headers) -> Result<Vec<HeaderEdit>, Refusal> {
        if self.passes_credentials() {
            return Ok(Vec::new());
        }
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let has = |name: &str| headers.has(name);
        match status {
            "401" | "403" | "407" if has("www-authenticate") || has("proxy-authenticate") => {
                return Err(Refusal::UpstreamChallenge);
            }
            _ if status.starts_with('3') && (has("location") || has("refresh")) => {
                return Err(Refusal::UpstreamRedirect);
            }
            _ => {}
        }
        let present = HEADERS.iter().filter(|name| headers.has(name));
        Ok(present
            .map(|name| HeaderEdit::Remove((*name).to_owned()))
            .collect())
    }
}

/// Whether a message may have a challenge in its result.
pub(super) fn may_be_in(body: &[u8]) -> bool {
    memmem::find(body, b"www_authenticate").is_some()
}

/// Takes the challenge out of a result.
pub(super) fn remove(message: &Node, changes: &mut Changes) {
    let meta = message
        .member("result")
        .and_then(|result| result.member("_meta"));
    let members = meta.map_or(&[][..], Node::members).iter();
    for member in members.filter(|member| member.key == META_CHALLENGE) {
        changes.remove(&member.element);
    }
}
