//! A JSON-RPC message of a client, with the positions of its parts.

mod readable_id;

pub mod params;

pub use self::readable_id::ReadableId;
use std::borrow::Cow;

use thiserror::Error;

use self::params::Params;
use super::argument_names::{NameTable, folds_alike};
use super::identity_members::{IdentityMembers, MemberFinder};
use base::json::tree::{Node, Value};
use base::json::{JsonError, Kind, Reader, Span, Text};

const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// Why a body is not accepted as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// An array of messages.
    #[error("batches are not accepted; send one message per request")]
    Batch,
    /// More than one of `method`, `result` and `error`.
    #[error("a message has one of `method`, `result` and `error`")]
    Hybrid,
    /// An id that is neither a string nor an integer.
    #[error("`id` must be a string or an integer")]
    Id,
    /// An id with the prefix that the filter uses towards a server.
    #[error("`id` must not start with `mcp-auth-filter:`")]
    ReservedId,
    /// Not strict JSON.
    #[error("not strict JSON: {0}")]
    Json(#[from] JsonError),
    /// A key that a lenient parser would read as a key of the protocol.
    #[error("a key at byte {0} is a misspelled protocol key")]
    LookAlike(usize),
    /// A member of the wrong type.
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    /// A member that JSON-RPC does not define.
    #[error("unknown member of the message at byte {0}")]
    UnknownMember(usize),
    /// Not JSON-RPC 2.0.
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
}

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It expects a response.
    Request,
    /// It expects no response.
    Notification,
    /// It answers a request of the server.
    Response,
}

/// A message, strictly read.
#[derive(Debug)]
pub struct Message<'a> {
    /// The kind of message.
    pub shape: Shape,
    /// The id as written.
    pub id: Option<&'a [u8]>,
    /// The position of the id.
    pub id_span: Option<Span>,
    /// The method; empty for a response.
    pub method: Cow<'a, str>,
    /// The parameters.
    pub params: Params<'a>,
    /// The members that identify the caller.
    pub identity_members: IdentityMembers,
}

impl<'a> Message<'a> {
    /// Reads a message from a whole body, in one pass.
    ///
    /// # Errors
    ///
    /// Two JSON-RPC implementations could read the message differently, or it is malformed.
    pub fn read(body: &'a [u8], names: &NameTable, max_depth: usize) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body, max_depth);
        if reader.kind()? == Kind::Array {
            return Err(MessageError::Batch);
        }
        let mut envelope = Envelope::new(names, max_depth, body.len());
        reader.object(|reader, member| envelope.member(reader, &member.key))?;
        reader.end()?;
        envelope.finish(&reader)
    }
}

#[derive(Debug)]
struct Envelope<'a, 't> {
    version: bool,
    id: Option<Span>,
    method: Option<Cow<'a, str>>,
    is_response: bool,
    /// Whether `result` or `error` is `null`.
    has_null_answer: bool,
    params: Params<'a>,
    finder: MemberFinder<'t>,
}

impl<'a, 't> Envelope<'a, 't> {
    fn new(names: &'t NameTable, max_depth: usize, size: usize) -> Self {
        Self {
            version: false,
            id: None,
            method: None,
            is_response: false,
            has_null_answer: false,
            params: Params::default(),
            finder: MemberFinder::new(names, max_depth, size),
        }
    }

    fn member(&mut self, reader: &mut Reader<'a>, key: &Text<'a>) -> Result<(), MessageError> {
        match &*key.value {
            "jsonrpc" => self.version = text(reader, "jsonrpc")? == "2.0",
            "id" => self.id = Some(id(reader)?),
            "method" => self.method = Some(text(reader, "method")?),
            "params" => self.params = Params::read(reader, &mut self.finder)?,
            // Libraries of JSON-RPC 1.0 write both.
            "result" | "error" if reader.kind()? == Kind::Null => {
                reader.skip()?;
                self.has_null_answer = true;
            }
            "result" | "error" => {
                if std::mem::replace(&mut self.is_response, true) {
                    return Err(MessageError::Hybrid);
                }
                let span = self.finder.answer(reader)?;
                self.params.related_task = related_task(reader, &span)?;
            }
            _ => {
                refuse_look_alike(key, ENVELOPE)?;
                return Err(MessageError::UnknownMember(key.span.start));
            }
        }
        Ok(())
    }

    fn finish(self, reader: &Reader<'a>) -> Result<Message<'a>, MessageError> {
        if !self.version {
            return Err(MessageError::Version);
        }
        let is_response = self.is_response || self.has_null_answer;
        let shape = match (&self.method, is_response, &self.id) {
            (Some(_), true, _) => return Err(MessageError::Hybrid),
            (Some(_), false, Some(_)) => Shape::Request,
            (Some(_), false, None) => Shape::Notification,
            (None, true, _) => Shape::Response,
            (None, false, _) => return Err(MessageError::Type("method")),
        };
        Ok(Message {
            shape,
            id: self.id.clone().map(|span| reader.bytes(span)),
            id_span: self.id,
            method: self.method.unwrap_or_default(),
            params: self.params,
            identity_members: self.finder.found,
        })
    }
}

fn expect(reader: &mut Reader<'_>, kind: Kind, name: &'static str) -> Result<(), MessageError> {
    if reader.kind()? != kind {
        return Err(MessageError::Type(name));
    }
    Ok(())
}

fn text<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<Cow<'a, str>, MessageError> {
    Ok(positioned_text(reader, name)?.value)
}

/// A text with its position, to replace it.
fn positioned_text<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
) -> Result<Text<'a>, MessageError> {
    expect(reader, Kind::String, name)?;
    let text = reader.string()?;
    if text.value.contains('\0') {
        return Err(MessageError::Type(name));
    }
    Ok(text)
}

fn id(reader: &mut Reader<'_>) -> Result<Span, MessageError> {
    let kind = reader.kind()?;
    let span = reader.skip()?;
    let integer = |bytes: &[u8]| !bytes.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match kind {
        Kind::String => Ok(span),
        Kind::Number if integer(reader.bytes(span.clone())) => Ok(span),
        _ => Err(MessageError::Id),
    }
}

/// The task that a response of the client belongs to.
fn related_task<'a>(reader: &Reader<'a>, span: &Span) -> Result<Option<Text<'a>>, MessageError> {
    // The answer was read strictly already, so nothing in it is too deep, and names
    // in it were found.
    let mut answer = Reader::new(reader.bytes(span.clone()), usize::MAX);
    let no_names = NameTable::default();
    let mut finder = MemberFinder::new(&no_names, usize::MAX, span.len());
    if answer.kind()? != Kind::Object {
        return Ok(None);
    }
    let mut task = None;
    answer.object(|reader, member| {
        if member.key.value != "_meta" || reader.kind()? != Kind::Object {
            reader.skip()?;
            return Ok(());
        }
        reader.object(|reader, member| {
            refuse_look_alike(&member.key, &[params::RELATED_TASK])?;
            if member.key.value == params::RELATED_TASK {
                task = params::read_related_task(&mut finder, reader)?;
            } else {
                reader.skip()?;
            }
            Ok::<(), MessageError>(())
        })?;
        Ok::<(), MessageError>(())
    })?;
    if let Some(task) = &mut task {
        let in_body = |at: usize| at.saturating_add(span.start);
        task.span = in_body(task.span.start)..in_body(task.span.end);
    }
    Ok(task)
}

/// Refuses a message of the server that is not one object.
///
/// # Errors
///
/// The message is a batch, or no object.
pub fn refuse_non_object(message: &Node) -> Result<(), MessageError> {
    match message.value {
        Value::Object(_) => Ok(()),
        Value::Array(_) => Err(MessageError::Batch),
        _ => Err(MessageError::Type("message")),
    }
}

/// Refuses an object with a key that another parser could read as one of `known`.
///
/// # Errors
///
/// [`MessageError::LookAlike`] with the position of the key.
pub fn refuse_look_alike_members(object: &Node, known: &[&str]) -> Result<(), MessageError> {
    let mut members = object.members().iter();
    members.try_for_each(|member| refuse(&member.key, member.key_span.start, known))
}

/// Refuses a key that differs from one of `known` only in case, separators or Unicode form. A key that
/// is one of `known` passes.
///
/// # Errors
///
/// [`MessageError::LookAlike`] with the position of the key.
pub fn refuse_look_alike(key: &Text<'_>, known: &[&str]) -> Result<(), MessageError> {
    refuse(&key.value, key.span.start, known)
}

fn refuse(key: &str, at: usize, known: &[&str]) -> Result<(), MessageError> {
    let is_alike = |known: &&str| folds_alike(known, key);
    if !known.contains(&key) && known.iter().any(is_alike) {
        return Err(MessageError::LookAlike(at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Message<'_>, MessageError> {
        Message::read(body.as_bytes(), &NameTable::default(), 32)
    }

    fn params(params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#)
    }

    #[test]
    fn r6_null_is_an_absent_member() {
        for absent in [
            "null",
            r#"{"name":null,"uri":null,"arguments":null,"_meta":null,"cursor":null,"ref":null}"#,
            r#"{"argument":null,"context":null,"inputResponses":null,"requestState":null}"#,
            r#"{"taskId":null,"task":null,"notifications":null,"requestId":null}"#,
            r#"{"protocolVersion":null,"capabilities":null,"clientInfo":null}"#,
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":null}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":null}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/related-task":null}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":null}}}"#,
            r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":null,"extensions":null}}}"#,
            r#"{"notifications":{"resourceSubscriptions":null,"taskIds":null}}"#,
        ] {
            let body = params(absent);
            let message = read(&body).unwrap_or_else(|error| panic!("{absent}: {error}"));
            let read = message.params;
            assert!(
                read.name.is_none() && read.uri.is_none() && read.arguments.is_none(),
                "{absent}"
            );
            assert!(
                read.task_id.is_none() && read.related_task.is_none() && !read.asks_task,
                "{absent}"
            );
            assert!(
                read.request_state.is_none() && !read.has_cursor && read.context.is_none(),
                "{absent}"
            );
            assert!(
                read.protocol_version.is_none() && read.tasks_extension.is_none(),
                "{absent}"
            );
            assert!(
                read.subscriptions.is_empty() && read.subscribed_tasks.is_empty(),
                "{absent}"
            );
            assert_eq!(read.elicitation, Default::default(), "{absent}");
        }
        let null = read(&params(r#"{"arguments":null}"#))
            .map(|message| message.params.null_arguments.is_some());
        assert_eq!(null, Ok(true));
    }

    #[test]
    fn r6_a_response_may_have_a_null_beside_its_answer() {
        let read = |members: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#);
            read(&body).map(|message| message.shape)
        };
        for members in [
            r#""result":{},"error":null"#,
            r#""error":{"code":1},"result":null"#,
            r#""result":null"#,
        ] {
            assert_eq!(read(members), Ok(Shape::Response), "{members}");
        }
        for members in [
            r#""result":{},"error":{}"#,
            r#""method":"x","result":null"#,
            r#""method":"x","error":null"#,
        ] {
            assert_eq!(read(members), Err(MessageError::Hybrid), "{members}");
        }
    }

    #[test]
    fn r6_other_types_and_spellings_stay_refused() {
        for wrong in ["7", "[]", r#""x""#] {
            assert!(read(&params(wrong)).is_err(), "{wrong}");
            assert!(read(&params(&format!(r#"{{"arguments":{wrong}}}"#))).is_err());
        }
        for misspelled in [
            r#"{"Arguments":null}"#,
            r#"{"_Meta":null}"#,
            r#"{"arguments":null,"arguments":{}}"#,
        ] {
            assert!(read(&params(misspelled)).is_err(), "{misspelled}");
        }
    }
}
