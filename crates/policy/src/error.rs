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

    /// An error of the document's form, with the nearest known key for one that is not known.
    pub(super) fn of_form(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = match error.path().to_string().as_str() {
            "." => String::new(),
            path => path.to_owned(),
        };
        let mut message = in_words_of_yaml(&error.inner().to_string());
        if let Some(nearest) = nearest_in(&message) {
            message = format!("{message}; did you mean `{nearest}`?");
        }
        Self { path, message }
    }
}

/// Serde's text without the words of Rust and of programmers.
fn in_words_of_yaml(message: &str) -> String {
    const BEGINNINGS: &[(&str, &str)] = &[
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
        ("missing field ", "missing key "),
        ("unknown field ", "unknown key "),
        ("unknown variant ", "unknown value "),
    ];
    const FOUND: &[(&str, &str)] = &[
        ("floating point ", "number "),
        ("integer ", "number "),
        ("map", "a mapping"),
        ("sequence", "a list"),
        ("unit variant", "no value"),
        ("unit", "null"),
    ];
    const EXPECTED: &[(&str, &str)] = &[
        ("a map", "a mapping"),
        ("a sequence", "a list"),
        ("a string", "a text"),
        ("map with a single key", "one key"),
        ("newtype variant", "one, as in `set: user`"),
        ("string or map", "a word"),
        ("struct ", "a mapping"),
        ("unit", "the word alone"),
    ];
    let Some((prefix, word, rest)) = BEGINNINGS
        .iter()
        .find_map(|(prefix, word)| Some((prefix, word, message.strip_prefix(prefix)?)))
    else {
        return message.to_owned();
    };
    let parts = prefix
        .starts_with("invalid")
        .then(|| rest.rsplit_once(", expected "))
        .flatten();
    let Some((found, expected)) = parts else {
        return format!("{word}{rest}");
    };
    let found = FOUND
        .iter()
        .find_map(|(prefix, word)| Some((word, found.strip_prefix(prefix)?)))
        .map_or_else(|| found.to_owned(), |(word, rest)| format!("{word}{rest}"));
    let expected = EXPECTED
        .iter()
        .find(|(prefix, _)| expected.starts_with(prefix))
        .map_or(expected, |(_, word)| word);
    format!("found {found}, expected {expected}")
}

/// The known word nearest to the unknown one, from serde's text: unknown key `x`, expected one
/// of `a`, `b`. Its errors carry the words in no other form.
fn nearest_in(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    nearest(unknown, words)
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
