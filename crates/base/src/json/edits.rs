//! Edits of a text that leave every byte outside them as it was.

use crate::json::Span;

/// Edits of one text. What is edited inside a part that is replaced is gone with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits(Vec<(Span, Vec<u8>)>);

impl Edits {
    /// Replaces a part of the text.
    pub fn replace(&mut self, span: Span, with: impl Into<Vec<u8>>) {
        self.0.push((span, with.into()));
    }

    /// Takes out a part of the text.
    pub fn remove(&mut self, span: Span) {
        self.replace(span, Vec::new());
    }

    /// Puts something in.
    pub fn insert(&mut self, at: usize, text: impl Into<Vec<u8>>) {
        self.replace(at..at, text);
    }

    /// Adds other edits of the same text.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with the edits made, or `None` without any.
    pub fn apply(self, text: &[u8]) -> Option<Vec<u8>> {
        (!self.is_empty()).then(|| self.apply_to(text, 0..text.len()))
    }

    /// A part of the text with the edits made, all of which are inside it.
    pub fn apply_to(mut self, text: &[u8], part: Span) -> Vec<u8> {
        self.0.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = Vec::with_capacity(part.len());
        let mut done = part.start;
        for (span, with) in &self.0 {
            if span.start < done {
                continue;
            }
            out.extend_from_slice(text.get(done..span.start).unwrap_or_default());
            out.extend_from_slice(with);
            done = span.end;
        }
        out.extend_from_slice(text.get(done..part.end).unwrap_or_default());
        out
    }
}
