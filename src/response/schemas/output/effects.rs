//! The effects of a rule on a result, by place.

use crate::response::results::detect;
use crate::response::results::key_path::steps;
use crate::response::schemas::walk::Places;
use base::json::tree::{Node, Value};
use mcp::argument_names::fold;
use policy::{Detector, FieldPath, Mask, Missing, Otherwise, ResultRule, TextRule};

/// The effects of one rule.
pub(super) struct RuleEffects<'r> {
    rule: &'r ResultRule,
    /// The number of keys of a path that matter.
    depth: usize,
}

/// A place in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResultPlace {
    /// The last keys of the path, folded. `None`: any key.
    keys: Vec<Option<String>>,
    /// Whether it is the whole result. As a text it may be withheld.
    whole: bool,
    /// Whether it may be in a hidden field that keeps its shape.
    pub(super) masked: bool,
    /// Whether it may count objects.
    pub(super) counts: bool,
}

impl<'r> RuleEffects<'r> {
    pub(super) fn of(rule: &'r ResultRule) -> Self {
        let totals = rule.owner.iter().flat_map(|owner| &owner.totals);
        let lengths = rule.redact.iter().chain(totals).map(FieldPath::length);
        Self {
            rule,
            depth: lengths.max().unwrap_or(0),
        }
    }

    /// Whether hidden fields are removed.
    pub(super) fn removes(&self) -> bool {
        self.rule.with == Mask::Remove && !self.rule.redact.is_empty()
    }

    /// Whether objects are removed from lists.
    pub(super) fn takes_out(&self) -> bool {
        let owner = self.rule.owner.as_ref();
        owner.is_some_and(|owner| {
            owner.otherwise == Otherwise::Drop || owner.missing == Missing::Drop
        })
    }

    /// Whether a number outside hidden fields may become 0: it may repeat a hidden value.
    pub(super) fn changes_numbers(&self) -> bool {
        self.hides_values() || self.rule.detect.contains(&Detector::Card)
    }

    /// Whether there are hidden values that other texts, numbers and keys may repeat.
    fn hides_values(&self) -> bool {
        !self.rule.redact.is_empty() || self.takes_out()
    }

    /// Whether keys may be hidden like values.
    pub(super) fn changes_keys(&self) -> bool {
        self.hides_values() || !self.rule.detect.is_empty()
    }

    /// Whether this key may be hidden like a value.
    pub(super) fn changes_key(&self, key: &str) -> bool {
        !detect::find(&self.rule.detect, key).is_empty()
    }

    /// Whether a text may become longer.
    pub(super) fn lengthens(&self) -> bool {
        let rule = self.rule;
        let tells_fields_apart = rule.owner.is_some() || !rule.redact.is_empty();
        tells_fields_apart || rule.with == Mask::Hash || rule.text == TextRule::Withhold
    }

    /// Whether the member of an object may be missing afterwards.
    pub(super) fn may_remove(&self, name: &str, places: &[ResultPlace]) -> bool {
        let hides = || places.iter().any(|place| self.may_hide(name, place));
        self.removes() && hides() || self.changes_key(name)
    }

    /// Whether a value in a schema may be one that changes.
    pub(super) fn may_change(&self, value: &Node, places: &[ResultPlace]) -> bool {
        let is_masked = places.iter().any(|place| place.masked);
        match &value.value {
            Value::Null => false,
            Value::Bool(_) => is_masked,
            Value::Number(_) => {
                let counts = places.iter().any(|place| place.counts);
                is_masked || counts || self.changes_numbers()
            }
            Value::Text(text) => {
                let withholds = self.rule.text == TextRule::Withhold;
                let is_withheld = withholds && places.iter().any(|place| place.whole);
                is_masked || is_withheld || self.may_change_text(text)
            }
            // Other lists may become empty.
            Value::Array(children) => self.takes_out() || !children.is_empty(),
            Value::Object(children) => self.removes() || !children.is_empty(),
        }
    }

    fn may_change_text(&self, text: &str) -> bool {
        // Shorter values are hidden only in their field.
        let may_repeat = text.chars().count() >= MIN_HIDDEN;
        let may_be_json = text.trim_start().starts_with(['{', '[', '"', '/']);
        self.hides_values() && may_repeat || may_be_json || self.changes_key(text)
    }

    fn may_hide(&self, name: &str, place: &ResultPlace) -> bool {
        let (keys, own) = (self.keys(name, place), [Some(fold(name).into_owned())]);
        let mut paths = self.rule.redact.iter();
        paths.any(|path| path.may_match(&keys) || path.may_match(&own))
    }

    fn may_count(&self, name: &str, place: &ResultPlace) -> bool {
        let (keys, own) = (self.keys(name, place), [Some(fold(name).into_owned())]);
        let mut totals = self.rule.owner.iter().flat_map(|owner| &owner.totals);
        totals.any(|path| path.may_match(&keys) || path.may_match(&own))
    }

    fn keys(&self, name: &str, place: &ResultPlace) -> Vec<Option<String>> {
        let mut keys = place.keys.clone();
        keys.extend(steps(name).map(Some));
        let known = keys.len().saturating_sub(self.depth);
        keys.split_off(known)
    }
}

/// The minimum length of a hidden value that is searched in other texts.
const MIN_HIDDEN: usize = 4;

impl Places for RuleEffects<'_> {
    type Place = ResultPlace;

    const PLAIN_SCHEMAS: bool = true;

    fn whole(&self) -> ResultPlace {
        ResultPlace {
            keys: Vec::new(),
            whole: true,
            masked: false,
            counts: false,
        }
    }

    fn element(&self, place: &ResultPlace) -> ResultPlace {
        ResultPlace {
            whole: false,
            counts: false,
            ..place.clone()
        }
    }

    fn under(&self, place: &ResultPlace, name: &str) -> ResultPlace {
        let is_masked = !self.removes() && self.may_hide(name, place);
        ResultPlace {
            keys: self.keys(name, place),
            whole: false,
            masked: place.masked || is_masked,
            counts: self.may_count(name, place),
        }
    }

    fn apart(&self) -> ResultPlace {
        let mut owner = self.rule.owner.iter();
        ResultPlace {
            keys: vec![None; self.depth],
            whole: true,
            masked: !self.removes() && !self.rule.redact.is_empty(),
            counts: owner.any(|owner| !owner.totals.is_empty()),
        }
    }
}
