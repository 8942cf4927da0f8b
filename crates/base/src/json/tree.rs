//! A value as a tree, for code that visits a value more than once. Every node has its position in the
//! text, so that edits leave all other bytes alone.

use super::{Element, JsonError, JsonErrorKind, Kind, Reader, Span};

/// A value and its position.
#[derive(Debug)]
pub struct Node {
    /// Its position.
    pub span: Span,
    /// Its content.
    pub value: Value,
}

/// Identifies a node within its tree: no two values start at the same byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

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
    Number(String),
    /// Its members.
    Object(Vec<Child>),
    /// A string, with escapes resolved.
    Text(String),
}

/// An element of an array, or a member of an object.
#[derive(Debug)]
pub struct Child {
    /// The key; empty for an array element.
    pub key: String,
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
        let node = Self::value(&mut reader, values_left)?;
        reader.end()?;
        Ok(node)
    }

    fn value(reader: &mut Reader<'_>, values_left: &mut usize) -> Result<Self, JsonError> {
        let kind = reader.kind()?;
        *values_left = values_left.checked_sub(1).ok_or(JsonError {
            kind: JsonErrorKind::TooManyValues,
            at: reader.position(),
        })?;
        let (span, value) = match kind {
            Kind::Object => Self::object(reader, values_left)?,
            Kind::Array => Self::array(reader, values_left)?,
            Kind::String => {
                let text = reader.string()?;
                (text.span, Value::Text(text.value.into_owned()))
            }
            Kind::Number => {
                let span = reader.skip()?;
                let written = String::from_utf8_lossy(reader.bytes(span.clone())).into_owned();
                (span, Value::Number(written))
            }
            Kind::Bool => {
                let span = reader.skip()?;
                let value = reader.bytes(span.clone()) == b"true";
                (span, Value::Bool(value))
            }
            Kind::Null => (reader.skip()?, Value::Null),
        };
        Ok(Self { span, value })
    }

    fn object(
        reader: &mut Reader<'_>,
        values_left: &mut usize,
    ) -> Result<(Span, Value), JsonError> {
        let mut children: Vec<Child> = Vec::new();
        let span = reader.object(|reader, member| {
            if let Some(last) = children.last_mut() {
                last.element.behind = Some(member.key.span.start);
            }
            let mut element = Element::of_member(&member);
            let node = Self::value(reader, values_left)?;
            element.span.end = node.span.end;
            children.push(Child {
                key_span: member.key.span.clone(),
                key: member.key.value.into_owned(),
                element,
                node,
            });
            Ok::<(), JsonError>(())
        })?;
        Ok((span, Value::Object(children)))
    }

    fn array(reader: &mut Reader<'_>, values_left: &mut usize) -> Result<(Span, Value), JsonError> {
        let mut children: Vec<Child> = Vec::new();
        let span = reader.array(|reader| {
            let node = Self::value(reader, values_left)?;
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
            children.push(Child {
                key: String::new(),
                key_span: 0..0,
                element,
                node,
            });
            Ok::<(), JsonError>(())
        })?;
        Ok((span, Value::Array(children)))
    }

    /// Identifies the node within its tree.
    pub fn id(&self) -> NodeId {
        NodeId(self.span.start)
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
        let member = members.find(|member| member.key == key);
        member.map(|member| &member.node)
    }
}
