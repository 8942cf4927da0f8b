//! Records that outlast a request. Each expires. They are kept in the proxy's memory, or in etcd, which
//! all replicas share.
//!
//! [`memory`] edits bytes that the host keeps. [`etcd`] turns operations into HTTP requests and
//! responses into outcomes.

pub mod etcd;
pub mod memory;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hex;
use crate::time::UnixTime;

/// What a record is for. The kind decides with which other records it shares room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The tokens of a linked account.
    Account,
    /// The mark of a user's yes that was used for a call.
    AgreedCall,
    /// The mark of an answered question that was used for a call.
    AnsweredQuestion,
    /// A question to another person about a call.
    Approval,
    /// The mark of an answered question to another person that was used for a call.
    UsedApproval,
    /// The open questions of an organization.
    OpenApprovals,
    /// The open questions of a user.
    OpenQuestions,
    /// What is linked in a conversation.
    Conversation,
    /// The mark of a logout token that was used.
    LogoutToken,
    /// The check of the secret that names records.
    NamesCheck,
    /// A question to a user about a call.
    Question,
    /// The lock of a token that is being refreshed.
    Refresh,
    /// This filter's registration at an authorization server.
    Registration,
    /// The counter of the filter's integer ids of requests.
    RequestIds,
    /// The id that the server knows a running request by.
    RunningRequest,
    /// The mark that ends what a user did before.
    SignOut,
    /// How the schema of a tool or prompt spells arguments.
    Spelling,
    /// The codes that were redeemed for a user's links.
    Tries,
    /// The mark of a token or proof that was used.
    Used,
    /// The conversations of a user.
    UserConversations,
}

/// Which records share room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The check of the secret that names records. It has the same name under each secret.
    Check,
    /// Marks that end something. Only issuers cause them, so users cannot fill this room.
    Ends,
    /// Marks of things that were used. They are small, and there may be many of one owner.
    Marks,
    /// Locks. They end soon and are taken again, unlike marks.
    Locks,
    /// All others. Each owner has a limit.
    Owned,
    /// Running requests and their ids. The oldest make room for new ones.
    Requests,
}

impl RecordKind {
    fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::AgreedCall => "agreed call",
            Self::AnsweredQuestion => "answered question",
            Self::Approval => "approval",
            Self::UsedApproval => "used approval",
            Self::OpenApprovals => "open approvals",
            Self::OpenQuestions => "open questions",
            Self::Conversation => "conversation",
            Self::LogoutToken => "logout token",
            Self::NamesCheck => "names check",
            Self::Question => "question",
            Self::Refresh => "refresh",
            Self::Registration => "registration",
            Self::RequestIds => "request ids",
            Self::RunningRequest => "running request",
            Self::SignOut => "sign-out",
            Self::Spelling => "spelling",
            Self::Tries => "tries",
            Self::Used => "used",
            Self::UserConversations => "user conversations",
        }
    }

    fn room(self) -> Room {
        match self {
            Self::LogoutToken | Self::SignOut => Room::Ends,
            Self::AgreedCall | Self::AnsweredQuestion | Self::UsedApproval | Self::Used => {
                Room::Marks
            }
            Self::NamesCheck => Room::Check,
            Self::Refresh => Room::Locks,
            Self::RequestIds | Self::RunningRequest => Room::Requests,
            Self::Account
            | Self::Approval
            | Self::OpenApprovals
            | Self::OpenQuestions
            | Self::Conversation
            | Self::Question
            | Self::Registration
            | Self::Spelling
            | Self::Tries
            | Self::UserConversations => Room::Owned,
        }
    }
}

impl Room {
    fn letter(self) -> char {
        match self {
            Self::Check => 'c',
            Self::Ends => 'e',
            Self::Locks => 'l',
            Self::Marks => 'm',
            Self::Owned => 'o',
            Self::Requests => 'r',
        }
    }
}

/// The name of a record: hashes of its owner and of its content's name, so that it reveals neither. The
/// first letter names the room.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(String);

/// The secret with which stores name records, so that the reader of a store cannot test a guessed user id,
/// and a user cannot choose which other records share room. Without one, records keep their own names.
#[derive(Clone, Default)]
pub struct StoreNames(Option<[u8; 32]>);

/// An operation on a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOperation {
    /// Reads a record.
    Get(Key),
    /// Writes a record and replaces an older one.
    Put(StoreRecord),
    /// Writes a record unless one exists. Of several attempts, exactly one succeeds.
    Create(StoreRecord),
    /// Replaces the first record by the second, if the store still holds the first.
    Replace(StoreRecord, StoreRecord),
    /// Deletes a record, if it exists.
    Delete(Key),
    /// Deletes this record, if the store still holds it. Of several attempts, exactly one succeeds.
    DeleteRecord(StoreRecord),
}

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreRecord {
    /// Its name.
    pub key: Key,
    /// Visible ASCII. Secrets are sealed.
    pub value: String,
    /// When the store drops it, in whole seconds.
    pub expires: UnixTime,
}

/// The outcome of an operation that was done.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// The value that a `Get` found.
    Value(Option<String>),
    /// A `Put` or `Delete` was done.
    Done,
    /// Whether a `Create`, `Replace` or `DeleteRecord` was done.
    Created(bool),
}

/// How many hexadecimal digits of a key, after its letter, name the owner.
const OWNER_DIGITS: usize = 16;
/// An owner's marks are kept in this many places: more than one owner's share of one place.
const MARK_PLACES: u8 = 16;

/// An operation that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The store has no room. It never drops a record before its expiry.
    #[error("the store is full")]
    Full,
    /// The store did not respond, or its response cannot be read.
    #[error("the store is not available")]
    Unavailable,
}

impl Key {
    /// The key of a record with these names, of this owner. Different lists of texts have different keys.
    pub fn of(kind: RecordKind, owner: &[&str], names: &[&str]) -> Self {
        let owner = digest("owner", owner);
        let name = digest(kind.name(), &[&[owner.as_str()], names].concat());
        Self::of_digests(kind.room(), &owner, &name)
    }

    /// The key of a mark. The marks of one owner are kept in several places.
    pub fn mark(kind: RecordKind, owner: &[&str], name: &str) -> Self {
        let place = hmac_sha256::Hash::hash(name.as_bytes());
        let place = place.first().map_or(0, |byte| byte % MARK_PLACES);
        Self::of(kind, &[owner, &[&*place.to_string()]].concat(), &[name])
    }

    fn of_digests(room: Room, owner: &str, name: &str) -> Self {
        let digits = |text: &str, count: usize| text.chars().take(count).collect::<String>();
        let (owner, name) = (digits(owner, OWNER_DIGITS), digits(name, 64 - OWNER_DIGITS));
        Self(format!("{}{owner}{name}", room.letter()))
    }

    /// The room of the record.
    pub fn room(&self) -> Room {
        let rooms = [
            Room::Check,
            Room::Ends,
            Room::Locks,
            Room::Marks,
            Room::Requests,
        ];
        let room = rooms
            .into_iter()
            .find(|room| self.0.starts_with(room.letter()));
        room.unwrap_or(Room::Owned)
    }

    /// The start of the keys of all records of the same owner in the same room.
    pub fn of_owner(&self) -> &str {
        self.0.get(..=OWNER_DIGITS).unwrap_or_default()
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash of texts, as hexadecimal digits.
fn digest(kind: &str, texts: &[&str]) -> String {
    let mut hash = hmac_sha256::Hash::new();
    for text in std::iter::once(&kind).chain(texts) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex::encode(&hash.finalize())
}

impl StoreNames {
    /// Names records with a secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Some(secret))
    }

    /// A text that is different for each secret, and does not reveal it. `None`: there is no secret.
    pub fn check(&self) -> Option<String> {
        let secret = self.0.as_ref()?;
        let check = hmac_sha256::HMAC::mac(b"mcp-auth-filter check of record names", secret);
        Some(hex::encode(&check).chars().take(OWNER_DIGITS).collect())
    }

    /// The operation with the key under which the store keeps the record.
    pub fn name(&self, operation: StoreOperation) -> StoreOperation {
        let record = |record: StoreRecord| StoreRecord {
            key: self.key(&record.key),
            ..record
        };
        match operation {
            StoreOperation::Get(key) => StoreOperation::Get(self.key(&key)),
            StoreOperation::Delete(key) => StoreOperation::Delete(self.key(&key)),
            StoreOperation::DeleteRecord(old) => StoreOperation::DeleteRecord(record(old)),
            StoreOperation::Put(new) => StoreOperation::Put(record(new)),
            StoreOperation::Create(new) => StoreOperation::Create(record(new)),
            StoreOperation::Replace(old, new) => StoreOperation::Replace(record(old), record(new)),
        }
    }

    fn key(&self, key: &Key) -> Key {
        let Some(secret) = &self.0 else {
            return key.clone();
        };
        if key.room() == Room::Check {
            return key.clone();
        }
        let keyed = |text: &str| hex::encode(&hmac_sha256::HMAC::mac(text.as_bytes(), secret));
        Key::of_digests(key.room(), &keyed(key.of_owner()), &keyed(key.as_str()))
    }
}

/// Without the secret.
impl fmt::Debug for StoreNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreNames")
    }
}

impl StoreOperation {
    /// The key of the record.
    pub fn key(&self) -> &Key {
        match self {
            Self::Get(key) | Self::Delete(key) => key,
            Self::Put(record)
            | Self::Create(record)
            | Self::DeleteRecord(record)
            | Self::Replace(_, record) => &record.key,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.get(..8).unwrap_or_default())
    }
}

/// Without the value.
impl fmt::Debug for StoreRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = formatter.debug_struct("StoreRecord");
        record
            .field("key", &self.key)
            .field("expires", &self.expires);
        record.finish_non_exhaustive()
    }
}

/// Without the value.
impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(formatter, "Value({})", value.is_some()),
            Self::Done => formatter.write_str("Done"),
            Self::Created(first) => write!(formatter, "Created({first})"),
        }
    }
}
