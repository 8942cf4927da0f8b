//! The description of the arguments of a tool or prompt.

use std::collections::BTreeSet;

use super::cuts::Cuts;
use super::hidden::{ArgumentPlace, Hidden};
use super::keywords::Keyword;
use super::walk::{Schema, SchemaWalk};
use super::{weaken, write};
use base::json::edits::Edits;
use base::json::tree::{Node, Value};
use mcp::method::List;
use mcp::server_list::Item;

/// The description of the arguments of a listed item.
#[derive(Debug)]
pub(in crate::response) struct Arguments<'t>(Description<'t>);

#[derive(Debug)]
enum Description<'t> {
    /// A tool's `inputSchema`.
    Schema(SchemaWalk<'t, ArgumentPlace>),
    /// A prompt's `arguments`.
    List(&'t Node),
    /// The item has no arguments, or describes none.
    None,
}

impl<'t> Arguments<'t> {
    /// Finds the description in an item.
    pub(in crate::response) fn of(item: &Item<'t>, hidden: &Hidden<'_>) -> Self {
        let described = |key| item.item.node.member(key);
        let description = match item.list {
            List::Tools => described("inputSchema")
                .map(|schema| Description::Schema(SchemaWalk::through(schema, hidden))),
            List::Prompts => described("arguments").map(Description::List),
            List::Resources | List::ResourceTemplates => None,
        };
        Self(description.unwrap_or(Description::None))
    }

    /// Removes hidden arguments. True: there are some.
    pub(in crate::response) fn hide(
        &self,
        hidden: &Hidden<'_>,
        body: &[u8],
        edits: &mut Edits,
    ) -> bool {
        match &self.0 {
            Description::Schema(walk) => {
                let shown = without(hidden, walk, body);
                let is_other = shown.is_some();
                if let Some(shown) = shown {
                    edits.replace(walk.root.span.clone(), shown);
                }
                is_other
            }
            Description::List(arguments) => remove_arguments(hidden, arguments, edits),
            Description::None => false,
        }
    }

    /// The arguments that the filter adds to calls, as the description spells them.
    pub(in crate::response) fn added(&self, hidden: &Hidden<'_>) -> BTreeSet<String> {
        let texts: Vec<&str> = match &self.0 {
            Description::Schema(walk) => {
                let top = walk
                    .schemas()
                    .filter(|schema| schema.places.contains(&ArgumentPlace::arguments()));
                top.flat_map(|schema| names(&schema)).collect()
            }
            Description::List(arguments) => {
                let arguments = arguments.children().iter();
                let names = arguments.map(|argument| argument.node.member("name"));
                names.filter_map(|name| name?.text()).collect()
            }
            Description::None => Vec::new(),
        };
        let added = texts
            .into_iter()
            .filter(|text| hidden.added(text).is_some());
        added.map(str::to_owned).collect()
    }
}

/// The members that a schema names.
fn names<'t, P>(schema: &Schema<'_, 't, P>) -> Vec<&'t str> {
    let properties = schema.keyword(Keyword::Properties);
    let properties = properties.map_or(&[][..], Node::members);
    let required = schema.keyword(Keyword::Required);
    let required = required.map_or(&[][..], Node::children);
    let required = required.iter().filter_map(|name| name.node.text());
    properties
        .iter()
        .map(|property| &*property.key)
        .chain(required)
        .collect()
}

/// The schema of a walk, which is in `text`, without hidden arguments. `None`: it has none.
fn without(
    hidden: &Hidden<'_>,
    walk: &SchemaWalk<'_, ArgumentPlace>,
    text: &[u8],
) -> Option<Vec<u8>> {
    let mut cuts = Cuts::of_names(walk, hidden);
    if cuts.is_empty() {
        return None;
    }
    weaken::weaken(walk, &mut cuts);
    Some(write::write(walk, &cuts, text))
}

/// Removes hidden arguments from a prompt's list of arguments. True: there are some.
fn remove_arguments(hidden: &Hidden<'_>, arguments: &Node, edits: &mut Edits) -> bool {
    let Value::Array(elements) = &arguments.value else {
        return false;
    };
    let is_hidden = |argument: &Node| {
        let name = argument.member("name").and_then(Node::text);
        name.is_some_and(|name| hidden.hides(name, &ArgumentPlace::arguments()))
    };
    let mut any = false;
    for child in elements.iter().filter(|child| is_hidden(&child.node)) {
        edits.remove_element(&child.element);
        any = true;
    }
    any
}
