//! Refusals because of identity arguments.

use thiserror::Error;

use policy::NotOwned;

/// Why a message with identity arguments is refused. Names are the policy's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// It stands in JSON inside a string, where it cannot be replaced.
    #[error("argument `{0}` is not accepted inside a string")]
    InString(String),
    /// A string holds JSON in strings in more ways than can be read.
    #[error("a string holds JSON inside JSON, too deep to be read")]
    Tangled,
    /// It is an object or `null`-like structure, which cannot be replaced by one value.
    #[error("argument `{0}` must be a single value")]
    Structure(String),
    /// The policy rejects it.
    #[error("argument `{0}` is not accepted; leave it out")]
    Rejected(String),
    /// It is somebody else's, or nobody can tell whose.
    #[error("argument `{0}` {1}")]
    NotOwned(String, NotOwned),
    /// The token has no value to set it to.
    #[error("argument `{0}` cannot be set: the token does not say it")]
    NoValue(String),
}
