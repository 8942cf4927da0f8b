//! What happens to each value of a message, by its number. A search by place would cost more than all else: each
//! value is asked about several times.

use base::json::tree::{Node, NodeId};

/// What happens to one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ValueFate {
    /// Nothing. There may be changes inside it.
    #[default]
    Kept,
    /// Nothing, and it is a text that holds words: it need not be looked at again.
    Words,
    /// An outer value is removed or replaced.
    Gone,
    /// It has the change with this number.
    Changed(usize),
}

/// What happens to the values of one JSON text. Values behind the last changed one are kept.
#[derive(Debug, Default)]
pub(super) struct Fates(Vec<ValueFate>);

impl Fates {
    #[inline]
    pub(super) fn of(&self, id: NodeId) -> ValueFate {
        self.0.get(id.number()).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn set(&mut self, id: NodeId, now: ValueFate) {
        self.grow(id.number().saturating_add(1));
        if let Some(fate) = self.0.get_mut(id.number()) {
            *fate = now;
        }
    }

    /// The values in a value are lost with it.
    pub(super) fn lose_inside(&mut self, node: &Node) {
        let inside = node.inner_numbers();
        if inside.is_empty() {
            return;
        }
        self.grow(inside.end);
        let inside = self.0.get_mut(inside).unwrap_or_default();
        inside.fill(ValueFate::Gone);
    }

    fn grow(&mut self, length: usize) {
        if self.0.len() < length {
            self.0.resize(length, ValueFate::Kept);
        }
    }

    /// The values that have changes, in the order of the text, with the numbers of the changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = (NodeId, usize)> {
        let fates = self.0.iter().enumerate();
        fates.filter_map(|(number, fate)| match fate {
            ValueFate::Changed(change) => Some((NodeId::of(number), *change)),
            ValueFate::Kept | ValueFate::Words | ValueFate::Gone => None,
        })
    }
}
