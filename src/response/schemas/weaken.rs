//! Keywords that make a schema stricter when another schema accepts more.

use std::collections::BTreeSet;

use super::cuts::Cuts;
use super::hidden::ArgumentPlace;
use super::keywords::Keyword;
use super::walk::{Schema, SchemaWalk};
use base::json::tree::{Node, NodeId};

/// Keywords that may be stricter when another schema accepts more. Most schemas have none of them.
const DEPENDING: [Keyword; 5] = [
    Keyword::If,
    Keyword::MaxContains,
    Keyword::Not,
    Keyword::OneOf,
    Keyword::UniqueItems,
];

/// Removes or weakens keywords that depend on a schema that lost a name.
pub(super) fn weaken(walk: &SchemaWalk<'_, ArgumentPlace>, cuts: &mut Cuts) {
    if walk.has(&DEPENDING) {
        let weaker = deciding_by(&cuts.changed, walk);
        let is_weaker = |node: &&Node| weaker.contains(&node.id());
        for schema in walk.schemas() {
            negations(&schema, is_weaker, cuts);
            choices(walk, &schema, is_weaker, cuts);
            elements(&schema, is_weaker, cuts);
        }
    }
    for schema in walk.schemas() {
        // A call has fewer members now.
        cuts.remove(schema.keyword(Keyword::MinProperties));
        if cuts.knows_less {
            cuts.remove(schema.keyword(Keyword::UnevaluatedProperties));
            cuts.remove(schema.keyword(Keyword::UnevaluatedItems));
        }
    }
}

/// These schemas and all that depend on them: if these accept more than before, so may those.
pub(super) fn deciding_by<P: Clone + PartialEq>(
    changed: &BTreeSet<NodeId>,
    walk: &SchemaWalk<'_, P>,
) -> BTreeSet<NodeId> {
    let mut users = walk.uses();
    users.sort_unstable();
    let mut to_do: Vec<NodeId> = changed.iter().copied().collect();
    let mut weaker = changed.clone();
    while let Some(used) = to_do.pop() {
        let first = users.partition_point(|(each, _)| *each < used);
        let users = users.iter().skip(first);
        let users = users.take_while(|(each, _)| *each == used);
        let users = users.map(|(_, user)| *user);
        to_do.extend(users.filter(|user| weaker.insert(*user)));
    }
    weaker
}

/// Keywords that negate a schema.
pub(super) fn negations<P>(
    schema: &Schema<'_, '_, P>,
    is_weaker: impl Fn(&&Node) -> bool,
    cuts: &mut Cuts,
) {
    cuts.remove(schema.keyword(Keyword::Not).filter(&is_weaker));
    if schema.keyword(Keyword::If).filter(&is_weaker).is_some() {
        let decided = [Keyword::If, Keyword::Then, Keyword::Else];
        let decided = decided.into_iter();
        cuts.remove(decided.filter_map(|keyword| schema.keyword(keyword)));
        cuts.knows_less = true;
    }
}

/// Keywords with several schemas: two may match now where one did.
pub(super) fn choices<P>(
    walk: &SchemaWalk<'_, P>,
    schema: &Schema<'_, '_, P>,
    is_weaker: impl Fn(&&Node) -> bool,
    cuts: &mut Cuts,
) {
    let Some(choices) = schema.keyword(Keyword::OneOf) else {
        return;
    };
    let mut branches = choices.children().iter().map(|branch| &branch.node);
    if !branches.any(|branch| is_weaker(&branch)) {
        return;
    }
    // A reference through the keyword would be broken under another name.
    if schema.keyword(Keyword::AnyOf).is_none() && !walk.refers_into_one_of {
        cuts.any_of.insert(choices.id());
    } else {
        cuts.remove([choices]);
        cuts.knows_less = true;
    }
}

/// Keywords about elements: elements that differed in a name may be equal now, and more may match.
fn elements<P>(schema: &Schema<'_, '_, P>, is_weaker: impl Fn(&&Node) -> bool, cuts: &mut Cuts) {
    let contains = schema.keyword(Keyword::Contains).filter(&is_weaker);
    if contains.is_some() {
        cuts.remove(schema.keyword(Keyword::MaxContains));
    }
    let of_elements = [
        Keyword::Items,
        Keyword::PrefixItems,
        Keyword::AdditionalItems,
        Keyword::UnevaluatedItems,
    ];
    let of_elements = of_elements.into_iter();
    let of_elements = of_elements.filter_map(|keyword| schema.keyword(keyword));
    let mut of_elements = of_elements.flat_map(|value| {
        let listed = value.children().iter().map(|child| &child.node);
        listed.chain([value])
    });
    if contains.is_some() || of_elements.any(|node| is_weaker(&node)) {
        cuts.remove(schema.keyword(Keyword::UniqueItems));
    }
}
