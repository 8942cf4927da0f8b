//! Tools compared with their pins: a worker remembers them from list to list.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::authorize::Target;
use mcp::pin::Pin;
use policy::{BrokenPin, PinRule, Policy};

/// The maximum number of tools whose first description is remembered, and the maximum length of a name.
/// Nothing is forgotten to make room: a tool that does not fit counts as changed.
const MAX_TOOLS: usize = 1024;
const MAX_NAME: usize = 256;

/// The tools of a server that a worker remembers while the policy is loaded. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SeenTools(Rc<RefCell<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// The first descriptions of tools that are pinned to them.
    first: HashMap<String, Pin>,
    /// Tools that differed from their pins in the last list. They are in `first`, or the policy has their
    /// pins.
    broken: HashSet<String>,
}

/// A listed tool, compared with its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Equal.
    Same,
    /// Different.
    Changed,
    /// Unknown: the memory is full.
    NoRoom,
}

impl SeenTools {
    /// Compares a listed tool with its pin. The first tool of a name counts: a second tool with the same
    /// name does not cure a difference.
    pub fn compare(&self, tool: &str, rule: PinRule, found: Pin, is_first: bool) -> Compared {
        let memory = &mut *self.0.borrow_mut();
        let expected = match rule {
            PinRule::As(pin) => Some(pin),
            PinRule::FirstSeen => memory.first_of(tool, found),
        };
        let compared = match expected {
            Some(expected) if expected == found => Compared::Same,
            Some(_) => Compared::Changed,
            None => Compared::NoRoom,
        };
        match compared {
            Compared::Changed => {
                memory.broken.insert(tool.to_owned());
            }
            Compared::Same if is_first => {
                memory.broken.remove(tool);
            }
            Compared::Same | Compared::NoRoom => {}
        }
        compared
    }

    /// The pin of a tool whose calls are refused until the server lists the tool unchanged again.
    pub(crate) fn blocks(&self, policy: &Policy, target: Target<'_>) -> Option<PinRule> {
        let Target::Tool(tool) = target else {
            return None;
        };
        let rule = policy.pin(tool)?;
        let blocks = policy.broken_pin == BrokenPin::Block;
        (blocks && self.is_broken(tool, rule)).then_some(rule)
    }

    /// Whether a tool differed in the last list, or could not be remembered.
    pub fn is_broken(&self, tool: &str, rule: PinRule) -> bool {
        let memory = self.0.borrow();
        let has_no_room = rule == PinRule::FirstSeen
            && !memory.first.contains_key(tool)
            && !memory.has_room(tool);
        has_no_room || memory.broken.contains(tool)
    }
}

impl Memory {
    /// The first description of a tool, which may be this one.
    fn first_of(&mut self, tool: &str, found: Pin) -> Option<Pin> {
        if let Some(first) = self.first.get(tool) {
            return Some(*first);
        }
        let remembered = self.has_room(tool).then_some(found)?;
        self.first.insert(tool.to_owned(), remembered);
        Some(remembered)
    }

    fn has_room(&self, tool: &str) -> bool {
        self.first.len() < MAX_TOOLS && tool.len() <= MAX_NAME
    }
}

#[cfg(test)]
mod tests {
    use super::Compared::{Changed, NoRoom, Same};
    use super::*;

    fn pin(description: &str) -> Pin {
        let tool = format!(r#"{{"name":"t","description":"{description}"}}"#);
        Pin::of(tool.as_bytes(), 8).unwrap()
    }

    #[test]
    fn a_tool_stays_what_it_was_first() {
        let seen = SeenTools::default();
        let list =
            |description: &str| seen.compare("t", PinRule::FirstSeen, pin(description), true);
        assert!(!seen.is_broken("t", PinRule::FirstSeen), "never listed");
        assert_eq!(list("a"), Same);
        assert_eq!(list("b"), Changed);
        assert_eq!(list("b"), Changed, "the change is not what was first seen");
        assert!(seen.is_broken("t", PinRule::FirstSeen));
        assert!(!seen.is_broken("u", PinRule::FirstSeen));
        assert_eq!(list("a"), Same);
        assert!(!seen.is_broken("t", PinRule::FirstSeen));
    }

    #[test]
    fn a_second_tool_of_the_name_mends_nothing() {
        let seen = SeenTools::default();
        let rule = PinRule::As(pin("a"));
        assert_eq!(seen.compare("t", rule, pin("b"), true), Changed);
        assert_eq!(seen.compare("t", rule, pin("a"), false), Same);
        assert!(seen.is_broken("t", rule));
        assert_eq!(seen.compare("t", rule, pin("a"), true), Same);
        assert!(!seen.is_broken("t", rule));
    }

    #[test]
    fn nothing_is_forgotten_to_make_room() {
        let seen = SeenTools::default();
        let first_seen = PinRule::FirstSeen;
        for number in 0..MAX_TOOLS {
            let name = number.to_string();
            assert_eq!(seen.compare(&name, first_seen, pin("a"), true), Same);
        }
        assert_eq!(seen.compare("new", first_seen, pin("a"), true), NoRoom);
        assert!(seen.is_broken("new", first_seen));
        assert!(!seen.is_broken("0", first_seen));
        assert_eq!(seen.compare("0", first_seen, pin("b"), true), Changed);
        assert_eq!(
            seen.compare("new", PinRule::As(pin("a")), pin("a"), true),
            Same
        );
        assert_eq!(seen.0.borrow().first.len(), MAX_TOOLS);

        let seen = SeenTools::default();
        let long = "a".repeat(MAX_NAME + 1);
        assert_eq!(seen.compare(&long, first_seen, pin("a"), true), NoRoom);
        assert!(seen.is_broken(&long, first_seen));
    }
}
