//! Calls the user has to agree to: asked for in the answer, and bound to exactly this call.

use serde::{Deserialize, Serialize};

use super::handles::{Asked, State};
use super::{Exchange, MAX_DEPTH, Now};
use crate::authorize::Target;
use crate::elicitation::{Action, Elicitation, action};
use crate::mcp::json::tree::Node;
use crate::mcp::message::Message;
use crate::mcp::method::Era;
use crate::policy::{Mode, Operation};
use crate::refusal::Refusal;
use crate::seal::Purpose;
use crate::store::Key;

/// How long an answer may take, in seconds.
const TO_ANSWER: u64 = 600;
/// The most of the arguments a question shows, in characters.
const SHOWN: usize = 4000;

/// What comes back with the answer. Two questions are never the same.
#[derive(Serialize, Deserialize)]
struct Question {
    asked_ms: u64,
    id: Vec<u8>,
    expires: u64,
}

/// An agreement, which is good for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Its name.
    pub(super) key: Key,
    /// When it is of no use any more, in Unix seconds.
    pub(super) until: u64,
}

impl Exchange {
    /// Sees to it that the user agrees to a call that needs it. `arguments` are those the server will
    /// read.
    pub(super) fn confirm(
        &self,
        message: &Message<'_>,
        target: Target<'_>,
        operations: &[&Operation],
        state: Option<&State>,
        arguments: &[u8],
        now: Now,
    ) -> Result<Option<Agreement>, Refusal> {
        let needed = operations.iter().any(|operation| operation.confirm);
        let (Target::Tool(tool), true, Mode::Enforce) = (target, needed, self.policy.mode) else {
            return Ok(None);
        };
        match state {
            Some(State::Own { agreement, action }) => match action {
                Action::Accept => Ok(Some(agreement.clone())),
                Action::Decline => Err(Refusal::Declined),
            },
            Some(State::Servers(_)) | None if self.asked.era == Era::Legacy => {
                Err(Refusal::CannotAsk)
            }
            // What the server asked for belongs to a call that was agreed to.
            Some(State::Servers(_)) => Ok(None),
            None if !message.params.elicits => Err(Refusal::MissingElicitation),
            None => {
                let message = question(tool, arguments);
                let state = self.seal_question(now).ok_or(Refusal::NoSealKey)?;
                Err(Refusal::Confirm(Box::new(Elicitation { message, state })))
            }
        }
    }

    fn seal_question(&self, now: Now) -> Option<String> {
        let question = Question {
            asked_ms: now.unix_ms,
            id: self.asked.id.clone().unwrap_or_default(),
            expires: now.seconds().saturating_add(TO_ANSWER),
        };
        self.seal_for_request(Purpose::Question, &question)
    }

    /// The answer to a question of the filter's own, if the state is one.
    pub(super) fn open_question(
        &self,
        asked: &Asked,
        sealed: &str,
        body: &[u8],
        now: Now,
    ) -> Option<State> {
        let question: Question = self.open_for_request(Purpose::Question, asked, sealed)?;
        if now.seconds() >= question.expires {
            return None;
        }
        let message = Node::read(body, MAX_DEPTH).ok()?;
        let agreement = Agreement {
            key: Key::of("agreed", &[sealed]),
            until: question.expires,
        };
        Some(State::Own {
            agreement,
            action: action(&message),
        })
    }
}

/// What the user reads. The arguments are shown as they are: they are what is agreed to.
fn question(tool: &str, arguments: &[u8]) -> String {
    let text = String::from_utf8_lossy(arguments);
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = text.chars().count().saturating_sub(SHOWN);
    let rest = match rest {
        0 => String::new(),
        rest => format!("\n... and {rest} more characters, which are not shown"),
    };
    format!("Allow `{tool}` with these arguments?\n\n{shown}{rest}")
}
