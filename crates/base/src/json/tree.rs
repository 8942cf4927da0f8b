//! A value as a tree, for code that visits a value more than once. Every node has its position in the
//! text, so that edits leave all other bytes alone.

use std::borrow::Cow;
use std::rc::Rc;

use super::shared_text::SharedText;
use super::{Element, JsonError, JsonErrorKind, Kind, Reader, Span, Text};

/// A value and its position.
#[derive(Debug)]
pub struct Node {
    /// Its position.
    pub span: Span,
    /// Its content.
    pub value: Value,
    /// The numbers of this value and of the values in it.
    numbers: Span,
}

/// The number of a node within its tree. Values have numbers from 0, in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

impl NodeId {
    /// The id of the node with this number.
    pub fn of(number: usize) -> Self {
        Self(number)
    }

    /// The number.
    pub fn number(self) -> usize {
        self.0
    }
}

/// The content of a value.
#[derive(Debug)]
pub enum Value {
    /// Its elements.
    Array(Vec<Child>),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A number, as written.
    Number(SharedText),
    /// Its members.
    Object(Vec<Child>),
    /// A string, with escapes resolved.
    Text(SharedText),
}

/// An element of an array, or a member of an object.
#[derive(Debug)]
pub struct Child {
    /// The key; empty for an array element.
    pub key: SharedText,
    /// The position of the key, with its quotes; empty for an array element.
    pub key_span: Span,
    /// Its position, to remove it.
    pub element: Element,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Reads a whole text.
    ///
    /// # Errors
    ///
    /// It is not strict JSON.
    pub fn read(input: &[u8], max_depth: usize) -> Result<Self, JsonError> {
        Self::read_within(input, max_depth, &mut { usize::MAX })
    }

    /// Reads a whole text that has no more values than `values_left`, which it subtracts its own from. A
    /// value needs up to 80 times the memory of its text.
    ///
    /// # Errors
    ///
    /// It is not strict JSON, or has more values.
    pub fn read_within(
        input: &[u8],
        max_depth: usize,
        values_left: &mut usize,
    ) -> Result<Self, JsonError> {
        let mut reader = Reader::new(input, max_depth);
        let mut tree = TreeReader {
            source: reader.text.into(),
            values: 0,
            values_left,
            lengths: [0; MAX_NOTED_DEPTH],
        };
        let node = tree.value(&mut reader)?;
        reader.end()?;
        Ok(node)
    }

    /// Identifies the node within its tree.
    #[inline]
    pub fn id(&self) -> NodeId {
        NodeId(self.numbers.start)
    }

    /// The numbers of the values in it.
    pub fn inner_numbers(&self) -> Span {
        self.numbers.start.saturating_add(1)..self.numbers.end
    }

    /// Its text, if it is a string.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number as written, if it is one.
    pub fn number(&self) -> Option<&str> {
        match &self.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Its members, if it is an object.
    pub fn members(&self) -> &[Child] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Its members or elements.
    pub fn children(&self) -> &[Child] {
        match &self.value {
            Value::Array(children) | Value::Object(children) => children,
            _ => &[],
        }
    }

    /// The member with this key.
    pub fn member(&self, key: &str) -> Option<&Self> {
        let mut members = self.members().iter();
        let member = members.find(|member| *member.key == *key);
        member.map(|member| &member.node)
    }
}

/// Reads a tree.
struct TreeReader<'v> {
    /// The input. All texts are parts of it.
    source: Rc<str>,
    /// The number of values that were read.
    values: usize,
    values_left: &'v mut usize,
    /// The lengths of the last lists and objects of each depth: most have as many entries as the one before.
    lengths: [u8; MAX_NOTED_DEPTH],
}

/// The depth up to which lengths are noted.
const MAX_NOTED_DEPTH: usize = 32;
/// The number of entries that get memory with the first one, if the container before had as many.
const MAX_AT_ONCE: u8 = 64;
/// The same without a container before.
const FIRST_AT_ONCE: u8 = 4;

impl TreeReader<'_> {
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<Node, JsonError> {
        let kind = reader.kind()?;
        *self.values_left = self.values_left.checked_sub(1).ok_or(JsonError {
            kind: JsonErrorKind::TooManyValues,
            at: reader.position(),
        })?;
        let number = self.values;
        self.values = number.saturating_add(1);
        let (span, value) = match kind {
            Kind::Object => self.object(reader)?,
            Kind::Array => self.array(reader)?,
            Kind::String => {
                let text = reader.string()?;
                (text.span.clone(), Value::Text(self.text(text)))
            }
            Kind::Number => {
                let span = reader.number()?;
                let written = SharedText::of_part(&self.source, span.clone());
                (span, Value::Number(written))
            }
            Kind::Bool => {
                let span = reader.literal()?;
                let value = reader.bytes(span.clone()) == b"true";
                (span, Value::Bool(value))
            }
            Kind::Null => (reader.literal()?, Value::Null),
        };
        Ok(Node {
            span,
            value,
            numbers: number..self.values,
        })
    }

    fn text(&self, text: Text<'_>) -> SharedText {
        match text.value {
            Cow::Borrowed(_) => {
                let Span { start, end } = text.span;
                let inside = start.saturating_add(1)..end.saturating_sub(1);
                SharedText::of_part(&self.source, inside)
            }
            Cow::Owned(resolved) => resolved.into(),
        }
    }

    fn object(&mut self, reader: &mut Reader<'_>) -> Result<(Span, Value), JsonError> {
        let mut children: Vec<Child> = Vec::new();
        let span = reader.object(|reader, member| {
            if let Some(last) = children.last_mut() {
                last.element.behind = Some(member.key.span.start);
            }
            let mut element = Element::of_member(&member);
            let node = self.value(reader)?;
            element.span.end = node.span.end;
            self.make_room(&mut children, reader.depth);
            children.push(Child {
                key_span: member.key.span.clone(),
                key: self.text(member.key),
                element,
                node,
            });
            Ok::<(), JsonError>(())
        })?;
        self.note_length(children.len(), reader.depth.saturating_add(1));
        Ok((span, Value::Object(children)))
    }

    /// Memory for as many entries as the last container had, with the first one.
    #[inline]
    fn make_room(&self, children: &mut Vec<Child>, depth: usize) {
        if children.is_empty() {
            let last = self.lengths.get(depth).filter(|last| **last > 0);
            children.reserve_exact(usize::from(*last.unwrap_or(&FIRST_AT_ONCE)));
        }
    }

    fn note_length(&mut self, length: usize, depth: usize) {
        if let Some(last) = self.lengths.get_mut(depth).filter(|_| length > 0) {
            *last = u8::try_from(length).map_or(MAX_AT_ONCE, |length| length.min(MAX_AT_ONCE));
        }
    }

    fn array(&mut self, reader: &mut Reader<'_>) -> Result<(Span, Value), JsonError> {
        let mut children: Vec<Child> = Vec::new();
        let span = reader.array(|reader| {
            let node = self.value(reader)?;
            let before = children.last_mut().map(|last| {
                last.element.behind = Some(node.span.start);
                last.element.span.end
            });
            let element = Element {
                span: node.span.clone(),
                index: children.len(),
                before,
                behind: None,
            };
            self.make_room(&mut children, reader.depth);
            children.push(Child {
                key: SharedText::default(),
                key_span: 0..0,
                element,
                node,
            });
            Ok::<(), JsonError>(())
        })?;
        self.note_length(children.len(), reader.depth.saturating_add(1));
        Ok((span, Value::Array(children)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values of a tree, in order.
    fn all<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
        found.push(node);
        for child in node.children() {
            all(&child.node, found);
        }
    }

    #[test]
    fn values_are_numbered_in_the_order_of_the_text() {
        let text = r#"{"a":[1,{"b":[]},"x"],"c":{},"d":null}"#;
        let root = Node::read(text.as_bytes(), 8).unwrap();
        let mut found = Vec::new();
        all(&root, &mut found);
        assert!(found.is_sorted_by_key(|node| node.span.start));
        for (number, node) in found.iter().enumerate() {
            assert_eq!(node.id().number(), number);
            let mut inside = Vec::new();
            all(node, &mut inside);
            let inner = node.inner_numbers();
            assert_eq!(inner.start, number + 1);
            assert_eq!(inner.len(), inside.len() - 1);
        }
    }

    #[test]
    fn texts_are_those_of_the_input_with_escapes_resolved() {
        let text = r#"{"é\u0061":"ü\n","b":["", "plain", -1.50]}"#;
        let root = Node::read(text.as_bytes(), 8).unwrap();
        let keys: Vec<&str> = root.members().iter().map(|member| &*member.key).collect();
        assert_eq!(keys, ["éa", "b"]);
        assert_eq!(root.member("éa").unwrap().text(), Some("ü\n"));
        let list = root.member("b").unwrap().children();
        assert_eq!(list[0].node.text(), Some(""));
        assert_eq!(list[1].node.text(), Some("plain"));
        assert_eq!(list[2].node.number(), Some("-1.50"));
        assert_eq!(&*list[2].key, "");
    }
}
