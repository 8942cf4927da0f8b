//! The schema as it is shown: the bytes of the server's, but for the cuts.

use std::collections::{BTreeMap, HashMap};

use super::cuts::Cuts;
use super::walk::Walk;
use crate::mcp::json::{Child, Kind, Node, NodeId, Tree};
use crate::rewrite::splice::Edits;

/// Writes a schema without what is cut.
pub(super) fn write(tree: &Tree<'_>, walk: &Walk, cuts: &Cuts, schema: &[u8]) -> Vec<u8> {
    let left = left(tree, cuts);
    let mut dangling = walk.references.clone();
    dangling.retain(|_, target| left.binary_search(target).is_err());
    let mut writer = Writer {
        tree,
        cuts,
        schema,
        dangling,
        inlined: HashMap::new(),
    };
    // Copies of what is gone do not make the whole larger than it was, twice over.
    let mut budget = schema.len();
    for id in left {
        writer.inline(tree.node(id), &mut budget);
    }
    writer.value(tree.root())
}

/// The values that are left, sorted.
fn left(tree: &Tree<'_>, cuts: &Cuts) -> Vec<NodeId> {
    let mut left = Vec::new();
    let mut to_do = vec![tree.root()];
    while let Some(id) = to_do.pop() {
        left.push(id);
        let children = tree.node(id).children.iter().map(|child| child.node);
        to_do.extend(children.filter(|child| !cuts.gone.contains(child)));
    }
    left.sort_unstable();
    left
}

struct Writer<'w> {
    tree: &'w Tree<'w>,
    cuts: &'w Cuts,
    schema: &'w [u8],
    /// References to what is gone: libraries that write a schema refer to the first place where they
    /// used a definition.
    dangling: BTreeMap<NodeId, NodeId>,
    /// What stands in place of such a reference and its key.
    inlined: HashMap<NodeId, Vec<u8>>,
}

impl Writer<'_> {
    /// Writes what a dangling reference refers to in its place.
    fn inline(&mut self, node: &Node<'_>, budget: &mut usize) {
        for child in &node.children {
            let Some(target) = self.dangling.get(&child.node) else {
                continue;
            };
            let Some(left) = budget.checked_sub(self.tree.node(*target).span.len()) else {
                continue;
            };
            *budget = left;
            if let Some(text) = self.in_place_of(child, node, *target) {
                self.inlined.insert(child.node, text);
            }
        }
    }

    /// Nothing if it cannot be said there: then any value is accepted, as the server's own check
    /// still comes.
    fn in_place_of(&self, reference: &Child<'_>, of: &Node<'_>, target: NodeId) -> Option<Vec<u8>> {
        let mut edits = Edits::default();
        self.edit(target, false, &mut edits);
        let node = self.tree.node(target);
        let target = edits.apply_to(self.schema, node.span.clone());
        if reference.key != "$ref" {
            return None;
        }
        if of.children.len() == 1 && node.kind == Kind::Object {
            let members = target.strip_prefix(b"{")?.strip_suffix(b"}")?;
            return (!members.trim_ascii().is_empty()).then(|| members.to_vec());
        }
        let has_all_of = of.children.iter().any(|child| child.key == "allOf");
        (!has_all_of).then(|| [&b"\"allOf\":["[..], &target, b"]"].concat())
    }

    fn value(&self, id: NodeId) -> Vec<u8> {
        let mut edits = Edits::default();
        self.edit(id, true, &mut edits);
        edits.apply_to(self.schema, self.tree.node(id).span.clone())
    }

    /// The edits of a value. What is written in place of a reference has none itself.
    fn edit(&self, id: NodeId, inlines: bool, edits: &mut Edits) {
        let mut cut_before = 0_usize;
        for child in &self.tree.node(id).children {
            let dangles = self.dangling.contains_key(&child.node);
            let inlined = self.inlined.get(&child.node).filter(|_| inlines);
            if let Some(text) = inlined {
                edits.replace(child.element.span.clone(), text.as_slice());
            } else if dangles || self.cuts.gone.contains(&child.node) {
                edits.remove(child.element.cut(cut_before));
                cut_before = cut_before.saturating_add(1);
            } else {
                if self.cuts.any_of.contains(&child.node) {
                    edits.replace(child.key_span.clone(), "\"anyOf\"");
                }
                self.edit(child.node, inlines, edits);
            }
        }
    }
}
