//! The server's answer to a look-up.

use super::call::MAX_ANSWER;
use crate::limits::MAX_DEPTH;
use crate::refusal::LookupFault;
use crate::response::results::record_owner::{RecordField, RecordOwnership, fields_of, of_record};
use base::http::HttpResponse;
use base::json::tree::{Node, Value};
use mcp::headers::media_type;
use mcp::sse::{self, EventStream};
use oauth::Identity;
use policy::{FieldPath, RecordOwner};

/// The maximum number of JSON values in an answer.
const MAX_VALUES: usize = 50_000;

/// Checks that the answer to the look-up with this id is the caller's record. Returns the values that the call
/// is to expect, in JSON.
pub(super) fn judge(
    answer: Option<HttpResponse>,
    id: u32,
    owner: &RecordOwner,
    identity: &Identity,
) -> Result<Vec<String>, LookupFault> {
    let answer = answer.ok_or(LookupFault::Unavailable)?;
    match answer.status {
        200 => {}
        // Envoy's own answers have these.
        504 => return Err(LookupFault::TimedOut),
        502 | 503 => return Err(LookupFault::Unavailable),
        status => return Err(LookupFault::Status(status)),
    }
    if answer.body.len() > MAX_ANSWER {
        return Err(LookupFault::TooLarge);
    }
    let media = answer.content_type.as_deref().and_then(media_type);
    let message = match media.as_deref() {
        Some("application/json") => read(&answer.body)?,
        Some("text/event-stream") => response_in(&answer.body)?,
        _ => return Err(LookupFault::Unreadable("its content type is none of MCP")),
    };
    check_result(&message, id)?;
    match of_record(&owner.rule, identity, &message, MAX_DEPTH) {
        RecordOwnership::Callers => {}
        RecordOwnership::Unknown => return Err(LookupFault::NoOwner),
        RecordOwnership::Others => return Err(LookupFault::NotOwned),
    }
    let expect = owner.expect.iter();
    expect.map(|(_, path)| expected(path, &message)).collect()
}

/// The only value of a field of the record.
fn expected(path: &FieldPath, message: &Node) -> Result<String, LookupFault> {
    let mut found = fields_of(path, message, MAX_DEPTH);
    found.dedup();
    match found.as_slice() {
        [RecordField::Text(text)] => Ok(serde_json::Value::from(text.as_str()).to_string()),
        [RecordField::Number(number)] => Ok(number.clone()),
        _ => Err(LookupFault::Unreadable(
            "a field under `expect` has not one value, a text or a number",
        )),
    }
}

fn read(text: &[u8]) -> Result<Node, LookupFault> {
    let node = Node::read_within(text, MAX_DEPTH, &mut { MAX_VALUES });
    node.map_err(|_| LookupFault::Unreadable("it is not one JSON message in strict JSON"))
}

/// The response in an event stream. Notifications and requests of the server may precede it.
fn response_in(stream: &[u8]) -> Result<Node, LookupFault> {
    let events = EventStream::new(MAX_ANSWER).push(stream);
    let events = events.map_err(|_| LookupFault::TooLarge)?;
    let mut found = None;
    for event in events {
        let data = sse::data(&event);
        if !sse::may_be_message(&data) {
            continue;
        }
        let message = read(&data)?;
        let is_of_server = message.member("method").is_some();
        let is_response = ["result", "error"].map(|key| message.member(key).is_some());
        if is_of_server && is_response == [false, false] {
            continue;
        }
        if found.replace(message).is_some() {
            return Err(LookupFault::Unreadable("it has two responses"));
        }
    }
    found.ok_or(LookupFault::Unreadable("its event stream has no response"))
}

/// Checks that a message is the result of the look-up, and complete.
fn check_result(message: &Node, id: u32) -> Result<(), LookupFault> {
    let unreadable = |why| Err(LookupFault::Unreadable(why));
    let members = message.members();
    let is_known = |key: &str| matches!(key, "jsonrpc" | "id" | "result" | "error");
    if members.is_empty() || !members.iter().all(|member| is_known(&member.key)) {
        return unreadable("it is no response of JSON-RPC");
    }
    let answers = message.member("id").and_then(Node::number);
    if answers.and_then(|number| number.parse::<f64>().ok()) != Some(f64::from(id)) {
        return unreadable("it has the id of another request");
    }
    if message.member("error").is_some() {
        return Err(LookupFault::Error);
    }
    let Some(result) = message.member("result") else {
        return unreadable("it has no result");
    };
    if !matches!(result.value, Value::Object(_)) {
        return unreadable("its result is no object");
    }
    for member in result.members() {
        match member.key.to_ascii_lowercase().as_str() {
            "iserror" if !matches!(member.node.value, Value::Bool(false)) => {
                return Err(LookupFault::Error);
            }
            "resulttype" if member.node.text() != Some("complete") => {
                return unreadable("the server asks back, or answers with a task");
            }
            "task" => return unreadable("the server answers with a task"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
