//! Why a text is not JSON.

use thiserror::Error;

/// Why a text is not accepted as JSON. Says where, never what: the input is not echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{fault} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub fault: Fault,
    /// Where, in bytes from the start.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// A control character inside a string.
    #[error("control character in a string")]
    ControlCharacter,
    /// One object has the same key twice.
    #[error("duplicate key")]
    DuplicateKey,
    /// The text ends inside a value.
    #[error("unexpected end")]
    End,
    /// An escape that JSON does not have, or half a surrogate pair.
    #[error("invalid escape or lone surrogate")]
    Escape,
    /// A key holds U+0000.
    #[error("NUL in a key")]
    NulInKey,
    /// A number not written as JSON writes numbers.
    #[error("invalid number")]
    Number,
    /// More text behind the value.
    #[error("text after the value")]
    Trailing,
    /// Deeper nesting than the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More values than the limit.
    #[error("too many values")]
    TooManyValues,
    /// A character that cannot stand here.
    #[error("unexpected character")]
    Unexpected,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
}
