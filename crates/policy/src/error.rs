//! What is wrong with a policy, said so that its author finds and mends it.

use std::fmt;

/// A mistake in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Where: the keys on the way, such as `roles.manager.tools[0]`. Empty for the whole document.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
}

/// The most mistakes that are reported one by one.
const MAX_REPORTED: usize = 50;

/// Every mistake, so that an author sees all of them at once.
pub(super) type Errors = Vec<PolicyError>;

impl PolicyError {
    /// An error at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// The same of one of several policies.
    pub(super) fn of_policy(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("policies[{index}]{dot}{}", self.path);
        self
    }
}

/// A report of mistakes, one line each, that is not too long to read.
pub fn report(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MAX_REPORTED);
    lines.truncate(MAX_REPORTED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// What is said of a name that stands for nothing.
pub(super) fn unknown<'c>(
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'c String>,
) -> String {
    let mut message = format!("unknown {what} `{word}`");
    if let Some(nearest) = nearest(word, known.map(String::as_str)) {
        message.push_str(&format!("; did you mean `{nearest}`?"));
    }
    message
}

/// The candidate that looks most like `word`, if any looks like it.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = word.to_lowercase();
    let likeness = |candidate: &str| strsim::jaro_winkler(&word, &candidate.to_lowercase());
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return formatter.write_str(&self.message);
        }
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for PolicyError {}
