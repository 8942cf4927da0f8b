//! The places in a schema that name a hidden argument.

use std::collections::BTreeSet;

use super::data;
use super::hidden::{ArgumentPlace, Hidden};
use super::keywords::Keyword;
use super::walk::SchemaWalk;
use base::json::tree::{Child, Node, NodeId, Value};

/// The cuts and changes of a schema. Most schemas have few.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Values that are removed, with their keys.
    pub(super) gone: BTreeSet<NodeId>,
    /// The schemas that named a hidden argument themselves.
    pub(super) changed: BTreeSet<NodeId>,
    /// Values of `oneOf` that become `anyOf`.
    pub(super) any_of: BTreeSet<NodeId>,
    /// Whether a removed schema may have listed known members (`unevaluated*`).
    pub(super) knows_less: bool,
}

impl Cuts {
    /// Finds all hidden names.
    pub(super) fn of_names(walk: &SchemaWalk<'_, ArgumentPlace>, hidden: &Hidden<'_>) -> Self {
        let mut cuts = Self::default();
        for schema in walk.schemas() {
            let before = cuts.gone.len();
            for (keyword, child) in schema.keywords {
                cuts.keyword(hidden, *keyword, &child.node, schema.places);
            }
            if cuts.gone.len() > before {
                cuts.changed.insert(schema.node.id());
            }
        }
        cuts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    /// Removes these nodes.
    pub(super) fn remove<'t>(&mut self, nodes: impl IntoIterator<Item = &'t Node>) {
        self.gone.extend(nodes.into_iter().map(Node::id));
    }

    fn keyword(
        &mut self,
        hidden: &Hidden<'_>,
        keyword: Keyword,
        node: &Node,
        places: &[ArgumentPlace],
    ) {
        match (keyword, &node.value) {
            (Keyword::Properties, Value::Object(properties)) => {
                let found = properties.iter();
                let found = found.filter(|property| is_hidden(hidden, &property.key, places));
                self.remove(found.map(|property| &property.node));
            }
            (Keyword::Required, Value::Array(names)) => self.names(hidden, node, names, places),
            (
                Keyword::DependentRequired | Keyword::DependentSchemas | Keyword::Dependencies,
                Value::Object(dependencies),
            ) => self.dependencies(hidden, dependencies, places),
            (Keyword::PropertyNames, Value::Object(_)) => {
                self.property_names(hidden, node, places);
            }
            // `discriminator` of OpenAPI names a property. Validators ignore it.
            (Keyword::Discriminator, Value::Object(_)) => {
                let property = node.member("propertyName");
                let says_hidden = |name| says_hidden(hidden, name, places);
                self.remove(property.filter(|name| says_hidden(name)).map(|_| node));
            }
            (Keyword::Const | Keyword::Default | Keyword::Example, _) => {
                data::value(hidden, node, places, &mut self.gone);
            }
            (Keyword::Enum | Keyword::Examples, Value::Array(values)) => {
                for value in values {
                    data::value(hidden, &value.node, places, &mut self.gone);
                }
            }
            // The removal of a pattern does not separate the names that match it.
            _ => {}
        }
    }

    /// Cuts names from a list. A list without other names is removed: earlier drafts allow no empty lists.
    fn names(
        &mut self,
        hidden: &Hidden<'_>,
        list: &Node,
        names: &[Child],
        places: &[ArgumentPlace],
    ) {
        let found = names.iter().map(|name| &name.node);
        let found: Vec<&Node> = found
            .filter(|name| says_hidden(hidden, name, places))
            .collect();
        if found.len() == names.len() && !found.is_empty() {
            self.remove([list]);
        }
        self.remove(found);
    }

    fn dependencies(
        &mut self,
        hidden: &Hidden<'_>,
        dependencies: &[Child],
        places: &[ArgumentPlace],
    ) {
        for member in dependencies {
            match &member.node.value {
                value if is_hidden(hidden, &member.key, places) => {
                    self.remove([&member.node]);
                    self.knows_less |= matches!(value, Value::Object(_));
                }
                Value::Array(names) => self.names(hidden, &member.node, names, places),
                _ => {}
            }
        }
    }

    fn property_names(&mut self, hidden: &Hidden<'_>, schema: &Node, places: &[ArgumentPlace]) {
        if let Some(list) = schema.member("enum") {
            self.names(hidden, list, list.children(), places);
            if self.gone.contains(&list.id()) {
                self.remove([schema]);
            }
        }
        let only = schema.member("const");
        let only = only.filter(|name| says_hidden(hidden, name, places));
        self.remove(only.map(|_| schema));
    }
}

/// Whether a key is hidden at all its possible places.
pub(super) fn is_hidden(hidden: &Hidden<'_>, key: &str, places: &[ArgumentPlace]) -> bool {
    places.iter().all(|place| hidden.hides(key, place))
}

fn says_hidden(hidden: &Hidden<'_>, name: &Node, places: &[ArgumentPlace]) -> bool {
    name.text()
        .is_some_and(|name| is_hidden(hidden, name, places))
}
