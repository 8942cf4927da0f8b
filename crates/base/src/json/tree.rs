//! A value as a tree, for what has to be looked at from more than one side. Every node knows where
//! it stands, so that edits leave the rest as it is.

use super::{Element, Fault, JsonError, Kind, Reader, Span};

/// A value.
#[derive(Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A node of a tree. No two values start at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// What a value is.
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
    /// What it says, escapes resolved.
    Text(String),
}

/// An element of an array, or a member of an object.
#[derive(Debug)]
pub struct Child {
    /// The key; empty for an element of an array.
    pub key: String,
    /// Where the key stands, with its quotes; nowhere for an element of an array.
    pub key_span: Span,
    /// Where it stands, to cut it out.
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
            fault: Fault::TooManyValues,
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

    /// What tells it from the other nodes of its tree.
    pub fn id(&self) -> NodeId {
        NodeId(self.span.start)
    }

    /// What it says, if it is a string.
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
