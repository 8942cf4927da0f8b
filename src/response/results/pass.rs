//! One rule on one message.

mod pass_texts;

use std::collections::{BTreeMap, HashSet};

use self::pass_texts::{RESEMBLES_JSON, TEXT_RULE, WordsNow, is_prose, write};
use super::key_path::KeyPath;
use super::mask::{Masker, collect};
use super::new_keys::NewKeys;
use super::owner::Owners;
use super::places::{DataForm, DataPlace};
use super::repeated::{HiddenValues, Repeated};
use super::tables::Tables;
use super::{NotTheCallers, detect, nearly_json};
use crate::response::changes::{Changes, EmbeddedEdits, Held};
use base::json::tree::{Child, Node, Value};
use oauth::Identity;
use policy::{Mask, Missing, Otherwise, ResultRule, TextRule};

/// The steps for a message, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PassStep {
    Owner,
    Fields,
}

/// The number of removed objects. A text often repeats the structured content, so it counts only without
/// structured content.
#[derive(Debug, Default)]
struct Dropped {
    structured: Option<usize>,
    in_texts: usize,
}

/// The blocks of a result's content. Some servers write a list as one block for each item. So a block of
/// another owner is removed like an item, if the answer also has an object of the caller.
#[derive(Debug, Default)]
struct Blocks {
    own: bool,
    dropped: usize,
}

/// One rule on one message.
pub(super) struct Pass<'r> {
    rule: &'r ResultRule,
    step: PassStep,
    own: Option<&'r str>,
    masker: Masker<'r>,
    max_depth: usize,
    dropped: Dropped,
    blocks: Blocks,
    /// The hidden fields.
    pub(super) redacted: Vec<String>,
    /// The number of withheld texts, by the reason.
    pub(super) withheld: BTreeMap<&'static str, usize>,
    /// Values that other texts of the message may repeat.
    values: HiddenValues,
    /// Whether prose in the current data is withheld like a text.
    withholds_prose: bool,
}

impl<'r> Pass<'r> {
    pub(super) fn new(
        rule: &'r ResultRule,
        identity: &'r Identity,
        key: Option<&'r str>,
        max_depth: usize,
    ) -> Self {
        let own = rule.owner.as_ref().and_then(|owner| owner.is.of(identity));
        let with = rule.with;
        Self {
            rule,
            step: PassStep::Owner,
            own,
            masker: Masker { with, key },
            max_depth,
            dropped: Dropped::default(),
            blocks: Blocks::default(),
            redacted: Vec::new(),
            withheld: BTreeMap::new(),
            values: HiddenValues::default(),
            withholds_prose: false,
        }
    }

    /// The number of removed objects.
    pub(super) fn dropped(&self) -> usize {
        self.dropped.structured.unwrap_or(self.dropped.in_texts)
    }

    /// Removes objects of other owners, then hides fields in the rest, then hides their values where other
    /// texts repeat them. `size`: the length of the message.
    pub(super) fn message(
        &mut self,
        places: &[DataPlace<'_>],
        size: usize,
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        self.step(PassStep::Owner, places, changes)?;
        self.step(PassStep::Fields, places, changes)?;
        let own = self.own_values(places, changes);
        let values = std::mem::take(&mut self.values).without(&own);
        Repeated::new(values, self.max_depth).hide(places, size, changes);
        Ok(())
    }

    /// Checks the owners only.
    pub(super) fn owners(
        &mut self,
        places: &[DataPlace<'_>],
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        self.step(PassStep::Owner, places, changes)
    }

    fn step(
        &mut self,
        step: PassStep,
        places: &[DataPlace<'_>],
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        self.step = step;
        self.blocks = Blocks::default();
        for place in places {
            if !changes.is_gone(place.node) {
                self.place(place, changes)?;
            }
        }
        match self.blocks.dropped > 0 && !self.blocks.own {
            true => Err(NotTheCallers),
            false => Ok(()),
        }
    }

    /// The values of the caller's own objects, if other objects were removed. Texts may repeat them.
    fn own_values(&self, places: &[DataPlace<'_>], changes: &mut Changes) -> HashSet<String> {
        let mut values = HashSet::new();
        if let (Some(rule), false) = (&self.rule.owner, self.values.taken_out.is_empty()) {
            let mut owners = Owners::new(rule, self.own, rule.missing, self.max_depth);
            for place in places {
                owners.own_values(place.node, &KeyPath::default(), changes, &mut values);
            }
        }
        values
    }

    fn place(&mut self, place: &DataPlace<'_>, changes: &mut Changes) -> Result<(), NotTheCallers> {
        let DataPlace {
            key,
            node,
            form,
            block,
        } = *place;
        let root = KeyPath::default();
        let keys = match key.is_empty() {
            true => &root,
            false => &root.member(key),
        };
        if !key.is_empty() && self.is_hidden(keys) {
            if self.step == PassStep::Fields {
                self.masker.leaves(node, changes, &mut self.values.hidden);
            }
            return Ok(());
        }
        self.withholds_prose = form == DataForm::Data && self.rule.text == TextRule::Withhold;
        match (&node.value, form) {
            (Value::Text(_), DataForm::Blob | DataForm::Media) => self.blob(node, form, changes),
            (_, DataForm::Link) => {
                self.in_texts(node, changes);
                Ok(())
            }
            (Value::Text(_), DataForm::Presented) => self.data(node, true, keys, changes),
            (Value::Text(_), _) => match (self.text(node, changes), block) {
                (Err(NotTheCallers), Some(block)) if self.may_drop() => {
                    self.drop_block(node, block, changes);
                    Ok(())
                }
                (outcome, _) => outcome,
            },
            (_, DataForm::Answer) => {
                self.blocks.own = true;
                let before = self.dropped.in_texts;
                self.data(node, false, keys, changes)?;
                let here = self.dropped.in_texts.saturating_sub(before);
                let structured = self.dropped.structured.get_or_insert(0);
                *structured = structured.saturating_add(here);
                Ok(())
            }
            (_, _) => self.data(node, true, keys, changes),
        }
    }

    /// Whether an object of another owner is removed, and the rest of the answer passes.
    fn may_drop(&self) -> bool {
        let owner = self.rule.owner.as_ref();
        owner.is_some_and(|owner| owner.otherwise == Otherwise::Drop)
    }

    /// Removes a block from the content.
    fn drop_block(&mut self, text: &Node, block: &Child, changes: &mut Changes) {
        if let Some(Held::Json(inner)) = changes.open(text, self.max_depth) {
            collect(&inner.node, &inner.changes, &mut self.values.taken_out);
        }
        changes.remove(block);
        self.blocks.dropped = self.blocks.dropped.saturating_add(1);
        self.dropped.in_texts = self.dropped.in_texts.saturating_add(1);
    }

    /// Structured data. `beside`: it comes with the answer and need not name an owner.
    fn data(
        &mut self,
        node: &Node,
        beside: bool,
        keys: &KeyPath<'_>,
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        match (self.step, &self.rule.owner) {
            (PassStep::Fields, _) => {
                self.tables(node, changes);
                self.fields(node, keys, changes);
                Ok(())
            }
            (PassStep::Owner, Some(rule)) => {
                let missing = if beside { Missing::Keep } else { rule.missing };
                let mut owners = Owners::new(rule, self.own, missing, self.max_depth);
                owners.check(node, changes)?;
                self.dropped.in_texts = self.dropped.in_texts.saturating_add(owners.dropped);
                self.values.taken_out.append(&mut owners.hidden);
                Ok(())
            }
            (PassStep::Owner, None) => Ok(()),
        }
    }

    /// Hides the fields of a value.
    fn fields(&mut self, node: &Node, keys: &KeyPath<'_>, changes: &mut Changes) {
        match &node.value {
            Value::Text(_) => self.value(node, keys, changes),
            Value::Number(_) => {
                let number = changes.number(node);
                if number.is_some_and(|it| detect::is_hidden_number(&self.rule.detect, it)) {
                    changes.set_json(node, "0");
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.fields(&item.node, keys, changes);
                }
            }
            Value::Object(members) => self.members(members, keys, changes),
            _ => {}
        }
    }

    /// Hides the columns of tables, and the values of fields whose name is in another member.
    fn tables(&mut self, node: &Node, changes: &mut Changes) {
        if self.rule.redact.is_empty() {
            return;
        }
        let tables = Tables::of(node);
        for value in tables.values(|name| self.is_hidden(&KeyPath::default().member(name))) {
            self.masker.leaves(value, changes, &mut self.values.hidden);
        }
    }

    fn members(&mut self, members: &[Child], keys: &KeyPath<'_>, changes: &mut Changes) {
        let mut renamed = NewKeys::new(members);
        for member in members {
            if changes.is_gone(&member.node) {
                continue;
            }
            let key = changes.key(member);
            let keys = &keys.member(&key);
            if self.is_hidden(keys) {
                self.hide(member, changes);
            } else {
                if let Some(changed) = self.without_detected(&key) {
                    renamed.rename(member, changed, changes);
                }
                self.fields(&member.node, keys, changes);
            }
        }
    }

    /// Whether the last field is hidden. Notes it.
    fn is_hidden(&mut self, keys: &KeyPath<'_>) -> bool {
        let mut paths = self.rule.redact.iter();
        let Some(field) = paths.find(|path| keys.end_with(path)) else {
            return false;
        };
        if !self.redacted.iter().any(|known| known == field.written()) {
            self.redacted.push(field.written().to_owned());
        }
        true
    }

    fn hide(&mut self, field: &Child, changes: &mut Changes) {
        if self.rule.with == Mask::Remove {
            collect(&field.node, changes, &mut self.values.hidden);
            changes.remove(field);
        } else {
            self.masker
                .leaves(&field.node, changes, &mut self.values.hidden);
        }
    }

    /// A text inside JSON. It may hold JSON, and may have detected values.
    fn value(&mut self, node: &Node, keys: &KeyPath<'_>, changes: &mut Changes) {
        let now = match changes.open(node, self.max_depth) {
            Some(Held::Json(mut inner)) => {
                // Each nested text is read with a lower depth limit, so the search ends.
                self.max_depth = self.max_depth.saturating_sub(1);
                self.tables(&inner.node, &mut inner.changes);
                self.fields(&inner.node, keys, &mut inner.changes);
                self.max_depth = self.max_depth.saturating_add(1);
                changes.close(inner);
                WordsNow::Same
            }
            Some(Held::Nearly(text)) if self.may_hold_fields(&text) => {
                self.withhold(&text, RESEMBLES_JSON)
            }
            Some(Held::Words(text)) if self.withholds_prose && is_prose(&text, keys) => {
                self.withhold(&text, TEXT_RULE)
            }
            Some(Held::Nearly(text) | Held::Words(text)) => self.detected(&text),
            None => WordsNow::Same,
        };
        write(node, now, changes);
    }

    /// Whether a text that is nearly JSON is withheld, because fields of the rule cannot be told apart in it.
    fn may_hold_fields(&self, text: &str) -> bool {
        let has_fields = self.rule.owner.is_some() || !self.rule.redact.is_empty();
        has_fields
            && (self.rule.text == TextRule::Withhold || nearly_json::may_hold(self.rule, text))
    }

    /// The text of an answer.
    fn text(&mut self, node: &Node, changes: &mut Changes) -> Result<(), NotTheCallers> {
        let (text, is_nearly) = match changes.open(node, self.max_depth) {
            Some(Held::Json(mut inner)) => {
                self.json(&mut inner)?;
                changes.close(inner);
                self.blocks.own |= self.step == PassStep::Owner;
                return Ok(());
            }
            Some(Held::Nearly(text)) => (text, true),
            Some(Held::Words(text)) => (text, false),
            None => return Ok(()),
        };
        let now = self.words(&text, is_nearly);
        write(node, now, changes);
        Ok(())
    }

    /// JSON inside the text of an answer.
    fn json(&mut self, inner: &mut EmbeddedEdits) -> Result<(), NotTheCallers> {
        self.max_depth = self.max_depth.saturating_sub(1);
        let keys = &KeyPath::default();
        let outcome = self.data(&inner.node, false, keys, &mut inner.changes);
        self.max_depth = self.max_depth.saturating_add(1);
        outcome
    }

    /// Hides detected values in all texts of a node.
    fn in_texts(&self, node: &Node, changes: &mut Changes) {
        if self.step != PassStep::Fields {
            return;
        }
        let text = changes.text(node);
        if let Some(changed) = text.and_then(|text| self.without_detected(&text)) {
            changes.set_text(node, changed);
        }
        for child in node.children() {
            self.in_texts(&child.node, changes);
        }
    }

    fn without_detected(&self, text: &str) -> Option<String> {
        if self.rule.detect.is_empty() {
            return None;
        }
        let found = detect::find(&self.rule.detect, text);
        super::repeated::replace(text, found, |value| self.masker.text(value))
    }
}
