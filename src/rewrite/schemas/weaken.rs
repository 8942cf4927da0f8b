//! Keywords by which a schema would get stricter when another one accepts more.

use std::collections::{BTreeMap, HashSet};

use super::cuts::Cuts;
use super::walk::Walk;
use crate::mcp::json::{NodeId, Tree};

/// Takes out, or weakens, what must not be decided by a schema that lost a name.
pub(super) fn weaken(tree: &Tree<'_>, walk: &Walk, cuts: &mut Cuts) {
    let weaker = weaker(walk, &cuts.changed);
    for schema in walk.schemas.keys() {
        negations(tree, *schema, &weaker, cuts);
        choices(tree, walk, *schema, &weaker, cuts);
        elements(tree, *schema, &weaker, cuts);
    }
    for schema in walk.schemas.keys() {
        let member = |keyword: &str| tree.member(*schema, keyword);
        // A call has fewer members now.
        cuts.gone.extend(member("minProperties"));
        if cuts.knows_less {
            cuts.gone.extend(member("unevaluatedProperties"));
            cuts.gone.extend(member("unevaluatedItems"));
        }
    }
}

/// The schemas that may accept more than before: the changed ones and all that decide by them.
fn weaker(walk: &Walk, changed: &HashSet<NodeId>) -> HashSet<NodeId> {
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

fn negations(tree: &Tree<'_>, schema: NodeId, weaker: &HashSet<NodeId>, cuts: &mut Cuts) {
    let member = |keyword: &str| tree.member(schema, keyword);
    let is_weaker = |id: &NodeId| weaker.contains(id);
    cuts.gone.extend(member("not").filter(is_weaker));
    if member("if").filter(is_weaker).is_some() {
        cuts.gone
            .extend(["if", "then", "else"].into_iter().filter_map(member));
        cuts.knows_less = true;
    }
}

/// Of several schemas, two may match now where one did.
fn choices(
    tree: &Tree<'_>,
    walk: &Walk,
    schema: NodeId,
    weaker: &HashSet<NodeId>,
    cuts: &mut Cuts,
) {
    let Some(choices) = tree.member(schema, "oneOf") else {
        return;
    };
    let mut branches = tree.node(choices).children.iter();
    if !branches.any(|branch| weaker.contains(&branch.node)) {
        return;
    }
    // A reference by way of the keyword would lead nowhere under another name.
    let mut references = walk.references.keys();
    let leads_here = |id: &NodeId| tree.node(*id).text.iter().any(|to| to.contains("/oneOf/"));
    if tree.member(schema, "anyOf").is_none() && !references.any(leads_here) {
        cuts.any_of.insert(choices);
    } else {
        cuts.gone.insert(choices);
        cuts.knows_less = true;
    }
}

/// Elements that differed in a name may be equal now, and more may match.
fn elements(tree: &Tree<'_>, schema: NodeId, weaker: &HashSet<NodeId>, cuts: &mut Cuts) {
    let member = |keyword: &str| tree.member(schema, keyword);
    let contains = member("contains").filter(|id| weaker.contains(id));
    if contains.is_some() {
        cuts.gone.extend(member("maxContains"));
    }
    let of_elements = [
        "items",
        "prefixItems",
        "additionalItems",
        "unevaluatedItems",
    ];
    let of_elements = of_elements.into_iter().filter_map(member);
    let of_elements = of_elements.flat_map(|value| {
        let listed = tree.node(value).children.iter().map(|child| child.node);
        listed.chain([value])
    });
    if of_elements.chain(contains).any(|id| weaker.contains(&id)) {
        cuts.gone.extend(member("uniqueItems"));
    }
}
