//! Other keys for members of an object.

use std::collections::{HashMap, HashSet};

use super::mask::quoted;
use base::json::edits::Edits;
use base::json::tree::Child;

/// Gives members of one object other keys, which no other member has.
pub(in crate::response) struct NewKeys<'m> {
    members: &'m [Child],
    /// Made once something is renamed, which is rare.
    taken: Option<Taken>,
}

struct Taken {
    keys: HashSet<String>,
    /// How many keys have a length: such keys may become the same.
    lengths: HashMap<usize, usize>,
}

impl<'m> NewKeys<'m> {
    pub(in crate::response) fn new(members: &'m [Child]) -> Self {
        Self {
            members,
            taken: None,
        }
    }

    /// Gives the member at an index this key, with a number behind it if another has it.
    pub(in crate::response) fn rename(&mut self, index: usize, key: &str, edits: &mut Edits) {
        let Some(member) = self.members.get(index) else {
            return;
        };
        let Taken { keys, lengths } = self.taken.get_or_insert_with(|| Taken::of(self.members));
        let alike = lengths
            .get(&member.key.len())
            .is_some_and(|alike| *alike > 1);
        let mut key = key.to_owned();
        if alike || keys.contains(&key) {
            key.push_str(&index.to_string());
        }
        while keys.contains(&key) {
            key.push('_');
        }
        edits.replace(member.key_span.clone(), quoted(&key));
        keys.insert(key);
    }
}

impl Taken {
    fn of(members: &[Child]) -> Self {
        let mut lengths = HashMap::new();
        for member in members {
            let alike: &mut usize = lengths.entry(member.key.len()).or_default();
            *alike = alike.saturating_add(1);
        }
        let keys = members.iter().map(|member| member.key.clone()).collect();
        Self { keys, lengths }
    }
}
