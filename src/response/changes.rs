//! What changes in a message of the server. The message is read once; each concern in its turn sees
//! what the ones before it changed, and adds its own changes. They are made once, at the end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::embedded::{Inside, ValuesLeft};
use base::json::edits::{Edits, Fate};
use base::json::tree::{Child, Node};
use base::json::{Element, Span};

/// Changes of one JSON text.
#[derive(Debug, Default)]
pub(super) struct Changes {
    edits: Edits,
    /// The texts that now stand in the place of others, by their start.
    texts: BTreeMap<usize, WrittenText>,
    /// The texts that are JSON once more, by their start.
    embedded: BTreeMap<usize, EmbeddedEdits>,
    /// How many more values are read of the message.
    values: Rc<ValuesLeft>,
}

/// In the place of a text that cannot be looked into.
pub(super) const WITHHELD: &str = "[withheld]";

/// What stands in the place of a text. A text that is withheld stays so, whatever is decided about it
/// later: so the stricter of two changes counts.
#[derive(Debug)]
enum WrittenText {
    /// The text without what is hidden in it.
    Without(String),
    /// [`WITHHELD`].
    Withheld,
}

impl WrittenText {
    fn text(&self) -> &str {
        match self {
            Self::Without(text) => text,
            Self::Withheld => WITHHELD,
        }
    }
}

/// A text that is JSON once more, and what changes in it.
#[derive(Debug)]
pub(super) struct EmbeddedEdits {
    span: Span,
    text: String,
    pub(super) node: Node,
    pub(super) changes: Changes,
}

/// What a text holds.
pub(super) enum Held<'n> {
    /// JSON. To be handed back to [`Changes::close`].
    Json(EmbeddedEdits),
    /// What some would read as JSON.
    Nearly(Cow<'n, str>),
    /// Words.
    Words(Cow<'n, str>),
}

impl Changes {
    /// No changes of a message of which no more values are read.
    pub(super) fn within(values: ValuesLeft) -> Self {
        Self {
            values: Rc::new(values),
            ..Self::default()
        }
    }

    /// No changes of a text of the same message.
    fn of_inner(&self) -> Self {
        Self {
            values: Rc::clone(&self.values),
            ..Self::default()
        }
    }

    /// How many more values are read of the message.
    pub(super) fn values(&self) -> &ValuesLeft {
        &self.values
    }

    /// The edits of what is written as JSON. What it writes is not looked at by later concerns.
    pub(super) fn edits(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// Whether a value was removed, alone or with something around it.
    pub(super) fn is_gone(&self, node: &Node) -> bool {
        self.edits.fate(&node.span) == Fate::Gone
    }

    /// A text as it reads now. `None` for anything else.
    pub(super) fn text<'n>(&self, node: &'n Node) -> Option<Cow<'n, str>> {
        let text = node.text()?;
        let start = node.span.start;
        let fate = self.edits.fate(&node.span);
        let embedded = self.embedded.get(&start).and_then(EmbeddedEdits::changed);
        match (fate, embedded) {
            (Fate::Gone, _) => None,
            (_, Some(changed)) => Some(Cow::Owned(changed)),
            (Fate::Kept, None) => Some(Cow::Borrowed(text)),
            (Fate::Replaced, None) => self.written(start).map(Cow::Owned),
        }
    }

    /// A number as it reads now. `None` for anything else.
    pub(super) fn number<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let is_kept = || self.edits.fate(&node.span) == Fate::Kept;
        node.number().filter(|_| is_kept())
    }

    /// A key as it reads now.
    pub(super) fn key<'n>(&self, child: &'n Child) -> Cow<'n, str> {
        match self.texts.get(&child.key_span.start) {
            Some(key) if !child.key_span.is_empty() => Cow::Owned(key.text().to_owned()),
            _ => Cow::Borrowed(&child.key),
        }
    }

    fn written(&self, start: usize) -> Option<String> {
        let now = self.texts.get(&start)?;
        Some(now.text().to_owned())
    }

    /// Replaces a text by another one, unless it is withheld.
    pub(super) fn set_text(&mut self, node: &Node, text: String) {
        self.write(&node.span, WrittenText::Without(text));
    }

    /// Withholds a text.
    pub(super) fn withhold(&mut self, node: &Node) {
        self.write(&node.span, WrittenText::Withheld);
    }

    /// Whether a text is withheld.
    pub(super) fn is_withheld(&self, node: &Node) -> bool {
        matches!(
            self.texts.get(&node.span.start),
            Some(WrittenText::Withheld)
        )
    }

    /// Gives a member another key.
    pub(super) fn set_key(&mut self, member: &Child, key: String) {
        self.write(&member.key_span, WrittenText::Without(key));
    }

    fn write(&mut self, span: &Span, text: WrittenText) {
        if matches!(self.texts.get(&span.start), Some(WrittenText::Withheld)) {
            return;
        }
        self.embedded.remove(&span.start);
        self.edits.replace(span.clone(), quoted(text.text()));
        self.texts.insert(span.start, text);
    }

    /// Replaces a value by one that nothing is hidden in.
    pub(super) fn set_json(&mut self, node: &Node, json: impl Into<Vec<u8>>) {
        self.embedded.remove(&node.span.start);
        self.texts.remove(&node.span.start);
        self.edits.replace(node.span.clone(), json);
    }

    /// Takes out an element or a member.
    pub(super) fn remove(&mut self, element: &Element) {
        self.edits.remove_element(element);
    }

    /// Looks into a text, which is read once. `None` if it is no text, is gone or is withheld.
    pub(super) fn open<'n>(&mut self, node: &'n Node, max_depth: usize) -> Option<Held<'n>> {
        let text = node.text()?;
        if self.is_gone(node) || self.is_withheld(node) {
            return None;
        }
        if let Some(embedded) = self.embedded.remove(&node.span.start) {
            return Some(Held::Json(embedded));
        }
        let now = self.written(node.span.start);
        let text = now.map_or(Cow::Borrowed(text), Cow::Owned);
        Some(match self.values.look(&text, max_depth) {
            Inside::Json(inner) => Held::Json(EmbeddedEdits {
                span: node.span.clone(),
                text: text.into_owned(),
                node: inner,
                changes: self.of_inner(),
            }),
            Inside::Nearly => Held::Nearly(text),
            Inside::Words => Held::Words(text),
        })
    }

    /// Keeps what changed in a text that was opened.
    pub(super) fn close(&mut self, embedded: EmbeddedEdits) {
        self.embedded.insert(embedded.span.start, embedded);
    }

    /// The text with all changes, or `None` without any.
    pub(super) fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        let embedded = self.embedded.values();
        let mut changed = embedded
            .filter_map(|embedded| Some((embedded.span.clone(), embedded.changed()?)))
            .peekable();
        if changed.peek().is_none() {
            return self.edits.apply(text);
        }
        let mut edits = self.edits.clone();
        for (span, text) in changed {
            edits.replace(span, quoted(&text));
        }
        edits.apply(text)
    }
}

impl EmbeddedEdits {
    /// JSON in a text that stands at no place of its own, as in base64. `around`: the changes of the
    /// message.
    pub(super) fn of(text: &str, node: Node, around: &Changes) -> Self {
        Self {
            span: node.span.clone(),
            text: text.to_owned(),
            node,
            changes: around.of_inner(),
        }
    }

    /// The text, if it changes.
    pub(super) fn changed(&self) -> Option<String> {
        let changed = self.changes.apply(self.text.as_bytes())?;
        String::from_utf8(changed).ok()
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
