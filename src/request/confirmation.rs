//! Questions to the user of a call, in the answer to the call, and the user's answers. A question is bound
//! to its call by a sealed state that the client sends back with the answer.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arrived::Authenticated;
use super::opened_ids::OpenedState;
use super::question::AskedRequest;
use super::understand::{Understood, arguments_in};
use crate::accounts::vault::{ConversationId, client_of};
use crate::authorize::Target;
use crate::consent::approval::ApprovalRequest;
use crate::consent::call_question::{AskedCall, QuestionPlace};
use crate::consent::elicitation::{Action, Elicitation, How, action};
use crate::consent::{ShownArguments, shown_tool};
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use crate::response::sealed_ids::RequestContent;
use base::json::digest;
use base::json::tree::Node;
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind};
use base::time::UnixTime;
use mcp::capabilities::ElicitationCapability;
use mcp::message::MessageError;
use mcp::method::Era;
use policy::{Mode, Operation, approval_for};

/// The time to answer.
pub(super) const TIME_TO_ANSWER: Duration = Duration::from_secs(600);
/// The earlier version with URL mode elicitation.
pub(crate) const URL_VERSION: &str = "2025-11-25";

/// The sealed state of a question. Each one differs.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedQuestion {
    /// The client that was asked.
    pub(super) client: String,
    pub(super) agrees: Agrees,
    pub(super) asked_ms: u64,
    pub(super) id: Vec<u8>,
    pub(super) expires: UnixTime,
}

/// The meaning of a yes.
#[derive(Serialize, Deserialize)]
pub(super) enum Agrees {
    /// A page was opened.
    ToNothing,
    /// The user agrees to the call.
    ToTheCall,
    /// A page was opened for a call that the user agreed to before.
    Before(Agreement),
}

/// The user's consent to a call.
#[derive(Debug, Default)]
pub(crate) enum Consent {
    /// The call needs none.
    #[default]
    NotNeeded,
    /// Given in the client.
    Given(Agreement),
    /// Given before the server asked something during the call, by the user or in an approval.
    GivenBefore(Agreement, &'static str),
    /// Asked of another person.
    OfPerson(Box<ApprovalRequest>),
    /// Asked for in the client.
    InClient(Box<Elicitation>),
    /// Asked for on a page.
    OnPage(Box<(QuestionPlace, AskedCall)>),
}

impl Consent {
    /// The agreement that was given in the client.
    pub(crate) fn given(&self) -> Option<&Agreement> {
        match self {
            Self::Given(agreement) | Self::GivenBefore(agreement, _) => Some(agreement),
            Self::NotNeeded | Self::InClient(_) | Self::OnPage(_) | Self::OfPerson(_) => None,
        }
    }
}

/// The user's answer to a question of the filter.
pub(crate) struct Answered {
    action: Action,
    /// The agreement to the call, if it is one.
    agreement: Option<Agreement>,
}

/// An agreement to one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreement {
    /// The record that uses it up.
    pub(crate) key: Key,
    /// When it expires.
    pub(crate) until: UnixTime,
}

impl Agreement {
    /// The agreement in a sealed state.
    pub(crate) fn of(owner: Owner<'_>, sealed: &str, until: UnixTime) -> Self {
        let owner = [owner.resource, owner.issuer, owner.user];
        let key = Key::mark(RecordKind::AgreedCall, &owner, sealed);
        Self { key, until }
    }
}

impl Answered {
    /// Refuses a call that the user declined.
    pub(crate) fn check_declined(&self) -> Result<(), Refusal> {
        match self.action {
            Action::Accept => Ok(()),
            Action::Decline => Err(Refusal::Declined),
        }
    }
}

impl Authenticated {
    /// The client that a confirmation is bound to. Empty if the policy binds it to none.
    pub(super) fn client(&self) -> &str {
        let policy = self.request.policy();
        self.caller
            .token()
            .map_or("", |token| client_of(policy, token))
    }

    /// The user's consent to a call, if the call needs it. `sent` is the body that the server will read.
    pub(super) fn consent(
        &self,
        understood: &Understood<'_>,
        target: Target<'_>,
        (operations, is_obliged): (&[&Operation], bool),
        state: Option<&OpenedState>,
        sent: &[u8],
    ) -> Result<Consent, Refusal> {
        let policy = self.request.policy();
        let approval = approval_for(operations);
        let confirms = operations.iter().any(|operation| operation.confirm);
        let is_needed = approval.is_some() || confirms || is_obliged;
        let (Target::Tool(tool), true, Mode::Enforce) = (target, is_needed, policy.mode) else {
            return Ok(Consent::NotNeeded);
        };
        match state {
            // The caller's own yes is no approval.
            Some(OpenedState::Own(Answered {
                agreement: Some(agreement),
                ..
            })) if approval.is_none() => return Ok(Consent::Given(agreement.clone())),
            // The server's question belongs to a call that was agreed to once.
            Some(OpenedState::Servers { next, .. }) => {
                let source = approval.map_or("user", |_| "approval");
                return Ok(Consent::GivenBefore(next.clone(), source));
            }
            _ => {}
        }
        let arguments = arguments_in(sent);
        let shown = ShownArguments::of(arguments).map_err(|_| Refusal::TooLongToShow)?;
        let shown_name = shown_tool(tool).map_err(|_| Refusal::TooLongToShow)?;
        if let Some(rule) = approval {
            let request = self.approval_request(rule, tool, arguments, shown)?;
            return Ok(Consent::OfPerson(Box::new(request)));
        }
        if understood.message.params.elicitation.form && understood.era == Era::Modern {
            let state = self.seal_question(Agrees::ToTheCall);
            return Ok(Consent::InClient(Box::new(Elicitation {
                message: question(&shown_name, &shown),
                url: None,
                how: How::InputRequired(state.ok_or(Refusal::NoSealKey)?),
            })));
        }
        match (
            self.question_on_page(tool, arguments, shown)?,
            understood.era,
        ) {
            (Some(question), _) => Ok(Consent::OnPage(Box::new(question))),
            (None, Era::Legacy) => Err(Refusal::CannotAsk),
            (None, Era::Modern) => Err(Refusal::MissingElicitation),
        }
    }

    /// The question about a call on a page. `None`: the user cannot be asked there.
    fn question_on_page(
        &self,
        tool: &str,
        arguments: &[u8],
        shown: ShownArguments,
    ) -> Result<Option<(QuestionPlace, AskedCall)>, Refusal> {
        let policy = self.request.policy();
        let signs_in = |issuer: usize| matches!(policy.sign_ins.get(issuer), Some(Some(_sign_in)));
        let token = self.caller.token();
        let token = token.filter(|token| policy.asks_on_pages() && signs_in(token.issuer().0));
        let Some(token) = token else {
            return Ok(None);
        };
        let conversation = ConversationId::of_caller(policy, token, self.handles.origin());
        let conversation = conversation.ok_or(Refusal::NoConversation)?;
        let owner = self.sealing().ok_or(Refusal::NoSealKey)?.owner;
        if owner.user.is_empty() {
            return Ok(None);
        }
        // The digest does not depend on the order: a model that tries again may write its arguments in
        // another order.
        let said = digest(arguments, MAX_DEPTH);
        let said = said.map_err(|error| Refusal::Message(MessageError::Json(error)))?;
        let client = self.client();
        let place = QuestionPlace::of(owner, (&conversation, client), tool, said);
        let call = AskedCall {
            tool: tool.to_owned(),
            view: owner.view.to_owned(),
            client: client.to_owned(),
            arguments: shown,
        };
        Ok(Some((place, call)))
    }

    /// A question that is answered on a page. An earlier agreement to the call stays.
    pub(super) fn page_question(
        &self,
        elicits: ElicitationCapability,
        message: String,
        url: String,
        agreed: Option<&Agreement>,
    ) -> Box<Elicitation> {
        let asked = self.asked_request();
        asked.page_question(elicits, message, url, agreed)
    }

    fn seal_question(&self, agrees: Agrees) -> Option<String> {
        self.asked_request().seal_question(agrees)
    }

    /// What a question about the call is bound to.
    pub(super) fn asked_request(&self) -> AskedRequest<'_> {
        let journal = self.request.journal();
        AskedRequest {
            sealing: self.sealing(),
            content: self.handles.asked.as_ref(),
            client: self.client(),
            id: journal.id.clone().unwrap_or_default(),
            is_2025: journal.record.version.as_deref() == Some(URL_VERSION),
            is_call: journal.record.method.as_deref() == Some("tools/call"),
            now: self.request.effects.exact_now(),
        }
    }

    /// The answer to a question of the filter, if the state belongs to one.
    pub(super) fn open_question(
        &self,
        asked: &RequestContent,
        sealed: &str,
        body: &[u8],
    ) -> Option<OpenedState> {
        let sealing = self.sealing()?;
        let question: SealedQuestion =
            sealing.open_for_request(Purpose::Question, asked, sealed)?;
        if self.request.effects.now() >= question.expires || question.client != self.client() {
            return None;
        }
        let message = Node::read(body, MAX_DEPTH).ok()?;
        let agreement = match question.agrees {
            Agrees::ToNothing => None,
            Agrees::ToTheCall => Some(Agreement::of(sealing.owner, sealed, question.expires)),
            Agrees::Before(agreement) => Some(agreement),
        };
        Some(OpenedState::Own(Answered {
            action: action(&message),
            agreement,
        }))
    }
}

/// The text of the question, with the complete arguments: first the list, then the long values.
fn question(tool: &str, arguments: &ShownArguments) -> String {
    let ShownArguments { list, long_values } = arguments;
    let mut text = format!("Allow `{tool}` with these arguments?\n\n{list}");
    for (at, value) in (1..).zip(long_values) {
        let _ = write!(text, "\n\nValue [{at}], whole:\n{value}");
    }
    text
}
