//! Answers of the client to requests of the server that are refused. The server waits for an answer, and the
//! call that asked waits with it. So it receives an error.

use super::arrived::Authenticated;
use super::edit::RequestEdits;
use super::judge::{Approved, Judged};
use super::needs::Needs;
use super::understand::Understood;
use crate::authorize::{Target, authorize};
use crate::reasons::Approval;
use crate::refusal::{Refusal, error_body};
use crate::response::inspect::{Inspect, ResultOf};
use mcp::message::ReadableId;
use mcp::method::Era;
use policy::Mode;

const INTERNAL_ERROR: i64 = -32603;

/// Whether a refusal is about the content of an answer, and not about the caller.
pub(super) fn is_about_answer(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Argument(_) | Refusal::TooLarge)
}

impl Understood<'_> {
    /// The id of the server's request that the message answers, as the server knows it.
    pub(super) fn answered_id(&self) -> Option<&[u8]> {
        let answered = self.answered.as_ref();
        let answered = answered.map(|answered| answered.id.as_bytes());
        answered
            .or(self.message.id)
            .filter(|_| self.method.is_none())
    }
}

impl Authenticated {
    /// The id of the server's request that a body answers, if the body cannot be read otherwise. `None`: the
    /// caller may not send an answer, or the body is something else.
    pub(super) fn refused_answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let request = &self.request;
        let policy = request.policy();
        let is_possible = policy.mode == Mode::Enforce
            && request.journal().era == Era::Legacy
            && !self.handles.has_unknown_session;
        let Some(ReadableId::Response(id)) = ReadableId::of(body).filter(|_| is_possible) else {
            return None;
        };
        let principal = self.caller.principal(request.now());
        authorize(policy, principal, Target::Server, None).ok()?;
        let answered = self.open_answered(&id).ok()?;
        Some(answered.map_or(id, |answered| answered.id.into_bytes()))
    }

    /// Answers a request of the server with an error, in place of the client's answer.
    pub(super) fn answer_by_error(self, id: &[u8], refusal: Refusal, is_released: bool) -> Judged {
        let text = format!("the client's answer is refused: {}", refusal.summary());
        let body = error_body(Some(id), INTERNAL_ERROR, &text, None);
        Judged {
            approval: Approved {
                reason: Approval::SessionAllowed,
                evidence: Vec::new(),
            },
            edits: RequestEdits {
                body: Some(body),
                headers: Vec::new(),
            },
            needs: Needs {
                // Without its account the server refuses the answer, which is an error anyway.
                credential: self.credential_for_server().unwrap_or_default(),
                ..Needs::default()
            },
            inspect: Inspect::default(),
            result_of: ResultOf::Nothing,
            renamed: None,
            refused: Some(refusal),
            is_released,
            authenticated: self,
        }
    }
}
