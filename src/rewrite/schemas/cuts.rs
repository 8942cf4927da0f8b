//! The places in a schema that name a hidden argument.

use std::collections::HashSet;

use super::data;
use super::hidden::{Hidden, Place};
use super::walk::Walk;
use crate::mcp::json::{Child, Kind, NodeId, Tree};

/// What is taken out of a schema or changed in it.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Values that go, with their keys.
    pub(super) gone: HashSet<NodeId>,
    /// The schemas that named a hidden argument themselves.
    pub(super) changed: HashSet<NodeId>,
    /// Values of `oneOf` that become `anyOf`.
    pub(super) any_of: HashSet<NodeId>,
    /// Whether a schema is gone that may have said which members are known (`unevaluated*`).
    pub(super) knows_less: bool,
}

impl Cuts {
    /// Finds every hidden name.
    pub(super) fn of_names(tree: &Tree<'_>, walk: &Walk, hidden: &Hidden<'_>) -> Self {
        let mut cuts = Self::default();
        for (schema, places) in &walk.schemas {
            let node = tree.node(*schema);
            let before = cuts.gone.len();
            for keyword in node.children.iter().filter(|_| node.kind == Kind::Object) {
                cuts.keyword(tree, hidden, keyword, places);
            }
            if cuts.gone.len() > before {
                cuts.changed.insert(*schema);
            }
        }
        cuts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    fn keyword(
        &mut self,
        tree: &Tree<'_>,
        hidden: &Hidden<'_>,
        keyword: &Child<'_>,
        places: &[Place],
    ) {
        let value = tree.node(keyword.node);
        match (&*keyword.key, value.kind) {
            ("properties", Kind::Object) => {
                self.members(tree, keyword.node, |key| is_hidden(hidden, key, places));
            }
            ("required", Kind::Array) => self.names(tree, hidden, keyword.node, places),
            ("dependentRequired" | "dependentSchemas" | "dependencies", Kind::Object) => {
                self.dependencies(tree, hidden, keyword, places);
            }
            ("propertyNames", Kind::Object) => {
                self.property_names(tree, hidden, keyword.node, places);
            }
            // OpenAPI's; it names a property and says nothing else that a validator heeds.
            ("discriminator", Kind::Object) => {
                let property = tree.member(keyword.node, "propertyName");
                if property.is_some_and(|name| says_hidden(tree, hidden, name, places)) {
                    self.gone.insert(keyword.node);
                }
            }
            ("const" | "default" | "example", _) => {
                data::value(tree, hidden, keyword.node, places, &mut self.gone);
            }
            ("enum" | "examples", Kind::Array) => {
                for element in &value.children {
                    data::value(tree, hidden, element.node, places, &mut self.gone);
                }
            }
            // Names that match a pattern are not told apart by taking it out.
            _ => {}
        }
    }

    /// Cuts members by their keys.
    fn members(&mut self, tree: &Tree<'_>, object: NodeId, is_hidden: impl Fn(&str) -> bool) {
        let members = tree.node(object).children.iter();
        let found = members.filter(|member| is_hidden(&member.key));
        self.gone.extend(found.map(|member| member.node));
    }

    /// Cuts names out of a list. One that has no others goes: earlier drafts know no empty ones.
    fn names(&mut self, tree: &Tree<'_>, hidden: &Hidden<'_>, list: NodeId, places: &[Place]) {
        let names = &tree.node(list).children;
        let found = names.iter().map(|name| name.node);
        let found = found.filter(|name| says_hidden(tree, hidden, *name, places));
        let found: Vec<NodeId> = found.collect();
        if found.len() == names.len() && !found.is_empty() {
            self.gone.insert(list);
        }
        self.gone.extend(found);
    }

    fn dependencies(
        &mut self,
        tree: &Tree<'_>,
        hidden: &Hidden<'_>,
        keyword: &Child<'_>,
        places: &[Place],
    ) {
        for member in &tree.node(keyword.node).children {
            let is_list = tree.node(member.node).kind == Kind::Array;
            if is_hidden(hidden, &member.key, places) {
                self.gone.insert(member.node);
                self.knows_less |= !is_list;
            } else if is_list {
                self.names(tree, hidden, member.node, places);
            }
        }
    }

    fn property_names(
        &mut self,
        tree: &Tree<'_>,
        hidden: &Hidden<'_>,
        names: NodeId,
        places: &[Place],
    ) {
        if let Some(list) = tree.member(names, "enum") {
            self.names(tree, hidden, list, places);
            if self.gone.contains(&list) {
                self.gone.insert(names);
            }
        }
        if let Some(name) = tree.member(names, "const")
            && says_hidden(tree, hidden, name, places)
        {
            self.gone.insert(names);
        }
    }
}

/// Whether a key is hidden at every place where it can stand.
pub(super) fn is_hidden(hidden: &Hidden<'_>, key: &str, places: &[Place]) -> bool {
    places.iter().all(|place| hidden.hides(key, place))
}

fn says_hidden(tree: &Tree<'_>, hidden: &Hidden<'_>, name: NodeId, places: &[Place]) -> bool {
    let name = tree.node(name).text.as_deref();
    name.is_some_and(|name| is_hidden(hidden, name, places))
}
