//! Which arguments a caller has nothing to say about.

use super::walk::Places;
use mcp::argument_names::{Name, NameId, NameTable, fold};
use oauth::Identity;
use policy::{ArgumentRule, Operation, Policy};

/// The arguments hidden in one tool or prompt: those a call arrives without, or with the caller's own
/// value, when they are left out.
#[derive(Debug)]
pub(crate) struct Hidden<'p> {
    policy: &'p Policy,
    operations: Vec<&'p Operation>,
    anonymous: bool,
}

/// Where an argument stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentPlace {
    /// The name it stands under, folded; empty if it can complete none.
    parent: String,
    /// Whether it stands directly in `arguments`.
    top: bool,
}

impl ArgumentPlace {
    /// Directly in `arguments`.
    pub(crate) fn arguments() -> Self {
        Self {
            parent: String::new(),
            top: true,
        }
    }

    /// Deeper, and under no name that counts.
    pub(crate) fn apart() -> Self {
        Self {
            parent: String::new(),
            top: false,
        }
    }

    /// In an element of a list that stands here.
    pub(crate) fn element(&self) -> Self {
        Self {
            parent: self.parent.clone(),
            top: false,
        }
    }
}

impl Places for Hidden<'_> {
    type Place = ArgumentPlace;

    fn whole(&self) -> ArgumentPlace {
        ArgumentPlace::arguments()
    }

    fn element(&self, place: &ArgumentPlace) -> ArgumentPlace {
        place.element()
    }

    fn under(&self, _: &ArgumentPlace, name: &str) -> ArgumentPlace {
        Self::under(self, name)
    }

    fn apart(&self) -> ArgumentPlace {
        ArgumentPlace::apart()
    }
}

impl<'p> Hidden<'p> {
    /// The operations are those of the tool or prompt, the most specific first.
    pub(crate) fn new(
        policy: &'p Policy,
        identity: &Identity,
        operations: Vec<&'p Operation>,
    ) -> Self {
        Self {
            policy,
            operations,
            anonymous: identity.is_anonymous(),
        }
    }

    /// Whether an argument with this key, at this place, is hidden.
    pub(crate) fn hides(&self, key: &str, place: &ArgumentPlace) -> bool {
        let (parent, own) = (Name::of_key(&place.parent), Name::of_key(key));
        let names = self.names();
        let Some(name) = names.find_member(&parent, &own, key) else {
            return false;
        };
        match self.policy.argument_rule(name, &self.operations) {
            ArgumentRule::Keep | ArgumentRule::Owner(_) => false,
            ArgumentRule::Remove | ArgumentRule::Reject => true,
            // An anonymous caller has no value to set: the argument is removed, as in the call.
            ArgumentRule::Set(_) if self.anonymous => true,
            // Only the operation's own rule adds what is left out, and only there. Any other has to
            // be sent to be set: hidden, it would never reach the server.
            ArgumentRule::Set(_) => {
                place.top && names.find_name(&own) == Some(name) && self.is_of_operation(name)
            }
        }
    }

    /// Whether the argument at the end of a path is hidden, or one on the way to it.
    pub(crate) fn hides_path(&self, path: &[String]) -> bool {
        let mut place = ArgumentPlace::arguments();
        path.iter().any(|key| {
            let is_hidden = self.hides(key, &place);
            place = self.under(key);
            is_hidden
        })
    }

    /// Where the members of an object under this key stand.
    pub(crate) fn under(&self, key: &str) -> ArgumentPlace {
        if !self.names().is_start(&Name::of_key(key)) {
            return ArgumentPlace::apart();
        }
        let own = key.rsplit_once('/').map_or(key, |(_, own)| own);
        ArgumentPlace {
            parent: fold(own).into_owned(),
            top: false,
        }
    }

    fn names(&self) -> &'p NameTable {
        &self.policy.names
    }

    fn is_of_operation(&self, name: NameId) -> bool {
        let mut rules = self
            .operations
            .iter()
            .flat_map(|operation| &operation.arguments);
        rules.any(|(id, _, _)| *id == name)
    }
}
