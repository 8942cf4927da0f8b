//! A question to a user about one call: kept from the call that needs the answer until the one that
//! gets it, sealed, under a name that says nothing.

use serde::{Deserialize, Serialize};

use super::vault::Conversation;
use crate::elicitation::Shown;
use base::seal::{Owner, Purpose, Sealer};
use base::store::{Key, Operation, Record};

/// How long a question can be answered, and how long the answer counts, in seconds.
const LASTS: u64 = 600;
/// A question is asked again while there is at least this much time left for it, in seconds.
const ENOUGH: u64 = 300;

/// Where a question is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// Who is asked.
    pub user: String,
    /// The name of the record.
    pub key: Key,
}

/// A call that a user is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// As whom the user acts; empty: as nobody else.
    pub view: String,
    /// What the user sees of the arguments.
    pub arguments: Shown,
}

/// A question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What it is about. Without arguments once there is an answer.
    pub call: Call,
    /// When it was asked, in Unix milliseconds: no two questions about a call are one.
    pub asked_ms: u64,
    /// What the user said.
    pub answer: Option<Answer>,
}

/// An answer: good for one call, be it a yes or a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the call may be made.
    pub yes: bool,
    /// When it counts no more, in Unix seconds.
    until: u64,
}

impl Place {
    /// Where the question about this call is: of this user, acting as this, in this conversation, of this
    /// tool, with arguments that have this digest.
    pub fn of(
        owner: Owner<'_>,
        conversation: &Conversation,
        tool: &str,
        arguments: [u8; 32],
    ) -> Self {
        let Owner {
            resource,
            issuer,
            user,
            view,
        } = owner;
        let (kind, conversation) = conversation.named();
        let arguments: String = arguments.iter().map(|byte| format!("{byte:02x}")).collect();
        let named = [
            resource,
            issuer,
            user,
            view,
            kind,
            conversation,
            tool,
            &arguments,
        ];
        Self {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            user: user.to_owned(),
            // One user's questions are together, and take no more room than there is in one place.
            key: Key::beside("question", &[resource, issuer, user], &named),
        }
    }

    /// Asks for the question. What is found opens with [`Place::open`].
    pub fn get(&self) -> Operation {
        Operation::Get(self.key.clone())
    }

    /// Writes a question, whatever was there.
    pub fn put(&self, sealer: &Sealer, question: &Question) -> Operation {
        let bound = self.key.as_str().as_bytes();
        Operation::Put(Record {
            key: self.key.clone(),
            value: sealer.seal(Purpose::Answer, self.owner(), &[bound], question),
            expires: question.expires(),
        })
    }

    /// Opens what was found. `None` if it is not this place's, or has ended.
    pub fn open(&self, sealer: &Sealer, value: &str, now: u64) -> Option<Question> {
        let bound = self.key.as_str().as_bytes();
        let question: Question = sealer.open(Purpose::Answer, self.owner(), &[bound], value)?;
        (now < question.expires()).then_some(question)
    }

    /// Uses up the answer to a question: of all that do, one succeeds.
    pub fn use_up(&self, question: &Question) -> Operation {
        let asked = question.asked_ms.to_string();
        Operation::Create(Record {
            key: Key::of("answered", &[self.key.as_str(), &asked]),
            value: String::new(),
            // No answer to it counts longer.
            expires: question.ends().saturating_add(LASTS),
        })
    }

    fn owner(&self) -> Owner<'_> {
        Owner {
            resource: &self.resource,
            issuer: &self.issuer,
            user: &self.user,
            // The name of the record says it.
            view: "",
        }
    }
}

impl Question {
    /// A question that is asked now, in Unix milliseconds.
    pub fn new(call: Call, now_ms: u64) -> Self {
        Self {
            call,
            asked_ms: now_ms,
            answer: None,
        }
    }

    /// The same with an answer given now, in Unix seconds.
    pub fn answered(self, yes: bool, now: u64) -> Self {
        let until = now.saturating_add(LASTS);
        Self {
            call: Call {
                arguments: Shown::default(),
                ..self.call
            },
            answer: Some(Answer { yes, until }),
            ..self
        }
    }

    /// When it can be answered no more, in Unix seconds.
    pub fn ends(&self) -> u64 {
        (self.asked_ms / 1000).saturating_add(LASTS)
    }

    /// Whether there is time left for the user to open a link and answer.
    pub fn has_time(&self, now: u64) -> bool {
        now.saturating_add(ENOUGH) <= self.ends()
    }

    fn expires(&self) -> u64 {
        self.answer.map_or(self.ends(), |answer| answer.until)
    }
}
