//! The keys on the way to a value.

use mcp::argument_names::fold;
use policy::FieldPath;

/// The keys that a key stands for, folded.
pub(in crate::response) fn steps(key: &str) -> impl Iterator<Item = String> {
    let steps = key.split(['.', '/', '[', ']']).map(fold);
    let steps = steps.filter(|step| !step.is_empty());
    steps.map(std::borrow::Cow::into_owned)
}

/// Folded keys, the outermost first. A key that is a path itself, such as `customer.ssn` or
/// `com.example/ssn`, counts as several.
#[derive(Debug, Default)]
pub(super) struct KeyPath {
    steps: Vec<String>,
    /// The last key as one.
    last: String,
}

impl KeyPath {
    /// Goes into a member; returns how many keys that are.
    pub(super) fn push(&mut self, key: &str) -> usize {
        self.last = fold(key).into_owned();
        let before = self.steps.len();
        self.steps.extend(steps(key));
        self.steps.len().saturating_sub(before)
    }

    /// Comes back out of it.
    pub(super) fn pop(&mut self, pushed: usize) {
        let left = self.steps.len().saturating_sub(pushed);
        self.steps.truncate(left);
    }

    /// Whether a path leads to the member that was gone into last.
    pub(super) fn end_with(&self, path: &FieldPath) -> bool {
        path.matches(&self.steps) || path.matches(std::slice::from_ref(&self.last))
    }
}
