//! Ids of requests whose answers are judged. In earlier versions a server finds the stream of an answer by
//! the request's id. Two requests with one id could exchange their answers, and thus the rules. So the
//! server receives another id, and the client receives its own id: a text names the method and the target, and
//! an integer is one that no other running request has.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Answering;
use super::changes::Changes;
use super::inspect::ResultOf;
use crate::integer_ids::IntegerIds;
use crate::refusal::Refusal;
use base::json::Reader;
use base::json::tree::{Node, Value};
use base::needle::Needle;
use mcp::message::{Message, MessageError};

/// The prefix of such ids. Clients may not use it.
const PREFIX: &str = "mcp-auth-filter:";
static PREFIX_NEEDLE: Needle = Needle::new(PREFIX);

/// Refuses an id with the filter's prefix.
pub(crate) fn check(message: &Message<'_>) -> Result<(), Refusal> {
    match message.id.is_some_and(has_prefix) {
        true => Err(Refusal::Message(MessageError::ReservedId)),
        false => Ok(()),
    }
}

/// Whether a text has the filter's prefix.
fn has_prefix(id: &[u8]) -> bool {
    // The id as the server will read it: it may have escapes.
    let text = Reader::new(id, 1).string();
    text.is_ok_and(|id| id.value.starts_with(PREFIX))
}

/// Whether an id, however it is written, is one that the filter gives to requests.
pub(crate) fn has_filters_form(id: &[u8]) -> bool {
    let number = str::from_utf8(id).ok().and_then(whole);
    number.is_some_and(IntegerIds::has) || has_prefix(id)
}

/// An id that differs for the server. Both are JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RenamedId {
    pub(crate) client: String,
    pub(crate) server: String,
}

/// An integer that a client wrote as an id.
pub(crate) fn integer(id: &[u8]) -> Option<i64> {
    str::from_utf8(id).ok()?.parse().ok()
}

/// The id for the server: an integer for an integer, since some servers take no others, and a text for a text.
/// `None`: answers of this method and target cannot be told apart. `next` is an integer that no other running
/// request has.
pub(crate) fn for_server(
    id: &[u8],
    method: Option<&str>,
    result_of: &ResultOf,
    next: impl FnOnce() -> u32,
) -> Option<RenamedId> {
    let client = String::from_utf8(id.to_vec()).ok()?;
    if !client.starts_with('"') {
        let server = next().to_string();
        return Some(RenamedId { client, server });
    }
    let tag = call_tag(method, result_of)?;
    let server = format!("\"{PREFIX}{tag}:{}\"", BASE64_URL_SAFE_NO_PAD.encode(id));
    Some(RenamedId { client, server })
}

/// The part of the id that differs for requests whose answers have different rules.
fn call_tag(method: Option<&str>, result_of: &ResultOf) -> Option<String> {
    let (method, target) = (method?, result_of.target()?);
    let hash = hmac_sha256::Hash::hash(format!("{method} {}", target.name()).as_bytes());
    let short = hash.iter().take(8);
    Some(short.map(|byte| format!("{byte:02x}")).collect())
}

impl Answering {
    /// Whether a message may have one of the filter's ids.
    pub(super) fn may_have_own_id(&self, body: &[u8]) -> bool {
        // Some servers write integers in other ways.
        let may_answer = || body.trim_ascii_start().starts_with(b"{");
        self.renamed_integer().is_some() && may_answer()
            || self.inspect.depends_on_request(&self.result_of) && PREFIX_NEEDLE.is_in(body)
    }

    fn renamed_integer(&self) -> Option<(i64, &RenamedId)> {
        let renamed = self.request.renamed.as_ref()?;
        Some((integer(renamed.server.as_bytes())?, renamed))
    }

    /// Restores the client's id in a message of the server, if it has an id of the filter.
    ///
    /// # Errors
    ///
    /// The message answers another call, or its id does not hold a client's id.
    pub(super) fn restore_id(&self, message: &Node, changes: &mut Changes) -> Result<(), Refusal> {
        let id = message.member("id");
        let answered = id.filter(|_| message.member("method").is_none());
        if let (Some((expected, renamed)), Some(id)) = (self.renamed_integer(), answered)
            && let Some(number) = id.number()
        {
            return match whole(number) {
                Some(found) if found == expected => {
                    changes.set_json(id, renamed.client.as_str());
                    Ok(())
                }
                Some(found) if IntegerIds::has(found) => Err(Refusal::UpstreamAnswer),
                _ => Ok(()),
            };
        }
        let text = id.and_then(|id| Some((id, id.text()?.strip_prefix(PREFIX)?.split_once(':')?)));
        let Some((id, (tag, own))) = text else {
            return Ok(());
        };
        let own = BASE64_URL_SAFE_NO_PAD.decode(own);
        let own = own.map_err(|_| Refusal::UpstreamAnswer)?;
        let is_own = match call_tag(self.request.method.as_deref(), &self.result_of) {
            Some(expected) => expected == tag && self.request.id.as_deref() == Some(&own),
            // A separate stream belongs to no call, and all rules were applied to it. The server may have
            // invented the id.
            None => is_id(&own),
        };
        if !is_own {
            return Err(Refusal::UpstreamAnswer);
        }
        changes.set_json(id, own);
        Ok(())
    }
}

/// A number as an integer. Some servers write integers as floating-point numbers.
fn whole(number: &str) -> Option<i64> {
    integer(number.as_bytes()).or_else(|| {
        let number: f64 = number.parse().ok()?;
        // Up to here, a floating-point number is an exact integer.
        let is_exact = number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX);
        is_exact.then(|| format!("{number:.0}").parse().ok())?
    })
}

/// Whether this is exactly one string or number.
fn is_id(json: &[u8]) -> bool {
    let id = Node::read(json, 1);
    id.is_ok_and(|id| matches!(id.value, Value::Text(_) | Value::Number(_)))
}
