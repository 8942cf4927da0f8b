//! Errors of the JSON reader.

use thiserror::Error;

/// Why a text is not strict JSON. Names a position and never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind} at byte {at}")]
pub struct JsonError {
    /// The kind of error.
    pub kind: JsonErrorKind,
    /// The position, in bytes from the start.
    pub at: usize,
}

/// The kinds of errors of the JSON reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonErrorKind {
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
    /// A number that JSON does not allow, such as `01`.
    #[error("invalid number")]
    Number,
    /// More text after the value.
    #[error("text after the value")]
    Trailing,
    /// Nesting beyond the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More values than the limit.
    #[error("too many values")]
    TooManyValues,
    /// A character that JSON does not allow here.
    #[error("unexpected character")]
    Unexpected,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
}
