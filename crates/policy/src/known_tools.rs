//! The tools that a policy names, for any caller.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::pattern::{HasPattern, Pattern, PatternList};
use super::{Operation, Role};
use oauth::Identity;

/// Names and patterns of tools anywhere in a policy.
#[derive(Debug, Default)]
pub struct KnownTools {
    names: HashSet<String>,
    /// Those with wildcards, each once.
    patterns: PatternList<KnownPattern>,
}

#[derive(Debug)]
struct KnownPattern(Pattern);

impl HasPattern for KnownPattern {
    fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl KnownTools {
    pub(super) fn of(
        roles: &HashMap<String, Role>,
        anonymous: Option<&Role>,
        tools: &[Operation],
    ) -> Self {
        let grants = roles
            .values()
            .chain(anonymous)
            .flat_map(|role| role.tools.iter().chain(&role.deny));
        let patterns = grants.map(|grant| &grant.pattern);
        Self::named(patterns.chain(tools.iter().map(|tool| &tool.pattern)))
    }

    fn named<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let (mut names, mut with_wildcards) = (HashSet::new(), BTreeSet::new());
        for pattern in patterns {
            let written = pattern.written();
            let names_nothing = written.chars().all(|character| character == '*');
            // `deny` lists resources too.
            if names_nothing || written.contains("://") {
                continue;
            }
            match written.contains('*') {
                true => drop(with_wildcards.insert(written)),
                false => drop(names.insert(written.to_owned())),
            }
        }
        let patterns = with_wildcards
            .into_iter()
            .map(Pattern::name)
            .map(KnownPattern);
        Self {
            names,
            patterns: patterns.collect::<Vec<_>>().into(),
        }
    }

    /// Whether the policy names none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Whether the policy names this tool. A plain word must be named exactly: `get*` does not match
    /// `getting`.
    pub fn contains(&self, name: &str) -> bool {
        let is_word = || !name.chars().skip(1).any(|letter| !letter.is_lowercase());
        self.names.contains(name)
            || !is_word()
                && self
                    .patterns
                    .matching(name, Identity::anonymous())
                    .next()
                    .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b37_a_pattern_does_not_stand_for_words() {
        let written = ["purge", "get*", "crm.*", "*", "**", "crm://vault/*"];
        let patterns = written.map(Pattern::name);
        let known = KnownTools::named(patterns.iter());
        for name in ["purge", "get_x", "getX", "crm.get", "crm."] {
            assert!(known.contains(name), "{name}");
        }
        for word in [
            "getting",
            "Getting",
            "get",
            "purged",
            "crm",
            "x",
            "crm://vault/x",
        ] {
            assert!(!known.contains(word), "{word}");
        }
        assert!(!known.is_empty());
    }
}
