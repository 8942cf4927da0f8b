//! The server's ids in requests: opened, so that the server receives its own.

use super::Request;
use super::arrived::Authenticated;
use super::confirmation::{Agreement, Answered};
use crate::caller::Caller;
use crate::refusal::Refusal;
use crate::response::sealed_ids::{
    Handles, RequestContent, SESSION, SealedEvent, SealedState, SealedTask, Sealing,
};
use crate::response::server_requests::{PREFIX, SealedRequest};
use base::json::{Reader, Span, Text};
use base::seal::Purpose;
use mcp::headers::HeaderEdit;
use mcp::message::{Message, MessageError, Shape};
use mcp::method::{Era, Method};
use policy::Mode;

/// The header that asks for the rest of a stream (MCP 2025-11-25 "Resumability").
const LAST_EVENT: &str = "last-event-id";

/// A request state, opened.
pub(crate) enum OpenedState {
    /// The server's. If the user has to agree to each call, it is valid for the next call only.
    Servers { opened: Opened, next: Agreement },
    /// The filter's own, with the user's answer.
    Own(Answered),
}

/// An id of a message, opened.
pub(crate) struct Opened {
    /// Its position.
    pub(crate) span: Span,
    /// As the server knows it.
    pub(crate) id: String,
}

/// The task ids of a message, opened.
#[derive(Default)]
pub(crate) struct OpenedTasks {
    /// The ids to write in their places.
    pub(crate) ids: Vec<Opened>,
    /// The tools whose tasks are named.
    pub(crate) tools: Vec<String>,
    /// The task that `Mcp-Name` names, as the server knows it.
    pub(crate) named: Option<String>,
}

impl OpenedState {
    pub(crate) fn servers(&self) -> Option<&Opened> {
        match self {
            Self::Servers { opened, .. } => Some(opened),
            Self::Own(_) => None,
        }
    }
}

/// Opens the session and the event that a request names in its headers.
pub(super) fn of_headers(request: &Request, caller: &Caller) -> Result<Handles, Refusal> {
    let mut handles = Handles::default();
    if request.journal().era == Era::Modern || request.policy().mode == Mode::Observe {
        return Ok(handles);
    }
    let (session, event) = (request.one(SESSION)?, request.one(LAST_EVENT)?);
    let sealing = request.sealing(caller);
    if let Some(sealed) = session {
        let opened = sealing.and_then(|sealing| sealing.open_by(Purpose::Session, &[], sealed));
        handles.has_unknown_session = opened.is_none();
        (handles.session, handles.session_sealed_by) = opened.unzip();
        // A message may start a new session.
        if handles.has_unknown_session && request.method() != "POST" {
            return Err(Refusal::UnknownSession);
        }
    }
    // The header has no meaning with other methods.
    if let Some(sealed) = event.filter(|_| request.method() == "GET") {
        let bound = handles.session.as_deref().unwrap_or_default().as_bytes();
        let opened = sealing.and_then(|sealing| sealing.open(Purpose::Event, &[bound], sealed));
        let event: SealedEvent = opened.ok_or(Refusal::UnknownEvent)?;
        handles.event = Some(event.id);
        handles.tool = event.tool;
        handles.redact = event.redact;
        handles.resumed = event.request;
    }
    Ok(handles)
}

/// The headers that name session and event, as the server knows them.
pub(super) fn headers(handles: &Handles) -> impl Iterator<Item = HeaderEdit> {
    let opened = [(SESSION, &handles.session), (LAST_EVENT, &handles.event)].into_iter();
    let opened =
        opened.filter_map(|(name, id)| Some(HeaderEdit::Set(name.to_owned(), id.clone()?)));
    let unknown = handles
        .has_unknown_session
        .then(|| HeaderEdit::Remove(SESSION.to_owned()));
    opened.chain(unknown)
}

impl Request {
    /// Seals and opens ids for a caller. `None` without a key.
    pub(crate) fn sealing<'a>(&'a self, caller: &'a Caller) -> Option<Sealing<'a>> {
        let sealer = self.engine.secrets.sealer.as_ref();
        Sealing::of(self.policy(), Some(caller), sealer)
    }
}

impl Authenticated {
    /// Refuses a message in a session of another caller, unless it starts a session: otherwise a client
    /// that keeps the id of an ended session could not start another one.
    pub(super) fn check_session(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let starts = message.shape == Shape::Request && message.method == "initialize";
        match self.handles.has_unknown_session && !starts {
            true => Err(Refusal::UnknownSession),
            false => Ok(()),
        }
    }

    /// Seals and opens ids for the caller. `None` without a key.
    pub(crate) fn sealing(&self) -> Option<Sealing<'_>> {
        self.request.sealing(&self.caller)
    }

    /// Opens the id of a request of the server that a message answers. `None`: the request is bound to no call.
    pub(super) fn open_answered(&self, id: &[u8]) -> Result<Option<SealedRequest>, Refusal> {
        let Ok(text) = Reader::new(id, 1).string() else {
            return Ok(None);
        };
        let Some(sealed) = text.value.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let session = self.handles.session.as_deref().unwrap_or_default();
        let bound: &[&[u8]] = &[session.as_bytes()];
        let sealing = self.sealing();
        let opened =
            sealing.and_then(|sealing| sealing.open(Purpose::ServerRequest, bound, sealed));
        let unknown = Refusal::Message(MessageError::ReservedId);
        opened.map(Some).ok_or(unknown)
    }

    /// Opens the task ids in a message.
    pub(super) fn open_tasks(
        &mut self,
        message: &Message<'_>,
        method: Option<Method>,
        era: Era,
    ) -> Result<OpenedTasks, Refusal> {
        let mut opened = OpenedTasks::default();
        if self.request.policy().mode == Mode::Observe {
            return Ok(opened);
        }
        let params = &message.params;
        let asks_task = params.asks_task && era == Era::Legacy;
        if asks_task && self.request.engine.secrets.sealer.is_none() {
            return Err(Refusal::NoSealKey);
        }
        let about_tasks = method == Some(Method::Task) || !params.subscribed_tasks.is_empty();
        let undeclared = era == Era::Modern && params.tasks_extension.is_none();
        if about_tasks && undeclared {
            return Err(Refusal::MissingCapability);
        }
        match (&params.task_id, method) {
            (Some(id), Some(Method::Task)) => {
                let task = self.open_task(id, &mut opened)?;
                opened.named = Some(task);
            }
            (None, Some(Method::Task)) => return Err(Refusal::MissingParameter("taskId")),
            // No other request names a task.
            (Some(_), _) => return Err(Refusal::UnknownTask),
            (None, _) => {}
        }
        for id in params.subscribed_tasks.iter().chain(&params.related_task) {
            self.open_task(id, &mut opened)?;
        }
        self.handles.tool = match method {
            Some(Method::CallTool) => params.name.as_deref().map(str::to_owned),
            Some(Method::Task) => opened.tools.first().cloned(),
            _ => None,
        };
        Ok(opened)
    }

    fn open_task(
        &mut self,
        sealed: &Text<'_>,
        opened: &mut OpenedTasks,
    ) -> Result<String, Refusal> {
        let now = self.request.effects.now();
        let sealing = self.sealing();
        let task = sealing.and_then(|sealing| sealing.open(Purpose::Task, &[], &sealed.value));
        let task: SealedTask = task
            .filter(|task: &SealedTask| now < task.expires)
            .ok_or(Refusal::UnknownTask)?;
        opened.ids.push(Opened {
            span: sealed.span.clone(),
            id: task.id.clone(),
        });
        opened.tools.push(task.tool);
        self.handles.redact.extend(task.redact);
        let known = (task.id.clone(), sealed.value.clone().into_owned());
        self.handles.tasks.push(known);
        Ok(task.id)
    }

    /// Opens the request state of a request of 2026-07-28, and notes the content that one of its answer is
    /// bound to.
    pub(super) fn open_state(
        &mut self,
        message: &Message<'_>,
        body: &[u8],
    ) -> Result<Option<OpenedState>, Refusal> {
        if self.request.policy().mode == Mode::Observe {
            return Ok(None);
        }
        let asked = RequestContent::of(message, body);
        let opened = match &message.params.request_state {
            Some(sealed) => {
                let state = self.servers_state(&asked, sealed);
                let state = state.or_else(|| self.open_question(&asked, &sealed.value, body));
                Some(state.ok_or(Refusal::RequestState)?)
            }
            None => None,
        };
        self.handles.asked = Some(asked);
        Ok(opened)
    }

    fn servers_state(&self, asked: &RequestContent, sealed: &Text<'_>) -> Option<OpenedState> {
        let sealing = self.sealing()?;
        let state: SealedState =
            sealing.open_for_request(Purpose::RequestState, asked, &sealed.value)?;
        (self.request.effects.now() < state.expires).then(|| OpenedState::Servers {
            next: Agreement::of(sealing.owner, &sealed.value, state.expires),
            opened: Opened {
                span: sealed.span.clone(),
                id: state.state,
            },
        })
    }
}
