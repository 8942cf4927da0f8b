//! Why a look-up does not show that a record is the caller's.

use thiserror::Error;

use policy::NoRecord;

/// Why a look-up does not show that a record is the caller's. The caller does not learn which of those it
/// was that depend on the record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupFault {
    /// The caller has too many look-ups under way, or the worker has.
    #[error("too many look-ups of owners are under way; try again")]
    Busy,
    /// The client expects another value of this argument than the record has.
    #[error("`{0}` is not what the record has now; read the record again")]
    Changed(String),
    /// The server's answer is an error: the record may not exist.
    #[error("the server answers the look-up with an error")]
    Error,
    /// The request is itself a look-up of a filter.
    #[error("the request is itself the look-up of a filter")]
    Nested,
    /// The answer names no owner.
    #[error("the answer to the look-up names no owner")]
    NoOwner,
    /// The arguments of the call name no record.
    #[error(transparent)]
    NoRecord(#[from] NoRecord),
    /// The answer names another owner, or several.
    #[error("the record belongs to another owner than the caller, or to several")]
    NotOwned,
    /// The look-up of this record cannot be made.
    #[error("the look-up cannot be made for this record: {0}")]
    NotPossible(&'static str),
    /// The answer has another HTTP status than 200.
    #[error("the server answers the look-up with HTTP {0}")]
    Status(u16),
    /// The server did not answer in time.
    #[error("the server did not answer the look-up in time")]
    TimedOut,
    /// The answer is too large.
    #[error("the answer to the look-up is larger than 256 KiB")]
    TooLarge,
    /// The server did not answer.
    #[error("the server did not answer the look-up")]
    Unavailable,
    /// The answer cannot be read in one way only, or is none to the look-up.
    #[error("the answer to the look-up cannot be read: {0}")]
    Unreadable(&'static str),
}
