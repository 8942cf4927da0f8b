//! Members and elements, with their commas.

use super::{Member, Span};

/// A member of an object or an element of an array, with the positions needed to remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its position. A member includes its key.
    pub span: Span,
    /// Its index, from 0.
    pub index: usize,
    /// Where the removed part starts if an earlier entry stays.
    pub before: Option<usize>,
    /// Where the removed part ends if no earlier entry stays and another one follows.
    pub behind: Option<usize>,
}

impl Element {
    /// The entry of a member, up to the end of its key. The caller sets the end of the value.
    pub fn of_member(member: &Member<'_>) -> Self {
        Self {
            span: member.key.span.clone(),
            index: member.index,
            before: member.comma,
            behind: None,
        }
    }

    /// The part to remove, with one comma. `cut_before` is the number of earlier entries that are
    /// removed too.
    pub fn cut(&self, cut_before: usize) -> Span {
        match (self.before, self.behind) {
            (Some(before), _) if cut_before < self.index => before..self.span.end,
            (_, Some(behind)) => self.span.start..behind,
            _ => self.span.clone(),
        }
    }
}
