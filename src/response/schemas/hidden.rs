//! The hidden arguments of a tool or prompt.

use super::walk::Places;
use mcp::argument_names::{Begun, NameId, Spoken, fold};
use oauth::Identity;
use policy::{ArgumentRule, Operation, Policy};

/// The hidden arguments of one tool or prompt: the filter removes them from a call, or sets them if they
/// are missing.
#[derive(Debug)]
pub(crate) struct Hidden<'p> {
    policy: &'p Policy,
    operations: Vec<&'p Operation>,
    anonymous: bool,
    /// Whether arguments are added in the policy's spelling only.
    only_as_written: bool,
}

/// The place of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentPlace {
    /// The names that the keys above it have begun.
    above: Begun,
    /// Whether it is directly in `arguments`.
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

    /// Deeper, under keys that are no part of a name.
    pub(crate) fn apart() -> Self {
        Self {
            above: Begun::NONE,
            top: false,
        }
    }

    /// In an element of a list at this place.
    pub(crate) fn element(&self) -> Self {
        Self {
            above: self.above.clone(),
            top: false,
        }
    }
}

impl Places for Hidden<'_> {
    type Place = ArgumentPlace;

    const PLAIN_SCHEMAS: bool = false;

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
            only_as_written: false,
        }
    }

    /// Shows arguments that the filter sets, if the schema spells them otherwise than the policy.
    pub(crate) fn show_other_spellings(&mut self) {
        self.only_as_written = true;
    }

    /// Whether the filter adds an argument to calls.
    pub(crate) fn adds_some(&self) -> bool {
        let mut rules = self.own_rules();
        !self.anonymous && rules.any(|(_, _, rule)| matches!(rule, ArgumentRule::Set(_)))
    }

    /// The policy's spelling of an argument directly in `arguments` that the filter adds to calls.
    pub(crate) fn added(&self, key: &str) -> Option<&'p str> {
        if self.anonymous || !self.hides(key, &ArgumentPlace::arguments()) {
            return None;
        }
        let name = self.policy.names.find(&fold(key))?;
        let mut rules = self.own_rules();
        let (_, written, rule) = rules.find(|(id, _, _)| *id == name)?;
        matches!(rule, ArgumentRule::Set(_)).then_some(written.as_str())
    }

    fn own_rules(&self) -> impl Iterator<Item = &'p (NameId, String, ArgumentRule)> {
        let operations = self.operations.iter();
        operations.flat_map(|operation| &operation.arguments)
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
            // Only the operation's own rule adds a missing argument, and only at the top. Under other rules
            // the client must send the argument, so it must be shown.
            ArgumentRule::Set(_) => {
                let is_alone = || self.policy.names.find(&fold(key)) == Some(*name);
                place.top && !is_part && self.is_of_operation(*name, key) && is_alone()
            }
        }
    }

    /// Whether an argument on a path is hidden.
    pub(crate) fn hides_path(&self, path: &[String]) -> bool {
        let mut place = ArgumentPlace::arguments();
        path.iter().any(|key| {
            let is_hidden = self.hides(key, &place);
            place = self.under(&place, key);
            is_hidden
        })
    }

    /// The place of the members of an object with this key.
    pub(crate) fn under(&self, place: &ArgumentPlace, key: &str) -> ArgumentPlace {
        ArgumentPlace {
            above: self.policy.names.begun_by(&place.above, key),
            top: false,
        }
    }

    fn is_of_operation(&self, name: NameId, key: &str) -> bool {
        let rule = self.own_rules().find(|(id, _, _)| *id == name);
        rule.is_some_and(|(_, written, _)| !self.only_as_written || written == key)
    }
}
