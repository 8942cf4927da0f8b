//! The parameters of a message.

use std::borrow::Cow;

use super::{MessageError, expect, positioned_text, refuse_look_alike, text};
use crate::argument_names::Begun;
use crate::capabilities::ElicitationCapability;
use crate::identity_members::{MemberFinder, MemberPlace};
use base::json::{Element, Kind, Reader, Span, Text};

/// The `_meta` key of the protocol version (MCP 2026-07-28 "Base Protocol").
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The name of the tasks extension.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The `_meta` key that names the task a message belongs to (MCP 2025-11-25 "Tasks").
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

const META: &[&str] = &[PROTOCOL_VERSION, CLIENT_CAPABILITIES, RELATED_TASK];
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
    "requestId",
    "requestState",
    "taskId",
    "task",
    "notifications",
    "protocolVersion",
    "capabilities",
    "clientInfo",
];

/// The parameters that a decision depends on.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// The position of `params`.
    pub span: Option<Span>,
    /// `name`: the tool or prompt.
    pub name: Option<Cow<'a, str>>,
    /// `uri`: the resource.
    pub uri: Option<Cow<'a, str>>,
    /// Whether `cursor` asks for a later page of a list.
    pub has_cursor: bool,
    /// `arguments`: its position and its number of members.
    pub arguments: Option<(Span, usize)>,
    /// The position of an `arguments` that is `null`.
    pub null_arguments: Option<Span>,
    /// `ref`: the prompt or resource to complete an argument of.
    pub reference: Option<Reference<'a>>,
    /// `argument.name`: the argument to complete.
    pub completed_argument: Option<Cow<'a, str>>,
    /// `context`: the arguments completed before.
    pub context: Option<Span>,
    /// `_meta`'s protocol version.
    pub protocol_version: Option<Cow<'a, str>>,
    /// The tasks extension among `_meta`'s client capabilities, to remove it.
    pub tasks_extension: Option<Element>,
    /// The elicitation capability in `_meta`'s client capabilities.
    pub elicitation: ElicitationCapability,
    /// Whether the client asks to run the call as a task: `task` (MCP 2025-11-25 "Tasks").
    pub asks_task: bool,
    /// `requestId`: the request that a notification cancels, as written.
    pub request_id: Option<Span>,
    /// `taskId`: the task of a `tasks/*` request.
    pub task_id: Option<Text<'a>>,
    /// `_meta`'s related task.
    pub related_task: Option<Text<'a>>,
    /// `notifications.taskIds`.
    pub subscribed_tasks: Vec<Text<'a>>,
    /// `requestState`.
    pub request_state: Option<Text<'a>>,
    /// `notifications.resourceSubscriptions`.
    pub subscriptions: Vec<Cow<'a, str>>,
}

/// `ref` of a completion request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A prompt, by name.
    Prompt(Cow<'a, str>),
    /// A resource, by URI or URI template.
    Resource(Cow<'a, str>),
}

impl<'a> Params<'a> {
    /// Reads `params` in one pass. A member that is `null` counts as absent: clients write what they do not
    /// have.
    pub(super) fn read(
        reader: &mut Reader<'a>,
        finder: &mut MemberFinder<'_>,
    ) -> Result<Self, MessageError> {
        let mut params = Self::default();
        match reader.kind()? {
            Kind::Object => {}
            Kind::Null => {
                reader.skip()?;
                return Ok(params);
            }
            _ => return Err(MessageError::Type("params")),
        }
        let start = reader.position();
        let mut last = None;
        let span = reader.object(|reader, member| {
            finder.comma_after(last, member.comma);
            last = None;
            if reader.kind()? == Kind::Null && PARAMS.contains(&&*member.key.value) {
                let span = reader.skip()?;
                if member.key.value == "arguments" {
                    params.null_arguments = Some(span);
                }
                return Ok(());
            }
            match &*member.key.value {
                "name" => params.name = Some(text(reader, "name")?),
                "uri" => params.uri = Some(text(reader, "uri")?),
                "arguments" => {
                    expect(reader, Kind::Object, "arguments")?;
                    params.arguments =
                        Some(finder.object(reader, MemberPlace::Argument, &Begun::NONE)?);
                }
                "_meta" => read_meta(&mut params, finder, reader)?,
                "ref" => params.reference = read_reference(finder, reader)?,
                "argument" => params.completed_argument = read_completed(finder, reader)?,
                "notifications" => read_notifications(&mut params, finder, reader)?,
                "task" => {
                    params.asks_task = true;
                    finder.value(reader, MemberPlace::Elsewhere)?;
                }
                "requestId" => {
                    params.request_id = Some(finder.value(reader, MemberPlace::Elsewhere)?);
                }
                "taskId" => params.task_id = Some(positioned_text(reader, "taskId")?),
                "requestState" => {
                    params.request_state = Some(positioned_text(reader, "requestState")?);
                }
                "cursor" => {
                    expect(reader, Kind::String, "cursor")?;
                    finder.value(reader, MemberPlace::Elsewhere)?;
                    params.has_cursor = true;
                }
                "inputResponses" => {
                    finder.answers(reader)?;
                }
                "context" => params.context = Some(finder.value(reader, MemberPlace::Elsewhere)?),
                "protocolVersion" | "capabilities" | "clientInfo" => {
                    finder.value(reader, MemberPlace::Elsewhere)?;
                }
                _ => {
                    refuse_look_alike(&member.key, PARAMS)?;
                    last = finder.member(
                        reader,
                        &member,
                        start,
                        MemberPlace::Elsewhere,
                        &Begun::NONE,
                    )?;
                }
            }
            Ok::<(), MessageError>(())
        })?;
        params.span = Some(span);
        Ok(params)
    }
}

fn read_meta<'a>(
    params: &mut Params<'a>,
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    expect(reader, Kind::Object, "_meta")?;
    let start = reader.position();
    let mut last = None;
    reader.object(|reader, member| {
        finder.comma_after(last, member.comma);
        last = None;
        if reader.kind()? == Kind::Null && META.contains(&&*member.key.value) {
            reader.skip()?;
            return Ok(());
        }
        match &*member.key.value {
            PROTOCOL_VERSION => params.protocol_version = Some(text(reader, PROTOCOL_VERSION)?),
            CLIENT_CAPABILITIES => read_capabilities(params, finder, reader)?,
            RELATED_TASK => params.related_task = read_related_task(finder, reader)?,
            _ => {
                refuse_look_alike(&member.key, META)?;
                last = finder.metadata_member(reader, &member, start)?;
            }
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(())
}

/// Reads the value of a related task's `_meta` member.
pub(super) fn read_related_task<'a>(
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<Option<Text<'a>>, MessageError> {
    let mut task = None;
    members(
        finder,
        reader,
        RELATED_TASK,
        &["taskId"],
        |_, reader, key| {
            if key != "taskId" {
                return Ok(false);
            }
            task = Some(positioned_text(reader, "taskId")?);
            Ok(true)
        },
    )?;
    Ok(task)
}

/// Reads an object with some known members, which `known` reads. The others are searched for names.
fn members<'a>(
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
    name: &'static str,
    names: &[&str],
    mut known: impl FnMut(&mut MemberFinder<'_>, &mut Reader<'a>, &str) -> Result<bool, MessageError>,
) -> Result<(), MessageError> {
    expect(reader, Kind::Object, name)?;
    let (start, mut last) = (reader.position(), None);
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, names)?;
        finder.comma_after(last, member.comma);
        last = None;
        if reader.kind()? == Kind::Null && names.contains(&&*member.key.value) {
            reader.skip()?;
        } else if !known(finder, reader, &member.key.value)? {
            last = finder.member(reader, &member, start, MemberPlace::Elsewhere, &Begun::NONE)?;
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(())
}

/// Reads the client's capabilities and notes where the tasks extension stands among them.
fn read_capabilities<'a>(
    params: &mut Params<'a>,
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    let names = &["elicitation", "extensions"];
    members(
        finder,
        reader,
        CLIENT_CAPABILITIES,
        names,
        |finder, reader, key| {
            match key {
                "elicitation" => params.elicitation = read_elicitation(finder, reader)?,
                "extensions" => params.tasks_extension = read_extensions(finder, reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        },
    )
}

/// Which modes there are; where none is named it is the form (MCP 2026-07-28 "Elicitation",
/// "Capabilities").
fn read_elicitation(
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'_>,
) -> Result<ElicitationCapability, MessageError> {
    let (mut elicits, mut none) = (ElicitationCapability::default(), true);
    members(
        finder,
        reader,
        "elicitation",
        &["form", "url"],
        |finder, reader, key| {
            none = false;
            match key {
                "form" => elicits.form = true,
                "url" => elicits.url = true,
                _ => return Ok(false),
            }
            finder.value(reader, MemberPlace::Elsewhere)?;
            Ok(true)
        },
    )?;
    elicits.form |= none;
    Ok(elicits)
}

/// The keys are names of extensions, and not searched: `com.example/user` is one.
fn read_extensions(
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'_>,
) -> Result<Option<Element>, MessageError> {
    expect(reader, Kind::Object, "extensions")?;
    let mut tasks: Option<Element> = None;
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &[TASKS_EXTENSION])?;
        let value = finder.value(reader, MemberPlace::Elsewhere)?;
        if member.key.value == TASKS_EXTENSION {
            let mut element = Element::of_member(&member);
            element.span.end = value.end;
            tasks = Some(element);
        } else if let Some(element) = &mut tasks {
            let behind = member.comma.map(|comma| comma.saturating_add(1));
            element.behind = element.behind.or(behind);
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(tasks)
}

fn read_reference<'a>(
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<Option<Reference<'a>>, MessageError> {
    expect(reader, Kind::Object, "ref")?;
    let (start, mut last) = (reader.position(), None);
    let (mut kind, mut name, mut uri) = (None, None, None);
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["type", "name", "uri"])?;
        finder.comma_after(last, member.comma);
        last = None;
        match &*member.key.value {
            "name" | "uri" if reader.kind()? == Kind::Null => {
                reader.skip()?;
            }
            "type" => kind = Some(text(reader, "ref.type")?),
            "name" => name = Some(text(reader, "ref.name")?),
            "uri" => uri = Some(text(reader, "ref.uri")?),
            _ => {
                last =
                    finder.member(reader, &member, start, MemberPlace::Elsewhere, &Begun::NONE)?
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
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<Option<Cow<'a, str>>, MessageError> {
    expect(reader, Kind::Object, "argument")?;
    let (start, mut last) = (reader.position(), None);
    let mut name = None;
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["name", "value"])?;
        finder.comma_after(last, member.comma);
        last = None;
        match &*member.key.value {
            "name" if reader.kind()? == Kind::Null => {
                reader.skip()?;
            }
            "name" => name = Some(text(reader, "argument.name")?),
            _ => {
                last =
                    finder.member(reader, &member, start, MemberPlace::Elsewhere, &Begun::NONE)?
            }
        }
        Ok::<(), MessageError>(())
    })?;
    Ok(name)
}

fn read_notifications<'a>(
    params: &mut Params<'a>,
    finder: &mut MemberFinder<'_>,
    reader: &mut Reader<'a>,
) -> Result<(), MessageError> {
    let names = &["resourceSubscriptions", "taskIds"];
    members(finder, reader, "notifications", names, |_, reader, key| {
        match key {
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
                reader.array(|reader| {
                    params
                        .subscribed_tasks
                        .push(positioned_text(reader, "taskIds")?);
                    Ok::<(), MessageError>(())
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })
}
