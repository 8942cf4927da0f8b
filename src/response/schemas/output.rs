//! A tool's `outputSchema` after the result rules.
//!
//! A result that fits the server's schema fits the shown schema after the rules: members that the rules may
//! remove are not required. Keywords that the changes of the rules could break (`not`, `if`, `oneOf`,
//! `uniqueItems`) are removed. The other bytes stay.

mod constraints;
mod effects;

use self::constraints::Constraints;
use self::effects::RuleEffects;
use super::cuts::Cuts;
use super::keywords::Keyword;
use super::walk::SchemaWalk;
use super::weaken::{choices, deciding_by, negations};
use super::write::write;
use base::json::JsonError;
use base::json::tree::Node;
use policy::ResultRule;

/// The shown schema for the schema in `text`. `None`: without changes. The rules apply one after the other,
/// as for results.
pub(super) fn after(
    rules: &[&ResultRule],
    schema: &Node,
    text: &[u8],
) -> Result<Option<Vec<u8>>, JsonError> {
    let mut shown: Option<Vec<u8>> = None;
    for rule in rules {
        let effects = RuleEffects::of(rule);
        let next = match &shown {
            None => after_one(&effects, schema, text),
            // The schema was read with the depth limit before.
            Some(now) => after_one(&effects, &Node::read(now, usize::MAX)?, now),
        };
        shown = next.or(shown);
    }
    Ok(shown)
}

fn after_one(effects: &RuleEffects<'_>, root: &Node, text: &[u8]) -> Option<Vec<u8>> {
    let walk = SchemaWalk::through(root, effects);
    let mut cuts = Cuts::default();
    for schema in walk.schemas() {
        let constraints = Constraints {
            schema: schema.node,
            places: schema.places,
            effects,
            text,
        };
        constraints.cut(&mut cuts);
        if !constraints.are_stable() {
            cuts.changed.insert(schema.node.id());
        }
    }
    let unstable = deciding_by(&cuts.changed, &walk);
    let is_unstable = |node: &&Node| unstable.contains(&node.id());
    for schema in walk.schemas() {
        negations(&schema, is_unstable, &mut cuts);
        choices(&walk, &schema, is_unstable, &mut cuts);
        let contains = schema.keyword(Keyword::Contains).filter(is_unstable);
        if contains.is_some() {
            cuts.remove(schema.keyword(Keyword::MaxContains));
        }
    }
    if cuts.knows_less {
        for schema in walk.schemas() {
            cuts.remove(schema.keyword(Keyword::UnevaluatedProperties));
            cuts.remove(schema.keyword(Keyword::UnevaluatedItems));
        }
    }
    let is_same = cuts.gone.is_empty() && cuts.any_of.is_empty();
    (!is_same).then(|| write(&walk, &cuts, text))
}

#[cfg(test)]
mod tests;
