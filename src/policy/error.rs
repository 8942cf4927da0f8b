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

impl PolicyError {
    /// An error at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// An error of the document's form, with the nearest known key for one that is not known.
    pub(super) fn of_form(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = match error.path().to_string().as_str() {
            "." => String::new(),
            path => path.to_owned(),
        };
        let mut message = error.inner().to_string();
        // Positions are of Envoy's JSON, which the author never saw.
        if let Some((text, position)) = message.rsplit_once(" at line ")
            && position
                .chars()
                .next()
                .is_some_and(|digit| digit.is_ascii_digit())
        {
            message = text.to_owned();
        }
        if let Some(nearest) = nearest_in(&message) {
            message = format!("{message}; did you mean `{nearest}`?");
        }
        Self { path, message }
    }
}

/// The known word nearest to the unknown one, from serde's text: unknown field `x`, expected one
/// of `a`, `b`. Its errors carry the words in no other form.
fn nearest_in(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    nearest(unknown, words)
}

/// The candidate that looks most like `word`, if any looks like it.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
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
