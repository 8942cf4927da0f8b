//! Keywords that make a schema stricter when another schema accepts more.

use std::collections::{BTreeMap, BTreeSet};

use super::cuts::Cuts;
use super::hidden::ArgumentPlace;
use super::walk::SchemaWalk;
use base::json::tree::{Node, NodeId};

/// Removes or weakens keywords that depend on a schema that lost a name.
pub(super) fn weaken(walk: &SchemaWalk<'_, ArgumentPlace>, cuts: &mut Cuts) {
    let weaker = deciding_by(&cuts.changed, walk);
    let is_weaker = |node: &&Node| weaker.contains(&node.id());
    for (schema, _) in walk.schemas() {
        negations(schema, is_weaker, cuts);
        choices(walk, schema, is_weaker, cuts);
        elements(schema, is_weaker, cuts);
    }
    for (schema, _) in walk.schemas() {
        // A call has fewer members now.
        cuts.remove(schema.member("minProperties"));
        if cuts.knows_less {
            cuts.remove(schema.member("unevaluatedProperties"));
            cuts.remove(schema.member("unevaluatedItems"));
        }
    }
}

/// These schemas and all that depend on them: if these accept more than before, so may those.
pub(super) fn deciding_by<P>(
    changed: &BTreeSet<NodeId>,
    walk: &SchemaWalk<'_, P>,
) -> BTreeSet<NodeId> {
    let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (user, used) in &walk.uses {
        users.entry(*used).or_default().push(*user);
    }
    let mut to_do: Vec<NodeId> = changed.iter().copied().collect();
    let mut weaker = changed.clone();
    while let Some(used) = to_do.pop() {
        let users = users.get(&used).into_iter().flatten();
        to_do.extend(users.filter(|user| weaker.insert(**user)));
    }
    weaker
}

/// Keywords that negate a schema.
pub(super) fn negations(schema: &Node, is_weaker: impl Fn(&&Node) -> bool, cuts: &mut Cuts) {
    cuts.remove(schema.member("not").filter(&is_weaker));
    if schema.member("if").filter(&is_weaker).is_some() {
        let decided = ["if", "then", "else"];
        cuts.remove(decided.iter().filter_map(|keyword| schema.member(keyword)));
        cuts.knows_less = true;
    }
}

/// Keywords with several schemas: two may match now where one did.
pub(super) fn choices<P>(
    walk: &SchemaWalk<'_, P>,
    schema: &Node,
    is_weaker: impl Fn(&&Node) -> bool,
    cuts: &mut Cuts,
) {
    let Some(choices) = schema.member("oneOf") else {
        return;
    };
    let mut branches = choices.children().iter().map(|branch| &branch.node);
    if !branches.any(|branch| is_weaker(&branch)) {
        return;
    }
    // A reference through the keyword would be broken under another name.
    if schema.member("anyOf").is_none() && !walk.refers_into_one_of {
        cuts.any_of.insert(choices.id());
    } else {
        cuts.remove([choices]);
        cuts.knows_less = true;
    }
}

/// Keywords about elements: elements that differed in a name may be equal now, and more may match.
fn elements(schema: &Node, is_weaker: impl Fn(&&Node) -> bool, cuts: &mut Cuts) {
    let contains = schema.member("contains").filter(&is_weaker);
    if contains.is_some() {
        cuts.remove(schema.member("maxContains"));
    }
    let of_elements = [
        "items",
        "prefixItems",
        "additionalItems",
        "unevaluatedItems",
    ];
    let of_elements = of_elements
        .iter()
        .filter_map(|keyword| schema.member(keyword));
    let mut of_elements = of_elements.flat_map(|value| {
        let listed = value.children().iter().map(|child| &child.node);
        listed.chain([value])
    });
    if contains.is_some() || of_elements.any(|node| is_weaker(&node)) {
        cuts.remove(schema.member("uniqueItems"));
    }
}
