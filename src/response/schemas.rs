//! Hidden arguments: they are removed from the schemas of tools and from the arguments of prompts in lists.
//!
//! The shown schema accepts all calls that the server's own schema accepts, without those arguments. Where
//! the removal of a name would make a schema stricter (`not`, `if`, `oneOf`, counts of members), the
//! keyword is removed too. The server still checks its own schema, so keywords that are not understood here
//! stay. Identity arguments in a call are replaced or removed, whether they are shown or not.

mod cuts;
mod data;
mod hidden;
mod keywords;
mod output;
mod references;
mod walk;
mod weaken;
mod write;

pub(crate) use self::hidden::Hidden;

use self::cuts::Cuts;
use self::hidden::ArgumentPlace;
use self::walk::SchemaWalk;
use std::collections::BTreeSet;

use base::json::JsonError;
use base::json::edits::Edits;
use base::json::tree::{Node, Value};
use mcp::method::List;
use mcp::server_list::Item;
use policy::ResultRule;

/// Removes hidden arguments from a tool's `inputSchema` or a prompt's `arguments`. True: there are some.
pub(super) fn hide(hidden: &Hidden<'_>, item: &Item<'_>, body: &[u8], edits: &mut Edits) -> bool {
    let described = |key| item.item.node.member(key);
    match item.list {
        List::Tools => {
            let schema = described("inputSchema");
            let shown = schema.and_then(|schema| Some((schema, without(hidden, schema, body)?)));
            if let Some((schema, shown)) = shown {
                edits.replace(schema.span.clone(), shown);
                return true;
            }
            false
        }
        List::Prompts => {
            let arguments = described("arguments");
            arguments.is_some_and(|arguments| remove_arguments(hidden, arguments, edits))
        }
        List::Resources | List::ResourceTemplates => false,
    }
}

/// The arguments in a tool's or prompt's description that the filter adds to calls, as the description spells
/// them.
pub(super) fn added(hidden: &Hidden<'_>, item: &Item<'_>) -> BTreeSet<String> {
    let described = |key| item.item.node.member(key);
    let texts = match item.list {
        List::Tools => described("inputSchema").map_or_else(Vec::new, |schema| {
            let walk = SchemaWalk::through(schema, hidden);
            let top = walk
                .schemas()
                .filter(|(_, places)| places.contains(&ArgumentPlace::arguments()));
            top.flat_map(|(schema, _)| names(schema)).collect()
        }),
        List::Prompts => {
            let arguments = described("arguments").map_or(&[][..], Node::children);
            let names = arguments
                .iter()
                .map(|argument| argument.node.member("name"));
            names.filter_map(|name| name?.text()).collect()
        }
        List::Resources | List::ResourceTemplates => Vec::new(),
    };
    let added = texts
        .into_iter()
        .filter(|text| hidden.added(text).is_some());
    added.map(str::to_owned).collect()
}

/// The members that a schema names.
fn names(schema: &Node) -> Vec<&str> {
    let properties = schema.member("properties").map_or(&[][..], Node::members);
    let required = schema.member("required").map_or(&[][..], Node::children);
    let required = required.iter().filter_map(|name| name.node.text());
    properties
        .iter()
        .map(|property| &*property.key)
        .chain(required)
        .collect()
}

/// Changes a tool's `outputSchema` so that it describes results after the rules. True: it changed.
///
/// # Errors
///
/// The item is not strict JSON.
pub(super) fn fit(
    rules: &[&ResultRule],
    item: &Item<'_>,
    body: &[u8],
    edits: &mut Edits,
) -> Result<bool, JsonError> {
    let is_ruled = !rules.is_empty() && item.list == List::Tools;
    let schema = item.item.node.member("outputSchema");
    let Some(schema) = schema.filter(|_| is_ruled) else {
        return Ok(false);
    };
    let shown = output::after(rules, schema, body)?;
    let is_other = shown.is_some();
    if let Some(shown) = shown {
        edits.replace(schema.span.clone(), shown);
    }
    Ok(is_other)
}

/// A schema in `text` without hidden arguments. `None`: it has none.
fn without(hidden: &Hidden<'_>, root: &Node, text: &[u8]) -> Option<Vec<u8>> {
    let walk = SchemaWalk::through(root, hidden);
    let mut cuts = Cuts::of_names(&walk, hidden);
    if cuts.is_empty() {
        return None;
    }
    weaken::weaken(&walk, &mut cuts);
    Some(write::write(root, &walk, &cuts, text))
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

#[cfg(test)]
mod tests;
