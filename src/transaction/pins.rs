//! Tools that are not what they have to be: noted when they are listed, refused when they are called.

use super::Transaction;
use crate::audit::name;
use crate::authorize::Target;
use crate::rewrite::lists::Filtered;
use policy::{BrokenPin, PinRule};

impl Transaction {
    /// The pin of a tool whose calls are refused until it is listed as it was again.
    pub(super) fn broken_pin(&self, target: Target<'_>) -> Option<PinRule> {
        let Target::Tool(tool) = target else {
            return None;
        };
        let rule = self.policy.pin(tool)?;
        let blocks = self.policy.broken_pin == BrokenPin::Block;
        (blocks && self.seen.is_broken(tool, rule)).then_some(rule)
    }

    /// Puts into the record which tools of a list are not what they have to be.
    pub(super) fn note_pins(&mut self, filtered: &Filtered) {
        self.record.pins_full |= filtered.pins_full;
        for tool in filtered.pins_broken.iter().map(|tool| name(tool)) {
            if !self.record.pins_broken.contains(&tool) {
                self.record.pins_broken.push(tool);
            }
        }
    }
}
