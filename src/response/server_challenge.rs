//! Challenges and redirects of the server. A challenge names an authorization server to the client, and a
//! redirect another URL. Behind the filter the server may choose neither.

use super::Answering;
use super::changes::Changes;
use crate::refusal::Refusal;
use base::json::tree::Node;
use base::needle::Needle;
use mcp::headers::{HeaderEdit, Headers};
use policy::Authorization;

/// The member of `_meta` in which a tool's result has a challenge.
const META_CHALLENGE: &str = "mcp/www_authenticate";

/// Headers that send the client to another URL or name its authorization server.
pub(super) const HEADERS: [&str; 6] = [
    "authentication-info",
    "location",
    "proxy-authenticate",
    "proxy-authentication-info",
    "refresh",
    "www-authenticate",
];

impl Answering {
    /// Whether clients authenticate to the server itself.
    pub(super) fn passes_credentials(&self) -> bool {
        self.policy.upstream.authorization == Authorization::Pass
    }

    /// Removes such headers from an answer.
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
    static CHALLENGE: Needle = Needle::new("www_authenticate");
    CHALLENGE.is_in(body)
}

/// Removes the challenge from a result.
pub(super) fn remove(message: &Node, changes: &mut Changes) {
    let meta = message
        .member("result")
        .and_then(|result| result.member("_meta"));
    let members = meta.map_or(&[][..], Node::members).iter();
    for member in members.filter(|member| member.key == META_CHALLENGE) {
        changes.remove(member);
    }
}
