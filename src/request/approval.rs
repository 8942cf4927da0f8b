//! Calls that another person has to allow: what is asked, and what the caller is told.

use super::arrived::Authenticated;
use crate::accounts::AccountContext;
use crate::audit;
use crate::consent::ShownArguments;
use crate::consent::approval::{
    ApprovalPlace, ApprovalRequest, NoApproval, UnusedApproval, Waiting, find_approval,
    use_approval,
};
use crate::consent::call_question::AskedCall;
use crate::consent::webhook::approvals_url;
use crate::decision::Evidence;
use crate::limits::MAX_DEPTH;
use crate::refusal::{NeededApproval, Refusal};
use base::hex;
use base::json::digest;
use mcp::message::MessageError;
use policy::{ApprovalRule, Webhook};

/// The length of an approval's id, in bytes.
const ID_BYTES: usize = 8;

impl Authenticated {
    /// The question about a call to another person. `arguments` are those that the server will read.
    pub(super) fn approval_request(
        &self,
        rule: &ApprovalRule,
        tool: &str,
        arguments: &[u8],
        shown: ShownArguments,
    ) -> Result<ApprovalRequest, Refusal> {
        let engine = &self.request.engine;
        let token = self.caller.token().ok_or(Refusal::CannotAsk)?;
        let owner = self.sealing().ok_or(Refusal::NoSealKey)?.owner;
        // With a view, the people who answer are still those of the caller's own organization.
        let organization = self.caller.own().organization.clone();
        let issuer = engine.policy.issuers.get(token.issuer().0);
        let names_organizations = issuer.is_some_and(|it| it.claims.organization.is_some());
        if names_organizations && organization.is_none() {
            return Err(Refusal::ApprovalOrganization);
        }
        // A model that tries again may write its arguments in another order.
        let said = digest(arguments, MAX_DEPTH);
        let said = said.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        let (client, actors) = (self.client(), &self.caller.own().actors);
        let id = (engine.secrets.random.0)().unwrap_or_default();
        Ok(ApprovalRequest {
            place: ApprovalPlace::of(owner, (client, actors), (tool, &rule.role), said),
            call: AskedCall {
                tool: tool.to_owned(),
                view: owner.view.to_owned(),
                client: client.to_owned(),
                arguments: shown,
            },
            actors: actors.clone(),
            organization,
            role: rule.role.clone(),
            valid_for: rule.valid_for,
            new_id: hex::encode(id.get(..ID_BYTES).unwrap_or_default()),
            webhook: rule.webhook.clone(),
        })
    }

    /// The yes of another person to a call. Without one, that person is asked.
    pub(super) async fn approval(
        &self,
        accounts: &AccountContext,
        request: ApprovalRequest,
    ) -> Result<UnusedApproval, Refusal> {
        let webhook = request.webhook.clone();
        let place = request.place.clone();
        let yes = find_approval(accounts, request).await;
        yes.map_err(|error| self.not_approved(error, &place, webhook.as_ref()))
    }

    /// Uses the yes for this call. Returns the evidence for it.
    pub(super) async fn use_approval(
        &self,
        accounts: &AccountContext,
        yes: UnusedApproval,
        place: &ApprovalPlace,
        webhook: Option<&Webhook>,
    ) -> Result<Evidence, Refusal> {
        let (id, approver) = (yes.id().to_owned(), yes.approver.clone());
        let summary = format!("another person with the role `{}` allowed it", yes.role());
        let used = use_approval(accounts, yes).await;
        used.map_err(|error| self.not_approved(error, place, webhook))?;
        self.note_approval(&id, Some(&approver));
        Ok(Evidence::new("approval", summary))
    }

    /// Tells the caller why the call is not allowed. The webhook gets a message about a new question.
    fn not_approved(
        &self,
        error: NoApproval,
        place: &ApprovalPlace,
        webhook: Option<&Webhook>,
    ) -> Refusal {
        let engine = &self.request.engine;
        let Waiting { question, is_new } = match error {
            NoApproval::Waiting(waiting) => *waiting,
            NoApproval::Denied { id, approver } => {
                self.note_approval(&id, Some(&approver));
                return Refusal::ApprovalDenied;
            }
            NoApproval::TooMany => return Refusal::ApprovalsFull,
            NoApproval::Store(error) => return Refusal::Store(error),
        };
        self.note_approval(&question.id, None);
        let keys = &engine.secrets.webhook_keys;
        if let (true, Some(webhook)) = (is_new, webhook) {
            let about = (place, &question);
            let is_sent = engine.messages.add(&engine.policy, keys, webhook, about);
            if !is_sent {
                let mut journal = self.request.journal();
                let why = "no message to the webhook: too many wait to be sent";
                journal.caller.push(Evidence::new("approval", why));
            }
        }
        let left = question.ends().since(self.request.effects.now());
        Refusal::ApprovalNeeded(Box::new(NeededApproval {
            role: question.role,
            url: approvals_url(&engine.policy),
            minutes: left.as_secs().div_ceil(60),
        }))
    }

    fn note_approval(&self, id: &str, approver: Option<&str>) {
        let engine = &self.request.engine;
        let key = engine.secrets.audit_key.as_deref();
        let record = &mut self.request.journal().record;
        record.approval = Some(id.to_owned());
        record.approver = approver.and_then(|user| audit::person(&engine.policy, user, key));
    }
}
