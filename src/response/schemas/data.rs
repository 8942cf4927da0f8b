//! Values of arguments in a schema: `default`, `examples`, `const`, `enum`.

use std::collections::BTreeSet;

use super::cuts::is_hidden;
use super::hidden::{ArgumentPlace, Hidden};
use base::json::tree::{Node, NodeId, Value};

/// Finds hidden members in a value at one of these places.
pub(super) fn value(
    hidden: &Hidden<'_>,
    node: &Node,
    places: &[ArgumentPlace],
    gone: &mut BTreeSet<NodeId>,
) {
    match &node.value {
        Value::Object(members) => {
            for member in members {
                if is_hidden(hidden, &member.key, places) {
                    gone.insert(member.node.id());
                } else {
                    let mut inside: Vec<ArgumentPlace> = Vec::new();
                    for place in places.iter().map(|place| hidden.under(place, &member.key)) {
                        if !inside.contains(&place) {
                            inside.push(place);
                        }
                    }
                    value(hidden, &member.node, &inside, gone);
                }
            }
        }
        Value::Array(elements) => {
            let inside: Vec<ArgumentPlace> = places.iter().map(ArgumentPlace::element).collect();
            for element in elements {
                value(hidden, &element.node, &inside, gone);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Text(_) => {}
    }
}
