//! Mistakes in a policy, with their paths.

use std::fmt;

/// A mistake in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The path, such as `roles.manager.tools[0]`. Empty for the whole document.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
}

/// The maximum number of mistakes in a report.
const MAX_REPORTED: usize = 50;

/// All mistakes, so that an author sees them at once.
pub(super) type Errors = Vec<PolicyError>;

impl PolicyError {
    /// An error at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// The mistake with the path of its policy among several.
    pub(super) fn of_policy(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("policies[{index}]{dot}{}", self.path);
        self
    }
}

/// A report of mistakes, one line each, with a maximum length.
pub fn report(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MAX_REPORTED);
    lines.truncate(MAX_REPORTED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The message for an unknown name.
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

/// The candidate that is most similar to `word`, if one is similar.
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
