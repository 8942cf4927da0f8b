//! Bounds that several modules need. `docs/limits.md` lists all bounds.

/// The nesting depth of JSON in requests and answers.
pub(crate) const MAX_DEPTH: usize = 64;
