//! What a `$ref` refers to, within its own schema.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use base::json::tree::{Node, Value};

/// What can be referred to.
#[derive(Debug)]
pub(super) struct Targets<'t> {
    root: &'t Node,
    /// The schemas that have a name of their own.
    anchors: HashMap<&'t str, &'t Node>,
}

impl<'t> Targets<'t> {
    pub(super) fn of(root: &'t Node) -> Self {
        let mut anchors = HashMap::new();
        let mut to_do = vec![root];
        while let Some(node) = to_do.pop() {
            let names = ["$anchor", "$dynamicAnchor"].map(|keyword| node.member(keyword));
            let names = names.into_iter().flatten().filter_map(Node::text);
            anchors.extend(names.map(|name| (name, node)));
            to_do.extend(node.children().iter().map(|child| &child.node));
        }
        Self { root, anchors }
    }

    /// The schema a reference is about; `None` if it is in another document, or nowhere.
    pub(super) fn resolve(&self, reference: &str) -> Option<&'t Node> {
        let fragment = reference.strip_prefix('#')?;
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() {
            return Some(self.root);
        }
        let Some(path) = fragment.strip_prefix('/') else {
            return self.anchors.get(&*fragment).copied();
        };
        // RFC 6901 section 4.
        path.split('/').try_fold(self.root, |node, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match &node.value {
                Value::Array(elements) => Some(&elements.get(step.parse::<usize>().ok()?)?.node),
                _ => node.member(&step),
            }
        })
    }
}
