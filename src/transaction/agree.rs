//! Calls the user agrees to on a page of the filter's own: for clients that cannot ask in their own
//! way.

use super::caller::Known;
use super::{Now, Transaction};
use crate::accounts::question::{Call, Place, Question};
use crate::accounts::{conversation, question_link};
use crate::elicitation::Shown;
use crate::refusal::Refusal;
use base::effect::{Ask, Told};
use base::json::digest;
use base::seal::Sealer;
use base::store::Stored;
use mcp::message::MessageError;
use policy::Policy;

/// A call that needs an answer given on a page, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agree {
    place: Place,
    call: Call,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The question is looked up, with its answer.
    Look,
    /// The answer is no, and counts for this call.
    Heed(Question),
    /// The answer is yes, and counts for this call.
    Use(Question),
    /// The question is written down.
    Ask(Question),
}

/// How it goes on.
pub(super) enum Next {
    /// With this, now.
    Now(Agree),
    /// With this, once all else is there that the call needs.
    Last(Agree),
    /// The user agrees to the call.
    Agreed,
}

impl Transaction {
    /// What a call needs whose user is asked on a page. `None` if nobody can be asked there.
    pub(super) fn needed_answer(
        &self,
        tool: &str,
        arguments: &[u8],
    ) -> Result<Option<Agree>, Refusal> {
        let token = self.caller.as_ref().and_then(Known::token);
        let signs_in = |policy: &Policy, issuer: usize| {
            policy.sign_ins.get(issuer).is_some_and(Option::is_some)
        };
        let Some(token) = token.filter(|token| {
            self.policy.asks_on_pages() && signs_in(&self.policy, token.issuer().0)
        }) else {
            return Ok(None);
        };
        let session = self.handles.session.as_deref();
        let conversation = conversation(&self.policy, token, session);
        let conversation = conversation.ok_or(Refusal::NoConversation)?;
        let owner = self.sealing().ok_or(Refusal::NoSealKey)?.owner;
        if owner.user.is_empty() {
            return Ok(None);
        }
        // What they say counts, and not how they are written: a model that tries again may write its
        // arguments in another order.
        let said = digest(arguments, super::MAX_DEPTH);
        let said = said.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        Ok(Some(Agree {
            place: Place::of(owner, &conversation, tool, said),
            call: Call {
                tool: tool.to_owned(),
                view: owner.view.to_owned(),
                arguments: Shown::of(arguments),
            },
            stage: Stage::Look,
        }))
    }

    /// What is asked for next.
    pub(super) fn ask_answer(&self, agree: &Agree) -> Result<Ask, Refusal> {
        let place = &agree.place;
        Ok(Ask::Store(match &agree.stage {
            Stage::Look => place.get(),
            Stage::Heed(question) | Stage::Use(question) => place.use_up(question),
            Stage::Ask(question) => place.put(self.sealer()?, question),
        }))
    }

    /// What was asked for is known.
    pub(super) fn answer_told(&self, agree: Agree, told: Told, now: Now) -> Result<Next, Refusal> {
        let told = match told {
            Told::Store(told) => told.map_err(Refusal::Store)?,
            Told::Call(_) | Told::Waited => return Err(Refusal::UpstreamAnswer),
        };
        let Agree { place, call, stage } = agree;
        let stage = match (stage, told) {
            (Stage::Look, Stored::Value(found)) => {
                let sealer = self.sealer()?;
                let found = found.and_then(|found| place.open(sealer, &found, now.seconds()));
                match found {
                    Some(question) => match question.answer {
                        Some(answer) if answer.yes => Stage::Use(question),
                        Some(_) => Stage::Heed(question),
                        None if question.has_time(now.seconds()) => {
                            return Err(self.ask_on_page(&place, &question, now));
                        }
                        None => Stage::anew(&call, now),
                    },
                    None => Stage::anew(&call, now),
                }
            }
            (Stage::Heed(_), Stored::Created(true)) => return Err(Refusal::Declined),
            (Stage::Use(_), Stored::Created(true)) => return Ok(Next::Agreed),
            // It counted for another call.
            (Stage::Heed(_) | Stage::Use(_), Stored::Created(false)) => Stage::anew(&call, now),
            (Stage::Ask(question), Stored::Done) => {
                return Err(self.ask_on_page(&place, &question, now));
            }
            _ => return Err(Refusal::UpstreamAnswer),
        };
        let is_last = matches!(stage, Stage::Use(_));
        let agree = Agree { place, call, stage };
        Ok(match is_last {
            true => Next::Last(agree),
            false => Next::Now(agree),
        })
    }

    fn ask_on_page(&self, place: &Place, question: &Question, now: Now) -> Refusal {
        let Ok(sealer) = self.sealer() else {
            return Refusal::NoSealKey;
        };
        let url = question_link(&self.policy, sealer, place, question);
        let tool = &question.call.tool;
        let message = format!("Allow `{tool}` to go on: once, and with exactly these arguments.");
        Refusal::Confirm(Box::new(self.link(message, url, None, now)))
    }

    pub(super) fn sealer(&self) -> Result<&Sealer, Refusal> {
        self.secrets.sealer.as_deref().ok_or(Refusal::NoSealKey)
    }
}

impl Stage {
    fn anew(call: &Call, now: Now) -> Self {
        Self::Ask(Question::new(call.clone(), now.unix_ms))
    }
}
