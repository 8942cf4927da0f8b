//! The path of keys to a value.

use mcp::argument_names::{fold, fold_into, folds_alike};
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

/// Whether a key is a path itself.
fn is_path(key: &str) -> bool {
    key.bytes()
        .any(|byte| matches!(byte, b'.' | b'/' | b'[' | b']'))
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
        self.last.clear();
        fold_into(key, &mut self.last);
        let before = self.steps.len();
        if is_path(key) {
            self.steps.extend(steps(key));
        } else if !self.last.is_empty() {
            let mut step = self.spare.pop().unwrap_or_default();
            step.push_str(&self.last);
            self.steps.push(step);
        }
        self.steps.len().saturating_sub(before)
    }

    /// Whether a field path may lead to a member with this key, wherever the member is.
    pub(super) fn may_end_with(key: &str, path: &FieldPath) -> bool {
        let is_last = |name: Option<&str>| name.is_none_or(|name| folds_alike(name, key));
        // Under a key without letters and digits, the key above it is the last one.
        let is_plain = key.is_ascii() && key.bytes().any(|byte| byte.is_ascii_alphanumeric());
        !is_plain || is_path(key) || path.last_names().any(is_last)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_may_not_end_a_path_ends_none() {
        let keys = [
            "ssn",
            "SSN",
            "s.s.n",
            "s_s_n",
            "ssn2",
            "customer.ssn",
            "customer_ssn",
            "card",
            "number",
            "cardNumber",
            "card/number",
            "ｓｓｎ",
            "\u{17f}sn",
            "",
            "_",
            "x",
        ];
        for path in ["ssn", "customer.ssn", "card.*", "*.number", "card.number"] {
            let path = FieldPath::parse(path).unwrap();
            for (outer, key) in keys
                .iter()
                .flat_map(|outer| keys.iter().map(move |key| (outer, key)))
            {
                let mut above = KeyPath::default();
                above.push(outer);
                above.push(key);
                let ends = above.end_with(&path);
                assert!(
                    !ends || KeyPath::may_end_with(key, &path),
                    "{outer} {key} {path:?}"
                );
            }
        }
    }
}
