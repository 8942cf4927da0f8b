//! Ids of requests whose answers are judged. In earlier versions a server finds the stream for an
//! answer by the request's id, so two requests with one id could swap their answers, and with them
//! the rules. So the server gets an id that says which request it is for, and the client its own again.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use memchr::memmem;

use super::{MAX_DEPTH, Transaction};
use crate::refusal::Refusal;
use base::json::Reader;
use base::json::edits::Edits;
use base::json::tree::{Node, Value};
use mcp::message::{Message, MessageError};
use mcp::method::Era;

/// What such an id starts with. Clients may not use it.
const PREFIX: &str = "mcp-auth-filter:";

impl Transaction {
    /// Refuses an id that only the filter makes.
    pub(super) fn check_id(message: &Message<'_>) -> Result<(), Refusal> {
        // As the server will read it: it may be written with escapes.
        let text = message.id.map(|id| Reader::new(id, 1).string());
        match text {
            Some(Ok(id)) if id.value.starts_with(PREFIX) => {
                Err(Refusal::Message(MessageError::ReservedId))
            }
            _ => Ok(()),
        }
    }

    /// The id the server gets, as JSON, where it is not the client's.
    pub(super) fn id_for_server(&self) -> Option<String> {
        let id = self.asked.id.as_ref()?;
        if !self.is_judged() || self.asked.era == Era::Modern {
            return None;
        }
        let id = BASE64_URL_SAFE_NO_PAD.encode(id);
        Some(format!("\"{PREFIX}{}:{id}\"", self.call_tag()?))
    }

    /// A message of the server with the client's own id, if it has one of the filter's.
    ///
    /// # Errors
    ///
    /// It is the answer to another call, or what is in the place of the client's id is no id.
    pub(super) fn id_for_client(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if !self.is_judged() || memmem::find(body, PREFIX.as_bytes()).is_none() {
            return Ok(None);
        }
        let message = Node::read(body, MAX_DEPTH).map_err(|_| Refusal::UpstreamAnswer)?;
        let id = message.member("id");
        let text = id.and_then(|id| match &id.value {
            Value::Text(text) => text.strip_prefix(PREFIX).map(|text| (id, text)),
            _ => None,
        });
        let Some((id, (tag, own))) = text.and_then(|(id, text)| Some((id, text.split_once(':')?)))
        else {
            return Ok(None);
        };
        let own = BASE64_URL_SAFE_NO_PAD.decode(own);
        let own = own.map_err(|_| Refusal::UpstreamAnswer)?;
        let is_own = match self.call_tag() {
            Some(expected) => expected == tag && self.asked.id.as_deref() == Some(&own),
            // A stream of its own belongs to no call, and every rule was applied to it. The server
            // may have made up the id.
            None => is_id(&own),
        };
        if !is_own {
            return Err(Refusal::UpstreamAnswer);
        }
        let mut edits = Edits::default();
        edits.replace(id.span.clone(), own);
        Ok(edits.apply(body))
    }

    /// Whether what comes back depends on the request.
    fn is_judged(&self) -> bool {
        self.inspect.results || self.inspect.lists
    }

    /// What tells requests apart whose answers fall under different rules.
    fn call_tag(&self) -> Option<String> {
        let method = self.record.method.as_deref()?;
        let target = self.result_of.target()?;
        let hash = hmac_sha256::Hash::hash(format!("{method} {}", target.name()).as_bytes());
        let short = hash.iter().take(8);
        Some(short.map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Whether this is one string or number, and nothing else.
fn is_id(json: &[u8]) -> bool {
    let id = Node::read(json, 1);
    id.is_ok_and(|id| matches!(id.value, Value::Text(_) | Value::Number(_)))
}
