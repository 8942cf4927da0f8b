//! The shown schema: the server's bytes without the cuts.

use std::collections::{BTreeMap, BTreeSet};

use super::cuts::Cuts;
use super::walk::SchemaWalk;
use base::json::edits::EditsInOrder;
use base::json::tree::{Child, Node, NodeId, Value};

/// Writes the schema of a walk, which is in `text`, without the cuts.
pub(super) fn write<P>(walk: &SchemaWalk<'_, P>, cuts: &Cuts, text: &[u8]) -> Vec<u8> {
    let root = walk.root;
    // Most schemas have no references, and none of these dangles.
    let left = match walk.references.is_empty() {
        true => Vec::new(),
        false => left(root, cuts),
    };
    let ids: BTreeSet<NodeId> = left.iter().map(|node| node.id()).collect();
    let references = walk.references.iter();
    let dangling = references.filter(|(_, (_, target))| !ids.contains(&target.id()));
    let dangling: BTreeMap<_, _> = dangling.map(|(id, (_, target))| (*id, *target)).collect();
    let mut changed: Vec<NodeId> = cuts.gone.iter().chain(&cuts.any_of).copied().collect();
    changed.extend(dangling.keys());
    changed.sort_unstable();
    let mut writer = Writer {
        cuts,
        text,
        changed,
        dangling,
        inlined: BTreeMap::new(),
    };
    // Copies of removed definitions at most double the size.
    let mut budget = root.span.len();
    for node in left {
        writer.inline(node, &mut budget);
    }
    writer.written(root, true)
}

/// Whether a member names its schema. There may be several copies of the schema, and a name has one.
fn is_own_name(member: &Child) -> bool {
    let is_name = ["$id", "$anchor", "$dynamicAnchor"].contains(&&*member.key);
    is_name && member.node.text().is_some()
}

/// The values that stay.
fn left<'t>(root: &'t Node, cuts: &Cuts) -> Vec<&'t Node> {
    let mut left = Vec::new();
    let mut to_do = vec![root];
    while let Some(node) = to_do.pop() {
        left.push(node);
        let children = node.children().iter().map(|child| &child.node);
        to_do.extend(children.filter(|child| !cuts.gone.contains(&child.id())));
    }
    left
}

struct Writer<'w> {
    cuts: &'w Cuts,
    text: &'w [u8],
    /// The values that do not stay as they are, in the order of the text.
    changed: Vec<NodeId>,
    /// References to removed parts: libraries that write a schema refer to the first use of a definition.
    dangling: BTreeMap<NodeId, &'w Node>,
    /// The text that replaces such a reference and its key.
    inlined: BTreeMap<NodeId, Vec<u8>>,
}

impl Writer<'_> {
    /// Replaces a dangling reference by its target.
    fn inline(&mut self, node: &Node, budget: &mut usize) {
        for child in node.children() {
            let Some(target) = self.dangling.get(&child.node.id()) else {
                continue;
            };
            let Some(left) = budget.checked_sub(target.span.len()) else {
                continue;
            };
            *budget = left;
            if let Some(text) = self.in_place_of(child, node, target) {
                self.inlined.insert(child.node.id(), text);
            }
        }
    }

    /// Nothing, if the target cannot be written there: then any value is accepted, and the server still
    /// checks its own schema.
    fn in_place_of(&self, reference: &Child, of: &Node, target: &Node) -> Option<Vec<u8>> {
        if reference.key != "$ref" {
            return None;
        }
        let text = self.written(target, false);
        if of.children().len() == 1 && matches!(target.value, Value::Object(_)) {
            let members = text.strip_prefix(b"{")?.strip_suffix(b"}")?;
            return (!members.trim_ascii().is_empty()).then(|| members.to_vec());
        }
        let has_all_of = of.member("allOf").is_some();
        (!has_all_of).then(|| [&b"\"allOf\":["[..], &text, b"]"].concat())
    }

    /// A value after the changes. The replacement of a reference has none in turn (`inlines`).
    fn written(&self, node: &Node, inlines: bool) -> Vec<u8> {
        let mut out = EditsInOrder::new(self.text, node.span.clone());
        self.edit(node, inlines, &mut out);
        out.finish()
    }

    fn edit(&self, node: &Node, inlines: bool, out: &mut EditsInOrder<'_>) {
        for child in node.children() {
            // Only the replacement of a reference loses more than what is changed: its names.
            if inlines && !self.changes(&child.node) {
                continue;
            }
            let id = child.node.id();
            let inlined = self.inlined.get(&id).filter(|_| inlines);
            if let Some(text) = inlined {
                out.replace(child.element.span.clone())
                    .extend_from_slice(text);
            } else if self.dangling.contains_key(&id)
                || self.cuts.gone.contains(&id)
                || !inlines && is_own_name(child)
            {
                out.remove(&child.element);
            } else {
                if self.cuts.any_of.contains(&id) {
                    let key = child.element.span.start..child.node.span.start;
                    out.replace(key).extend_from_slice(b"\"anyOf\":");
                }
                self.edit(&child.node, inlines, out);
            }
        }
    }

    /// Whether a value or a value in it is changed.
    fn changes(&self, node: &Node) -> bool {
        let first = self.changed.partition_point(|id| *id < node.id());
        let next = self.changed.get(first);
        next.is_some_and(|id| id.number() < node.inner_numbers().end)
    }
}
