//! New keys for members of an object.

use std::collections::{HashMap, HashSet};

use crate::response::changes::Changes;
use base::json::tree::Child;

/// Renames members of one object. All keys stay different.
pub(in crate::response) struct NewKeys<'m> {
    members: &'m [Child],
    /// Made at the first rename, which is rare.
    taken: Option<Taken>,
}

struct Taken {
    keys: HashSet<String>,
    /// The number of keys of each length: such keys may become equal.
    lengths: HashMap<usize, usize>,
}

impl<'m> NewKeys<'m> {
    pub(in crate::response) fn new(members: &'m [Child]) -> Self {
        Self {
            members,
            taken: None,
        }
    }

    /// Renames a member. If the key exists, a number is appended.
    pub(in crate::response) fn rename(
        &mut self,
        member: &Child,
        key: String,
        changes: &mut Changes,
    ) {
        let taken = self
            .taken
            .get_or_insert_with(|| Taken::of(self.members, changes));
        let length = changes.key(member).len();
        let alike = taken.lengths.get(&length).is_some_and(|alike| *alike > 1);
        let mut key = key;
        if alike || taken.keys.contains(&key) {
            key.push_str(&member.element.index.to_string());
        }
        while taken.keys.contains(&key) {
            key.push('_');
        }
        changes.set_key(member, key.clone());
        taken.keys.insert(key);
    }
}

impl Taken {
    fn of(members: &[Child], changes: &Changes) -> Self {
        let mut lengths = HashMap::new();
        let mut keys = HashSet::new();
        for member in members
            .iter()
            .filter(|member| !changes.is_gone(&member.node))
        {
            let key = changes.key(member).into_owned();
            let alike: &mut usize = lengths.entry(key.len()).or_default();
            *alike = alike.saturating_add(1);
            keys.insert(key);
        }
        Self { keys, lengths }
    }
}
