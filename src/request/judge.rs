//! Judging a request: the decision, its edits, and its needs.

use std::rc::Rc;

use super::arrived::{Authenticated, Received};
use super::client_answer::is_about_answer;
use super::edit::{EditedMessage, RequestEdits};
use super::needs::Needs;
use super::opened_ids::OpenedState;
use super::outside_decision::OutsideQuestions;
use super::understand::{self, Understood};
use super::{completion, own_tool_call};
use crate::accounts::vault::ConversationId;
use crate::authorize::{Denial, Target, authorize, operations as operations_of};
use crate::decision::Evidence;
use crate::decision_point::Obligations;
use crate::limits::MAX_DEPTH;
use crate::reasons::Approval;
use crate::refusal::Refusal;
use crate::response::inspect::{Inspect, ResultOf};
use crate::response::request_ids::RenamedId;
use crate::step::End;
use mcp::message::{Message, Shape};
use mcp::method::{Era, Method};
use policy::{Mode, Operation};

/// The maximum number of evidence entries in a record. A request may use more resources.
const MAX_EVIDENCE: usize = 16;

/// A refusal, and its target.
type Refused<'m> = (Refusal, Option<Target<'m>>);

/// A request that the policy allows.
pub(crate) struct Judged {
    pub(crate) authenticated: Authenticated,
    pub(crate) approval: Approved,
    pub(crate) edits: RequestEdits,
    /// The needs before it is passed on.
    pub(crate) needs: Needs,
    /// The parts of the answer that are inspected, and the target whose rules apply.
    pub(crate) inspect: Inspect,
    pub(crate) result_of: ResultOf,
    /// The id that the server knows it by, if it differs from the client's.
    pub(crate) renamed: Option<RenamedId>,
    /// The refusal of a client's response. The server receives an error in its place, so that its call ends.
    pub(crate) refused: Option<Refusal>,
    /// Whether its headers were passed on already (`hold: buffer_filter`).
    pub(crate) is_released: bool,
}

/// The reason of an approval.
pub(crate) struct Approved {
    pub(crate) reason: Approval,
    pub(crate) evidence: Vec<Evidence>,
}

/// The result for a message that the policy allows.
struct Allowed {
    approval: Approved,
    edits: RequestEdits,
    needs: Needs,
    inspect: Inspect,
    result_of: ResultOf,
    renamed: Option<RenamedId>,
    /// The questions to a decision point, and the request state that the needs depend on.
    outside: Option<(Box<OutsideQuestions>, Option<OpenedState>)>,
}

impl Received {
    /// Decides about the request. `Err`: it is refused, or a tool of the filter answers it.
    pub(crate) async fn judge(self) -> Result<Judged, End> {
        let request = &self.authenticated.request;
        match (request.method(), self.body.is_empty()) {
            ("POST", false) => self.judge_message().await,
            ("POST", true) | (_, false) => Err(request.refuse(&Refusal::Body, None)),
            (_, true) => self.judge_connection(),
        }
    }

    /// A GET for the server's event stream, or the DELETE of a session.
    fn judge_connection(self) -> Result<Judged, End> {
        let Self {
            authenticated,
            is_released,
            ..
        } = self;
        let request = &authenticated.request;
        let principal = authenticated.caller.principal(request.now());
        let evidence = authorize(request.policy(), principal, Target::Server, None)
            .map_err(|denial| request.refuse(&Refusal::Denied(denial), None))?;
        let credential = authenticated.credential_for_server();
        let mut needs = Needs {
            credential: credential.map_err(|refusal| request.refuse(&refusal, None))?,
            ..Needs::default()
        };
        let (mut inspect, mut result_of) = (Inspect::default(), ResultOf::Nothing);
        if request.method() == "GET" {
            let stream = Inspect {
                lists: true,
                handles: true,
                ..Inspect::default()
            };
            let tool = authenticated.handles.tool.clone();
            result_of = tool.map_or(ResultOf::Anything, ResultOf::Tool);
            inspect = understand::inspects(&authenticated, stream, &result_of);
            inspect.id = authenticated.handles.resumed.is_some();
        } else {
            needs.ended_session = authenticated.ended_session();
        }
        Ok(Judged {
            approval: Approved {
                reason: Approval::SessionAllowed,
                evidence,
            },
            edits: RequestEdits::default(),
            needs,
            inspect,
            result_of,
            renamed: authenticated.handles.resumed.clone(),
            refused: None,
            is_released,
            authenticated,
        })
    }

    async fn judge_message(self) -> Result<Judged, End> {
        let Self {
            mut authenticated,
            body,
            is_released,
        } = self;
        let engine = Rc::clone(&authenticated.request.engine);
        let message = Message::read(&body, &engine.policy.names, MAX_DEPTH);
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                let refusal = Refusal::Message(error);
                return match authenticated.refused_answer(&body) {
                    Some(id) => Ok(authenticated.answer_by_error(&id, refusal, is_released)),
                    None => {
                        authenticated.request.journal().note_id(&body);
                        Err(authenticated.request.refuse(&refusal, None))
                    }
                };
            }
        };
        authenticated.note_message(&message);
        let found = authenticated.find_cancelled(&message, &body).await;
        found.map_err(|refusal| authenticated.request.refuse(&refusal, None))?;
        let understood = Understood::of(&mut authenticated, &message);
        let understood =
            understood.map_err(|refusal| authenticated.request.refuse(&refusal, None))?;
        authenticated.handles.meta = ConversationId::of_meta(&engine.policy, &body);
        if let Some(tool) = own_tool_call::called(&engine.policy, &understood) {
            let answered = own_tool_call::answer(&authenticated, tool, &understood, &body);
            // Boxed: rare, and large.
            return Err(Box::pin(answered).await);
        }
        authenticated.find_spellings(&understood).await;
        let mut judged = authenticated.judge(&understood, &body);
        if let Ok(allowed) = &mut judged
            && let Some(outside) = allowed.outside.take()
        {
            // Boxed: rare, and large.
            let decided =
                Box::pin(authenticated.decide(&understood, &body, outside, allowed)).await;
            judged = decided.and(judged);
        }
        let allowed = match judged {
            Ok(allowed) => allowed,
            Err((refusal, target)) => {
                let id = understood
                    .answered_id()
                    .filter(|_| is_about_answer(&refusal));
                let id = id.filter(|_| engine.policy.mode == Mode::Enforce);
                let Some(id) = id.map(<[u8]>::to_vec) else {
                    return Err(authenticated.request.refuse(&refusal, target));
                };
                return Ok(authenticated.answer_by_error(&id, refusal, is_released));
            }
        };
        Ok(Judged {
            approval: allowed.approval,
            edits: allowed.edits,
            needs: allowed.needs,
            inspect: allowed.inspect,
            result_of: allowed.result_of,
            renamed: allowed.renamed,
            refused: None,
            is_released,
            authenticated,
        })
    }
}

impl Authenticated {
    /// Notes the targets of the message in the record.
    fn note_message(&self, message: &Message<'_>) {
        use crate::audit::name;
        let params = &message.params;
        let journal = &mut *self.request.journal();
        // Only requests have an id of the client. The id of a client's response is the server's.
        let id = message.id.filter(|_| message.shape == Shape::Request);
        journal.id = id.map(<[u8]>::to_vec);
        journal.asks_task = params.asks_task;
        let record = &mut journal.record;
        if message.shape != Shape::Response {
            record.method = Some(name(&message.method));
        }
        let named = params.name.as_deref().map(name);
        match &*message.method {
            "tools/call" => record.tool = named,
            "prompts/get" => record.prompt = named,
            _ => {}
        }
        let uri = params.uri.as_deref();
        record.resource = uri.map(|uri| name(uri.split(['?', '#']).next().unwrap_or_default()));
    }

    /// Decides about a message and makes its edits.
    fn judge<'m>(
        &mut self,
        understood: &'m Understood<'m>,
        body: &[u8],
    ) -> Result<Allowed, Refused<'m>> {
        let engine = Rc::clone(&self.request.engine);
        let policy = &*engine.policy;
        let now = self.request.now();
        let targets = understood.targets().map_err(|refusal| (refusal, None))?;
        let first = targets.first().copied().unwrap_or(Target::Server);
        let of_first = |refusal| (refusal, Some(first));
        // Roles come first: a call that no role allows gets no error about its arguments.
        let mut decided = Vec::with_capacity(targets.len());
        for target in &targets {
            match authorize(policy, self.caller.principal(now), *target, None) {
                found @ (Ok(_) | Err(Denial::Scope { .. } | Denial::TooOld { .. })) => {
                    decided.push(found);
                }
                Err(denial) => return Err((Refusal::Denied(denial), Some(*target))),
            }
        }
        let operations = operations_of(policy, self.caller.identity(), first);
        let decide = self.decide_for(policy, understood, &targets, &operations);
        let is_tool_call = understood.method == Some(Method::CallTool);
        if let Some(rule) = engine.seen.blocks(policy, first).filter(|_| is_tool_call) {
            return Err(of_first(Refusal::PinBroken(rule)));
        }
        let state = self.state_of(understood, body).map_err(of_first)?;
        let result_of = understood.result_of(first);
        let mut inspect = understand::inspects(self, understood.inspects(), &result_of);
        // The decision point may hide fields of this result, so another call must not receive it.
        inspect.results |= decide.is_some() && understood.era == Era::Legacy;
        let answer = (inspect, &result_of);
        let message = self.edit(understood, &operations, state.as_ref(), answer, body);
        let EditedMessage {
            edits,
            set,
            removed,
            renamed,
        } = message.map_err(of_first)?;
        inspect.id = renamed.is_some();
        let sent = edits.body.as_deref().unwrap_or(body);
        let arguments = self.judged_arguments(understood, &operations, sent);
        completion::judge(self, understood, sent).map_err(of_first)?;
        let mut evidence = Vec::new();
        for (target, decided) in targets.iter().zip(decided) {
            // Only conditions depend on the arguments.
            let found = match arguments {
                None => decided,
                Some(arguments) => {
                    authorize(policy, self.caller.principal(now), *target, Some(arguments))
                }
            };
            let found = found.map_err(|denial| (Refusal::Denied(denial), Some(*target)))?;
            if evidence.len() < MAX_EVIDENCE {
                evidence.extend(found);
            }
        }
        evidence.extend(self.rewrite_evidence(&set, &removed));
        {
            let record = &mut self.request.journal().record;
            record.arguments_set = set;
            record.arguments_removed = removed;
        }
        let outside = decide
            .map(|decide| self.outside_questions(decide, understood, &targets, &operations, sent));
        let outside = outside.transpose().map_err(of_first)?;
        let none = Obligations::default();
        let needs = match (&outside, understood.is_call()) {
            (None, true) => self.needs_of_call(
                understood,
                first,
                &operations,
                state.as_ref(),
                (sent, &none),
            ),
            // A call's needs depend on the outside decision.
            (Some(_), true) => Ok(Needs::default()),
            (_, false) => self.credential_for_server().map(|credential| Needs {
                credential,
                elicits: understood.message.params.elicitation,
                ..Needs::default()
            }),
        };
        let reason = match first {
            Target::Server => Approval::SessionAllowed,
            _ => Approval::Allowed,
        };
        Ok(Allowed {
            approval: Approved { reason, evidence },
            needs: needs.map_err(of_first)?,
            edits,
            inspect,
            result_of,
            renamed,
            outside: outside.map(|questions| (questions, state)),
        })
    }

    /// Asks the decision point about a message that the policy allows, and adds the needs that depend on it.
    async fn decide<'m>(
        &mut self,
        understood: &'m Understood<'m>,
        body: &[u8],
        (questions, state): (Box<OutsideQuestions>, Option<OpenedState>),
        allowed: &mut Allowed,
    ) -> Result<(), Refused<'m>> {
        let engine = Rc::clone(&self.request.engine);
        let targets = understood.targets().map_err(|refusal| (refusal, None))?;
        let first = targets.first().copied().unwrap_or(Target::Server);
        let of_first = |refusal| (refusal, Some(first));
        let asked = self.ask_outside(*questions, first).await;
        let obligations = asked.map_err(of_first)?;
        allowed.approval.evidence.push(self.outside_evidence());
        if understood.is_call() {
            let operations = operations_of(&engine.policy, self.caller.identity(), first);
            let sent = allowed.edits.body.as_deref().unwrap_or(body);
            let sent = (sent, &obligations);
            let needs = self.needs_of_call(understood, first, &operations, state.as_ref(), sent);
            allowed.needs = needs.map_err(of_first)?;
        } else if obligations.confirm {
            // Only calls are agreed to.
            return Err(of_first(Refusal::CannotAsk));
        }
        if !obligations.redact.is_empty() {
            allowed.inspect.results = true;
            self.handles.redact = obligations.redact;
        }
        Ok(())
    }

    /// The request state of a message, opened. If the user declined, the call ends.
    fn state_of(
        &mut self,
        understood: &Understood<'_>,
        body: &[u8],
    ) -> Result<Option<OpenedState>, Refusal> {
        if !understood.may_be_asked_back() {
            // Earlier versions have no request state, so no server has issued it.
            return match understood.message.params.request_state {
                Some(_) => Err(Refusal::RequestState),
                None => Ok(None),
            };
        }
        let state = self.open_state(understood.message, body)?;
        match &state {
            Some(OpenedState::Own(answered)) => answered.check_declined()?,
            Some(OpenedState::Servers { .. }) | None => {}
        }
        Ok(state)
    }

    /// Where the arguments start that the server will read, for conditions. `None`: no condition needs them, or they were
    /// judged when the task was made.
    fn judged_arguments<'s>(
        &self,
        understood: &Understood<'_>,
        operations: &[&Operation],
        sent: &'s [u8],
    ) -> Option<&'s [u8]> {
        let judged_before = matches!(understood.method, Some(Method::Task | Method::Listen));
        if judged_before || operations.iter().all(|operation| operation.when.is_none()) {
            return None;
        }
        Some(understand::from_arguments(sent))
    }

    /// The evidence for the changes of identity arguments.
    fn rewrite_evidence(&self, set: &[String], removed: &[String]) -> Vec<Evidence> {
        let set_from = match self.caller.is_as_the_token_says() {
            true => "set from the token",
            false => "set from the policy",
        };
        let changed = [(set_from, set), ("taken out", removed)];
        let changed = changed.iter().filter(|(_, names)| !names.is_empty());
        let summary = |(what, names): &(&str, &[String])| format!("{}: {what}", names.join(", "));
        changed
            .map(|change| Evidence::new("arguments", summary(change)))
            .collect()
    }
}
