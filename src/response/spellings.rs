//! How servers spell the arguments that the filter adds to calls. A list shows it, and the argument is then hidden
//! in the list. All workers of a proxy share what one of them saw.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::authorize::Target;
use crate::notes::Notes;
use base::store::{Key, RecordKind, StoreRecord};
use base::time::UnixTime;

/// What is remembered at most. Other arguments are shown, and so the client sends them.
const MAX_TARGETS: usize = 1024;
const MAX_NAMES: usize = 16;
const MAX_NAME: usize = 128;
/// How long a spelling is kept for other workers.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The spellings that a worker knows, by tool or prompt. An empty list: as in the policy. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Spellings(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, Vec<String>>,
    /// The number of changes.
    changes: u64,
}

/// The name of a tool or prompt in the memory.
fn name_of(target: Target<'_>) -> Option<String> {
    match target {
        Target::Tool(name) => Some(format!("tool {name}")),
        Target::Prompt(name) => Some(format!("prompt {name}")),
        Target::Server | Target::Resource(_) | Target::ResourceTemplate(_) => None,
    }
}

/// The key of the record for other workers.
pub(crate) fn key(resource: &str, target: Target<'_>) -> Option<Key> {
    let name = name_of(target)?;
    let owner = [resource, "spellings"];
    Some(Key::of(RecordKind::Spelling, &owner, &[&name]))
}

impl Spellings {
    /// The spellings of a target. `None`: this worker has not seen it in a list.
    pub(crate) fn of(&self, target: Target<'_>) -> Option<Vec<String>> {
        self.0.borrow().names.get(&name_of(target)?).cloned()
    }

    /// How often what is known has changed.
    pub(super) fn changes(&self) -> u64 {
        self.0.borrow().changes
    }

    /// Remembers what another worker saw.
    pub(crate) fn learn(&self, target: Target<'_>, value: &str) {
        let names = BASE64_URL_SAFE_NO_PAD.decode(value).ok();
        let names = names.and_then(|names| serde_json::from_slice(&names).ok());
        if let (Some(names), Some(name)) = (names, name_of(target)) {
            self.remember(name, names);
        }
    }

    /// Notes the spellings of a listed target that differ from the policy's (`differ`), among all. False: they
    /// cannot be remembered.
    pub(super) fn note(
        &self,
        (target, resource): (Target<'_>, &str),
        all: BTreeSet<String>,
        differ: bool,
        (notes, now): (&Notes, UnixTime),
    ) -> bool {
        let Some(name) = name_of(target) else {
            return false;
        };
        let names: Vec<String> = match differ {
            true => all.into_iter().collect(),
            false => Vec::new(),
        };
        let before = self
            .0
            .borrow()
            .names
            .get(&name)
            .map(|before| *before == names);
        if before == Some(true) {
            return true;
        }
        let is_short = names.len() <= MAX_NAMES && names.iter().all(|name| name.len() <= MAX_NAME);
        let value = serde_json::to_vec(&names).unwrap_or_default();
        if !is_short || name.len() > MAX_NAME || !self.remember(name, names) {
            return false;
        }
        // Workers that know an earlier spelling learn of the change.
        if (differ || before.is_some())
            && let Some(key) = key(resource, target)
        {
            notes.put(StoreRecord {
                key,
                value: BASE64_URL_SAFE_NO_PAD.encode(value),
                expires: now.whole_seconds().saturating_add(LIFETIME),
            });
        }
        true
    }

    fn remember(&self, name: String, names: Vec<String>) -> bool {
        let known = &mut *self.0.borrow_mut();
        let has_room = known.names.len() < MAX_TARGETS || known.names.contains_key(&name);
        if has_room {
            known.names.insert(name, names);
            known.changes = known.changes.saturating_add(1);
        }
        has_room
    }
}
