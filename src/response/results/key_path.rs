//! The path of keys to a value.

use mcp::argument_names::fold;
use policy::FieldPath;

/// The keys in a key that is a path itself, folded.
pub(in crate::response) fn steps(key: &str) -> impl Iterator<Item = String> {
    // No rule has more keys, and a key may be long.
    let last = key
        .rsplit(['.', '/', '[', ']'])
        .filter(|step| !step.is_empty());
    let last: Vec<&str> = last.take(MAX_STEPS).collect();
    let steps = last.into_iter().rev().map(fold);
    let steps = steps.filter(|step| !step.is_empty());
    steps.map(std::borrow::Cow::into_owned)
}

/// The maximum number of keys in one key.
const MAX_STEPS: usize = 64;

/// Folded keys, the outermost first. A key that is a path itself, such as `customer.ssn` or
/// `com.example/ssn`, counts as several.
#[derive(Debug, Default)]
pub(super) struct KeyPath {
    steps: Vec<String>,
    /// The last key as one.
    last: String,
    /// Texts of removed keys, whose memory is used again.
    spare: Vec<String>,
}

impl KeyPath {
    /// The keys in one key.
    pub(super) fn of(key: &str) -> Self {
        let mut path = Self::default();
        path.push(key);
        path
    }

    /// The last key, folded.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// Adds the key of a member. Returns the number of keys in it.
    pub(super) fn push(&mut self, key: &str) -> usize {
        let folded = fold(key);
        self.last.clear();
        self.last.push_str(&folded);
        let before = self.steps.len();
        if key
            .bytes()
            .any(|byte| matches!(byte, b'.' | b'/' | b'[' | b']'))
        {
            self.steps.extend(steps(key));
        } else if !folded.is_empty() {
            let mut step = self.spare.pop().unwrap_or_default();
            step.push_str(&folded);
            self.steps.push(step);
        }
        self.steps.len().saturating_sub(before)
    }

    /// Removes them.
    pub(super) fn pop(&mut self, pushed: usize) {
        for _ in 0..pushed {
            if let Some(mut step) = self.steps.pop() {
                step.clear();
                self.spare.push(step);
            }
        }
    }

    /// Whether a field path leads to the last member.
    pub(super) fn end_with(&self, path: &FieldPath) -> bool {
        path.matches(&self.steps) || path.matches(std::slice::from_ref(&self.last))
    }
}
