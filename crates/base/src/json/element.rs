//! Elements that can be cut out.

use super::{Member, Span};

/// An element of an array or a member of an object, with what is needed to cut it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where it stands; a member with its key.
    pub span: Span,
    /// Its number, from 0.
    pub index: usize,
    /// Where the cut starts if something before it stays.
    pub before: Option<usize>,
    /// Where the cut ends if nothing before it stays, and something is behind it.
    pub behind: Option<usize>,
}

impl Element {
    /// A member that starts with its key.
    pub fn of_member(member: &Member<'_>) -> Self {
        Self {
            span: member.key.span.clone(),
            index: member.index,
            before: member.comma,
            behind: None,
        }
    }

    /// What to cut, so that the commas stay right. `cut_before`: how many elements before it are
    /// cut as well.
    pub fn cut(&self, cut_before: usize) -> Span {
        match (self.before, self.behind) {
            (Some(before), _) if cut_before < self.index => before..self.span.end,
            (_, Some(behind)) => self.span.start..behind,
            _ => self.span.clone(),
        }
    }
}
