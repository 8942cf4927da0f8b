//! A value with everything in it, for what cannot be understood in one pass. Messages are read
//! without one.

use std::borrow::Cow;

use super::{Element, JsonError, Kind, Reader, Span};

/// A value and all values inside it.
#[derive(Debug)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

/// A value of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// What is known of a value.
#[derive(Debug)]
pub struct Node<'a> {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// What it says, if it is a string.
    pub text: Option<Cow<'a, str>>,
    /// The members of an object, the elements of an array.
    pub children: Vec<Child<'a>>,
}

/// A member of an object or an element of an array.
#[derive(Debug)]
pub struct Child<'a> {
    /// The key; empty for an element.
    pub key: Cow<'a, str>,
    /// Where the key stands, with its quotes.
    pub key_span: Span,
    /// What to cut to take it out.
    pub element: Element,
    /// The value.
    pub node: NodeId,
}

static NOTHING: Node<'static> = Node {
    span: 0..0,
    kind: Kind::Null,
    text: None,
    children: Vec::new(),
};

impl<'a> Tree<'a> {
    /// Reads one JSON text.
    ///
    /// # Errors
    ///
    /// It is not strict JSON.
    pub fn read(input: &'a [u8], max_depth: usize) -> Result<Self, JsonError> {
        let mut tree = Self { nodes: Vec::new() };
        let mut reader = Reader::new(input, max_depth);
        tree.value(&mut reader)?;
        reader.end()?;
        Ok(tree)
    }

    /// The outermost value. Values inside others come before them.
    pub fn root(&self) -> NodeId {
        NodeId(self.nodes.len().saturating_sub(1))
    }

    /// A value of this tree.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        self.nodes.get(id.0).unwrap_or(&NOTHING)
    }

    /// All values.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node<'a>)> {
        let ids = (0..).map(NodeId);
        ids.zip(&self.nodes)
    }

    /// The value of an object's member.
    pub fn member(&self, object: NodeId, key: &str) -> Option<NodeId> {
        let object = self.node(object);
        let mut members = object.children.iter();
        let found = members.find(|child| object.kind == Kind::Object && child.key == key);
        found.map(|child| child.node)
    }

    fn value(&mut self, reader: &mut Reader<'a>) -> Result<NodeId, JsonError> {
        let kind = reader.kind()?;
        let mut text = None;
        let mut children: Vec<Child<'a>> = Vec::new();
        let span = match kind {
            Kind::Object => reader.object(|reader, member| {
                let start = member.key.span.start;
                let key_span = member.key.span;
                let node = self.value(reader)?;
                self.add(&mut children, start, member.key.value, key_span, node);
                Ok::<(), JsonError>(())
            })?,
            Kind::Array => reader.array(|reader| {
                reader.kind()?;
                let start = reader.position();
                let node = self.value(reader)?;
                self.add(&mut children, start, Cow::Borrowed(""), start..start, node);
                Ok::<(), JsonError>(())
            })?,
            Kind::String => {
                let string = reader.string()?;
                text = Some(string.value);
                string.span
            }
            Kind::Bool | Kind::Null | Kind::Number => reader.skip_kind(kind)?,
        };
        self.nodes.push(Node {
            span,
            kind,
            text,
            children,
        });
        Ok(self.root())
    }

    fn add(
        &self,
        children: &mut Vec<Child<'a>>,
        start: usize,
        key: Cow<'a, str>,
        key_span: Span,
        node: NodeId,
    ) {
        let index = children.len();
        let before = children.last_mut().map(|previous| {
            previous.element.behind = Some(start);
            previous.element.span.end
        });
        let element = Element {
            span: start..self.node(node).span.end,
            index,
            before,
            behind: None,
        };
        children.push(Child {
            key,
            key_span,
            element,
            node,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_everything_stands() {
        let input = r#" {"a" : [1, {"b":"x\u0079"} ,null], "c":{} } "#;
        let tree = Tree::read(input.as_bytes(), 8).unwrap();
        let written = |id: NodeId| input.get(tree.node(id).span.clone()).unwrap();
        let list = tree.member(tree.root(), "a").unwrap();
        assert_eq!(written(list), r#"[1, {"b":"x\u0079"} ,null]"#);
        let [first, second, third] = tree.node(list).children.as_slice() else {
            panic!("{list:?}");
        };
        let b = tree.member(second.node, "b").unwrap();
        assert_eq!(tree.node(b).text.as_deref(), Some("xy"));
        let cut = |child: &Child<'_>, cut_before| input.get(child.element.cut(cut_before)).unwrap();
        assert_eq!(cut(first, 0), "1, ");
        assert_eq!(cut(second, 0), r#", {"b":"x\u0079"}"#);
        assert_eq!(cut(third, 0), " ,null");
        assert_eq!(cut(third, 2), "null");
        assert_eq!(tree.member(list, "a"), None);
        assert!(Tree::read(br#"{"a":1,"a":2}"#, 8).is_err());
    }
}
