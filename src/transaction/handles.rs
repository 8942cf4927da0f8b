//! The server's ids on the way in: opened, so that the server sees its own.

use serde::Serialize;

use super::confirm::{Agreement, Answered};
use super::{Now, Transaction};
use crate::refusal::Refusal;
use crate::response::sealed_ids::{Asked, SESSION, SealedEvent, SealedState, SealedTask, Sealing};
use base::json::{Span, Text};
use base::seal::Purpose;
use mcp::headers::HeaderEdit;
use mcp::message::Message;
use mcp::method::{Era, Method};
use policy::Mode;

/// The header that asks for the rest of a stream (MCP 2025-11-25 "Resumability").
pub(super) const LAST_EVENT: &str = "last-event-id";

/// A request state, opened.
pub(super) enum State {
    /// The server's. Where the user has to agree to each call, it is good for the next one only.
    Servers { opened: Opened, next: Agreement },
    /// The filter's own, with what the user answered.
    Own(Answered),
}

impl State {
    pub(super) fn servers(&self) -> Option<&Opened> {
        match self {
            Self::Servers { opened, .. } => Some(opened),
            Self::Own(_) => None,
        }
    }
}

/// A handle of a message, opened.
pub(super) struct Opened {
    /// Where it stands.
    pub(super) span: Span,
    /// As the server knows it.
    pub(super) handle: String,
}

/// The handles of a message, opened.
#[derive(Default)]
pub(super) struct OpenedMessage {
    /// What to put in their places.
    pub(super) handles: Vec<Opened>,
    /// The tools whose tasks are named.
    pub(super) tools: Vec<String>,
    /// The task that `Mcp-Name` names, as the server knows it.
    pub(super) named: Option<String>,
}

impl Transaction {
    /// Opens the session and the event a request names in its headers.
    pub(super) fn open_headers(&mut self) -> Result<(), Refusal> {
        if self.asked.era == Era::Modern || self.policy.mode == Mode::Observe {
            return Ok(());
        }
        let one = |name| self.headers.one(name).map_err(Refusal::Header);
        let (session, event) = (one(SESSION)?, one(LAST_EVENT)?);
        let sealing = self.sealing();
        let session: Option<String> = match session {
            Some(sealed) => Some(
                sealing
                    .and_then(|sealing| sealing.open(Purpose::Session, &[], sealed))
                    .ok_or(Refusal::UnknownSession)?,
            ),
            None => None,
        };
        // Of other methods, the header means nothing.
        let event = event.filter(|_| self.record.http_method == "GET");
        let event = match event {
            Some(sealed) => {
                let bound = session.as_deref().unwrap_or_default().as_bytes();
                let event: SealedEvent = sealing
                    .and_then(|sealing| sealing.open(Purpose::Event, &[bound], sealed))
                    .ok_or(Refusal::UnknownEvent)?;
                Some(event)
            }
            None => None,
        };
        self.handles.session = session;
        if let Some(event) = event {
            self.handles.event = Some(event.id);
            self.handles.tool = event.tool;
        }
        Ok(())
    }

    /// The headers that name handles, as the server knows them.
    pub(super) fn handle_headers(&self) -> impl Iterator<Item = HeaderEdit> {
        let session = (SESSION, &self.handles.session);
        let event = (LAST_EVENT, &self.handles.event);
        let opened = [session, event].into_iter();
        opened.filter_map(|(name, handle)| Some(HeaderEdit::Set(name.to_owned(), handle.clone()?)))
    }

    /// Opens the task ids in a message.
    pub(super) fn open_message(
        &mut self,
        message: &Message<'_>,
        method: Option<Method>,
        now: Now,
    ) -> Result<OpenedMessage, Refusal> {
        let mut opened = OpenedMessage::default();
        if self.policy.mode == Mode::Observe {
            return Ok(opened);
        }
        let params = &message.params;
        let asks_task = params.asks_task && self.asked.era == Era::Legacy;
        if asks_task && self.secrets.sealer.is_none() {
            return Err(Refusal::NoSealKey);
        }
        let about_tasks = method == Some(Method::Task) || !params.subscribed_tasks.is_empty();
        let undeclared = self.asked.era == Era::Modern && params.tasks_extension.is_none();
        if about_tasks && undeclared {
            return Err(Refusal::MissingCapability);
        }
        match (&params.task_id, method) {
            (Some(id), Some(Method::Task)) => {
                let task = self.open_task(id, &mut opened, now)?;
                opened.named = Some(task);
            }
            (None, Some(Method::Task)) => return Err(Refusal::MissingParameter("taskId")),
            // No other request is about a task.
            (Some(_), _) => return Err(Refusal::UnknownTask),
            (None, _) => {}
        }
        for id in params.subscribed_tasks.iter().chain(&params.related_task) {
            self.open_task(id, &mut opened, now)?;
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
        opened: &mut OpenedMessage,
        now: Now,
    ) -> Result<String, Refusal> {
        let task: SealedTask = self
            .sealing()
            .and_then(|sealing| sealing.open(Purpose::Task, &[], &sealed.value))
            .filter(|task: &SealedTask| now.seconds() < task.expires)
            .ok_or(Refusal::UnknownTask)?;
        opened.handles.push(Opened {
            span: sealed.span.clone(),
            handle: task.id.clone(),
        });
        opened.tools.push(task.tool);
        let known = (task.id.clone(), sealed.value.clone().into_owned());
        self.handles.tasks.push(known);
        Ok(task.id)
    }

    /// Opens the request state in a request of 2026-07-28, and notes what one of its answer is bound
    /// to.
    pub(super) fn open_state(
        &mut self,
        message: &Message<'_>,
        body: &[u8],
        now: Now,
    ) -> Result<Option<State>, Refusal> {
        if self.policy.mode == Mode::Observe {
            return Ok(None);
        }
        let asked = Asked::of(message, body);
        let mut opened = None;
        if let Some(sealed) = &message.params.request_state {
            let sealing = self.sealing();
            let state: Option<SealedState> = sealing.and_then(|sealing| {
                sealing.open_for_request(Purpose::RequestState, &asked, &sealed.value)
            });
            let servers = state.filter(|state| now.seconds() < state.expires);
            let servers = servers.map(|state| State::Servers {
                next: Agreement::of(&sealed.value, state.expires),
                opened: Opened {
                    span: sealed.span.clone(),
                    handle: state.state,
                },
            });
            let own = || self.open_question(&asked, &sealed.value, body, now);
            opened = Some(servers.or_else(own).ok_or(Refusal::RequestState)?);
        }
        self.handles.asked = Some(asked);
        Ok(opened)
    }

    /// Seals what only a retry of this request can bring back.
    pub(super) fn seal_for_request<T: Serialize>(
        &self,
        purpose: Purpose,
        state: &T,
    ) -> Option<String> {
        let asked = self.handles.asked.as_ref()?;
        Some(self.sealing()?.seal_for_request(purpose, asked, state))
    }

    pub(super) fn sealing(&self) -> Option<Sealing<'_>> {
        let sealer = self.secrets.sealer.as_ref();
        Sealing::of(&self.policy, self.caller.as_ref(), sealer)
    }
}
