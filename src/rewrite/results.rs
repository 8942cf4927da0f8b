//! What comes back, as the caller may have it: objects of others taken out, fields and values
//! hidden, wherever in the message they stand.

mod detect;
mod mask;
mod message;
mod owner;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use self::mask::{Masker, STARS, WITHHELD, collect, quoted};
use self::message::{Form, places};
use self::owner::Owners;
use super::splice::Edits;
use crate::authorize::Target;
use crate::identity::Identity;
use crate::mcp::json::tree::{Child, Node, Value};
use crate::mcp::json::{JsonError, Span};
use crate::mcp::names::fold;
use crate::policy::{IdentityField, Mask, Policy, ResultRule, TextRule};

/// The shortest value that is looked for in other texts: shorter ones are in every text.
const MIN_VALUE: usize = 4;
/// The most values that are looked for.
const MAX_VALUES: usize = 512;

/// Why a message is not passed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResultError {
    /// It is somebody else's, or says not whose it is.
    #[error(transparent)]
    NotOwned(#[from] NotOwned),
    /// It is not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// A result is somebody else's, or says not whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the result is not the caller's")]
pub struct NotOwned;

/// A message as the caller may have it.
#[derive(Debug, Default)]
pub struct Judged {
    /// The message, if anything of it changed.
    pub body: Option<Vec<u8>>,
    /// How many objects were taken out.
    pub dropped: usize,
    /// Fields that were hidden, as the policy writes them.
    pub redacted: Vec<String>,
}

/// The rules for the results of a target, for this caller. Without a target, as on a stream of its
/// own, all of them.
pub fn rules<'p>(
    policy: &'p Policy,
    identity: &Identity,
    target: Option<Target<'_>>,
) -> Vec<&'p ResultRule> {
    let sees_all = |rule: &&ResultRule| {
        let has = |role: &String| identity.roles.contains(role);
        rule.unless_role.iter().any(has)
    };
    let is_for = |rule: &&ResultRule| {
        let (patterns, name) = match target {
            None => return true,
            Some(Target::Server) => return false,
            Some(Target::Tool(name)) => (&rule.tools, name),
            Some(Target::Prompt(name)) => (&rule.prompts, name),
            Some(Target::Resource(uri) | Target::ResourceTemplate(uri)) => (&rule.resources, uri),
        };
        patterns
            .iter()
            .any(|pattern| pattern.matches(name, identity))
    };
    let rules = policy.results.iter();
    rules
        .filter(is_for)
        .filter(|rule| !sees_all(rule))
        .collect()
}

/// Applies rules to a message of the server. `key` is the key of hashes.
///
/// # Errors
///
/// The message may not be passed at all.
pub fn judge(
    rules: &[&ResultRule],
    identity: &Identity,
    key: Option<&str>,
    body: &[u8],
    max_depth: usize,
) -> Result<Judged, ResultError> {
    let mut judged = Judged::default();
    for rule in rules {
        let body_now = judged.body.as_deref().unwrap_or(body);
        let mut pass = Pass::new(rule, identity, key, max_depth);
        let changed = pass.message(body_now)?;
        judged.dropped = judged.dropped.saturating_add(pass.dropped.count());
        for name in pass.redacted {
            if !judged.redacted.contains(&name) {
                judged.redacted.push(name);
            }
        }
        judged.body = changed.or(judged.body);
    }
    Ok(judged)
}

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

impl Dropped {
    fn count(&self) -> usize {
        self.structured.unwrap_or(self.in_texts)
    }
}

/// One rule on one message.
struct Pass<'r> {
    rule: &'r ResultRule,
    step: Step,
    own: Option<&'r str>,
    masker: Masker<'r>,
    max_depth: usize,
    dropped: Dropped,
    redacted: Vec<String>,
    /// Hidden values, which other texts of the message may repeat.
    hidden: Vec<String>,
    /// Values of what was taken out, and of what was left: only the caller's own may be repeated.
    taken_out: Vec<String>,
    left: HashSet<String>,
}

impl<'r> Pass<'r> {
    fn new(
        rule: &'r ResultRule,
        identity: &'r Identity,
        key: Option<&'r str>,
        max_depth: usize,
    ) -> Self {
        let own = rule.owner.as_ref().and_then(|owner| match owner.is {
            IdentityField::User => identity.user.as_deref(),
            IdentityField::Organization => identity.organization.as_deref(),
        });
        Self {
            rule,
            step: Step::Owner,
            own,
            masker: Masker {
                with: rule.with,
                key,
            },
            max_depth,
            dropped: Dropped::default(),
            redacted: Vec::new(),
            hidden: Vec::new(),
            taken_out: Vec::new(),
            left: HashSet::new(),
        }
    }

    /// First what is somebody else's is taken out, then fields are hidden in what is left: no value
    /// is edited twice at once.
    fn message(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, ResultError> {
        let mut changed: Option<Vec<u8>> = None;
        for step in [Step::Owner, Step::Fields] {
            self.step = step;
            let now = changed.as_deref().unwrap_or(body);
            let message = Node::read(now, self.max_depth)?;
            let mut found = Vec::new();
            places(&message, &mut |node, form| found.push((node, form)));
            let mut edits = Edits::default();
            for (node, form) in found {
                self.place(node, form, &mut edits)?;
            }
            changed = edits.apply(now).or(changed);
        }
        let hidden = self.without_hidden(changed.as_deref().unwrap_or(body))?;
        Ok(hidden.or(changed))
    }

    fn place(&mut self, node: &Node, form: Form, edits: &mut Edits) -> Result<(), ResultError> {
        match (&node.value, form) {
            (Value::Text(text), Form::Blob) => self.blob(node, text, edits),
            (Value::Text(text), Form::Label) => {
                self.in_text(node, text, edits);
                Ok(())
            }
            (Value::Text(text), _) => {
                if let Some(changed) = self.text(text)? {
                    edits.replace(node.span.clone(), quoted(&changed));
                }
                Ok(())
            }
            (_, Form::Answer) => {
                let before = self.dropped.in_texts;
                self.data(node, true, edits)?;
                let here = self.dropped.in_texts.saturating_sub(before);
                let structured = self.dropped.structured.get_or_insert(0);
                *structured = structured.saturating_add(here);
                Ok(())
            }
            (_, _) => self.data(node, false, edits),
        }
    }

    /// A value whose fields can be told apart. `owned`: it has to be the caller's.
    fn data(&mut self, node: &Node, owned: bool, edits: &mut Edits) -> Result<(), ResultError> {
        match (self.step, &self.rule.owner) {
            (Step::Fields, _) => self.fields(node, &mut Vec::new(), edits),
            (Step::Owner, Some(rule)) if owned => {
                let mut owners = Owners::new(rule, self.own, edits);
                owners.check(node)?;
                self.dropped.in_texts = self.dropped.in_texts.saturating_add(owners.dropped);
                self.taken_out.append(&mut owners.hidden);
                Ok(())
            }
            (Step::Owner, _) => Ok(()),
        }
    }

    /// Hides the fields of a value.
    fn fields(
        &mut self,
        node: &Node,
        keys: &mut Vec<String>,
        edits: &mut Edits,
    ) -> Result<(), ResultError> {
        if let (Value::Text(value) | Value::Number(value), false) =
            (&node.value, self.taken_out.is_empty())
        {
            self.left.insert(value.clone());
        }
        if let Value::Text(text) = &node.value {
            self.value(node, text, edits)?;
        }
        let is_object = matches!(node.value, Value::Object(_));
        let mut removed = 0_usize;
        for child in node.children() {
            if is_object {
                keys.push(fold(&child.key).into_owned());
            }
            let field = self
                .rule
                .redact
                .iter()
                .find(|path| is_object && path.matches(keys));
            match field.map(|field| field.written().to_owned()) {
                None => self.fields(&child.node, keys, edits)?,
                Some(field) => {
                    self.hide(child, &mut removed, edits);
                    if !self.redacted.contains(&field) {
                        self.redacted.push(field);
                    }
                }
            }
            if is_object {
                keys.pop();
            }
        }
        Ok(())
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
    fn value(&mut self, node: &Node, text: &str, edits: &mut Edits) -> Result<(), ResultError> {
        match self.embedded(text, false)? {
            Some(Some(changed)) => edits.replace(node.span.clone(), quoted(&changed)),
            Some(None) => {}
            None => self.in_text(node, text, edits),
        }
        Ok(())
    }

    /// Hides what is detected in a text.
    fn in_text(&self, node: &Node, text: &str, edits: &mut Edits) {
        if self.step == Step::Fields
            && let Some(changed) = self.without_detected(text)
        {
            edits.replace(node.span.clone(), quoted(&changed));
        }
    }

    /// A text that is an answer, as the caller may have it, if it changes.
    fn text(&mut self, text: &str) -> Result<Option<String>, ResultError> {
        if let Some(changed) = self.embedded(text, true)? {
            return Ok(changed);
        }
        match self.rule.text {
            _ if self.step == Step::Owner => Ok(None),
            TextRule::Withhold if text.is_empty() || text == WITHHELD => Ok(None),
            TextRule::Withhold => Ok(Some(WITHHELD.to_owned())),
            TextRule::Keep => Ok(self.without_detected(text)),
        }
    }

    fn blob(&mut self, node: &Node, encoded: &str, edits: &mut Edits) -> Result<(), ResultError> {
        let decoded = BASE64_STANDARD.decode(encoded).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let changed = match text {
            Some(text) => self.text(&text)?,
            // A picture, or what cannot be read.
            None if self.rule.text == TextRule::Keep || self.step == Step::Owner => None,
            None => Some(WITHHELD.to_owned()),
        };
        if let Some(changed) = changed {
            edits.replace(node.span.clone(), quoted(&BASE64_STANDARD.encode(changed)));
        }
        Ok(())
    }

    /// JSON inside a text, as the caller may have it. `None` if it is no JSON with fields.
    fn embedded(&mut self, text: &str, owned: bool) -> Result<Option<Option<String>>, ResultError> {
        let start = text.trim_start();
        if !start.starts_with(['{', '[']) {
            return Ok(None);
        }
        let Ok(inner) = Node::read(text.as_bytes(), self.max_depth) else {
            return Ok(None);
        };
        let mut edits = Edits::default();
        // Each one inside another is read less deep, so that it ends.
        self.max_depth = self.max_depth.saturating_sub(1);
        let outcome = self.data(&inner, owned, &mut edits);
        self.max_depth = self.max_depth.saturating_add(1);
        outcome?;
        let changed = edits.apply(text.as_bytes());
        Ok(Some(
            changed.and_then(|bytes| String::from_utf8(bytes).ok()),
        ))
    }

    fn without_detected(&self, text: &str) -> Option<String> {
        let found = detect::find(&self.rule.detect, text);
        replace(text, found, |value| self.masker.text(value))
    }

    /// The message without the hidden values where its other texts repeat them.
    fn without_hidden(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, ResultError> {
        let mut hidden = std::mem::take(&mut self.hidden);
        let taken_out = std::mem::take(&mut self.taken_out);
        let left = std::mem::take(&mut self.left);
        hidden.extend(taken_out.into_iter().filter(|value| !left.contains(value)));
        hidden.retain(|value| value.chars().count() >= MIN_VALUE && value != STARS);
        hidden.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        hidden.dedup();
        hidden.truncate(MAX_VALUES);
        if hidden.is_empty() {
            return Ok(None);
        }
        let message = Node::read(body, self.max_depth)?;
        let mut edits = Edits::default();
        let mut found = Vec::new();
        places(&message, &mut |node, form| found.push((node, form)));
        for (node, form) in found {
            without(&hidden, node, form, &mut edits);
        }
        Ok(edits.apply(body))
    }
}

/// Hides values in every text of a node.
fn without(hidden: &[String], node: &Node, form: Form, edits: &mut Edits) {
    if let Value::Text(text) = &node.value {
        let decoded = match form {
            Form::Blob => {
                let bytes = BASE64_STANDARD.decode(text).ok();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok())
            }
            _ => Some(text.clone()),
        };
        let changed = decoded.and_then(|text| {
            let found = hidden.iter().flat_map(|value| occurrences(&text, value));
            replace(&text, found.collect(), |_| STARS.to_owned())
        });
        if let Some(changed) = changed {
            let written = match form {
                Form::Blob => BASE64_STANDARD.encode(changed),
                _ => changed,
            };
            edits.replace(node.span.clone(), quoted(&written));
        }
    }
    for child in node.children() {
        without(hidden, &child.node, form, edits);
    }
}

/// Where a value stands in a text: a number not inside another one.
fn occurrences(text: &str, value: &str) -> Vec<Span> {
    let is_number = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let found = text
        .match_indices(value)
        .map(|(at, value)| at..at.saturating_add(value.len()));
    let whole = |span: &Span| {
        let before = span
            .start
            .checked_sub(1)
            .and_then(|at| text.as_bytes().get(at));
        !is_number || !(digit(before) || digit(text.as_bytes().get(span.end)))
    };
    found.filter(whole).collect()
}

/// A text with parts of it replaced; where parts overlap, the longer one counts.
fn replace(text: &str, mut parts: Vec<Span>, with: impl Fn(&str) -> String) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    parts.sort_unstable_by_key(|part| (part.start, std::cmp::Reverse(part.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for part in parts {
        if part.start < done {
            continue;
        }
        out.push_str(text.get(done..part.start)?);
        out.push_str(&with(text.get(part.clone())?));
        done = part.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}
