//! One rule on one message.

use std::collections::HashSet;

use super::embedded::{Inside, decode, encode, look};
use super::keys::Keys;
use super::mask::{Masker, WITHHELD, collect, quoted};
use super::message::{Form, Place, places};
use super::new_keys::NewKeys;
use super::owner::Owners;
use super::repeated::Repeated;
use super::{NotOwned, ResultError, detect};
use base::json::Element;
use base::json::edits::Edits;
use base::json::tree::{Child, Node, Value};
use oauth::Identity;
use policy::{Mask, Missing, Otherwise, ResultRule, TextRule};

/// What is done to a message, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Owner,
    Fields,
}

/// How many objects were taken out. A text often repeats the structured content, so it counts only
/// where there is none.
#[derive(Debug, Default)]
struct Dropped {
    structured: Option<usize>,
    in_texts: usize,
}

/// The blocks of a result's content. Some servers write a list as one block for each item, so that a
/// block of somebody else's is an item of somebody else's, if anything is the caller's.
#[derive(Debug, Default)]
struct Blocks {
    own: bool,
    dropped: usize,
}

/// One rule on one message.
pub(super) struct Pass<'r> {
    rule: &'r ResultRule,
    step: Step,
    own: Option<&'r str>,
    masker: Masker<'r>,
    max_depth: usize,
    dropped: Dropped,
    blocks: Blocks,
    /// Fields that were hidden.
    pub(super) redacted: Vec<String>,
    /// Hidden values, which other texts of the message may repeat.
    hidden: Vec<String>,
    /// Values of what was taken out, and of what was left: only the caller's own may be repeated.
    taken_out: Vec<String>,
    left: HashSet<String>,
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
            step: Step::Owner,
            own,
            masker: Masker { with, key },
            max_depth,
            dropped: Dropped::default(),
            blocks: Blocks::default(),
            redacted: Vec::new(),
            hidden: Vec::new(),
            taken_out: Vec::new(),
            left: HashSet::new(),
        }
    }

    /// How many objects were taken out.
    pub(super) fn dropped(&self) -> usize {
        self.dropped.structured.unwrap_or(self.dropped.in_texts)
    }

    /// First what is somebody else's is taken out, then fields are hidden in what is left, then
    /// values where other texts repeat them.
    pub(super) fn message(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, ResultError> {
        let mut changed: Option<Vec<u8>> = None;
        for step in [Step::Owner, Step::Fields] {
            self.step = step;
            self.blocks = Blocks::default();
            let now = changed.as_deref().unwrap_or(body);
            let message = Node::read(now, self.max_depth)?;
            let mut edits = Edits::default();
            for place in places(&message) {
                self.place(place, &mut edits)?;
            }
            if self.blocks.dropped > 0 && !self.blocks.own {
                return Err(NotOwned.into());
            }
            changed = edits.apply(now).or(changed);
        }
        let hidden = std::mem::take(&mut self.hidden);
        let mut taken_out = std::mem::take(&mut self.taken_out);
        taken_out.retain(|value| !self.left.contains(value));
        let repeated = Repeated::new(hidden, taken_out, self.max_depth);
        let without = repeated.hide(changed.as_deref().unwrap_or(body))?;
        Ok(without.or(changed))
    }

    fn place(&mut self, place: Place<'_>, edits: &mut Edits) -> Result<(), ResultError> {
        let Place {
            key,
            node,
            form,
            block,
        } = place;
        let mut keys = Keys::default();
        keys.push(key);
        if !key.is_empty() && self.is_hidden(&keys) {
            if self.step == Step::Fields {
                self.masker.leaves(node, edits, &mut self.hidden);
            }
            return Ok(());
        }
        match (&node.value, form) {
            (Value::Text(text), Form::Blob | Form::Media) => self.blob(node, text, form, edits),
            (_, Form::Link) => {
                self.in_texts(node, edits);
                Ok(())
            }
            (Value::Text(text), _) => match (self.text(text), block) {
                (Ok(changed), _) => {
                    let is_json = matches!(look(text, self.max_depth), Inside::Json(_));
                    self.blocks.own |= self.step == Step::Owner && is_json;
                    if let Some(changed) = changed {
                        edits.replace(node.span.clone(), quoted(&changed));
                    }
                    Ok(())
                }
                (Err(ResultError::NotOwned(_)), Some(block)) if self.may_drop() => {
                    self.drop_block(text, block, edits);
                    Ok(())
                }
                (Err(error), _) => Err(error),
            },
            (_, Form::Answer) => {
                self.blocks.own = true;
                let before = self.dropped.in_texts;
                self.data(node, false, &mut keys, edits)?;
                let here = self.dropped.in_texts.saturating_sub(before);
                let structured = self.dropped.structured.get_or_insert(0);
                *structured = structured.saturating_add(here);
                Ok(())
            }
            (_, _) => self.data(node, true, &mut keys, edits),
        }
    }

    /// Whether an object of somebody else's may be taken out.
    fn may_drop(&self) -> bool {
        let owner = self.rule.owner.as_ref();
        owner.is_some_and(|owner| owner.otherwise == Otherwise::Drop)
    }

    /// Takes a block out of the content.
    fn drop_block(&mut self, text: &str, block: &Element, edits: &mut Edits) {
        if let Inside::Json(inner) = look(text, self.max_depth) {
            collect(&inner, &mut self.taken_out);
        }
        edits.remove(block.cut(self.blocks.dropped));
        self.blocks.dropped = self.blocks.dropped.saturating_add(1);
        self.dropped.in_texts = self.dropped.in_texts.saturating_add(1);
    }

    /// A value whose fields can be told apart. `beside`: it comes with the answer and need not name
    /// an owner.
    fn data(
        &mut self,
        node: &Node,
        beside: bool,
        keys: &mut Keys,
        edits: &mut Edits,
    ) -> Result<(), ResultError> {
        match (self.step, &self.rule.owner) {
            (Step::Fields, _) => {
                self.fields(node, keys, edits);
                Ok(())
            }
            (Step::Owner, Some(rule)) => {
                let missing = if beside { Missing::Keep } else { rule.missing };
                let mut owners = Owners::new(rule, self.own, missing, self.max_depth);
                owners.check(node, edits)?;
                self.dropped.in_texts = self.dropped.in_texts.saturating_add(owners.dropped);
                self.taken_out.append(&mut owners.hidden);
                Ok(())
            }
            (Step::Owner, None) => Ok(()),
        }
    }

    /// Hides the fields of a value.
    fn fields(&mut self, node: &Node, keys: &mut Keys, edits: &mut Edits) {
        if let Value::Text(value) | Value::Number(value) = &node.value
            && !self.taken_out.is_empty()
        {
            self.left.insert(value.clone());
        }
        match &node.value {
            Value::Text(text) => self.value(node, text, keys, edits),
            Value::Number(number) if detect::is_hidden_number(&self.rule.detect, number) => {
                edits.replace(node.span.clone(), "0");
            }
            Value::Array(items) => {
                for item in items {
                    self.fields(&item.node, keys, edits);
                }
            }
            Value::Object(members) => self.members(members, keys, edits),
            _ => {}
        }
    }

    fn members(&mut self, members: &[Child], keys: &mut Keys, edits: &mut Edits) {
        let mut removed = 0_usize;
        let mut renamed = NewKeys::new(members);
        for (index, member) in members.iter().enumerate() {
            let pushed = keys.push(&member.key);
            if self.is_hidden(keys) {
                self.hide(member, &mut removed, edits);
            } else {
                if let Some(changed) = self.without_detected(&member.key) {
                    renamed.rename(index, &changed, edits);
                }
                self.fields(&member.node, keys, edits);
            }
            keys.pop(pushed);
        }
    }

    /// Whether the field that was gone into last is hidden, which is noted.
    fn is_hidden(&mut self, keys: &Keys) -> bool {
        let mut paths = self.rule.redact.iter();
        let Some(field) = paths.find(|path| keys.end_with(path)) else {
            return false;
        };
        if !self.redacted.iter().any(|known| known == field.written()) {
            self.redacted.push(field.written().to_owned());
        }
        true
    }

    fn hide(&mut self, field: &Child, removed: &mut usize, edits: &mut Edits) {
        if self.rule.with == Mask::Remove {
            collect(&field.node, &mut self.hidden);
            edits.remove(field.element.cut(*removed));
            *removed = removed.saturating_add(1);
        } else {
            self.masker.leaves(&field.node, edits, &mut self.hidden);
        }
    }

    /// A text inside JSON: it may be JSON once more, and may hold what is detected.
    fn value(&mut self, node: &Node, text: &str, keys: &mut Keys, edits: &mut Edits) {
        let changed = match look(text, self.max_depth) {
            Inside::Json(inner) => self.inside(&inner, text, keys),
            Inside::Nearly if self.tells_fields_apart() => Some(WITHHELD.to_owned()),
            Inside::Nearly | Inside::Words => self.without_detected(text),
        };
        if let Some(changed) = changed {
            edits.replace(node.span.clone(), quoted(&changed));
        }
    }

    /// Whether the rule is about fields, which cannot be found in what is nearly JSON.
    fn tells_fields_apart(&self) -> bool {
        self.rule.owner.is_some() || !self.rule.redact.is_empty()
    }

    /// JSON inside a text, without what is hidden, if it changes.
    fn inside(&mut self, inner: &Node, text: &str, keys: &mut Keys) -> Option<String> {
        let mut edits = Edits::default();
        // Each one inside another is read less deep, so that it ends.
        self.max_depth = self.max_depth.saturating_sub(1);
        self.fields(inner, keys, &mut edits);
        self.max_depth = self.max_depth.saturating_add(1);
        let changed = edits.apply(text.as_bytes())?;
        String::from_utf8(changed).ok()
    }

    /// A text that is an answer, as the caller may have it, if it changes.
    fn text(&mut self, text: &str) -> Result<Option<String>, ResultError> {
        match (look(text, self.max_depth), self.step) {
            (Inside::Json(inner), _) => {
                let mut edits = Edits::default();
                self.max_depth = self.max_depth.saturating_sub(1);
                let outcome = self.data(&inner, false, &mut Keys::default(), &mut edits);
                self.max_depth = self.max_depth.saturating_add(1);
                outcome?;
                let changed = edits.apply(text.as_bytes());
                Ok(changed.and_then(|bytes| String::from_utf8(bytes).ok()))
            }
            (_, Step::Owner) => Ok(None),
            (Inside::Words, _) if text.is_empty() || text == WITHHELD => Ok(None),
            (Inside::Nearly, _) if self.tells_fields_apart() => Ok(Some(WITHHELD.to_owned())),
            (_, Step::Fields) => match self.rule.text {
                TextRule::Withhold => Ok(Some(WITHHELD.to_owned())),
                TextRule::Keep => Ok(self.without_detected(text)),
            },
        }
    }

    fn blob(
        &mut self,
        node: &Node,
        encoded: &str,
        form: Form,
        edits: &mut Edits,
    ) -> Result<(), ResultError> {
        let decoded = decode(encoded);
        let text = decoded.as_ref().map(|bytes| str::from_utf8(bytes));
        let changed = match text {
            Some(Ok(text)) => self.text(text)?.map(|changed| encode(&changed)),
            // It is no base64: some read it as it stands.
            None => self.text(encoded)?,
            Some(Err(_)) if form == Form::Media || self.rule.text == TextRule::Keep => None,
            Some(Err(_)) if self.step == Step::Owner => None,
            // What cannot be read.
            Some(Err(_)) => Some(encode(WITHHELD)),
        };
        if let Some(changed) = changed {
            edits.replace(node.span.clone(), quoted(&changed));
        }
        Ok(())
    }

    /// Hides what is detected in every text of a node.
    fn in_texts(&self, node: &Node, edits: &mut Edits) {
        if let (Value::Text(text), Step::Fields) = (&node.value, self.step)
            && let Some(changed) = self.without_detected(text)
        {
            edits.replace(node.span.clone(), quoted(&changed));
        }
        for child in node.children() {
            self.in_texts(&child.node, edits);
        }
    }

    fn without_detected(&self, text: &str) -> Option<String> {
        let found = detect::find(&self.rule.detect, text);
        super::repeated::replace(text, found, |value| self.masker.text(value))
    }
}
