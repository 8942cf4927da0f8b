//! Agreeing to a call, or not: the page that shows it to its user, and the answer.

use super::flow::{Ended, PageContext, Step, Waiting};
use super::page_request::PageRequest;
use super::pages::{self, CallPage};
use super::question::{Place, Question};
use super::refusal::PageRefusal;
use super::sealed::{AnswerForm, LASTS};
use super::signed_in_user::SignedInUser;
use base::effect::Ask;
use base::http::Reply;
use base::store::{Operation, StoreError, Stored};
use policy::PAGES;

/// A question whose page is open.
#[derive(Debug)]
pub(super) struct Agreeing {
    visitor: SignedInUser,
    place: Place,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The question is looked up, to be shown.
    Show,
    /// The question is looked up, to be answered.
    Answer { yes: bool, form: AnswerForm },
    /// A yes is taken back, unless a call was made with it.
    TakeBack(Question),
    /// The answer is being written.
    Keep { tool: String, yes: bool },
}

/// Opens the page.
pub(super) fn begin(around: PageContext<'_>, visit: &PageRequest) -> Result<Step, PageRefusal> {
    let ticket = around.ticket(visit)?;
    let place = ticket.question(&around.policy.resource);
    let place = place.ok_or(PageRefusal::Ticket)?;
    Ok(match around.arrives(visit, ticket)? {
        Ok(visitor) => look(visitor, place, Stage::Show),
        Err(first) => first,
    })
}

/// Takes the answer.
pub(super) fn answer(around: PageContext<'_>, visit: &PageRequest) -> Result<Step, PageRefusal> {
    let ticket = around.ticket(visit)?;
    let place = ticket.question(&around.policy.resource);
    let place = place.ok_or(PageRefusal::Ticket)?;
    let visitor = around.sends(visit, ticket)?;
    let form = visitor.open_form(around, visit)?;
    let yes = match visit.parameter("answer")? {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err(PageRefusal::Request),
    };
    Ok(look(visitor, place, Stage::Answer { yes, form }))
}

fn look(visitor: SignedInUser, place: Place, stage: Stage) -> Step {
    let get = place.get();
    let agreeing = Agreeing {
        visitor,
        place,
        stage,
    };
    Step::Ask(Waiting::Agree(Box::new(agreeing)), Ask::Store(get))
}

impl Agreeing {
    /// Goes on with what the store says.
    pub(super) fn told(
        mut self,
        around: PageContext<'_>,
        told: Result<Stored, StoreError>,
    ) -> Result<Step, PageRefusal> {
        let told = told.map_err(PageRefusal::Store)?;
        match (std::mem::replace(&mut self.stage, Stage::Show), told) {
            (Stage::Show, Stored::Value(found)) => {
                let question = self.open(around, found)?;
                Ok(self.show(around, &question))
            }
            (Stage::Answer { yes, form }, Stored::Value(found)) => {
                let question = self.open(around, found)?;
                if form.question != question.asked_ms {
                    return Err(PageRefusal::Form);
                }
                Ok(match question.answer {
                    None => self.keep(around, question, yes),
                    Some(before) if before.yes && !yes => {
                        let use_up = self.place.use_up(&question);
                        self.ask(Stage::TakeBack(question), use_up)
                    }
                    // Sent twice, or a no that stays one.
                    Some(_) => self.answered(Ok("page_answered"), question.call.tool),
                })
            }
            (Stage::TakeBack(question), Stored::Created(true)) => {
                Ok(self.keep(around, question, false))
            }
            (Stage::TakeBack(_), _) => Err(PageRefusal::CallMade),
            (Stage::Keep { tool, yes }, Stored::Done) => {
                let outcome = match yes {
                    true => Ok("confirmed"),
                    false => Err(PageRefusal::NotConfirmed),
                };
                Ok(self.answered(outcome, tool))
            }
            _ => Err(PageRefusal::Request),
        }
    }

    fn open(
        &self,
        around: PageContext<'_>,
        found: Option<String>,
    ) -> Result<Question, PageRefusal> {
        let open = |found: String| self.place.open(around.sealer, &found, around.now);
        found.and_then(open).ok_or(PageRefusal::NoQuestion)
    }

    /// Asks the question, or says how it was answered.
    fn show(self, around: PageContext<'_>, question: &Question) -> Step {
        let tool = question.call.tool.clone();
        if let Some(answer) = question.answer {
            let reply = pages::answered(answer.yes);
            return self.done(reply, Ok("page_answered"), tool);
        }
        let form = AnswerForm {
            question: question.asked_ms,
            expires: around.now.saturating_add(LASTS),
        };
        let page = CallPage {
            policy: around.policy,
            question,
            name: &self.visitor.browser.name,
            ticket: &self.visitor.written,
            form: &self.visitor.form(around, &form),
        };
        let reply = page.reply();
        self.done(reply, Ok("page_confirm"), tool)
    }

    fn keep(self, around: PageContext<'_>, question: Question, yes: bool) -> Step {
        let question = question.answered(yes, around.now);
        let put = self.place.put(around.sealer, &question);
        let tool = question.call.tool;
        self.ask(Stage::Keep { tool, yes }, put)
    }

    fn ask(self, stage: Stage, operation: Operation) -> Step {
        let agreeing = Self { stage, ..self };
        Step::Ask(Waiting::Agree(Box::new(agreeing)), Ask::Store(operation))
    }

    /// On to the page that says how it was answered: it can be loaded again.
    fn answered(self, outcome: Result<&'static str, PageRefusal>, tool: String) -> Step {
        let url = format!("{PAGES}confirm?ticket={}", self.visitor.written);
        self.done(pages::redirect(url), outcome, tool)
    }

    fn done(self, reply: Reply, outcome: Result<&'static str, PageRefusal>, tool: String) -> Step {
        let browser = self.visitor.browser;
        Step::Done(Ended {
            reply,
            outcome,
            user: Some((browser.issuer, browser.user)),
            connection: None,
            tool: Some(tool),
        })
    }
}
