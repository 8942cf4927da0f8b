//! The question to a user about a call. It is stored, sealed, from the refused call until the client sends
//! the call again after the user's answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shown_arguments::ShownArguments;
use crate::accounts::vault::ConversationId;
use base::seal::{Owner, Purpose, Sealer};
use base::store::{Key, RecordKind, StoreOperation, StoreRecord};
use base::time::UnixTime;

/// How long a question can be answered, and how long the answer is valid.
const LIFETIME: Duration = Duration::from_secs(600);
/// The time to open a link and answer. With less time left, the user gets a new question.
const MIN_TIME_TO_ANSWER: Duration = Duration::from_secs(300);

/// The record of a question, and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionPlace {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// The id of the user who is asked.
    pub user: String,
    /// The key of the record.
    pub key: Key,
}

/// A call that a user is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedCall {
    /// The tool.
    pub tool: String,
    /// The view (role or test user) that the user acts with. Empty without a view.
    pub view: String,
    /// The calling client, as its token names it. Empty if it names none, or clients share agreements.
    pub client: String,
    /// The arguments, as the user sees them.
    pub arguments: ShownArguments,
}

/// A question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallQuestion {
    /// The call. Its arguments are empty once there is an answer.
    pub call: AskedCall,
    /// When it was asked, in Unix milliseconds. It separates questions about the same call.
    pub asked_ms: u64,
    /// The user's answer.
    pub answer: Option<CallAnswer>,
}

/// An answer. A yes or a no counts for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnswer {
    /// Whether the call may be made.
    pub yes: bool,
    /// When it expires.
    until: UnixTime,
}

impl QuestionPlace {
    /// The place of the question about a call. `owner` has the user and the view. `client` is the calling
    /// client. `arguments` is the digest of the arguments.
    pub fn of(
        owner: Owner<'_>,
        (conversation, client): (&ConversationId, &str),
        tool: &str,
        arguments: [u8; 32],
    ) -> Self {
        let Owner {
            resource,
            issuer,
            user,
            view,
        } = owner;
        let arguments: String = arguments.iter().map(|byte| format!("{byte:02x}")).collect();
        let asked = [resource, issuer, user, view];
        let call = [client, tool, &arguments];
        let named = [&asked[..], &conversation.named(), &call].concat();
        // Models cause questions: these take no room of the user's accounts and sign-ins.
        let room = [resource, issuer, user, "questions"];
        Self {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            user: user.to_owned(),
            key: Key::of(RecordKind::Question, &room, &named),
        }
    }

    /// Reads the question. The value opens with [`QuestionPlace::open`].
    pub fn get(&self) -> StoreOperation {
        StoreOperation::Get(self.key.clone())
    }

    /// Writes a question, or replaces the one at this place.
    pub fn put(&self, sealer: &Sealer, question: &CallQuestion) -> StoreOperation {
        StoreOperation::Put(self.record(sealer, question))
    }

    fn record(&self, sealer: &Sealer, question: &CallQuestion) -> StoreRecord {
        let bound = self.key.as_str().as_bytes();
        StoreRecord {
            key: self.key.clone(),
            value: sealer.seal(Purpose::Answer, self.owner(), &[bound], question),
            expires: question.expires(),
        }
    }

    /// Writes the answered question in place of `question`, which was read as `value`, if it has not
    /// changed since.
    pub fn answer(
        &self,
        sealer: &Sealer,
        (question, value): (&CallQuestion, &str),
        answered: &CallQuestion,
    ) -> StoreOperation {
        let old = StoreRecord {
            key: self.key.clone(),
            value: value.to_owned(),
            expires: question.expires(),
        };
        StoreOperation::Replace(old, self.record(sealer, answered))
    }

    /// Opens a value that was read. `None`: it belongs to another place, or has ended.
    pub fn open(&self, sealer: &Sealer, value: &str, now: UnixTime) -> Option<CallQuestion> {
        let bound = self.key.as_str().as_bytes();
        let question: CallQuestion = sealer.open(Purpose::Answer, self.owner(), &[bound], value)?;
        (now < question.expires()).then_some(question)
    }

    /// The record that uses up the answer to a question: only the first call creates it.
    pub fn use_up(&self, question: &CallQuestion) -> StoreRecord {
        let asked = question.asked_ms.to_string();
        StoreRecord {
            key: Key::of(
                RecordKind::AnsweredQuestion,
                &[&self.resource, &self.issuer, &self.user],
                &[self.key.as_str(), &asked],
            ),
            value: String::new(),
            // No answer to the question is valid longer.
            expires: question.ends().saturating_add(LIFETIME),
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

impl CallQuestion {
    /// A question that is asked at `now`.
    pub fn new(call: AskedCall, now: UnixTime) -> Self {
        Self {
            call,
            asked_ms: now.as_millis(),
            answer: None,
        }
    }

    /// The question with an answer that is given at `now`.
    pub fn answered(self, yes: bool, now: UnixTime) -> Self {
        let until = now.saturating_add(LIFETIME);
        Self {
            call: AskedCall {
                arguments: ShownArguments::default(),
                ..self.call
            },
            answer: Some(CallAnswer { yes, until }),
            ..self
        }
    }

    /// When the question expires.
    pub fn ends(&self) -> UnixTime {
        let asked = UnixTime::from_millis(self.asked_ms).whole_seconds();
        asked.saturating_add(LIFETIME)
    }

    /// Whether there is enough time left for the user to open a link and answer.
    pub fn has_time(&self, now: UnixTime) -> bool {
        now.saturating_add(MIN_TIME_TO_ANSWER) <= self.ends()
    }

    fn expires(&self) -> UnixTime {
        self.answer.map_or(self.ends(), |answer| answer.until)
    }
}
