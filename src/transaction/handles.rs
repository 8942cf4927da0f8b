//! Handles of the server: opened on the way in, sealed on the way out. The client holds none that
//! another caller could use, and the server sees its own.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::caller::AuthMethod;
use super::confirm::{Agreement, Answered};
use super::{MAX_DEPTH, Now, Transaction};
use crate::refusal::Refusal;
use base::json::edits::Edits;
use base::json::{Span, Text, digest};
use base::seal::{Owner, Purpose, Sealer};
use mcp::handles::{Handed, Handle, may_have_handles};
use mcp::headers::{HeaderEdit, Headers};
use mcp::message::Message;
use mcp::method::{Era, Method};
use mcp::sse;
use policy::Mode;

/// The header that names a session (MCP 2025-11-25 "Session Management").
pub(super) const SESSION: &str = "mcp-session-id";
/// The header that asks for the rest of a stream (MCP 2025-11-25 "Resumability").
pub(super) const LAST_EVENT: &str = "last-event-id";

/// What an exchange knows of the server's handles.
#[derive(Default)]
pub(super) struct Handles {
    /// The session, as the server knows it.
    pub(super) session: Option<String>,
    /// The event behind which the client wants a stream to go on, as the server knows it.
    pub(super) event: Option<String>,
    /// Task ids: the server's, and the client's.
    tasks: Vec<(String, String)>,
    /// The tool whose answer this is.
    pub(super) tool: Option<String>,
    /// What a request state of the answer is bound to.
    asked: Option<Asked>,
}

/// Says nothing: whoever knows them could use them.
impl std::fmt::Debug for Handles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Handles")
    }
}

/// Method, name, URI and arguments of a request. Its retry has the same.
pub(super) struct Asked {
    method: String,
    name: String,
    uri: String,
    arguments: Vec<u8>,
}

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

#[derive(Serialize, Deserialize)]
struct SealedEvent {
    id: String,
    tool: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SealedTask {
    id: String,
    tool: String,
    expires: u64,
}

#[derive(Serialize, Deserialize)]
struct SealedState {
    state: String,
    expires: u64,
    /// When it was handed out: no two are one.
    sealed_ms: u64,
}

impl Asked {
    fn of(message: &Message<'_>, body: &[u8]) -> Self {
        let params = &message.params;
        let arguments = params.arguments.as_ref();
        let arguments = arguments.and_then(|(span, _)| body.get(span.clone()));
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        Self {
            method: message.method.clone().into_owned(),
            name: text(&params.name),
            uri: text(&params.uri),
            arguments: arguments.unwrap_or(b"{}").to_vec(),
        }
    }

    /// What the arguments say, however the retry writes them.
    fn digest(&self) -> [u8; 32] {
        // They were read strictly before.
        digest(&self.arguments, MAX_DEPTH).unwrap_or_default()
    }

    fn bound<'a>(&'a self, digest: &'a [u8; 32]) -> [&'a [u8]; 4] {
        let [method, name, uri] = [&self.method, &self.name, &self.uri].map(|text| text.as_bytes());
        [method, name, uri, digest]
    }
}

impl Transaction {
    /// Opens the session and the event a request names in its headers.
    pub(super) fn open_headers(&mut self) -> Result<(), Refusal> {
        if self.asked.era == Era::Modern || self.policy.mode == Mode::Observe {
            return Ok(());
        }
        let one = |name| self.headers.one(name).map_err(Refusal::Header);
        let (session, event) = (one(SESSION)?, one(LAST_EVENT)?);
        let session: Option<String> = match session {
            Some(sealed) => Some(
                self.open(Purpose::Session, &[], sealed)
                    .ok_or(Refusal::UnknownSession)?,
            ),
            None => None,
        };
        // Of other methods, the header means nothing.
        let event = event.filter(|_| self.record.http_method == "GET");
        let event = match event {
            Some(sealed) => {
                let bound = session.as_deref().unwrap_or_default().as_bytes();
                let event: SealedEvent = self
                    .open(Purpose::Event, &[bound], sealed)
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
            .open(Purpose::Task, &[], &sealed.value)
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
            let state: Option<SealedState> =
                self.open_for_request(Purpose::RequestState, &asked, &sealed.value);
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

    /// The session of an answer, as the client may hold it.
    pub(super) fn seal_session(&mut self, headers: &Headers) -> Result<Option<String>, Refusal> {
        let session = headers.one(SESSION).map_err(|_| Refusal::UpstreamAnswer)?;
        let Some(session) = session else {
            return Ok(None);
        };
        let sealed = self.seal(Purpose::Session, &[], &session);
        // The events of the answer to `initialize` are its own.
        let own = &mut self.handles.session;
        own.get_or_insert_with(|| session.to_owned());
        sealed.map(Some).ok_or(Refusal::NoSealKey)
    }

    /// An event whose id the client may hold. Without a key, or if it could not come back in a
    /// header, it has none: the stream cannot be resumed.
    pub(super) fn seal_event(&self, event: &[u8]) -> Option<Vec<u8>> {
        // An empty one resets what the client holds.
        let id = sse::id(event).filter(|id| !id.is_empty())?;
        let visible = !id.iter().any(u8::is_ascii_control);
        let session = self.handles.session.as_deref().unwrap_or_default();
        let sealed = str::from_utf8(id).ok().filter(|_| visible);
        let sealed = sealed.and_then(|id| {
            let event = SealedEvent {
                id: id.to_owned(),
                tool: self.handles.tool.clone(),
            };
            self.seal(Purpose::Event, &[session.as_bytes()], &event)
        });
        Some(sse::with_id(event, sealed.as_deref()))
    }

    /// A message of the server with its handles sealed; `Ok(None)` if it has none.
    pub(super) fn seal_message(
        &mut self,
        body: &[u8],
        now: Now,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if !may_have_handles(body) {
            return Ok(None);
        }
        let handed = Handed::read(body, MAX_DEPTH).map_err(|_| Refusal::UpstreamAnswer)?;
        let method = handed.method.as_deref();
        // About a task of the client's own, which only the client knows.
        let is_clients = method.is_some_and(|method| method.starts_with("tasks/"));
        let mut edits = Edits::default();
        for (handle, span, id) in handed.handles {
            let sealed = match handle {
                Handle::Task if is_clients => continue,
                Handle::Task => self.seal_task(&id, now),
                Handle::RequestState => self.seal_state(&id, now),
            }?;
            let quoted = serde_json::Value::from(sealed).to_string();
            edits.replace(span, quoted);
        }
        Ok(edits.apply(body))
    }

    fn seal_task(&mut self, id: &str, now: Now) -> Result<String, Refusal> {
        let known = self.handles.tasks.iter().find(|(known, _)| known == id);
        if let Some((_, sealed)) = known {
            return Ok(sealed.clone());
        }
        // Whose task it is cannot be told without the call that made it.
        let tool = self.handles.tool.clone().ok_or(Refusal::UnknownTask)?;
        let task = SealedTask {
            id: id.to_owned(),
            tool,
            expires: self.expiry(now),
        };
        let sealed = self
            .seal(Purpose::Task, &[], &task)
            .ok_or(Refusal::NoSealKey)?;
        self.handles.tasks.push((id.to_owned(), sealed.clone()));
        Ok(sealed)
    }

    fn seal_state(&self, state: &str, now: Now) -> Result<String, Refusal> {
        if self.handles.asked.is_none() {
            return Err(Refusal::UpstreamAnswer);
        }
        let state = SealedState {
            state: state.to_owned(),
            expires: self.expiry(now),
            sealed_ms: now.unix_ms,
        };
        self.seal_for_request(Purpose::RequestState, &state)
            .ok_or(Refusal::NoSealKey)
    }

    /// Seals what only a retry of this request can bring back.
    pub(super) fn seal_for_request<T: Serialize>(
        &self,
        purpose: Purpose,
        state: &T,
    ) -> Option<String> {
        let asked = self.handles.asked.as_ref()?;
        let digest = asked.digest();
        self.seal(purpose, &asked.bound(&digest), state)
    }

    pub(super) fn open_for_request<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        asked: &Asked,
        sealed: &str,
    ) -> Option<T> {
        let digest = asked.digest();
        self.open(purpose, &asked.bound(&digest), sealed)
    }

    fn expiry(&self, now: Now) -> u64 {
        let lifetime = self.policy.seal.as_ref();
        let lifetime = lifetime.map_or(0, |seal| seal.lifetime.0.as_secs());
        now.seconds().saturating_add(lifetime)
    }

    fn seal<T: Serialize>(&self, purpose: Purpose, bound: &[&[u8]], handle: &T) -> Option<String> {
        let (sealer, owner) = self.sealing()?;
        Some(sealer.seal(purpose, owner, bound, handle))
    }

    fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        bound: &[&[u8]],
        sealed: &str,
    ) -> Option<T> {
        let (sealer, owner) = self.sealing()?;
        sealer.open(purpose, owner, bound, sealed)
    }

    pub(super) fn sealing(&self) -> Option<(&Sealer, Owner<'_>)> {
        let caller = self.caller.as_ref()?;
        let issuer = match caller.way() {
            AuthMethod::Token(token) => &self.policy.issuers.get(token.issuer().0)?.issuer,
            AuthMethod::Anonymous => "",
            AuthMethod::Local(_) => "local",
        };
        let owner = Owner {
            resource: &self.policy.resource,
            issuer,
            user: caller.own().user.as_deref().unwrap_or_default(),
            view: caller.view(),
        };
        Some((self.secrets.sealer.as_deref()?, owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b45_handles_are_not_printed() {
        let handles = Handles {
            session: Some("s-1".to_owned()),
            tasks: vec![("t-1".to_owned(), "sealed".to_owned())],
            ..Handles::default()
        };
        assert_eq!(format!("{handles:?}"), "Handles");
    }
}
