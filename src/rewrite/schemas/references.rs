//! What a `$ref` refers to, within its own schema.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::mcp::json::{Kind, NodeId, Tree};

/// The schemas of a tree that have a name of their own.
#[derive(Debug)]
pub(super) struct Anchors<'t>(HashMap<&'t str, NodeId>);

impl<'t> Anchors<'t> {
    pub(super) fn of(tree: &'t Tree<'_>) -> Self {
        let mut anchors = HashMap::new();
        for (id, _) in tree.nodes() {
            for keyword in ["$anchor", "$dynamicAnchor"] {
                let name = tree.member(id, keyword);
                let name = name.and_then(|name| tree.node(name).text.as_deref());
                anchors.extend(name.map(|name| (name, id)));
            }
        }
        Self(anchors)
    }

    /// The schema a reference is about; `None` if it is in another document, or nowhere.
    pub(super) fn resolve(&self, tree: &Tree<'_>, reference: &str) -> Option<NodeId> {
        let fragment = reference.strip_prefix('#')?;
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() {
            return Some(tree.root());
        }
        match fragment.strip_prefix('/') {
            Some(path) => path.split('/').try_fold(tree.root(), |node, step| {
                // RFC 6901 section 4.
                let step = step.replace("~1", "/").replace("~0", "~");
                match tree.node(node).kind {
                    Kind::Array => {
                        let index: usize = step.parse().ok()?;
                        Some(tree.node(node).children.get(index)?.node)
                    }
                    _ => tree.member(node, &step),
                }
            }),
            None => self.0.get(&*fragment).copied(),
        }
    }
}
