//! Calls that the user agrees to on a page of the filter: for clients that cannot ask their user.

use super::caller::Known;
use super::waiting::{Requirement, Waiting};
use super::{Now, Step, Transaction};
use crate::accounts::vault::ConversationId;
use crate::consent::ShownArguments;
use crate::consent::agreement::{NoAgreement, UnusedYes, find_yes, use_yes};
use crate::consent::call_question::{AskedCall, QuestionPlace};
use crate::pages::question_link;
use crate::refusal::Refusal;
use base::json::digest;
use base::seal::Sealer;
use mcp::message::MessageError;
use policy::Policy;

impl Transaction {
    /// The question about a call, for its user on a page. `None`: the user cannot be asked there.
    pub(super) fn needed_answer(
        &self,
        tool: &str,
        arguments: &[u8],
    ) -> Result<Option<(QuestionPlace, AskedCall)>, Refusal> {
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
        let conversation = ConversationId::of_caller(&self.policy, token, session);
        let conversation = conversation.ok_or(Refusal::NoConversation)?;
        let owner = self.sealing().ok_or(Refusal::NoSealKey)?.owner;
        if owner.user.is_empty() {
            return Ok(None);
        }
        // The digest does not depend on the order of members: a model that tries again may write them in
        // another order.
        let said = digest(arguments, super::MAX_DEPTH);
        let said = said.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        let place = QuestionPlace::of(owner, &conversation, tool, said);
        let call = AskedCall {
            tool: tool.to_owned(),
            view: owner.view.to_owned(),
            arguments: ShownArguments::of(arguments),
        };
        Ok(Some((place, call)))
    }

    /// Goes on if the user said yes to the call. The yes is used up after all else is there that the call
    /// needs, except what is used up with the token.
    pub(super) fn find_yes(
        &mut self,
        waiting: Waiting,
        (place, call): (QuestionPlace, AskedCall),
        now: Now,
    ) -> Step {
        let tool = call.tool.clone();
        self.run_for(
            waiting,
            now,
            |context| async move { find_yes(&context, place, call).await },
            |transaction, waiting, yes, now| {
                let yes = yes.map_err(|error| transaction.not_agreed(error, &tool, now))?;
                let needs = &mut waiting.needs;
                let is_single_use = |need: &Requirement| *need == Requirement::SingleUse;
                let last = needs.iter().position(is_single_use).unwrap_or(needs.len());
                needs.insert(last, Requirement::UseYes(Box::new((tool, yes))));
                Ok(())
            },
        )
    }

    /// Uses the yes up.
    pub(super) fn use_yes(
        &mut self,
        waiting: Waiting,
        (tool, yes): (String, UnusedYes),
        now: Now,
    ) -> Step {
        self.run_for(
            waiting,
            now,
            |context| async move { use_yes(&context, yes).await },
            move |transaction, _, used, now| {
                used.map_err(|error| transaction.not_agreed(error, &tool, now))?;
                transaction.note_agreed();
                Ok(())
            },
        )
    }

    fn not_agreed(&self, error: NoAgreement, tool: &str, now: Now) -> Refusal {
        let (place, expires) = match error {
            NoAgreement::Asked { place, expires } => (place, expires),
            NoAgreement::Declined => return Refusal::Declined,
            NoAgreement::Store(error) => return Refusal::Store(error),
        };
        let Ok(sealer) = self.sealer() else {
            return Refusal::NoSealKey;
        };
        let url = question_link(&self.policy, sealer, &place, expires);
        let message = format!("Allow `{tool}` to go on: once, and with exactly these arguments.");
        Refusal::Confirm(Box::new(self.link(message, url, None, now)))
    }

    pub(super) fn sealer(&self) -> Result<&Sealer, Refusal> {
        self.secrets.sealer.as_deref().ok_or(Refusal::NoSealKey)
    }
}
