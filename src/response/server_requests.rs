//! Requests of the server to the client during a call: elicitation, sampling, roots. Their ids name the call's
//! tool or prompt, sealed for the caller. So the argument rules of this tool apply to the client's answer, which
//! arrives as a request of its own.

use serde::{Deserialize, Serialize};

use super::Answering;
use super::changes::{Changes, quoted};
use super::inspect::ResultOf;
use crate::authorize::Target;
use crate::refusal::Refusal;
use base::json::tree::Node;
use base::needle::Needle;
use base::seal::Purpose;

/// The prefix of such ids.
pub(crate) const PREFIX: &str = "mcp-auth-filter-request:";

/// A request of the server, and the target whose call it belongs to.
#[derive(Serialize, Deserialize)]
pub(crate) struct SealedRequest {
    /// The server's id, as JSON.
    pub(crate) id: String,
    tool: Option<String>,
    prompt: Option<String>,
}

impl SealedRequest {
    /// A request of the server during a call. `None`: the target has no argument rules of its own.
    fn new(id: &Node, of: &ResultOf) -> Option<Self> {
        let id = match (id.text(), id.number()) {
            (Some(text), _) => quoted(text),
            (None, Some(number)) => number.to_owned(),
            (None, None) => return None,
        };
        let (tool, prompt) = match of {
            ResultOf::Tool(name) => (Some(name.clone()), None),
            ResultOf::Prompt(name) => (None, Some(name.clone())),
            ResultOf::Nothing | ResultOf::Anything | ResultOf::Resource(_) => return None,
        };
        Some(Self { id, tool, prompt })
    }

    /// The target whose argument rules apply to the answer.
    pub(crate) fn target(&self) -> Option<Target<'_>> {
        let tool = self.tool.as_deref().map(Target::Tool);
        tool.or_else(|| self.prompt.as_deref().map(Target::Prompt))
    }
}

/// Whether a message may be a request, or a notification.
pub(super) fn may_be_in(body: &[u8]) -> bool {
    static METHOD: Needle = Needle::new("method");
    METHOD.is_in(body)
}

impl Answering {
    /// Binds a request of the server to the call. A notification that cancels the request gets the same id.
    pub(super) fn bind_request(
        &self,
        message: &Node,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let Some(method) = message.member("method").and_then(Node::text) else {
            return Ok(());
        };
        let cancelled = match method {
            "notifications/cancelled" => message.member("params"),
            _ => None,
        };
        let cancelled = cancelled.and_then(|params| params.member("requestId"));
        for id in message.member("id").into_iter().chain(cancelled) {
            if let Some(request) = SealedRequest::new(id, &self.result_of) {
                let session = self.handles.session.as_deref().unwrap_or_default();
                let sealing = self.sealing().ok_or(Refusal::NoSealKey)?;
                let bound: &[&[u8]] = &[session.as_bytes()];
                let sealed = sealing.seal(Purpose::ServerRequest, bound, &request);
                changes.set_text(id, format!("{PREFIX}{sealed}"));
            }
        }
        Ok(())
    }
}
