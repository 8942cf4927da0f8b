//! The changes of a message of the server. The message is read once. Each concern sees the changes of the
//! ones before it, and adds its own. They are written once, at the end.

mod fates;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use self::fates::{Fates, ValueFate};
use super::embedded::{Inside, ValuesLeft};
use base::json::edits::{Edits, EditsInOrder, Fate};
use base::json::tree::{Child, Node, NodeId};
use base::json::{Element, Span};

/// Changes of one JSON text.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Edits of other parts than whole values. They come before all other changes.
    edits: Edits,
    /// What happens to each value.
    fates: Fates,
    changed: Vec<ChangedValue>,
    /// The new keys of members, by the numbers of their values.
    keys: BTreeMap<NodeId, NewKey>,
    /// The number of values that may still be read of the message.
    values: Rc<ValuesLeft>,
}

/// A change of one value.
#[derive(Debug)]
enum ChangedValue {
    /// The element or member is removed.
    Removed(Element),
    /// JSON replaces the value.
    Json { span: Span, json: Vec<u8> },
    /// A text.
    Text(ChangedText),
}

/// A text that has changes, or may have them.
#[derive(Debug)]
struct ChangedText {
    span: Span,
    /// The new text.
    written: Option<WrittenText>,
    /// The JSON in the text, and its changes.
    embedded: Option<Box<EmbeddedEdits>>,
}

/// A new key of a member.
#[derive(Debug)]
struct NewKey {
    span: Span,
    key: String,
}

/// Replaces a text that cannot be searched.
pub(super) const WITHHELD: &str = "[withheld]";

/// The replacement of a text. A withheld text stays withheld, whatever later concerns decide: the stricter
/// of two changes counts.
#[derive(Debug)]
enum WrittenText {
    /// The text without hidden values.
    Without(Cow<'static, str>),
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
    /// The text's place in the message, and its number.
    place: (Span, NodeId),
    text: String,
    pub(super) node: Node,
    pub(super) changes: Changes,
}

/// The content of a text.
pub(super) enum Held<'n> {
    /// JSON. The caller must return it to [`Changes::close`].
    Json(Box<EmbeddedEdits>),
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

    /// The effect of the changes so far on a value.
    #[inline]
    fn fate(&self, node: &Node) -> Fate {
        let own = match self.fates.of(node.id()) {
            ValueFate::Kept | ValueFate::Words => Fate::Kept,
            ValueFate::Gone => Fate::Gone,
            ValueFate::Changed(at) => self.changed.get(at).map_or(Fate::Kept, ChangedValue::fate),
        };
        match own {
            Fate::Gone => Fate::Gone,
            own if self.edits.is_empty() => own,
            own => match (self.edits.fate(&node.span), own) {
                (Fate::Kept, own) => own,
                (others, _) => others,
            },
        }
    }

    /// Whether a value was removed, alone or with an outer value.
    #[inline]
    pub(super) fn is_gone(&self, node: &Node) -> bool {
        self.fate(node) == Fate::Gone
    }

    /// The change of a text.
    #[inline]
    fn changed_text(&self, node: &Node) -> Option<&ChangedText> {
        let ValueFate::Changed(at) = self.fates.of(node.id()) else {
            return None;
        };
        match self.changed.get(at) {
            Some(ChangedValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text after the changes so far. `None` for other values.
    pub(super) fn text<'n>(&self, node: &'n Node) -> Option<Cow<'n, str>> {
        let text = node.text()?;
        let fate = self.fate(node);
        let changed = self.changed_text(node);
        let embedded = changed.and_then(|changed| changed.embedded.as_ref()?.changed());
        match (fate, embedded) {
            (Fate::Gone, _) => None,
            (_, Some(changed)) => Some(Cow::Owned(changed)),
            (Fate::Kept, None) => Some(Cow::Borrowed(text)),
            (Fate::Replaced, None) => {
                let written = changed?.written.as_ref()?;
                Some(Cow::Owned(written.text().to_owned()))
            }
        }
    }

    /// A number after the changes so far. `None` for other values.
    pub(super) fn number<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let is_kept = || self.fate(node) == Fate::Kept;
        node.number().filter(|_| is_kept())
    }

    /// A key after the changes so far.
    #[inline]
    pub(super) fn key<'k>(&self, child: &'k Child) -> Cow<'k, str> {
        // Few messages have new keys.
        let new = match self.keys.is_empty() {
            true => None,
            false => self.keys.get(&child.node.id()),
        };
        match new {
            None => Cow::Borrowed(&child.key),
            Some(new) => Cow::Owned(new.key.clone()),
        }
    }

    /// Replaces a text, unless it is withheld.
    pub(super) fn set_text(&mut self, node: &Node, text: impl Into<Cow<'static, str>>) {
        self.write(node, WrittenText::Without(text.into()));
    }

    /// Withholds a text.
    pub(super) fn withhold(&mut self, node: &Node) {
        self.write(node, WrittenText::Withheld);
    }

    /// Whether a text is withheld.
    pub(super) fn is_withheld(&self, node: &Node) -> bool {
        let written = self
            .changed_text(node)
            .and_then(|text| text.written.as_ref());
        matches!(written, Some(WrittenText::Withheld))
    }

    /// Renames a member.
    pub(super) fn set_key(&mut self, member: &Child, key: String) {
        let span = member.key_span.clone();
        self.keys.insert(member.node.id(), NewKey { span, key });
    }

    fn write(&mut self, node: &Node, text: WrittenText) {
        if self.is_withheld(node) {
            return;
        }
        self.change(
            node,
            ChangedValue::Text(ChangedText {
                span: node.span.clone(),
                written: Some(text),
                embedded: None,
            }),
        );
    }

    /// Replaces a value by JSON without hidden values.
    pub(super) fn set_json(&mut self, node: &Node, json: impl Into<Vec<u8>>) {
        let (span, json) = (node.span.clone(), json.into());
        self.change(node, ChangedValue::Json { span, json });
        self.fates.lose_inside(node);
    }

    /// Removes an element or a member.
    pub(super) fn remove(&mut self, child: &Child) {
        let removed = ChangedValue::Removed(child.element.clone());
        self.change(&child.node, removed);
        self.fates.lose_inside(&child.node);
    }

    /// Changes a value, unless it is gone. The later of two changes counts.
    fn change(&mut self, node: &Node, change: ChangedValue) {
        match self.fates.of(node.id()) {
            ValueFate::Gone => {}
            ValueFate::Changed(at) => {
                let before = self.changed.get_mut(at);
                if let Some(before) = before.filter(|before| before.fate() != Fate::Gone) {
                    *before = change;
                }
            }
            ValueFate::Kept | ValueFate::Words => self.first_change(node.id(), change),
        }
    }

    /// Opens a text. It is read once. `None`: it is no text, or was removed or withheld.
    pub(super) fn open<'n>(&mut self, node: &'n Node, max_depth: usize) -> Option<Held<'n>> {
        let text = node.text()?;
        let fate = self.fate(node);
        if fate == Fate::Gone || fate == Fate::Replaced && self.is_withheld(node) {
            return None;
        }
        if self.fates.of(node.id()) == ValueFate::Words {
            return Some(Held::Words(Cow::Borrowed(text)));
        }
        let text = match self.changed_text_mut(node.id()) {
            None => Cow::Borrowed(text),
            Some(changed) => {
                if let Some(embedded) = changed.embedded.take() {
                    return Some(Held::Json(embedded));
                }
                let written = changed.written.as_ref();
                written.map_or(Cow::Borrowed(text), |now| Cow::Owned(now.text().to_owned()))
            }
        };
        Some(match self.values.look(&text, max_depth) {
            Inside::Json(inner) => Held::Json(Box::new(EmbeddedEdits {
                place: (node.span.clone(), node.id()),
                text: text.into_owned(),
                node: inner,
                changes: self.of_inner(),
            })),
            Inside::Nearly => Held::Nearly(text),
            Inside::Words => {
                if self.fates.of(node.id()) == ValueFate::Kept {
                    self.fates.set(node.id(), ValueFate::Words);
                }
                Held::Words(text)
            }
        })
    }

    fn changed_text_mut(&mut self, id: NodeId) -> Option<&mut ChangedText> {
        let ValueFate::Changed(at) = self.fates.of(id) else {
            return None;
        };
        match self.changed.get_mut(at) {
            Some(ChangedValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Keeps the changes of a text that was opened.
    pub(super) fn close(&mut self, embedded: Box<EmbeddedEdits>) {
        let (span, id) = embedded.place.clone();
        if let Some(changed) = self.changed_text_mut(id) {
            changed.embedded = Some(embedded);
        } else if self.fates.of(id) == ValueFate::Kept {
            let changed = ChangedText {
                span,
                written: None,
                embedded: Some(embedded),
            };
            self.first_change(id, ChangedValue::Text(changed));
        }
    }

    fn first_change(&mut self, id: NodeId, change: ChangedValue) {
        let number = self.changed.len();
        self.fates.set(id, ValueFate::Changed(number));
        self.changed.push(change);
    }

    /// The changed text. `None`: without changes.
    pub(super) fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self.edits.is_empty() {
            true => self.apply_in_order(text),
            false => self.apply_among_edits(text),
        }
    }

    /// The same without other edits. The numbers of the values are the order of their changes.
    fn apply_in_order(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut writer = LazyWriter { text, writer: None };
        // The key of a member comes before its value.
        let mut keys = self
            .keys
            .iter()
            .filter(|(id, _)| !self.is_lost(**id))
            .peekable();
        for (id, at) in self.fates.changed() {
            while let Some((_, new)) = keys.next_if(|(key, _)| **key <= id) {
                write_quoted(&new.key, writer.replace(&new.span));
            }
            match self.changed.get(at) {
                Some(ChangedValue::Removed(element)) => {
                    writer.started().remove(element);
                }
                Some(ChangedValue::Json { span, json }) => {
                    writer.replace(span).extend_from_slice(json)
                }
                Some(ChangedValue::Text(changed)) => {
                    if let Some(now) = changed.now() {
                        write_quoted(&now, writer.replace(&changed.span));
                    }
                }
                None => {}
            }
        }
        for (_, new) in keys {
            write_quoted(&new.key, writer.replace(&new.span));
        }
        writer.writer.map(EditsInOrder::finish)
    }

    /// Whether the value with this number was removed, alone or with an outer value.
    fn is_lost(&self, id: NodeId) -> bool {
        match self.fates.of(id) {
            ValueFate::Kept | ValueFate::Words => false,
            ValueFate::Gone => true,
            ValueFate::Changed(at) => {
                let change = self.changed.get(at);
                change.is_some_and(|change| change.fate() == Fate::Gone)
            }
        }
    }

    /// The same with edits, which were there first.
    fn apply_among_edits(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut edits = self.edits.clone();
        for new in self.keys.values() {
            edits.replace(new.span.clone(), quoted(&new.key));
        }
        for change in &self.changed {
            match change {
                ChangedValue::Removed(element) => edits.remove_element(element),
                ChangedValue::Json { span, json } => edits.replace(span.clone(), json.as_slice()),
                ChangedValue::Text(changed) => {
                    if let Some(now) = changed.now() {
                        edits.replace(changed.span.clone(), quoted(&now));
                    }
                }
            }
        }
        edits.apply(text)
    }
}

/// A writer that is made for the first edit.
struct LazyWriter<'t> {
    text: &'t [u8],
    writer: Option<EditsInOrder<'t>>,
}

impl<'t> LazyWriter<'t> {
    fn started(&mut self) -> &mut EditsInOrder<'t> {
        let text = self.text;
        self.writer
            .get_or_insert_with(|| EditsInOrder::new(text, 0..text.len()))
    }

    fn replace(&mut self, span: &Span) -> &mut Vec<u8> {
        self.started().replace(span.clone())
    }
}

impl ChangedValue {
    fn fate(&self) -> Fate {
        match self {
            Self::Removed(_) => Fate::Gone,
            Self::Json { .. } => Fate::Replaced,
            Self::Text(text) if text.written.is_some() => Fate::Replaced,
            Self::Text(_) => Fate::Kept,
        }
    }
}

impl ChangedText {
    /// The text after the changes. `None`: without changes.
    fn now(&self) -> Option<Cow<'_, str>> {
        let embedded = self.embedded.as_ref().and_then(|inner| inner.changed());
        let written = self.written.as_ref();
        let written = || written.map(|written| Cow::Borrowed(written.text()));
        embedded.map(Cow::Owned).or_else(written)
    }
}

impl EmbeddedEdits {
    /// JSON in a text without a position in the message, as in base64. `around`: the changes of the
    /// message.
    pub(super) fn of(text: &str, node: Node, around: &Changes) -> Self {
        Self {
            place: (node.span.clone(), node.id()),
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

/// Appends a text as JSON.
fn write_quoted(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and the serializer writes nothing else before an error.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.extend_from_slice(quoted(text).as_bytes());
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    // Writing a text to memory cannot fail.
    serde_json::to_string(text).unwrap_or_else(|_| serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests;
