//! The constraints of one schema that a result may break after the rules.

use super::effects::{ResultPlace, RuleEffects};
use crate::response::schemas::cuts::Cuts;
use base::json::tree::{Child, Node, Value};

/// The constraints of one schema, and the places that it describes.
pub(super) struct Constraints<'s> {
    pub(super) schema: &'s Node,
    pub(super) places: &'s [ResultPlace],
    pub(super) effects: &'s RuleEffects<'s>,
    /// The text of the whole schema.
    pub(super) text: &'s [u8],
}

/// The minimum length of a text after a rule: `{}`, if it held JSON.
const MIN_LEFT: f64 = 2.0;

impl Constraints<'_> {
    /// Removes the constraints that may break.
    pub(super) fn cut(&self, cuts: &mut Cuts) {
        for keyword in self.schema.members() {
            if !self.holds(keyword) {
                cuts.remove([&keyword.node]);
            }
            match (&*keyword.key, &keyword.node.value) {
                // Keys in a hidden object may be hidden.
                ("required" | "propertyNames", _) if self.is_masked() => {
                    cuts.remove([&keyword.node]);
                }
                ("required", Value::Array(names)) => self.names(&keyword.node, names, cuts),
                ("dependentRequired" | "dependencies", Value::Object(dependencies)) => {
                    for dependency in dependencies {
                        if let Value::Array(names) = &dependency.node.value {
                            self.names(&dependency.node, names, cuts);
                        }
                    }
                }
                _ => {}
            }
        }
        self.cut_members(cuts);
        self.cut_elements(cuts);
    }

    /// Whether a keyword by itself still holds.
    fn holds(&self, keyword: &Child) -> bool {
        let node = &keyword.node;
        let number = || self.number(node);
        let becomes_0 = self.may_become_0();
        match keyword.key.as_str() {
            "const" => !self.effects.may_change(node, self.places),
            "enum" => !node.children().iter().any(|child| self.may_be_left(child)),
            "pattern" | "format" | "uniqueItems" => false,
            "propertyNames" => !self.effects.changes_keys(),
            "minLength" => number() <= MIN_LEFT,
            "maxLength" => !(self.effects.lengthens() || self.is_masked()),
            "minimum" => number() <= 0.0 || !(becomes_0 || self.counts()),
            "exclusiveMinimum" => number() < 0.0 || !(becomes_0 || self.counts()),
            "maximum" => number() >= 0.0 || !becomes_0,
            "exclusiveMaximum" => number() > 0.0 || !becomes_0,
            // 0 is a multiple of all numbers. A smaller count need not be one.
            "multipleOf" | "divisibleBy" => !self.counts(),
            "minProperties" => !self.effects.removes(),
            _ => true,
        }
    }

    fn may_be_left(&self, value: &Child) -> bool {
        self.effects.may_change(&value.node, self.places)
    }

    /// Cuts names from a list. A list without other names is removed: earlier drafts allow no empty lists.
    fn names(&self, list: &Node, names: &[Child], cuts: &mut Cuts) {
        let found = names.iter().map(|name| &name.node);
        let may_be_missing = |name: &&Node| {
            let name = name.text();
            name.is_some_and(|name| self.effects.may_remove(name, self.places))
        };
        let found: Vec<&Node> = found.filter(may_be_missing).collect();
        if found.len() == names.len() && !found.is_empty() {
            cuts.remove([list]);
        }
        cuts.remove(found);
    }

    /// A key may be a value. A hidden key gets another name, for which the schemas of other keys apply.
    fn cut_members(&self, cuts: &mut Cuts) {
        let schema = self.schema;
        let patterns = schema.member("patternProperties");
        let patterns = patterns.filter(|_| self.effects.changes_keys());
        let is_closed = self.is_masked() && schema.member("additionalProperties").is_some();
        let properties = schema.member("properties").map_or(&[][..], Node::members);
        let mut names = properties.iter().map(|property| &property.key);
        if patterns.is_some() || is_closed || names.any(|name| self.effects.changes_key(name)) {
            cuts.remove(patterns);
            cuts.remove(schema.member("additionalProperties"));
            cuts.knows_less = true;
        }
        let depends = ["dependentSchemas", "dependencies"];
        let mut depends = depends.iter().filter_map(|keyword| schema.member(keyword));
        // The keyword's schemas for other members are removed with it.
        cuts.knows_less |= depends.any(|dependencies| {
            let mut names = dependencies.members().iter();
            names.any(|name| self.may_remove(&name.key))
        });
    }

    /// Elements after a removed one move up.
    fn cut_elements(&self, cuts: &mut Cuts) {
        if !self.effects.takes_out() || self.holds_no_objects() {
            return;
        }
        let schema = self.schema;
        let counted = ["minItems", "contains", "minContains", "maxContains"];
        cuts.remove(counted.iter().filter_map(|keyword| schema.member(keyword)));
        cuts.knows_less |= schema.member("contains").is_some();
        let items = schema.member("items");
        let is_list = items.is_some_and(|items| matches!(items.value, Value::Array(_)));
        if schema.member("prefixItems").is_some() || is_list {
            let by_place = ["prefixItems", "items", "additionalItems"];
            cuts.remove(by_place.iter().filter_map(|keyword| schema.member(keyword)));
            cuts.knows_less = true;
        }
    }

    /// Whether no element can have an owner: none is an object or a text that holds one.
    fn holds_no_objects(&self) -> bool {
        let by_place = ["prefixItems", "additionalItems"];
        let mut by_place = by_place.iter();
        if by_place.any(|keyword| self.schema.member(keyword).is_some()) {
            return false;
        }
        let items = self.schema.member("items");
        let kind = items.and_then(|items| items.member("type")?.text());
        matches!(
            kind,
            Some("array" | "boolean" | "integer" | "null" | "number")
        )
    }

    /// Whether the rules never change if a value fits this schema's own constraints.
    pub(super) fn are_stable(&self) -> bool {
        self.schema
            .members()
            .iter()
            .all(|each| self.is_stable(each))
    }

    fn is_stable(&self, keyword: &Child) -> bool {
        let effects = self.effects;
        let node = &keyword.node;
        match keyword.key.as_str() {
            "type" => {
                let kinds = [node];
                let listed = node.children().iter().map(|child| &child.node);
                let mut kinds = kinds.into_iter().chain(listed);
                // 1.5 may become 0.
                !(self.may_become_0() && kinds.any(|kind| kind.text() == Some("integer")))
            }
            "const" => !effects.may_change(node, self.places),
            "enum" => !node.children().iter().any(|child| self.may_be_left(child)),
            "required"
            | "properties"
            | "additionalProperties"
            | "dependentRequired"
            | "dependentSchemas"
            | "dependencies"
            | "minProperties"
            | "maxProperties"
                if self.is_masked() =>
            {
                false
            }
            "required" => !node.children().iter().any(|child| {
                let name = child.node.text();
                name.is_some_and(|name| self.may_remove(name))
            }),
            "dependentRequired" | "dependentSchemas" | "dependencies" => !effects.removes(),
            "minProperties" | "maxProperties" => !effects.removes(),
            "items" | "additionalItems" | "contains" | "minItems" | "maxItems" => {
                !effects.takes_out()
            }
            "prefixItems" | "minContains" | "maxContains" => !effects.takes_out(),
            "properties" | "additionalProperties" => true,
            "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" => true,
            "$ref" | "$dynamicRef" | "$defs" | "definitions" => true,
            "title" | "description" | "$comment" | "default" | "examples" | "example" => true,
            "$id" | "$schema" | "$anchor" | "$dynamicAnchor" | "deprecated" => true,
            _ => false,
        }
    }

    fn may_remove(&self, name: &str) -> bool {
        self.effects.may_remove(name, self.places)
    }

    fn may_become_0(&self) -> bool {
        self.effects.changes_numbers() || self.is_masked()
    }

    fn is_masked(&self) -> bool {
        self.places.iter().any(|place| place.masked)
    }

    fn counts(&self) -> bool {
        self.places.iter().any(|place| place.counts)
    }

    /// A number in the schema. Another value is no constraint.
    fn number(&self, node: &Node) -> f64 {
        let text = self.text.get(node.span.clone()).unwrap_or_default();
        let text = str::from_utf8(text).unwrap_or_default();
        text.parse().unwrap_or(f64::NAN)
    }
}
