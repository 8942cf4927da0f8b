//! Calls of the filter's own tools, and what ends with a session.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::json;

use super::call::Ask as Asked;
use super::caller::{AuthMethod, Known};
use super::task::GoOn;
use super::waiting::{Requirement, Waiting};
use super::{Now, RequestState, Step, Transaction};
use crate::accounts::vault::AccountPlace;
use crate::accounts::{AccountContext, end};
use crate::authorize::{Denial, Target, authorize};
use crate::cors;
use crate::decision::Evidence;
use crate::effect::Effects;
use crate::own_tools::{OwnToolAnswer, OwnToolCaller, OwnToolError, answer, set};
use crate::reasons::Approval;
use crate::refusal::{self, Refusal};
use mcp::message::Message;
use mcp::method::{Era, Method};
use policy::OwnTool;
use policy::{Conversation, Mode, Policy};

/// Whether a caller finds the filter's own tools in a list.
pub(crate) fn lists_own_tools(policy: &Policy, caller: &Known) -> bool {
    policy.auth_tools && !matches!(caller.way(), AuthMethod::Anonymous)
}

impl Transaction {
    /// The filter's own tool that is called, if one is. In observe mode nothing is answered here.
    pub(super) fn own_tool(&self, message: &Message<'_>, ask: &Asked) -> Option<OwnTool> {
        let is_here = self.policy.auth_tools && self.policy.mode == Mode::Enforce;
        let is_call = is_here && ask.method == Some(Method::CallTool);
        let name = message.params.name.as_deref().filter(|_| is_call)?;
        OwnTool::named(name)
    }

    /// Answers a call of one of the filter's own tools.
    pub(super) fn call_own(
        &mut self,
        tool: OwnTool,
        message: &Message<'_>,
        ask: &Asked,
        body: &[u8],
        now: Now,
    ) -> Step {
        let known = match self.may_call_own(ask, now) {
            Ok(known) => known,
            Err(refusal) => return self.refuse(&refusal, Some(Target::Tool(tool.name()))),
        };
        let given = message.params.arguments.as_ref();
        let given = given.and_then(|(span, _)| body.get(span.clone()));
        let arguments = given.unwrap_or(b"{}").to_vec();
        let policy = Rc::clone(&self.policy);
        let accounts = self.secrets.accounts(&policy, Effects::default());
        let session = self.handles.session.clone();
        let record = &self.record;
        let (roles, view_roles) = (record.roles.clone(), record.acting_as_roles.clone());
        let identified_by = record.identified_by;
        self.run(now, |effects| async move {
            let accounts = accounts.map(|accounts| AccountContext {
                effects,
                ..accounts
            });
            let caller = OwnToolCaller {
                own: known.own(),
                caller: known.caller(now),
                view: known.view(),
                identified_by,
                roles: &roles,
                view_roles: &view_roles,
                token: known.token(),
                session: session.as_deref(),
            };
            let answer = answer(&policy, accounts.as_ref(), &caller, tool, &arguments).await;
            let go_on: GoOn = Box::new(move |transaction, _| transaction.answer_own(tool, answer));
            go_on
        })
    }

    /// Every caller may who signed in and meets the requirements of every request.
    fn may_call_own(&self, ask: &Asked, now: Now) -> Result<Known, Refusal> {
        let caller = self.caller.as_ref().ok_or(Refusal::NoToken)?;
        let known = self.caller.as_ref();
        if !known.is_some_and(|known| lists_own_tools(&self.policy, known)) {
            let scopes = self.policy.scopes.clone();
            return Err(Refusal::Denied(Denial::SignIn { scopes }));
        }
        authorize(&self.policy, caller.caller(now), Target::Server, None)
            .map_err(Refusal::Denied)?;
        match ask.asks_task && self.asked.era == Era::Legacy {
            // None of them can be a task (MCP 2025-11-25 "Tool-Level Negotiation").
            true => Err(Refusal::UnknownMethod),
            false => Ok(caller.clone()),
        }
    }

    /// The result of one of the filter's own tools.
    fn answer_own(&mut self, tool: OwnTool, answer: Result<OwnToolAnswer, OwnToolError>) -> Step {
        let answer = match answer {
            Ok(answer) => answer,
            Err(OwnToolError::Store(error)) => return self.refuse(&Refusal::Store(error), None),
            Err(OwnToolError::NoSealKey) => return self.refuse(&Refusal::NoSealKey, None),
            Err(OwnToolError::NoConversation) => {
                return self.refuse(&Refusal::NoConversation, Some(Target::Tool(tool.name())));
            }
        };
        self.request = RequestState::Over;
        let own = Evidence::new("auth_tools", "a tool of the filter's own");
        self.approve(Approval::AuthToolAnswered, vec![own]);
        if answer.connection.is_some() {
            self.record.connection = answer.connection;
            let key = self.secrets.audit_key.as_deref();
            let account = answer.account.as_deref();
            self.record.account =
                account.and_then(|account| crate::audit::person(&self.policy, account, key));
        }
        let mut result = answer.result;
        if self.asked.era == Era::Modern {
            set(&mut result, "resultType", json!("complete"));
        }
        let id = self.asked.id.as_deref().unwrap_or(b"null");
        let mut reply = refusal::result(id, &result);
        let for_page = cors::reply_headers(&self.policy, self.origin());
        reply.headers.extend(for_page);
        Step::Reply(reply)
    }

    /// The accounts that were linked in a session end with it.
    pub(super) fn endings(&self) -> VecDeque<Requirement> {
        let session = self.handles.session.as_deref();
        let ends = self.policy.mode == Mode::Enforce
            && session.is_some()
            && matches!(self.policy.conversation, Conversation::Session);
        let token = self.caller.as_ref().and_then(Known::token);
        let connections = self.policy.connections.iter().filter(|_| ends);
        let places = connections.filter_map(|connection| {
            AccountPlace::of_caller(&self.policy, token?, session, connection)
        });
        places
            .map(|place| Requirement::Ending(Box::new(place)))
            .collect()
    }

    /// Ends an account that was linked in the session. The session ends in any case.
    pub(super) fn end_account(&mut self, waiting: Waiting, place: AccountPlace, now: Now) -> Step {
        let connection = place.connection.clone();
        self.run_for(
            waiting,
            now,
            |context| async move { end(&context, &place).await },
            move |transaction, _, ended, _| {
                let summary = match ended {
                    Ok(None) => return Ok(()),
                    Ok(Some(ended)) => {
                        let revocation = ended.revocation.name();
                        format!("`{connection}` ended, revocation {revocation}")
                    }
                    Err(error) => {
                        let refusal = Refusal::Store(error);
                        format!("`{connection}` did not end: {}", refusal.summary())
                    }
                };
                let evidence = &mut transaction.record.decision.evidence;
                evidence.push(Evidence::new("connections", summary));
                Ok(())
            },
        )
    }
}
