//! The path of keys to a value.

use std::borrow::Cow;
use std::cell::OnceCell;

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

/// The key of a value and the keys above it. A key that is a path itself, such as `customer.ssn` or `com.example/ssn`, counts
/// as several.
///
/// Most keys are letters, and no field of a rule. They are compared as they are written. Only others are folded.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPath<'k> {
    /// `None`: there is no key.
    last: Option<PathKey<'k>>,
}

#[derive(Debug, Clone)]
struct PathKey<'k> {
    outer: &'k KeyPath<'k>,
    written: &'k str,
    /// Whether it is plain, if that was needed.
    plain: OnceCell<bool>,
    /// The keys in it, folded, if they were needed.
    steps: OnceCell<Vec<String>>,
}

/// Whether a key counts as one key, and is compared letter by letter: ASCII with a letter or digit.
fn is_plain(key: &str) -> bool {
    let kinds = key.bytes().map(|byte| {
        let is_other = !byte.is_ascii() | is_separator(byte);
        (byte.is_ascii_alphanumeric(), is_other)
    });
    let kinds = kinds.fold(
        (false, false),
        |(has_letter, has_other), (letter, other)| (has_letter | letter, has_other | other),
    );
    kinds == (true, false)
}

impl PathKey<'_> {
    #[inline]
    fn is_plain(&self) -> bool {
        *self.plain.get_or_init(|| is_plain(self.written))
    }

    fn steps(&self) -> &[String] {
        self.steps.get_or_init(|| match is_path(self.written) {
            true => steps(self.written).collect(),
            false => {
                let folded = fold(self.written).into_owned();
                Some(folded)
                    .filter(|folded| !folded.is_empty())
                    .into_iter()
                    .collect()
            }
        })
    }
}

impl<'k> KeyPath<'k> {
    /// The path of a member with this key.
    #[inline]
    pub(super) fn member(&'k self, key: &'k str) -> Self {
        let last = PathKey {
            outer: self,
            written: key,
            plain: OnceCell::new(),
            steps: OnceCell::new(),
        };
        Self { last: Some(last) }
    }

    /// The last key, folded.
    pub(super) fn last(&self) -> Cow<'_, str> {
        let last = self.last.as_ref();
        last.map_or(Cow::Borrowed(""), |last| fold(last.written))
    }

    /// Whether the last key has a letter or digit.
    pub(super) fn ends_with_name(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.is_plain() || !last.steps().is_empty())
    }

    /// Whether a field path leads to the last member.
    #[inline]
    pub(super) fn end_with(&self, path: &FieldPath) -> bool {
        self.end_plainly_with(path)
            .unwrap_or_else(|| self.end_folded_with(path))
    }

    /// The same if all keys that count are plain.
    fn end_plainly_with(&self, path: &FieldPath) -> Option<bool> {
        let mut keys = self.outwards();
        let last = self.last.as_ref().filter(|last| last.is_plain())?;
        if path.flat().is_some_and(|flat| folds_to(last.written, flat)) {
            return Some(true);
        }
        for name in path.names_from_end() {
            let Some(key) = keys.next() else {
                return Some(false);
            };
            if !key.is_plain() {
                return None;
            }
            if name.is_some_and(|name| !folds_to(key.written, name)) {
                return Some(false);
            }
        }
        Some(true)
    }

    fn end_folded_with(&self, path: &FieldPath) -> bool {
        let mut last: Vec<&str> = self
            .outwards()
            .flat_map(|key| key.steps().iter().rev())
            .map(String::as_str)
            .take(path.length())
            .collect();
        last.reverse();
        path.matches(&last) || path.matches(&[self.last()])
    }

    /// The keys, the last one first.
    fn outwards(&self) -> impl Iterator<Item = &PathKey<'k>> {
        std::iter::successors(self.last.as_ref(), |key| key.outer.last.as_ref())
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
                .flat_map(|key| {
                    let path = KeyPath::default();
                    let path = path.member(key);
                    path.last.as_ref().unwrap().steps().to_vec()
                })
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
                    let root = KeyPath::default();
                    let above = root.member(outer);
                    let above = above.member(middle);
                    let path_of_key = above.member(key);
                    let expected =
                        path.matches(&folded(&[outer, middle, key])) || path.matches(&[fold(key)]);
                    assert_eq!(
                        path_of_key.end_with(&path),
                        expected,
                        "{outer} {middle} {key} {path:?}"
                    );
                    assert_eq!(path_of_key.last(), fold(key));
                }
            }
        }
    }
}
