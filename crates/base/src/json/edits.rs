//! Edits of a text. Every byte outside of them stays.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Element, Span};

/// Edits of one text. No two overlap: `Edits::add` decides which of two overlapping edits counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    edits: BTreeMap<(usize, usize), Edit>,
    /// The last end of an edit. Most questions are about values behind it.
    end: usize,
    last_asked: LastAsked,
}

/// The edit before the place of the last question, and where the next edit starts. Questions follow the text, so that
/// most are about places between the same two edits.
#[derive(Debug, Clone, Default)]
struct LastAsked(Cell<Option<Neighbours>>);

#[derive(Debug, Clone, Copy)]
struct Neighbours {
    before: (usize, usize),
    next: usize,
}

/// What was asked is no difference.
impl PartialEq for LastAsked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LastAsked {}

/// The effect of the edits on a part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No edit replaces or removes it as a whole. There may be edits inside it.
    Kept,
    /// An edit replaces exactly this part.
    Replaced,
    /// It is removed, or it lies inside a larger part that is removed or replaced.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// Replaces the span.
    Write(Vec<u8>),
    /// Removes the element and its comma.
    Remove(Element),
}

impl Edits {
    /// Replaces a part of the text.
    pub fn replace(&mut self, span: Span, with: impl Into<Vec<u8>>) {
        self.add(span, Edit::Write(with.into()));
    }

    /// Removes a part of the text.
    pub fn remove(&mut self, span: Span) {
        self.replace(span, Vec::new());
    }

    /// Removes an element of an array or a member of an object, with its comma.
    pub fn remove_element(&mut self, element: &Element) {
        self.add(element.span.clone(), Edit::Remove(element.clone()));
    }

    /// Inserts text. A later insertion at the same place follows an earlier one.
    pub fn insert(&mut self, at: usize, text: impl Into<Vec<u8>>) {
        self.add(at..at, Edit::Write(text.into()));
    }

    /// Adds an edit. Of two edits that overlap, the stricter one counts: the one that leaves less of
    /// the text. An edit inside a part that is replaced or removed is dropped, whichever came first. A
    /// removal of a span counts before a replacement of it, and the later of two replacements before
    /// the earlier one, which it was decided after.
    fn add(&mut self, mut span: Span, mut edit: Edit) {
        if span.is_empty() {
            return self.add_insertion(span.start, edit);
        }
        if let Some(outer) = self.around(&span) {
            let is_same = outer == span;
            let key = (span.start, span.end);
            if !is_same || matches!(self.edits.get(&key), Some(Edit::Remove(_))) {
                return;
            }
        }
        self.last_asked.0.set(None);
        // The edits overlap partly: remove both parts.
        while let Some((start, end)) = self.part_of(&span) {
            if start < span.start || end > span.end {
                edit = Edit::Write(Vec::new());
            }
            self.edits.remove(&(start, end));
            span = span.start.min(start)..span.end.max(end);
        }
        self.end = self.end.max(span.end);
        self.edits.insert((span.start, span.end), edit);
    }

    fn add_insertion(&mut self, at: usize, edit: Edit) {
        self.last_asked.0.set(None);
        let inside = |(start, end): (usize, usize)| start < at && at < end;
        let before = self.edits.range(..(at, at)).next_back();
        if before.is_some_and(|(key, _)| inside(*key)) {
            return;
        }
        match (self.edits.get_mut(&(at, at)), edit) {
            (Some(Edit::Write(before)), Edit::Write(text)) => before.extend(text),
            (_, edit) => {
                self.end = self.end.max(at);
                self.edits.insert((at, at), edit);
            }
        }
    }

    /// The span of the edit that replaces or removes the whole of `span`.
    fn around(&self, span: &Span) -> Option<Span> {
        if span.start >= self.end && !span.is_empty() {
            return None;
        }
        let (start, end) = self.before(span.start)?;
        (start < end && span.end <= end).then_some(start..end)
    }

    /// The last edit that starts at a place or before it.
    fn before(&self, at: usize) -> Option<(usize, usize)> {
        let asked = self.last_asked.0.get();
        if let Some(Neighbours { before, next }) = asked
            && (before.0..next).contains(&at)
        {
            return Some(before);
        }
        let before = *self.edits.range(..=(at, usize::MAX)).next_back()?.0;
        let behind = (Bound::Excluded((at, usize::MAX)), Bound::Unbounded);
        let next = self.edits.range(behind).next();
        let next = next.map_or(usize::MAX, |((start, _), _)| *start);
        self.last_asked.0.set(Some(Neighbours { before, next }));
        Some(before)
    }

    /// An edit that overlaps a span. An insertion at the span's start does not overlap it.
    fn part_of(&self, span: &Span) -> Option<(usize, usize)> {
        let (start, end) = *self.edits.range(..(span.end, 0)).next_back()?.0;
        let is_inside = start > span.start || start == span.start && end > start;
        (is_inside || end > span.start).then_some((start, end))
    }

    /// The effect of the edits on a part of the text.
    #[inline]
    pub fn fate(&self, span: &Span) -> Fate {
        let is_behind_all = span.start >= self.end && !span.is_empty();
        let is_between = |Neighbours { before, next }: Neighbours| {
            (before.0..next).contains(&span.start) && span.end > before.1
        };
        match is_behind_all || self.last_asked.0.get().is_some_and(is_between) {
            true => Fate::Kept,
            false => self.fate_among(span),
        }
    }

    fn fate_among(&self, span: &Span) -> Fate {
        match self.around(span) {
            None => Fate::Kept,
            Some(around) => match self.edits.get(&(around.start, around.end)) {
                Some(Edit::Write(_)) if around == *span => Fate::Replaced,
                _ => Fate::Gone,
            },
        }
    }

    /// Whether there are no edits.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edited text. `None` without edits.
    pub fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        (!self.is_empty()).then(|| self.apply_to(text, 0..text.len()))
    }

    /// A part of the text, edited. All edits must lie inside the part.
    pub fn apply_to(&self, text: &[u8], part: Span) -> Vec<u8> {
        let mut writer = EditsInOrder::new(text, part);
        for ((start, end), edit) in &self.edits {
            match edit {
                Edit::Write(with) => writer.replace(*start..*end).extend_from_slice(with),
                Edit::Remove(element) => writer.remove(element),
            }
        }
        writer.finish()
    }
}

/// Writes a part of a text with edits that come in the order of the text and do not overlap. It needs no search.
#[derive(Debug)]
pub struct EditsInOrder<'t> {
    text: &'t [u8],
    out: Vec<u8>,
    done: usize,
    end: usize,
    removed: Removed,
}

impl<'t> EditsInOrder<'t> {
    /// A part of a text, without edits.
    pub fn new(text: &'t [u8], part: Span) -> Self {
        Self {
            text,
            out: Vec::with_capacity(part.len()),
            done: part.start,
            end: part.end,
            removed: Removed::default(),
        }
    }

    /// Replaces a part of the text. The caller appends the new text.
    pub fn replace(&mut self, span: Span) -> &mut Vec<u8> {
        let kept = self.text.get(self.done..span.start).unwrap_or_default();
        self.out.extend_from_slice(kept);
        self.done = self.done.max(span.end);
        &mut self.out
    }

    /// Removes an element of an array or a member of an object, with its comma.
    pub fn remove(&mut self, element: &Element) {
        let cut = self.removed.cut(element);
        self.replace(cut);
    }

    /// The edited part.
    pub fn finish(mut self) -> Vec<u8> {
        self.replace(self.end..self.end);
        self.out
    }
}

/// Whether everything was removed that stands before an element in its list.
#[derive(Debug, Default)]
struct Removed {
    /// Where the next element starts, if all before it are gone.
    next: Option<usize>,
}

impl Removed {
    fn cut(&mut self, element: &Element) -> Span {
        let is_first = element.index == 0 || self.next == Some(element.span.start);
        self.next = element.behind.filter(|_| is_first);
        element.cut(if is_first { element.index } else { 0 })
    }
}

#[cfg(test)]
mod tests;
