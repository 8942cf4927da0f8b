//! A mistake of form, with its place, in the words of YAML.

use std::fmt::{self, Write};

use serde::de::{Error, Expected, Unexpected};

use crate::error::nearest;

/// A step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list.
    Index(usize),
}

/// A mistake of form.
#[derive(Debug)]
pub(super) struct FormError {
    /// The steps from the document to the mistake, the innermost first.
    pub(super) steps: Vec<Step>,
    /// What was found and what was expected.
    pub(super) message: String,
    /// What kind of mistake it is.
    pub(super) fault: Fault,
}

/// The kinds of mistakes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The last step is a key that has no meaning.
    UnknownKey {
        /// The key that the author most likely meant.
        meant: Option<&'static str>,
    },
    /// A mapping lacks this key.
    MissingKey(&'static str),
    /// The value is wrong.
    Value,
}

impl FormError {
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            message: message.into(),
            fault: Fault::Value,
        }
    }

    /// The same mistake, one step further out.
    pub(super) fn inside(mut self, step: impl Into<Step>) -> Self {
        self.steps.push(step.into());
        self
    }
}

/// The path of a place, as error messages have it: `roles.manager.tools[0]`.
pub(super) fn path_of(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps.iter().rev() {
        let _ = match step {
            Step::Key(key) if path.is_empty() => write!(path, "{key}"),
            Step::Key(key) => write!(path, ".{key}"),
            Step::Index(index) => write!(path, "[{index}]"),
        };
    }
    path
}

impl Error for FormError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (found, expected) = (in_words(found), expected.to_string());
        let expected = expected_in_words(&expected);
        Self::value(format!("found {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::value(unknown("value", found, known))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self {
            fault: Fault::UnknownKey {
                meant: nearest(found, known.iter().copied()),
            },
            ..Self::value(unknown("key", found, known))
        }
    }

    fn missing_field(key: &'static str) -> Self {
        Self {
            fault: Fault::MissingKey(key),
            ..Self::value(format!("missing key `{key}`"))
        }
    }
}

/// A found value, without the words of Rust.
pub(super) fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Float(_) => found.to_string().replacen("floating point", "number", 1),
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => {
            found.to_string().replacen("integer", "number", 1)
        }
        _ => found.to_string(),
    }
}

fn expected_in_words(expected: &str) -> &str {
    match expected {
        "a map" => "a mapping",
        "a sequence" => "a list",
        "a string" => "a text",
        _ if expected.starts_with("struct ") => "a mapping",
        _ => expected,
    }
}

/// What is said of an unknown word, with the known word that looks most like it.
fn unknown(noun: &str, found: &str, known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    let expected = match quoted.as_slice() {
        [_] | [_, _] => quoted.join(" or "),
        _ => format!("one of {}", quoted.join(", ")),
    };
    let hint = nearest(found, known.iter().copied());
    let hint = hint.map(|nearest| format!("; did you mean `{nearest}`?"));
    let hint = hint.unwrap_or_default();
    format!("unknown {noun} `{found}`, expected {expected}{hint}")
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for FormError {}
