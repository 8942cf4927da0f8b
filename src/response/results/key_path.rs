//! The path of keys to a value.

use std::borrow::Cow;
use std::cell::OnceCell;

use base::json::SharedText;
use mcp::argument_names::{fold, folds_to};
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
    steps.map(Cow::into_owned)
}

/// Whether a key is a path itself.
fn is_path(key: &str) -> bool {
    key.bytes().any(is_separator)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'/' | b'[' | b']')
}

/// The maximum number of keys in one key.
const MAX_STEPS: usize = 64;

/// The keys above a value and its own one, the outermost first. A key that is a path itself, such as `customer.ssn` or
/// `com.example/ssn`, counts as several.
///
/// Most keys are letters, and no field of a rule. They are compared as they are written. Only others are folded.
#[derive(Debug, Default)]
pub(super) struct KeyPath(Vec<PathKey>);

#[derive(Debug)]
struct PathKey {
    written: SharedText,
    /// Whether it counts as one key, and is compared letter by letter: ASCII with a letter or digit.
    is_plain: bool,
    /// The keys in it, folded, if they were needed.
    steps: OnceCell<Vec<String>>,
}

impl PathKey {
    fn new(written: SharedText) -> Self {
        let mut has_letter = false;
        let is_plain = written.bytes().all(|byte| {
            has_letter |= byte.is_ascii_alphanumeric();
            byte.is_ascii() && !is_separator(byte)
        });
        Self {
            is_plain: is_plain && has_letter,
            written,
            steps: OnceCell::new(),
        }
    }

    fn steps(&self) -> &[String] {
        self.steps.get_or_init(|| match is_path(&self.written) {
            true => steps(&self.written).collect(),
            false => {
                let folded = fold(&self.written).into_owned();
                Some(folded)
                    .filter(|folded| !folded.is_empty())
                    .into_iter()
                    .collect()
            }
        })
    }
}

impl KeyPath {
    /// The keys in one key.
    pub(super) fn of(key: SharedText) -> Self {
        let mut path = Self::default();
        path.push(key);
        path
    }

    /// The last key, folded.
    pub(super) fn last(&self) -> Cow<'_, str> {
        self.0
            .last()
            .map_or(Cow::Borrowed(""), |last| fold(&last.written))
    }

    /// Whether the last key has a letter or digit.
    pub(super) fn ends_with_name(&self) -> bool {
        self.0
            .last()
            .is_some_and(|last| last.is_plain || !last.steps().is_empty())
    }

    /// Adds the key of a member.
    pub(super) fn push(&mut self, key: SharedText) {
        self.0.push(PathKey::new(key));
    }

    /// Removes the last key.
    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// Whether a field path leads to the last member.
    pub(super) fn end_with(&self, path: &FieldPath) -> bool {
        self.end_plainly_with(path)
            .unwrap_or_else(|| self.end_folded_with(path))
    }

    /// The same if all keys that count are plain.
    fn end_plainly_with(&self, path: &FieldPath) -> Option<bool> {
        let mut keys = self.0.iter().rev();
        let last = self.0.last().filter(|last| last.is_plain)?;
        if path
            .flat()
            .is_some_and(|flat| folds_to(&last.written, flat))
        {
            return Some(true);
        }
        for name in path.names_from_end() {
            let Some(key) = keys.next() else {
                return Some(false);
            };
            if !key.is_plain {
                return None;
            }
            if name.is_some_and(|name| !folds_to(&key.written, name)) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn end_folded_with(&self, path: &FieldPath) -> bool {
        let keys = self.0.iter().rev();
        let mut last: Vec<&str> = keys
            .flat_map(|key| key.steps().iter().rev())
            .map(String::as_str)
            .take(path.length())
            .collect();
        last.reverse();
        path.matches(&last) || path.matches(&[self.last()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_compared_as_written_lead_where_folded_keys_lead() {
        let keys = [
            "ssn",
            "SSN",
            "s.s.n",
            "s_s_n",
            "ssn2",
            "customer",
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
            ".",
            "x",
        ];
        let folded = |above: &[&str]| -> Vec<String> {
            above
                .iter()
                .flat_map(|key| PathKey::new((*key).to_owned().into()).steps().to_vec())
                .collect()
        };
        for path in [
            "ssn",
            "customer.ssn",
            "card.*",
            "*.number",
            "card.number",
            "x.card.number",
        ] {
            let path = FieldPath::parse(path).unwrap();
            for outer in keys {
                for (middle, key) in keys
                    .iter()
                    .flat_map(|middle| keys.map(|key| (*middle, key)))
                {
                    let mut above = KeyPath::default();
                    for key in [outer, middle, key] {
                        above.push(key.to_owned().into());
                    }
                    let expected =
                        path.matches(&folded(&[outer, middle, key])) || path.matches(&[fold(key)]);
                    assert_eq!(
                        above.end_with(&path),
                        expected,
                        "{outer} {middle} {key} {path:?}"
                    );
                    above.pop();
                    assert_eq!(above.last(), fold(middle));
                }
            }
        }
    }
}
