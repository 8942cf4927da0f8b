//! The changes of a message of the server. The message is read once. Each concern sees the changes of the
//! ones before it, and adds its own. They are written once, at the end.

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
    /// The new texts, by the start of the old ones.
    texts: BTreeMap<usize, WrittenText>,
    /// The texts that hold JSON, by their start.
    embedded: BTreeMap<usize, EmbeddedEdits>,
    /// The number of values that may still be read of the message.
    values: Rc<ValuesLeft>,
}

/// Replaces a text that cannot be searched.
pub(super) const WITHHELD: &str = "[withheld]";

/// The replacement of a text. A withheld text stays withheld, whatever later concerns decide: the stricter
/// of two changes counts.
#[derive(Debug)]
enum WrittenText {
    /// The text without hidden values.
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

/// A text that holds JSON, and its changes.
#[derive(Debug)]
pub(super) struct EmbeddedEdits {
    span: Span,
    text: String,
    pub(super) node: Node,
    pub(super) changes: Changes,
}

/// The content of a text.
pub(super) enum Held<'n> {
    /// JSON. The caller must return it to [`Changes::close`].
    Json(EmbeddedEdits),
    /// Text that lenient parsers may read as JSON.
    Nearly(Cow<'n, str>),
    /// Words.
    Words(Cow<'n, str>),
}

impl Changes {
    /// No changes. `values` limits the values that are read of the message.
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

    /// The number of values that may still be read of the message.
    pub(super) fn values(&self) -> &ValuesLeft {
        &self.values
    }

    /// The edits of JSON. Later concerns do not inspect what they write.
    pub(super) fn edits(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// Whether a value was removed, alone or with an outer value.
    pub(super) fn is_gone(&self, node: &Node) -> bool {
        self.edits.fate(&node.span) == Fate::Gone
    }

    /// A text after the changes so far. `None` for other values.
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

    /// A number after the changes so far. `None` for other values.
    pub(super) fn number<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let is_kept = || self.edits.fate(&node.span) == Fate::Kept;
        node.number().filter(|_| is_kept())
    }

    /// A key after the changes so far.
    pub(super) fn key<'n>(&self, child: &'n Child) -> Cow<'n, str> {
        // A new key is an edit too, and most keys are in no edit.
        if child.key_span.is_empty() || self.edits.fate(&child.key_span) == Fate::Kept {
            return Cow::Borrowed(&child.key);
        }
        let new = self.written(child.key_span.start);
        new.map_or(Cow::Borrowed(&child.key), Cow::Owned)
    }

    fn written(&self, start: usize) -> Option<String> {
        let now = self.texts.get(&start)?;
        Some(now.text().to_owned())
    }

    /// Replaces a text, unless it is withheld.
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

    /// Renames a member.
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

    /// Replaces a value by JSON without hidden values.
    pub(super) fn set_json(&mut self, node: &Node, json: impl Into<Vec<u8>>) {
        self.embedded.remove(&node.span.start);
        self.texts.remove(&node.span.start);
        self.edits.replace(node.span.clone(), json);
    }

    /// Removes an element or a member.
    pub(super) fn remove(&mut self, element: &Element) {
        self.edits.remove_element(element);
    }

    /// Opens a text. It is read once. `None`: it is no text, or was removed or withheld.
    pub(super) fn open<'n>(&mut self, node: &'n Node, max_depth: usize) -> Option<Held<'n>> {
        let text = node.text()?;
        let fate = self.edits.fate(&node.span);
        if fate == Fate::Gone || fate == Fate::Replaced && self.is_withheld(node) {
            return None;
        }
        if let Some(embedded) = self.embedded.remove(&node.span.start) {
            return Some(Held::Json(embedded));
        }
        let now = match fate {
            Fate::Replaced => self.written(node.span.start),
            Fate::Kept | Fate::Gone => None,
        };
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

    /// Keeps the changes of a text that was opened.
    pub(super) fn close(&mut self, embedded: EmbeddedEdits) {
        self.embedded.insert(embedded.span.start, embedded);
    }

    /// The changed text. `None`: without changes.
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
    /// JSON in a text without a position in the message, as in base64. `around`: the changes of the
    /// message.
    pub(super) fn of(text: &str, node: Node, around: &Changes) -> Self {
        Self {
            span: node.span.clone(),
            text: text.to_owned(),
            node,
            changes: around.of_inner(),
        }
    }

    /// The changed text. `None`: without changes.
    pub(super) fn changed(&self) -> Option<String> {
        let changed = self.changes.apply(self.text.as_bytes())?;
        String::from_utf8(changed).ok()
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    // Writing a text to memory cannot fail.
    serde_json::to_string(text).unwrap_or_else(|_| serde_json::Value::from(text).to_string())
}
