//! What is read in place of the wrong values of a document.

use std::collections::BTreeMap;

use super::form_error::Step;

/// What is done about a mistake, so that reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// The key is passed over.
    LeaveOut,
    /// A value of the expected type is read.
    StandIn,
}

/// The repairs at a place of a document, and below it.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    here: Option<Repair>,
    below: BTreeMap<Step, Self>,
}

impl Repairs {
    /// The repair at this place.
    pub(super) fn here(&self) -> Option<Repair> {
        self.here
    }

    /// The repairs one step further.
    pub(super) fn at(&self, step: &Step) -> Option<&Self> {
        self.below.get(step)
    }

    /// Keys with a stand-in.
    pub(super) fn keys_with_stand_in(&self) -> impl Iterator<Item = &str> {
        self.below.iter().filter_map(|(step, repairs)| match step {
            Step::Key(key) if repairs.here == Some(Repair::StandIn) => Some(key.as_str()),
            _ => None,
        })
    }

    /// Adds a repair. `false`: there is one on the way already. The steps start at the innermost one.
    pub(super) fn add(&mut self, steps: &[Step], repair: Repair) -> bool {
        let mut place = self;
        for step in steps.iter().rev() {
            if place.here.is_some() {
                return false;
            }
            place = place.below.entry(step.clone()).or_default();
        }
        place.here.replace(repair).is_none()
    }

    /// The repair that reads a stand-in at a place, or around it.
    pub(super) fn stand_in_above(&mut self, steps: &[Step]) -> Option<&mut Repair> {
        let mut place = self;
        for step in steps.iter().rev() {
            if place.here.is_some() {
                break;
            }
            place = place.below.get_mut(step)?;
        }
        place
            .here
            .as_mut()
            .filter(|repair| **repair == Repair::StandIn)
    }
}
