//! The server's ids in answers: sealed, so that no other caller can use them.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Answering;
use super::changes::Changes;
use super::request_ids::RenamedId;
use crate::accounts::vault::{CallOrigin, ConversationId};
use crate::caller::{AuthMethod, Caller};
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use base::json::tree::Node;
use base::json::{Span, digest};
use base::seal::{Owner, Purpose, SealedBy, Sealer};
use base::time::UnixTime;
use mcp::headers::Headers;
use mcp::message::Message;
use mcp::message_ids::{MessageIds, SealedIdKind};
use mcp::sse;
use policy::Policy;

/// The header that names a session (MCP 2025-11-25 "Session Management").
pub(crate) const SESSION: &str = "mcp-session-id";

/// The server's ids of one request and its answer.
#[derive(Default)]
pub(crate) struct Handles {
    /// The session, as the server knows it.
    pub(crate) session: Option<String>,
    /// The conversation that the `_meta` of the call names.
    pub(crate) meta: Option<ConversationId>,
    /// The key and the form of the client's id of the session.
    pub(crate) session_sealed_by: Option<SealedBy>,
    /// Whether the client names a session of another caller, or one that was sealed with another key.
    pub(crate) has_unknown_session: bool,
    /// The event after which the client resumes a stream, as the server knows it.
    pub(crate) event: Option<String>,
    /// Task ids: the server's, and the client's.
    pub(crate) tasks: Vec<(String, String)>,
    /// The tool whose answer this is.
    pub(crate) tool: Option<String>,
    /// Fields of the answer that a decision point hides.
    pub(crate) redact: Vec<String>,
    /// The content that a request state of the answer is bound to.
    pub(crate) asked: Option<RequestContent>,
    /// The position of the id of the request that the message cancels, and the id that the server knows it by.
    pub(crate) cancelled: Option<(Span, String)>,
    /// The id of the request whose stream the client resumes.
    pub(crate) resumed: Option<RenamedId>,
}

impl Handles {
    /// What the call says about its conversation.
    pub(crate) fn origin(&self) -> CallOrigin<'_> {
        CallOrigin {
            session: self.session.as_deref(),
            meta: self.meta.as_ref(),
        }
    }
}

/// Without the ids: an id is enough to use its object.
impl std::fmt::Debug for Handles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Handles")
    }
}

/// Method, name, URI and arguments of a request. They are the same in its retry.
pub(crate) struct RequestContent {
    pub(crate) method: String,
    pub(crate) name: String,
    pub(crate) uri: String,
    pub(crate) arguments: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SealedEvent {
    pub(crate) id: String,
    pub(crate) tool: Option<String>,
    /// The id of the request that the stream answers.
    #[serde(default)]
    pub(crate) request: Option<RenamedId>,
    /// Fields that a decision point hides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) redact: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SealedTask {
    pub(crate) id: String,
    pub(crate) tool: String,
    /// Fields that a decision point hides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) redact: Vec<String>,
    pub(crate) expires: UnixTime,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SealedState {
    pub(crate) state: String,
    pub(crate) expires: UnixTime,
    /// When it was sealed, so that each one differs.
    pub(crate) sealed_ms: u64,
}

impl RequestContent {
    pub(crate) fn of(message: &Message<'_>, body: &[u8]) -> Self {
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

    /// The digest of the arguments. It does not depend on their spelling in JSON.
    pub(crate) fn digest(&self) -> [u8; 32] {
        // The arguments were read strictly before.
        digest(&self.arguments, MAX_DEPTH).unwrap_or_default()
    }

    pub(crate) fn bound<'a>(&'a self, digest: &'a [u8; 32]) -> [&'a [u8]; 4] {
        let [method, name, uri] = [&self.method, &self.name, &self.uri].map(|text| text.as_bytes());
        [method, name, uri, digest]
    }
}

/// Seals ids for one caller, and opens them.
#[derive(Clone, Copy)]
pub(crate) struct Sealing<'a> {
    sealer: &'a Sealer,
    pub(crate) owner: Owner<'a>,
}

impl<'a> Sealing<'a> {
    /// `None` without a key, or without a caller.
    pub(crate) fn of(
        policy: &'a Policy,
        caller: Option<&'a Caller>,
        sealer: Option<&'a Rc<Sealer>>,
    ) -> Option<Self> {
        let caller = caller?;
        let issuer = match caller.auth_method() {
            AuthMethod::Token(token) => token.issuer_name(),
            AuthMethod::Anonymous => "",
            AuthMethod::Local(_) => "local",
        };
        let owner = Owner {
            resource: &policy.resource,
            issuer,
            user: caller.own().user.as_deref().unwrap_or_default(),
            view: caller.view(),
        };
        let sealer = sealer?;
        Some(Self { sealer, owner })
    }

    pub(crate) fn seal<T: Serialize>(self, purpose: Purpose, bound: &[&[u8]], id: &T) -> String {
        self.sealer.seal(purpose, self.owner, bound, id)
    }

    pub(crate) fn open_by<T: DeserializeOwned>(
        self,
        purpose: Purpose,
        bound: &[&[u8]],
        sealed: &str,
    ) -> Option<(T, SealedBy)> {
        self.sealer.open_by((purpose, self.owner, bound), sealed)
    }

    pub(crate) fn open<T: DeserializeOwned>(
        self,
        purpose: Purpose,
        bound: &[&[u8]],
        sealed: &str,
    ) -> Option<T> {
        self.sealer.open(purpose, self.owner, bound, sealed)
    }

    /// Seals a value that only a retry of this request can use.
    pub(crate) fn seal_for_request<T: Serialize>(
        self,
        purpose: Purpose,
        asked: &RequestContent,
        state: &T,
    ) -> String {
        let digest = asked.digest();
        self.seal(purpose, &asked.bound(&digest), state)
    }

    pub(crate) fn open_for_request<T: DeserializeOwned>(
        self,
        purpose: Purpose,
        asked: &RequestContent,
        sealed: &str,
    ) -> Option<T> {
        let digest = asked.digest();
        self.open(purpose, &asked.bound(&digest), sealed)
    }
}

impl Answering {
    /// The session id of an answer, for the client.
    pub(super) fn seal_session(&mut self, headers: &Headers) -> Result<Option<String>, Refusal> {
        let session = headers.one(SESSION).map_err(|_| Refusal::UpstreamAnswer)?;
        let Some(session) = session else {
            return Ok(None);
        };
        // The id of the request keeps its form, also after a change of keys: clients compare it.
        let is_known = self.handles.session.as_deref() == Some(session);
        let by = self.handles.session_sealed_by.filter(|_| is_known);
        let by = by.unwrap_or_default();
        let sealing = self.sealing();
        let sealed = sealing.map(|sealing| {
            let of: (_, _, &[&[u8]]) = (Purpose::Session, sealing.owner, &[]);
            sealing.sealer.seal_by(by, of, &session)
        });
        // The events of the answer to `initialize` belong to the new session.
        let own = &mut self.handles.session;
        own.get_or_insert_with(|| session.to_owned());
        sealed.map(Some).ok_or(Refusal::NoSealKey)
    }

    /// An event with a sealed id. Without a key, or if the id is not valid in a header, it has none: the
    /// stream cannot be resumed.
    pub(super) fn seal_event(&self, event: &[u8]) -> Option<Vec<u8>> {
        // An empty id resets the id of the client.
        let id = sse::id(event).filter(|id| !id.is_empty())?;
        let visible = !id.iter().any(u8::is_ascii_control);
        let session = self.handles.session.as_deref().unwrap_or_default();
        let sealed = str::from_utf8(id).ok().filter(|_| visible);
        let sealed = sealed.and_then(|id| {
            let event = SealedEvent {
                id: id.to_owned(),
                tool: self.handles.tool.clone(),
                request: self.request.renamed.clone(),
                redact: self.handles.redact.clone(),
            };
            let sealing = self.sealing()?;
            Some(sealing.seal(Purpose::Event, &[session.as_bytes()], &event))
        });
        Some(sse::with_id(event, sealed.as_deref()))
    }

    /// Seals the ids in a message of the server.
    pub(super) fn seal_message(
        &mut self,
        message: &Node,
        now: UnixTime,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let ids = MessageIds::of(message).map_err(|_| Refusal::UpstreamAnswer)?;
        // The request is about a task of the client, whose id the server has from the client.
        let is_clients = ids
            .method
            .is_some_and(|method| method.starts_with("tasks/"));
        for (kind, node) in ids.ids {
            let Some(id) = changes.text(node) else {
                continue;
            };
            let sealed = match kind {
                SealedIdKind::Task if is_clients => continue,
                SealedIdKind::Task => self.seal_task(&id, now),
                SealedIdKind::RequestState => self.seal_state(&id, now),
            }?;
            changes.set_text(node, sealed);
        }
        Ok(())
    }

    fn seal_task(&mut self, id: &str, now: UnixTime) -> Result<String, Refusal> {
        let known = self.handles.tasks.iter().find(|(known, _)| known == id);
        if let Some((_, sealed)) = known {
            return Ok(sealed.clone());
        }
        // Only the call that made a task has its tool.
        let tool = self.handles.tool.clone().ok_or(Refusal::UnknownTask)?;
        let task = SealedTask {
            id: id.to_owned(),
            tool,
            redact: self.handles.redact.clone(),
            expires: self.expiry(now),
        };
        let sealing = self.sealing().ok_or(Refusal::NoSealKey)?;
        let sealed = sealing.seal(Purpose::Task, &[], &task);
        self.handles.tasks.push((id.to_owned(), sealed.clone()));
        Ok(sealed)
    }

    fn seal_state(&self, state: &str, now: UnixTime) -> Result<String, Refusal> {
        let asked = self.handles.asked.as_ref();
        let asked = asked.ok_or(Refusal::UpstreamAnswer)?;
        let state = SealedState {
            state: state.to_owned(),
            expires: self.expiry(now),
            sealed_ms: now.as_millis(),
        };
        let sealing = self.sealing().ok_or(Refusal::NoSealKey)?;
        Ok(sealing.seal_for_request(Purpose::RequestState, asked, &state))
    }

    fn expiry(&self, now: UnixTime) -> UnixTime {
        let lifetime = self.policy.seal.as_ref();
        let lifetime = lifetime.map_or(Duration::ZERO, |seal| seal.lifetime.0);
        now.whole_seconds().saturating_add(lifetime)
    }

    pub(crate) fn sealing(&self) -> Option<Sealing<'_>> {
        Sealing::of(&self.policy, self.caller.as_ref(), self.sealer.as_ref())
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
