//! Ids of requests whose answers are judged. In earlier versions a server finds the stream for an
//! answer by the request's id, so two requests with one id could swap their answers, and with them
//! the rules. So the server gets an id that says which request it is for, and the client its own again.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use memchr::memmem;

use super::Answering;
use super::changes::Changes;
use super::inspect::ResultOf;
use crate::refusal::Refusal;
use base::json::Reader;
use base::json::tree::{Node, Value};
use mcp::message::{Message, MessageError};

/// What such an id starts with. Clients may not use it.
const PREFIX: &str = "mcp-auth-filter:";

/// Refuses an id that only the filter makes.
pub(crate) fn check(message: &Message<'_>) -> Result<(), Refusal> {
    // As the server will read it: it may be written with escapes.
    let text = message.id.map(|id| Reader::new(id, 1).string());
    match text {
        Some(Ok(id)) if id.value.starts_with(PREFIX) => {
            Err(Refusal::Message(MessageError::ReservedId))
        }
        _ => Ok(()),
    }
}

/// The id the server gets in place of the client's, as JSON. `None` where nothing tells answers of
/// this method and target from others.
pub(crate) fn for_server(id: &[u8], method: Option<&str>, result_of: &ResultOf) -> Option<String> {
    let id = BASE64_URL_SAFE_NO_PAD.encode(id);
    Some(format!("\"{PREFIX}{}:{id}\"", call_tag(method, result_of)?))
}

/// What tells requests apart whose answers fall under different rules.
fn call_tag(method: Option<&str>, result_of: &ResultOf) -> Option<String> {
    let (method, target) = (method?, result_of.target()?);
    let hash = hmac_sha256::Hash::hash(format!("{method} {}", target.name()).as_bytes());
    let short = hash.iter().take(8);
    Some(short.map(|byte| format!("{byte:02x}")).collect())
}

impl Answering {
    /// Whether a message may have one of the filter's ids.
    pub(super) fn may_have_own_id(&self, body: &[u8]) -> bool {
        self.inspect.depends_on_request(&self.result_of)
            && memmem::find(body, PREFIX.as_bytes()).is_some()
    }

    /// Gives a message of the server the client's own id, if it has one of the filter's.
    ///
    /// # Errors
    ///
    /// It is the answer to another call, or what is in the place of the client's id is no id.
    pub(super) fn restore_id(&self, message: &Node, changes: &mut Changes) -> Result<(), Refusal> {
        let id = message.member("id");
        let text = id.and_then(|id| Some((id, id.text()?.strip_prefix(PREFIX)?.split_once(':')?)));
        let Some((id, (tag, own))) = text else {
            return Ok(());
        };
        let own = BASE64_URL_SAFE_NO_PAD.decode(own);
        let own = own.map_err(|_| Refusal::UpstreamAnswer)?;
        let is_own = match call_tag(self.request.method.as_deref(), &self.result_of) {
            Some(expected) => expected == tag && self.request.id.as_deref() == Some(&own),
            // A stream of its own belongs to no call, and every rule was applied to it. The server
            // may have made up the id.
            None => is_id(&own),
        };
        if !is_own {
            return Err(Refusal::UpstreamAnswer);
        }
        changes.set_json(id, own);
        Ok(())
    }
}

/// Whether this is one string or number, and nothing else.
fn is_id(json: &[u8]) -> bool {
    let id = Node::read(json, 1);
    id.is_ok_and(|id| matches!(id.value, Value::Text(_) | Value::Number(_)))
}
