//! Values of arguments written into a schema: `default`, `examples`, `const`, `enum`.

use std::collections::HashSet;

use super::cuts::is_hidden;
use super::hidden::{Hidden, Place};
use crate::mcp::json::{Kind, NodeId, Tree};

/// Finds hidden members in a value that stands at one of these places.
pub(super) fn value(
    tree: &Tree<'_>,
    hidden: &Hidden<'_>,
    value: NodeId,
    places: &[Place],
    gone: &mut HashSet<NodeId>,
) {
    let node = tree.node(value);
    match node.kind {
        Kind::Object => {
            for member in &node.children {
                if is_hidden(hidden, &member.key, places) {
                    gone.insert(member.node);
                } else {
                    let inside = [hidden.under(&member.key)];
                    self::value(tree, hidden, member.node, &inside, gone);
                }
            }
        }
        Kind::Array => {
            let inside: Vec<Place> = places.iter().map(Place::element).collect();
            for element in &node.children {
                self::value(tree, hidden, element.node, &inside, gone);
            }
        }
        Kind::Bool | Kind::Null | Kind::Number | Kind::String => {}
    }
}
