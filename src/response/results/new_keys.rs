//! Other keys for members of an object.

use std::collections::{HashMap, HashSet};

use crate::response::changes::Changes;
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

    /// Gives a member this key, with its number behind it if another has it.
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
