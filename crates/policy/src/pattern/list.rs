//! Lists of patterns, in which those for a name are found without trying all of them.

use std::collections::HashMap;
use std::ops::Deref;

use oauth::Identity;

use super::Pattern;

/// Lists up to this length are tried pattern by pattern.
const MAX_TRIED: usize = 8;

/// What has a pattern.
pub trait HasPattern {
    /// The pattern.
    fn pattern(&self) -> &Pattern;
}

/// A list in which each entry has a pattern. The order stays.
#[derive(Debug, Clone)]
pub struct PatternList<T> {
    entries: Vec<T>,
    /// For long lists.
    index: Option<Index>,
}

/// The places of patterns in a list.
#[derive(Debug, Clone, Default)]
struct Index {
    /// By the text before the first wildcard or placeholder; for exact names the whole name.
    by_start: HashMap<String, Vec<usize>>,
    /// The lengths of these texts where a wildcard or placeholder follows, each once.
    lengths: Vec<usize>,
}

impl<T> Default for PatternList<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: None,
        }
    }
}

impl<T> Deref for PatternList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.entries
    }
}

impl<'l, T> IntoIterator for &'l PatternList<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<T: HasPattern> From<Vec<T>> for PatternList<T> {
    fn from(entries: Vec<T>) -> Self {
        let is_long = entries.len() > MAX_TRIED;
        let index = is_long.then(|| Index::of(entries.iter().map(HasPattern::pattern)));
        Self { entries, index }
    }
}

impl<T: HasPattern> PatternList<T> {
    /// The entries whose pattern matches a name, for this caller.
    pub fn matching<'l>(&'l self, name: &str, identity: &Identity) -> impl Iterator<Item = &'l T> {
        let (tried, found) = match &self.index {
            None => (self.entries.as_slice(), Vec::new()),
            Some(index) => (&[][..], index.candidates(name)),
        };
        let found = found.into_iter().filter_map(|at| self.entries.get(at));
        tried
            .iter()
            .chain(found)
            .filter(|entry| entry.pattern().matches(name, identity))
    }
}

impl Index {
    fn of<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut index = Self::default();
        for (at, pattern) in patterns.enumerate() {
            let start = pattern.start();
            let places = index.by_start.entry(start.to_owned()).or_default();
            places.push(at);
            let is_whole = start.len() == pattern.written().len();
            if !is_whole && !index.lengths.contains(&start.len()) {
                index.lengths.push(start.len());
            }
        }
        index
    }

    /// The places of the patterns that a name may match, in their order.
    fn candidates(&self, name: &str) -> Vec<usize> {
        let starts = self.lengths.iter().filter_map(|length| name.get(..*length));
        let starts = starts.filter(|start| start.len() < name.len());
        let mut places: Vec<usize> = starts
            .chain([name])
            .filter_map(|start| self.by_start.get(start))
            .flatten()
            .copied()
            .collect();
        places.sort_unstable();
        places
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl HasPattern for Pattern {
        fn pattern(&self) -> &Pattern {
            self
        }
    }

    fn identity() -> Identity {
        Identity {
            user: Some("ab".to_owned()),
            ..Identity::default()
        }
    }

    fn pattern() -> impl Strategy<Value = Pattern> {
        let parts = prop::sample::select(vec!["a", "b", "*", "{user}", "{organization}", "é", "."]);
        let written = prop::collection::vec(parts, 0..5).prop_map(|parts| parts.concat());
        (written, 0..3).prop_map(|(written, kind)| match kind {
            0 => Pattern::name(&written),
            1 => Pattern::uri(&written),
            _ => Pattern::denial(&written),
        })
    }

    proptest! {
        #[test]
        fn a_list_finds_the_patterns_that_match_in_their_order(
            patterns in prop::collection::vec(pattern(), 0..40),
            name in "[abé.*]{0,5}",
        ) {
            let list = PatternList::from(patterns.clone());
            let identity = identity();
            let found: Vec<&Pattern> = list.matching(&name, &identity).collect();
            let expected = patterns.iter().filter(|pattern| pattern.matches(&name, &identity));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}
