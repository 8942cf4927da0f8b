//! The tools that a policy names, for any caller.

use std::collections::{HashMap, HashSet};

use super::pattern::{Pattern, matches};
use super::{Operation, Role};

/// Names and patterns of tools anywhere in a policy.
#[derive(Debug, Default)]
pub struct KnownTools {
    names: HashSet<String>,
    /// The parts between the stars.
    patterns: Vec<Vec<String>>,
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
        let mut known = Self::default();
        for pattern in patterns.chain(tools.iter().map(|tool| &tool.pattern)) {
            known.add(pattern);
        }
        known
    }

    fn add(&mut self, pattern: &Pattern) {
        let written = pattern.written();
        let names_nothing = written.chars().all(|character| character == '*');
        // `deny` lists resources too.
        if names_nothing || written.contains("://") {
            return;
        }
        let parts: Vec<String> = written.split('*').map(str::to_owned).collect();
        if parts.len() == 1 {
            self.names.insert(written.to_owned());
        } else if !self.patterns.contains(&parts) {
            self.patterns.push(parts);
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
            || !is_word() && self.patterns.iter().any(|parts| matches(parts, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b37_a_pattern_does_not_stand_for_words() {
        let mut known = KnownTools::default();
        for written in ["purge", "get*", "crm.*", "*", "**", "crm://vault/*"] {
            known.add(&Pattern::name(written));
        }
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
