//! Calls of the filter's own tools, which the server does not see.

use super::arrived::Authenticated;
use super::understand::{Understood, arguments};
use crate::audit;
use crate::authorize::{Denial, Target, authorize};
use crate::decision::Evidence;
use crate::own_tools::{self, OwnToolAnswer, OwnToolCaller, OwnToolError, set};
use crate::reasons::Approval;
use crate::refusal;
use crate::refusal::Refusal;
use crate::step::End;
use mcp::method::{Era, Method};
use policy::{Mode, OwnTool, Policy};
use serde_json::json;

/// The filter's own tool that a message calls. In observe mode the filter answers nothing.
pub(super) fn called(policy: &Policy, understood: &Understood<'_>) -> Option<OwnTool> {
    let is_here = policy.auth_tools && policy.mode == Mode::Enforce;
    let is_call = is_here && understood.method == Some(Method::CallTool);
    let name = understood.message.params.name.as_deref();
    OwnTool::named(name.filter(|_| is_call)?)
}

/// Answers a call of one of the filter's own tools.
pub(super) async fn answer(
    authenticated: &Authenticated,
    tool: OwnTool,
    understood: &Understood<'_>,
    body: &[u8],
) -> End {
    let answered = match authenticated.may_call_own_tools(understood) {
        Ok(()) => authenticated.call_own_tool(tool, understood, body).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answer) => authenticated.reply(answer, understood.era),
        Err(refusal) => {
            let target = Target::Tool(tool.name());
            authenticated.request.refuse(&refusal, Some(target))
        }
    }
}

impl Authenticated {
    /// All signed-in callers with the policy's scopes may call the filter's tools.
    fn may_call_own_tools(&self, understood: &Understood<'_>) -> Result<(), Refusal> {
        let policy = self.request.policy();
        if !self.caller.lists_own_tools(policy) {
            let scopes = policy.scopes.clone();
            return Err(Refusal::Denied(Denial::SignIn { scopes }));
        }
        let principal = self.caller.principal(self.request.now());
        authorize(policy, principal, Target::Server, None).map_err(Refusal::Denied)?;
        match understood.asks_task() && understood.era == Era::Legacy {
            // The filter's tools cannot run as tasks (MCP 2025-11-25 "Tool-Level Negotiation").
            true => Err(Refusal::UnknownMethod),
            false => Ok(()),
        }
    }

    async fn call_own_tool(
        &self,
        tool: OwnTool,
        understood: &Understood<'_>,
        body: &[u8],
    ) -> Result<OwnToolAnswer, Refusal> {
        let request = &self.request;
        let accounts = request.engine.account_context(&request.effects);
        let (identified_by, roles, view_roles) = {
            let record = &request.journal().record;
            let view_roles = record.acting_as_roles.clone();
            (record.identified_by, record.roles.clone(), view_roles)
        };
        let caller = OwnToolCaller {
            own: self.caller.own(),
            caller: self.caller.principal(request.now()),
            view: self.caller.view(),
            test_user: self.caller.test_user(),
            identified_by,
            roles: &roles,
            view_roles: &view_roles,
            token: self.caller.token(),
            origin: self.handles.origin(),
        };
        let given = arguments(understood.message, body);
        let answered =
            own_tools::answer(request.policy(), accounts.as_ref(), &caller, tool, given).await;
        answered.map_err(|error| match error {
            OwnToolError::NoConversation => Refusal::NoConversation,
            OwnToolError::NoSealKey => Refusal::NoSealKey,
            OwnToolError::Store(error) => Refusal::Store(error),
        })
    }

    fn reply(&self, answer: OwnToolAnswer, era: Era) -> End {
        let OwnToolAnswer {
            mut result,
            connection,
            account,
        } = answer;
        let policy = self.request.policy();
        let key = self.request.engine.secrets.audit_key.as_deref();
        let journal = &mut *self.request.journal();
        let account = account.and_then(|account| audit::person(policy, &account, key));
        journal.record.account = account;
        journal.record.connection = connection;
        let own = Evidence::new("auth_tools", "a tool of the filter's own");
        journal.approve(policy.mode, Approval::AuthToolAnswered, vec![own]);
        if era == Era::Modern {
            set(&mut result, "resultType", json!("complete"));
        }
        let id = journal.id.as_deref().unwrap_or(b"null");
        journal.reply(policy, refusal::result(id, &result))
    }
}
