//! The reasons why a request cannot be judged.

use oauth::SetupError;
use oauth::signing::SigningError;
use thiserror::Error;

/// Why a request cannot be judged.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// The text is not one JSON object.
    #[error("no claims of a token: {0}")]
    Claims(String),
    /// A line does not have the form `Name: value`.
    #[error("`{0}` is no header")]
    NoHeader(String),
    /// The token is made here, so that it can be verified.
    #[error("the token is made of the claims, not given as a header")]
    TokenAsHeader,
    /// There are claims or a token, and the policy names the caller.
    #[error("the policy names the caller, under `local`")]
    CallerOfPolicy,
    /// There are no claims.
    #[error("the request has no caller")]
    NoCaller,
    /// A bug.
    #[error("the claims cannot be signed: {0}")]
    Signing(#[from] SigningError),
    /// Not the key set of an issuer.
    #[error("the key set is not accepted: {0}")]
    Key(#[from] SetupError),
    /// A bug.
    #[error("the request was not decided")]
    Undecided,
}
