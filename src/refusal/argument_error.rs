//! Refusals because of identity arguments.

use thiserror::Error;

use policy::NotOwned;

/// Why a message with identity arguments is refused. Names are spelled as in the policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// The argument is in JSON inside a string, where it cannot be replaced.
    #[error("argument `{0}` is not accepted inside a string")]
    InString(String),
    /// A string holds JSON in strings, nested too deep to read in all ways.
    #[error("a string holds JSON in strings that is nested too deep")]
    Tangled,
    /// The argument is not a single value, so one value cannot replace it.
    #[error("argument `{0}` must be a single value")]
    Structure(String),
    /// The policy rejects the argument.
    #[error("argument `{0}` is not accepted; leave it out")]
    Rejected(String),
    /// The argument names another owner, or its owner is unknown.
    #[error("argument `{0}` {1}")]
    NotOwned(String, NotOwned),
    /// The token has no value for the argument.
    #[error("argument `{0}` cannot be set: the token has no value for it")]
    NoValue(String),
}
