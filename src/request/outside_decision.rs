//! The decision of a server outside about a request that the policy allows.

use std::rc::Rc;

use super::arrived::Authenticated;
use super::understand::{Understood, arguments_in};
use crate::authorize::{Denial, Target, scopes_of};
use crate::decision::Evidence;
use crate::decision_point::{
    DecisionContext, DecisionFault, DecisionPoints, DecisionQuestion, NoQuestion, Obligations,
    OutsideAnswer,
};
use crate::limits::MAX_DEPTH;
use crate::refusal::{OutsideRefusal, Refusal};
use base::json::tree::Node;
use mcp::message::MessageError;
use mcp::method::Method;
use policy::{ConditionRefusal, Decide, Operation};

/// The maximum number of questions about one request.
const MAX_QUESTIONS: usize = 16;

/// The questions about one request.
pub(crate) struct OutsideQuestions {
    decide: Rc<Decide>,
    questions: Vec<DecisionQuestion>,
}

impl Authenticated {
    /// Whether a decision point is asked about a message. A task was decided when it was made.
    pub(super) fn decide_for<'p>(
        &self,
        policy: &'p policy::Policy,
        understood: &Understood<'_>,
        targets: &[Target<'_>],
        operations: &[&'p Operation],
    ) -> Option<&'p Rc<Decide>> {
        let is_asked = understood.method != Some(Method::Task)
            && targets.iter().any(|target| *target != Target::Server);
        policy.decide_for(operations).filter(|_| is_asked)
    }

    /// The questions about a message. `sent` is the body that the server will read.
    pub(super) fn outside_questions(
        &self,
        decide: &Rc<Decide>,
        understood: &Understood<'_>,
        targets: &[Target<'_>],
        operations: &[&Operation],
        sent: &[u8],
    ) -> Result<Box<OutsideQuestions>, Refusal> {
        let arguments = understood.is_call().then(|| arguments_in(sent));
        if let Some(arguments) = arguments {
            let spelling = decide.check_spelling(arguments);
            spelling.map_err(|refusal| match refusal {
                ConditionRefusal::Misspelled(error) => {
                    let rule = format!("{}.arguments", decide.rule);
                    Refusal::Denied(Denial::Misspelled { rule, error })
                }
                ConditionRefusal::Condition(_) => no_question(NoQuestion::TooLarge),
            })?;
        }
        let read = arguments.map(|text| Ok((Node::read(text, MAX_DEPTH)?, text)));
        let read = read.transpose();
        let read = read.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        let read = read.as_ref().map(|(node, text)| (node, *text));
        let connection = self.request.policy().connection_for(operations);
        let connection = connection.map(|(connection, _)| connection.name.as_str());
        let journal = self.request.journal();
        let asking = DecisionContext {
            method: &understood.message.method,
            connection,
            ..self
                .caller
                .asking(journal.record.version.as_deref(), self.request.now())
        };
        let uses = targets.iter().filter(|target| **target != Target::Server);
        let identities = self.caller.subjects();
        let mut questions = Vec::new();
        for target in uses {
            for subject in &identities {
                let question = DecisionQuestion::new(*subject, asking, *target, decide, read);
                questions.push(question.map_err(no_question)?);
            }
        }
        if questions.len() > MAX_QUESTIONS {
            return Err(no_question(NoQuestion::TooLarge));
        }
        Ok(Box::new(OutsideQuestions {
            decide: Rc::clone(decide),
            questions,
        }))
    }

    /// Asks. All answers must allow the request.
    ///
    /// # Errors
    ///
    /// The request is not allowed, or there is no answer.
    pub(super) async fn ask_outside(
        &self,
        asked: OutsideQuestions,
        target: Target<'_>,
    ) -> Result<Obligations, Refusal> {
        let unavailable = || Refusal::Outside(OutsideRefusal::Fault(DecisionFault::Unavailable));
        let OutsideQuestions { decide, questions } = asked;
        let request = &self.request;
        let points = request.engine.secrets.decision_points.as_ref();
        let points = points.ok_or_else(unavailable)?;
        let by = decide.point.name();
        let began = request.now();
        let mut obligations = Obligations::default();
        let mut is_cached = true;
        let mut outcome = Ok(());
        for question in &questions {
            let answer = match points.known(&question.key(&decide.point), request.now()) {
                Some(known) => Ok(known),
                None => {
                    is_cached = false;
                    self.ask_one(points, &decide, question).await
                }
            };
            outcome = answer.and_then(|answer| admit(&answer, &by, &mut obligations));
            if outcome.is_err() {
                break;
            }
        }
        let took = request.now().as_millis().saturating_sub(began.as_millis());
        {
            let record = &mut request.journal().record;
            record.decided_by = Some(by);
            record.decision_ms = Some(took);
            record.decision_cached = is_cached;
        }
        outcome?;
        let age = self.caller.principal(request.now()).token_age;
        match obligations.max_age {
            Some(max_age) if age.is_none_or(|age| age > max_age) => {
                let scopes = scopes_of(request.policy(), self.caller.identity(), target);
                Err(Refusal::Denied(Denial::TooOld { max_age, scopes }))
            }
            _ => Ok(obligations),
        }
    }

    async fn ask_one(
        &self,
        points: &DecisionPoints,
        decide: &Decide,
        question: &DecisionQuestion,
    ) -> Result<Rc<OutsideAnswer>, Refusal> {
        let pending = points.ask(&decide.point, question, decide.cache);
        let pending = pending.map_err(no_question)?;
        let answers = self.request.effects.decide(pending).await;
        let answers = answers.map_err(|fault| Refusal::Outside(OutsideRefusal::Fault(fault)))?;
        let answer = answers.into_iter().next();
        answer.ok_or(Refusal::Outside(OutsideRefusal::Fault(
            DecisionFault::Unavailable,
        )))
    }

    /// The evidence of an allowed request.
    pub(super) fn outside_evidence(&self) -> Evidence {
        let journal = self.request.journal();
        let by = journal.record.decided_by.as_deref().unwrap_or_default();
        Evidence::new("decision_point", format!("{by} allows it"))
    }
}

/// Takes an answer that allows the request, with its obligations.
fn admit(answer: &OutsideAnswer, by: &str, obligations: &mut Obligations) -> Result<(), Refusal> {
    if !answer.is_allowed {
        return Err(Refusal::Outside(OutsideRefusal::denied(by, answer)));
    }
    let Obligations {
        confirm,
        redact,
        max_age,
    } = &answer.obligations;
    obligations.confirm |= confirm;
    for field in redact {
        if !obligations.redact.contains(field) {
            obligations.redact.push(field.clone());
        }
    }
    obligations.max_age = match (obligations.max_age, *max_age) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(())
}

fn no_question(error: NoQuestion) -> Refusal {
    Refusal::Outside(match error {
        NoQuestion::TooLarge => OutsideRefusal::TooLarge,
        NoQuestion::Argument(name) => OutsideRefusal::Argument(name),
    })
}
