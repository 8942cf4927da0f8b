//! Which arguments a caller has nothing to say about.

use super::walk::Places;
use mcp::argument_names::{Begun, NameId, Spoken, fold};
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
    /// The names that the keys above it have begun.
    above: Begun,
    /// Whether it stands directly in `arguments`.
    top: bool,
}

impl ArgumentPlace {
    /// Directly in `arguments`.
    pub(crate) fn arguments() -> Self {
        Self {
            above: Begun::NONE,
            top: true,
        }
    }

    /// Deeper, and under no name that counts.
    pub(crate) fn apart() -> Self {
        Self {
            above: Begun::NONE,
            top: false,
        }
    }

    /// In an element of a list that stands here.
    pub(crate) fn element(&self) -> Self {
        Self {
            above: self.above.clone(),
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

    fn under(&self, place: &ArgumentPlace, name: &str) -> ArgumentPlace {
        Self::under(self, place, name)
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
        let said = self.policy.names.find_member(&place.above, key);
        let ruled = said.spoken.iter().find_map(|spoken| {
            let rule = self.policy.argument_rule(spoken.name, &self.operations);
            (*rule != ArgumentRule::Keep).then_some((spoken, rule))
        });
        let Some((Spoken { name, is_part }, rule)) = ruled else {
            return false;
        };
        match rule {
            ArgumentRule::Keep | ArgumentRule::Owner(_) => false,
            ArgumentRule::Remove | ArgumentRule::Reject => true,
            // An anonymous caller has no value to set: the argument is removed, as in the call.
            ArgumentRule::Set(_) if self.anonymous => true,
            // Only the operation's own rule adds what is left out, and only there. Any other has to
            // be sent to be set: hidden, it would never reach the server.
            ArgumentRule::Set(_) => {
                let is_alone = self.policy.names.find(&fold(key)) == Some(*name);
                place.top && !is_part && is_alone && self.is_of_operation(*name)
            }
        }
    }

    /// Whether the argument at the end of a path is hidden, or one on the way to it.
    pub(crate) fn hides_path(&self, path: &[String]) -> bool {
        let mut place = ArgumentPlace::arguments();
        path.iter().any(|key| {
            let is_hidden = self.hides(key, &place);
            place = self.under(&place, key);
            is_hidden
        })
    }

    /// Where the members of an object stand that stands at a place under a key.
    pub(crate) fn under(&self, place: &ArgumentPlace, key: &str) -> ArgumentPlace {
        ArgumentPlace {
            above: self.policy.names.find_member(&place.above, key).begun,
            top: false,
        }
    }

    fn is_of_operation(&self, name: NameId) -> bool {
        let mut rules = self
            .operations
            .iter()
            .flat_map(|operation| &operation.arguments);
        rules.any(|(id, _, _)| *id == name)
    }
}
