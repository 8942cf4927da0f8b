//! Calls the user has to agree to: asked for in the answer, and bound to exactly this call.

use serde::{Deserialize, Serialize};

use super::call::arguments_in;
use super::handles::State;
use super::{MAX_DEPTH, Now, Transaction};
use crate::authorize::Target;
use crate::consent::ShownArguments;
use crate::consent::call_question::{AskedCall, QuestionPlace};
use crate::consent::elicitation::{Action, Elicitation, How, action};
use crate::decision::Evidence;
use crate::refusal::Refusal;
use crate::response::sealed_ids::Asked;
use base::json::tree::Node;
use base::seal::Purpose;
use base::store::Key;
use mcp::method::Era;
use policy::{Mode, Operation};

/// How long an answer may take, in seconds.
const TO_ANSWER: u64 = 600;
/// The earlier version in which a client can be told to open a page.
const URL_VERSION: &str = "2025-11-25";

/// What comes back with the answer. Two questions are never the same.
#[derive(Serialize, Deserialize)]
struct Question {
    agrees: Agrees,
    asked_ms: u64,
    id: Vec<u8>,
    expires: u64,
}

/// What a yes is.
#[derive(Serialize, Deserialize)]
enum Agrees {
    /// That a page was opened.
    ToNothing,
    /// An agreement to the call.
    ToTheCall,
    /// That a page was opened for a call that was agreed to before.
    Before(Agreement),
}

/// How a call has its user's consent.
pub(super) enum Consent {
    /// It needs none.
    NotNeeded,
    /// It was given, in the client.
    Given(Agreement),
    /// It is given on a page.
    OnPage(Box<(QuestionPlace, AskedCall)>),
}

/// What a user answered to a question of the filter's own.
pub(super) struct Answered {
    action: Action,
    /// The agreement to the call, if it is one.
    agreement: Option<Agreement>,
}

/// An agreement, which is good for one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agreement {
    /// Its name.
    pub(super) key: Key,
    /// When it is of no use any more, in Unix seconds.
    pub(super) until: u64,
}

impl Agreement {
    /// The agreement that a sealed state stands for.
    pub(super) fn of(sealed: &str, until: u64) -> Self {
        let key = Key::of("agreed", &[sealed]);
        Self { key, until }
    }
}

impl Transaction {
    /// Sees to it that the user agrees to a call that needs it. `sent` is what the server will read.
    pub(super) fn confirm(
        &self,
        target: Target<'_>,
        operations: &[&Operation],
        state: Option<&State>,
        sent: &[u8],
        now: Now,
    ) -> Result<Consent, Refusal> {
        let needed = operations.iter().any(|operation| operation.confirm);
        let (Target::Tool(tool), true, Mode::Enforce) = (target, needed, self.policy.mode) else {
            return Ok(Consent::NotNeeded);
        };
        match state {
            Some(State::Own(Answered {
                agreement: Some(agreement),
                ..
            })) => return Ok(Consent::Given(agreement.clone())),
            // What the server asked for belongs to a call that was agreed to: once.
            Some(State::Servers { next, .. }) => return Ok(Consent::Given(next.clone())),
            _ => {}
        }
        let arguments = arguments_in(&self.policy, sent).map_err(Refusal::Message)?;
        if self.asked.elicits.form && self.asked.era == Era::Modern {
            let state = self.seal_question(Agrees::ToTheCall, now);
            return Err(Refusal::Confirm(Box::new(Elicitation {
                message: question(tool, &arguments),
                url: None,
                how: How::InputRequired(state.ok_or(Refusal::NoSealKey)?),
            })));
        }
        match (self.needed_answer(tool, &arguments)?, self.asked.era) {
            (Some(agree), _) => Ok(Consent::OnPage(Box::new(agree))),
            (None, Era::Legacy) => Err(Refusal::CannotAsk),
            (None, Era::Modern) => Err(Refusal::MissingElicitation),
        }
    }

    /// Notes on what a call rests that was agreed to.
    pub(super) fn note_agreed(&mut self) {
        let evidence = Evidence::new("user", "agreed to this call");
        self.record.decision.evidence.push(evidence);
    }

    /// Refuses what the user said no to.
    pub(super) fn heed(state: Option<&State>) -> Result<(), Refusal> {
        match state {
            Some(State::Own(answered)) if answered.action == Action::Decline => {
                Err(Refusal::Declined)
            }
            _ => Ok(()),
        }
    }

    /// A question that is answered on a page. An agreement to the call stays the one it is.
    pub(super) fn link(
        &self,
        message: String,
        url: String,
        agreed: Option<&Agreement>,
        now: Now,
    ) -> Elicitation {
        let agrees = agreed.map_or(Agrees::ToNothing, |agreed| Agrees::Before(agreed.clone()));
        let is_2025 = self.record.version.as_deref() == Some(URL_VERSION);
        let state = self
            .asked
            .elicits
            .url
            .then(|| self.seal_question(agrees, now));
        let how = match state.flatten() {
            Some(state) => How::InputRequired(state),
            None if is_2025 => How::UrlRequired,
            None => How::Text,
        };
        Elicitation {
            message,
            url: Some(url),
            how,
        }
    }

    fn seal_question(&self, agrees: Agrees, now: Now) -> Option<String> {
        let question = Question {
            agrees,
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
        let question: Question =
            self.sealing()?
                .open_for_request(Purpose::Question, asked, sealed)?;
        if now.seconds() >= question.expires {
            return None;
        }
        let message = Node::read(body, MAX_DEPTH).ok()?;
        let agreement = match question.agrees {
            Agrees::ToNothing => None,
            Agrees::ToTheCall => Some(Agreement::of(sealed, question.expires)),
            Agrees::Before(agreement) => Some(agreement),
        };
        Some(State::Own(Answered {
            action: action(&message),
            agreement,
        }))
    }
}

/// What the user reads. The arguments are shown as they are: they are what is agreed to.
fn question(tool: &str, arguments: &[u8]) -> String {
    let ShownArguments { text, more } = ShownArguments::of(arguments);
    let rest = match more {
        0 => String::new(),
        more => format!("\n... and {more} more characters, which are not shown"),
    };
    format!("Allow `{tool}` with these arguments?\n\n{text}{rest}")
}
