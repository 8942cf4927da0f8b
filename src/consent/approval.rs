//! Approvals: calls that another person has to allow. The question is kept, sealed, until that person has
//! answered on a page and the caller has sent the call again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::call_question::AskedCall;
use super::open_approvals::{OpenApproval, OpenApprovals};
use super::shown_arguments::ShownArguments;
use crate::accounts::AccountContext;
use base::seal::{Owner, Purpose, Sealer};
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord, Stored};
use base::time::UnixTime;
use policy::Webhook;

/// How often a question is read again because another request changed it.
const MAX_TRIES: u8 = 4;
/// The mark of a used answer is kept this much longer than the answer, whose times have whole seconds.
const MARK_MARGIN: Duration = Duration::from_secs(60);

/// The place of the question about a call: its record, and the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPlace {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// The caller's own user id, also if it acts as another user.
    pub user: String,
    /// The key of the record.
    pub key: Key,
}

/// A call that another person has to allow, before it is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The place of the question.
    pub place: ApprovalPlace,
    /// The call.
    pub call: AskedCall,
    /// The actors of a delegated token. They are callers, too.
    pub actors: Vec<String>,
    /// The caller's organization. `None`: its issuer names none.
    pub organization: Option<String>,
    /// The role of the people who may allow it.
    pub role: String,
    /// How long the question waits, and how long a yes is valid.
    pub valid_for: Duration,
    /// The id for the log and the webhook, if the question is new.
    pub new_id: String,
    /// The webhook for new questions.
    pub webhook: Option<Webhook>,
}

/// A question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalQuestion {
    /// The id, which does not depend on the call.
    pub id: String,
    /// The call. Its arguments are empty once there is an answer.
    pub call: AskedCall,
    /// The actors of a delegated token. They are callers, too.
    pub actors: Vec<String>,
    /// The caller's organization.
    pub organization: Option<String>,
    /// The role of the people who may answer.
    pub role: String,
    /// When it was asked.
    pub asked: UnixTime,
    /// How long it waits, and how long a yes is valid.
    valid_for: Duration,
    /// The answer.
    pub answer: Option<ApprovalAnswer>,
}

/// An answer. It counts for one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAnswer {
    /// Whether the call may be made.
    pub yes: bool,
    /// The user id of the person who answered.
    pub approver: String,
    /// When it expires.
    until: UnixTime,
}

/// A yes that no call has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedApproval {
    request: ApprovalRequest,
    question: ApprovalQuestion,
    /// The question as it was read.
    value: String,
    /// The person who said yes.
    pub approver: String,
}

impl UnusedApproval {
    /// The id of the question.
    pub fn id(&self) -> &str {
        &self.question.id
    }

    /// The role of the person.
    pub fn role(&self) -> &str {
        &self.question.role
    }
}

/// Why a call is not allowed by another person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoApproval {
    /// Nobody has answered the question.
    #[error("the call waits for another person")]
    Waiting(Box<Waiting>),
    /// Another person said no. The no is used up.
    #[error("another person did not allow the call")]
    Denied {
        /// The id of the question.
        id: String,
        /// The person.
        approver: String,
    },
    /// The caller, or its organization, has too many open questions.
    #[error("too many questions are open")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The question.
    pub question: ApprovalQuestion,
    /// Whether this call asked it.
    pub is_new: bool,
}

/// Finds the yes of another person to a call. Without an answer it asks.
///
/// # Errors
///
/// The call has to wait, was not allowed, or the store failed.
pub async fn find_approval(
    context: &AccountContext,
    request: ApprovalRequest,
) -> Result<UnusedApproval, NoApproval> {
    for _ in 0..MAX_TRIES {
        let value = context.effects.get(request.place.key.clone()).await?;
        let found = value
            .as_deref()
            .and_then(|value| request.place.open(&context.sealer, value, context.now()));
        match (value, found) {
            (Some(value), Some(question)) => match question.answer.clone() {
                None => {
                    let is_new = false;
                    return Err(NoApproval::Waiting(Box::new(Waiting { question, is_new })));
                }
                Some(ApprovalAnswer {
                    yes: true,
                    approver,
                    ..
                }) => {
                    return Ok(UnusedApproval {
                        request,
                        question,
                        value,
                        approver,
                    });
                }
                Some(ApprovalAnswer { approver, .. }) => {
                    let use_up = request.place.use_up(&question);
                    if context.effects.create(use_up).await? {
                        let id = question.id;
                        return Err(NoApproval::Denied { id, approver });
                    }
                    // An earlier call was told of this no.
                    let old = request.place.as_read(&question, value);
                    let replace = |new| StoreOperation::Replace(old, new);
                    if let Some(asked) = ask(context, &request, replace).await? {
                        return Err(asked);
                    }
                }
            },
            (value, _) => {
                // A record that cannot be opened was not written by this filter.
                let write = match value {
                    None => StoreOperation::Create,
                    Some(_) => StoreOperation::Put,
                };
                if let Some(asked) = ask(context, &request, write).await? {
                    return Err(asked);
                }
            }
        }
    }
    Err(NoApproval::Store(StoreError::Unavailable))
}

/// Uses a yes for one call. If another call has used it, the question is asked again.
///
/// # Errors
///
/// The call has to wait for another answer, or the store failed.
pub async fn use_approval(context: &AccountContext, yes: UnusedApproval) -> Result<(), NoApproval> {
    let UnusedApproval {
        request,
        question,
        value,
        ..
    } = yes;
    let use_up = request.place.use_up(&question);
    if context.effects.create(use_up).await? {
        return Ok(());
    }
    let old = request.place.as_read(&question, value);
    let replace = |new| StoreOperation::Replace(old, new);
    match ask(context, &request, replace).await? {
        Some(asked) => Err(asked),
        // A call at the same time has asked.
        None => Err(match Box::pin(find_approval(context, request)).await {
            Ok(_) => NoApproval::Store(StoreError::Unavailable),
            Err(error) => error,
        }),
    }
}

/// Asks. `write` writes the question, if no other request has written one meanwhile. `None`: one has.
async fn ask(
    context: &AccountContext,
    request: &ApprovalRequest,
    write: impl FnOnce(StoreRecord) -> StoreOperation,
) -> Result<Option<NoApproval>, StoreError> {
    let ApprovalRequest {
        place,
        organization,
        ..
    } = request;
    let question = request.question(context.now());
    let list = OpenApprovals {
        resource: &place.resource,
        issuer: &place.issuer,
        organization: organization.as_deref(),
    };
    let entry = OpenApproval {
        key: place.key.clone(),
        user: place.user.clone(),
        role: question.role.clone(),
        ends: question.ends(),
    };
    if !list.add(context, &entry).await? {
        return Ok(Some(NoApproval::TooMany));
    }
    let record = place.record(&context.sealer, &question);
    match context.effects.store(write(record)).await? {
        Stored::Created(true) | Stored::Done => {
            let is_new = true;
            Ok(Some(NoApproval::Waiting(Box::new(Waiting {
                question,
                is_new,
            }))))
        }
        Stored::Created(false) => Ok(None),
        Stored::Value(_) => Err(StoreError::Unavailable),
    }
}

impl ApprovalRequest {
    pub(super) fn question(&self, now: UnixTime) -> ApprovalQuestion {
        ApprovalQuestion {
            id: self.new_id.clone(),
            call: self.call.clone(),
            actors: self.actors.clone(),
            organization: self.organization.clone(),
            role: self.role.clone(),
            asked: now,
            valid_for: self.valid_for,
            answer: None,
        }
    }
}

impl ApprovalPlace {
    /// The place of the question about a call. `owner` has the user and the view. `arguments` is the digest of
    /// the arguments.
    pub fn of(
        owner: Owner<'_>,
        (client, actors): (&str, &[String]),
        (tool, role): (&str, &str),
        arguments: [u8; 32],
    ) -> Self {
        let Owner {
            resource,
            issuer,
            user,
            view,
        } = owner;
        let arguments = base::hex::encode(&arguments);
        let mut named = vec![resource, issuer, user, view, client, tool, role, &arguments];
        named.extend(actors.iter().map(String::as_str));
        // Models cause questions: these take no room of the user's accounts and sign-ins.
        let room = [resource, issuer, user, "questions"];
        Self {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            user: user.to_owned(),
            key: Key::of(RecordKind::Approval, &room, &named),
        }
    }

    /// Opens a value that was read. `None`: it belongs to another place, or has ended.
    pub fn open(&self, sealer: &Sealer, value: &str, now: UnixTime) -> Option<ApprovalQuestion> {
        let bound = self.key.as_str().as_bytes();
        let question: ApprovalQuestion =
            sealer.open(Purpose::Approval, self.owner(), &[bound], value)?;
        (now < question.expires()).then_some(question)
    }

    /// Writes the answered question in place of `question`, which was read as `value`, if it has not changed
    /// since.
    pub fn answer(
        &self,
        sealer: &Sealer,
        (question, value): (&ApprovalQuestion, String),
        answered: &ApprovalQuestion,
    ) -> StoreOperation {
        StoreOperation::Replace(self.as_read(question, value), self.record(sealer, answered))
    }

    fn record(&self, sealer: &Sealer, question: &ApprovalQuestion) -> StoreRecord {
        let bound = self.key.as_str().as_bytes();
        StoreRecord {
            key: self.key.clone(),
            value: sealer.seal(Purpose::Approval, self.owner(), &[bound], question),
            expires: question.expires(),
        }
    }

    fn as_read(&self, question: &ApprovalQuestion, value: String) -> StoreRecord {
        StoreRecord {
            key: self.key.clone(),
            value,
            expires: question.expires(),
        }
    }

    /// The record that uses up the answer to a question: only the first call creates it.
    fn use_up(&self, question: &ApprovalQuestion) -> StoreRecord {
        StoreRecord {
            key: Key::of(
                RecordKind::UsedApproval,
                &[&self.resource, &self.issuer, &self.user],
                &[self.key.as_str(), &question.id],
            ),
            value: String::new(),
            expires: question.expires().saturating_add(MARK_MARGIN),
        }
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            resource: &self.resource,
            issuer: &self.issuer,
            user: &self.user,
            // The view is part of the key.
            view: "",
        }
    }
}

impl ApprovalQuestion {
    /// The question with an answer that is given at `now`.
    pub fn answered(self, yes: bool, approver: &str, now: UnixTime) -> Self {
        Self {
            call: AskedCall {
                arguments: ShownArguments::default(),
                ..self.call
            },
            answer: Some(ApprovalAnswer {
                yes,
                approver: approver.to_owned(),
                until: now.saturating_add(self.valid_for),
            }),
            ..self
        }
    }

    /// When the question ends without an answer.
    pub fn ends(&self) -> UnixTime {
        self.asked.saturating_add(self.valid_for)
    }

    fn expires(&self) -> UnixTime {
        let answer = self.answer.as_ref();
        answer.map_or(self.ends(), |answer| answer.until)
    }
}
