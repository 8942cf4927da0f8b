//! One JSON-RPC message of a client: what it asks, and where in its bytes that stands.

use std::borrow::Cow;

use thiserror::Error;

use super::finder::{Finder, Finds, Place};
use super::json::{JsonError, Kind, Reader, Span, Text};
use super::names::{NameTable, fold};

/// The `_meta` key of the protocol version (MCP 2026-07-28 "Base Protocol").
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: &[&str] = &[
    "name",
    "uri",
    "arguments",
    "_meta",
    "cursor",
    "ref",
    "argument",
    "context",
    "inputResponses",
    "requestState",
    "taskId",
    "task",
    "notifications",
    "protocolVersion",
    "capabilities",
    "clientInfo",
];

/// Why a body is not a message this filter can judge.
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
    /// Not strict JSON.
    #[error("not strict JSON: {0}")]
    Json(#[from] JsonError),
    /// A key that a lenient parser would take for one of the protocol's.
    #[error("a key at byte {0} looks like a protocol key and is not spelled like it")]
    LookAlike(usize),
    /// A member of the wrong type.
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    /// A member the envelope does not have.
    #[error("unknown member of the message at byte {0}")]
    UnknownMember(usize),
    /// Not JSON-RPC 2.0.
    #[error("`jsonrpc` must be \"2.0\"")]
    Version,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Expects an answer.
    Request,
    /// Expects none.
    Notification,
    /// Answers a request of the server.
    Response,
}

/// A message, strictly read.
#[derive(Debug)]
pub struct Message<'a> {
    /// What kind of message it is.
    pub shape: Shape,
    /// The id as written, if there is one.
    pub id: Option<&'a [u8]>,
    /// The method; empty for a response.
    pub method: Cow<'a, str>,
    /// The parameters that matter.
    pub params: Params<'a>,
    /// The members that say who is calling.
    pub finds: Finds,
}

/// The parameters a decision depends on.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// Where `params` stands.
    pub span: Option<Span>,
    /// `name`: the tool or prompt.
    pub name: Option<Cow<'a, str>>,
    /// `uri`: the resource.
    pub uri: Option<Cow<'a, str>>,
    /// `arguments`: where it stands, and how many members it has.
    pub arguments: Option<(Span, usize)>,
    /// `ref`: what a completion is for.
    pub reference: Option<Reference<'a>>,
    /// `argument.name`: which argument a completion is for.
    pub completes: Option<Cow<'a, str>>,
    /// `_meta`'s protocol version.
    pub protocol_version: Option<Cow<'a, str>>,
    /// `_meta`'s declaration of the tasks extension, as a member to take out.
    pub tasks_extension: Option<super::finder::Found>,
    /// Whether a task is asked for or named: `task`, `taskId`, `notifications.taskIds`.
    pub names_task: bool,
    /// `notifications.resourceSubscriptions`.
    pub subscriptions: Vec<Cow<'a, str>>,
}

/// What a completion is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A prompt, by name.
    Prompt(Cow<'a, str>),
    /// A resource, by URI or URI template.
    Resource(Cow<'a, str>),
}

impl<'a> Message<'a> {
    /// Reads a message from a whole body, in one pass.
    ///
    /// # Errors
    ///
    /// Whatever two JSON-RPC implementations could read differently.
    pub fn read(body: &'a [u8], names: &NameTable, max_depth: usize) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body, max_depth);
        if reader.kind()? == Kind::Array {
            return Err(MessageError::Batch);
        }
        let mut envelope = Envelope::new(names, max_depth);
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
    answers: bool,
    params: Params<'a>,
    finder: Finder<'t>,
}

impl<'a, 't> Envelope<'a, 't> {
    fn new(names: &'t NameTable, max_depth: usize) -> Self {
        Self {
            version: false,
            id: None,
            method: None,
            answers: false,
            params: Params::default(),
            finder: Finder::new(names, max_depth),
        }
    }

    fn member(&mut self, reader: &mut Reader<'a>, key: &Text<'a>) -> Result<(), MessageError> {
        match &*key.value {
            "jsonrpc" => self.version = text(reader, "jsonrpc")? == "2.0",
            "id" => self.id = Some(id(reader)?),
            "method" => self.method = Some(text(reader, "method")?),
            "params" => self.read_params(reader)?,
            "result" | "error" => {
                if std::mem::replace(&mut self.answers, true) {
                    return Err(MessageError::Hybrid);
                }
                self.finder.value(reader, Place::Elsewhere)?;
            }
            _ => {
                refuse_look_alike(key, ENVELOPE)?;
                return Err(MessageError::UnknownMember(key.span.start));
            }
        }
        Ok(())
    }

    fn read_params(&mut self, reader: &mut Reader<'a>) -> Result<(), MessageError> {
        if reader.kind()? != Kind::Object {
            return Err(MessageError::Type("params"));
        }
        let start = reader.position();
        let (params, finder) = (&mut self.params, &mut self.finder);
        let mut last = None;
        let span = reader.object(|reader, member| {
            finder.comma_behind(last, member.comma);
            last = None;
            match &*member.key.value {
                "name" => params.name = Some(text(reader, "name")?),
                "uri" => params.uri = Some(text(reader, "uri")?),
                "arguments" => {
                    expect(reader, Kind::Object, "arguments")?;
                    params.arguments = Some(finder.object(reader, Place::Argument, "")?);
                }
                "_meta" => read_meta(params, finder, reader)?,
                "ref" => params.reference = read_reference(reader)?,
                "argument" => params.completes = read_completed(finder, reader)?,
                "notifications" => read_notifications(params, reader)?,
                "task" | "taskId" => {
                    params.names_task = true;
                    reader.skip()?;
                }
                "cursor" | "requestState" | "protocolVersion" | "clientInfo" | "capabilities" => {
                    reader.skip()?;
                }
                "context" | "inputResponses" => {
                    finder.value(reader, Place::Elsewhere)?;
                }
                _ => {
                    refuse_look_alike(&member.key, PARAMS)?;
                    last = finder.member(reader, &member, start, Place::Elsewhere, "")?;
                }
            }
            Ok::<(), MessageError>(())
        })?;
        params.span = Some(span);
        Ok(())
    }

    fn finish(self, reader: &Reader<'a>) -> Result<Message<'a>, MessageError> {
        if !self.version {
            return Err(MessageError::Version);
        }
        let shape = match (&self.method, self.answers, &self.id) {
            (Some(_), true, _) => return Err(MessageError::Hybrid),
            (Some(_), false, Some(_)) => Shape::Request,
            (Some(_), false, None) => Shape::Notification,
            (None, true, _) => Shape::Response,
            (None, false, _) => return Err(MessageError::Type("method")),
        };
        Ok(Message {
            shape,
            id: self.id.map(|span| reader.bytes(span)),
            method: self.method.unwrap_or_default(),
            params: self.params,
            finds: self.finder.finds,
        })
    }
}

fn read_meta<'a>(
    params: &mut Params<'a>,
    finder: &mut Finder<'_>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    expect(reader, Kind::Object, "_meta")?;
    let start = reader.position();
    let mut last = None;
    reader.object(|reader, member| {
        finder.comma_behind(last, member.comma);
        last = None;
        match &*member.key.value {
            PROTOCOL_VERSION => params.protocol_version = Some(text(reader, PROTOCOL_VERSION)?),
            CLIENT_CAPABILITIES => read_capabilities(params, reader)?,
            _ => {
                refuse_look_alike(&member.key, &[PROTOCOL_VERSION, CLIENT_CAPABILITIES])?;
                last = finder.member(reader, &member, start, Place::Elsewhere, "")?;
            }
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(())
}

/// Reads the client's capabilities and notes where the tasks extension stands among them.
fn read_capabilities<'a>(
    params: &mut Params<'a>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    expect(reader, Kind::Object, CLIENT_CAPABILITIES)?;
    let mut table = NameTable::default();
    table.add(
        TASKS_EXTENSION
            .rsplit_once('/')
            .map_or("", |(_, name)| name),
    );
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["extensions"])?;
        if member.key.value != "extensions" {
            reader.skip()?;
            return Ok(());
        }
        expect(reader, Kind::Object, "extensions")?;
        let start = reader.position();
        let mut found = None;
        reader.object(|reader, member| {
            if let Some(
                found @ super::finder::Found {
                    commas: (_, None), ..
                },
            ) = &mut found
            {
                found.commas.1 = member.comma;
            }
            refuse_look_alike(&member.key, &[TASKS_EXTENSION])?;
            let mut finder = Finder::new(&table, 0);
            let is_tasks = member.key.value == TASKS_EXTENSION;
            if is_tasks {
                finder.member(reader, &member, start, Place::Elsewhere, "")?;
                found = finder.finds.members.into_iter().next();
            } else {
                reader.skip()?;
            }
            Ok::<(), MessageError>(())
        })?;
        params.tasks_extension = found;
        Ok::<(), MessageError>(())
    })?;
    Ok(())
}

fn read_reference<'a>(reader: &mut Reader<'a>) -> Result<Option<Reference<'a>>, MessageError> {
    expect(reader, Kind::Object, "ref")?;
    let (mut kind, mut name, mut uri) = (None, None, None);
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["type", "name", "uri"])?;
        match &*member.key.value {
            "type" => kind = Some(text(reader, "ref.type")?),
            "name" => name = Some(text(reader, "ref.name")?),
            "uri" => uri = Some(text(reader, "ref.uri")?),
            _ => {
                reader.skip()?;
            }
        }
        Ok::<(), MessageError>(())
    })?;
    match (kind.as_deref(), name, uri) {
        (Some("ref/prompt"), Some(name), None) => Ok(Some(Reference::Prompt(name))),
        (Some("ref/resource"), None, Some(uri)) => Ok(Some(Reference::Resource(uri))),
        _ => Err(MessageError::Type("ref")),
    }
}

fn read_completed<'a>(
    finder: &mut Finder<'_>,
    reader: &mut Reader<'a>,
) -> Result<Option<Cow<'a, str>>, MessageError> {
    expect(reader, Kind::Object, "argument")?;
    let mut name = None;
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["name", "value"])?;
        match &*member.key.value {
            "name" => name = Some(text(reader, "argument.name")?),
            _ => {
                finder.value(reader, Place::Elsewhere)?;
            }
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(name)
}

fn read_notifications<'a>(
    params: &mut Params<'a>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    expect(reader, Kind::Object, "notifications")?;
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["resourceSubscriptions", "taskIds"])?;
        match &*member.key.value {
            "resourceSubscriptions" => {
                expect(reader, Kind::Array, "resourceSubscriptions")?;
                reader.array(|reader| {
                    params
                        .subscriptions
                        .push(text(reader, "resourceSubscriptions")?);
                    Ok::<(), MessageError>(())
                })?;
            }
            "taskIds" => {
                expect(reader, Kind::Array, "taskIds")?;
                params.names_task |= reader.skip()?.len() > 2;
            }
            _ => {
                reader.skip()?;
            }
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(())
}

fn expect(reader: &mut Reader<'_>, kind: Kind, name: &'static str) -> Result<(), MessageError> {
    if reader.kind()? != kind {
        return Err(MessageError::Type(name));
    }
    Ok(())
}

fn text<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<Cow<'a, str>, MessageError> {
    expect(reader, Kind::String, name)?;
    let text = reader.string()?.value;
    if text.contains('\0') {
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

/// Refuses a key that differs from one of `known` only in case, separators or Unicode spelling.
/// A key that is one of `known` passes.
pub(super) fn refuse_look_alike(key: &Text<'_>, known: &[&str]) -> Result<(), MessageError> {
    let folded = fold(&key.value);
    if !known.contains(&&*key.value) && known.iter().any(|known| fold(known) == folded) {
        return Err(MessageError::LookAlike(key.span.start));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
