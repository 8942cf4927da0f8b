//! Whose the objects in a result are.

use super::NotOwned;
use super::embedded::{Inside, look};
use super::keys::Keys;
use super::mask::{collect, quoted};
use base::json::edits::Edits;
use base::json::tree::{Child, Node, Value};
use policy::{FieldPath, Missing, Otherwise, OwnerRule};

/// Checks one value, and takes out what is somebody else's.
pub(super) struct Owners<'r> {
    pub(super) rule: &'r OwnerRule,
    /// The caller's own value; without one, nothing is the caller's.
    pub(super) own: Option<&'r str>,
    /// What happens to an object that names no owner.
    pub(super) missing: Missing,
    pub(super) max_depth: usize,
    keys: Keys,
    /// How many were taken out.
    pub(super) dropped: usize,
    /// The values in them.
    pub(super) hidden: Vec<String>,
    /// How many were taken out of the lists beside the fields at hand.
    listed: usize,
}

/// What a value says about its owner.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// It is somebody else's.
    foreign: bool,
    /// It names an owner somewhere.
    named: bool,
}

impl<'r> Owners<'r> {
    pub(super) fn new(
        rule: &'r OwnerRule,
        own: Option<&'r str>,
        missing: Missing,
        max_depth: usize,
    ) -> Self {
        Self {
            rule,
            own,
            missing,
            max_depth,
            keys: Keys::default(),
            dropped: 0,
            hidden: Vec::new(),
            listed: 0,
        }
    }

    /// Checks a whole value.
    ///
    /// # Errors
    ///
    /// It is somebody else's, or names no owner, and cannot be taken out of a list.
    pub(super) fn check(&mut self, root: &Node, edits: &mut Edits) -> Result<(), NotOwned> {
        let state = self.node(root, false, edits)?;
        let missing = !state.named && self.missing != Missing::Keep && says_something(root);
        if state.foreign || missing {
            return Err(NotOwned);
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, covered: bool, edits: &mut Edits) -> Result<State, NotOwned> {
        match &node.value {
            Value::Object(members) => self.object(members, covered, edits),
            Value::Array(items) => self.array(items, covered, edits),
            Value::Text(text) => self.text(node, text, covered, edits),
            _ => Ok(State::default()),
        }
    }

    /// A text may be JSON once more.
    fn text(
        &mut self,
        node: &Node,
        text: &str,
        covered: bool,
        edits: &mut Edits,
    ) -> Result<State, NotOwned> {
        let Inside::Json(inner) = look(text, self.max_depth) else {
            return Ok(State::default());
        };
        let mut inside = Edits::default();
        // Each one inside another is read less deep, so that it ends.
        self.max_depth = self.max_depth.saturating_sub(1);
        let state = self.node(&inner, covered, &mut inside);
        self.max_depth = self.max_depth.saturating_add(1);
        let changed = inside.apply(text.as_bytes());
        if let Some(changed) = changed.and_then(|bytes| String::from_utf8(bytes).ok()) {
            edits.replace(node.span.clone(), quoted(&changed));
        }
        state
    }

    fn object(
        &mut self,
        members: &[Child],
        covered: bool,
        edits: &mut Edits,
    ) -> Result<State, NotOwned> {
        let before = std::mem::take(&mut self.listed);
        let mut state = State::default();
        for member in members {
            if self.leads_to(member, &self.rule.field) {
                state.named = true;
                state.foreign |= !self.is_own(&member.node);
            }
        }
        let covered = covered || state.named;
        for member in members {
            let pushed = self.keys.push(&member.key);
            let inside = self.node(&member.node, covered, edits);
            self.keys.pop(pushed);
            let inside = inside?;
            state.named |= inside.named;
            state.foreign |= inside.foreign;
        }
        if self.listed > 0 {
            self.count(members, self.listed, edits);
        }
        self.listed = self.listed.saturating_add(before);
        Ok(state)
    }

    /// Takes out the items that are somebody else's.
    fn array(
        &mut self,
        items: &[Child],
        covered: bool,
        edits: &mut Edits,
    ) -> Result<State, NotOwned> {
        let mut named = false;
        let mut removed = 0_usize;
        for item in items {
            let listed = self.listed;
            let state = self.node(&item.node, covered, edits)?;
            if !matches!(item.node.value, Value::Array(_)) {
                // What was taken out inside an object is counted there.
                self.listed = listed;
            }
            named |= state.named;
            let is_object = matches!(item.node.value, Value::Object(_));
            let nobodys = is_object && !covered && !state.named && says_something(&item.node);
            let action = match (state.foreign, self.rule.otherwise, self.missing) {
                (true, Otherwise::Drop, _) => Missing::Drop,
                (true, Otherwise::Refuse, _) => Missing::Refuse,
                (false, _, missing) if nobodys => missing,
                (false, _, _) => Missing::Keep,
            };
            match action {
                Missing::Keep => {}
                Missing::Refuse => return Err(NotOwned),
                Missing::Drop => {
                    edits.remove(item.element.cut(removed));
                    collect(&item.node, &mut self.hidden);
                    self.dropped = self.dropped.saturating_add(1);
                    removed = removed.saturating_add(1);
                    // It named its owner, or may be left out.
                    named = true;
                }
            }
        }
        self.listed = self.listed.saturating_add(removed);
        Ok(State {
            foreign: false,
            named,
        })
    }

    /// Subtracts what was taken out from the fields that count, beside the list or in an object
    /// beside it.
    fn count(&mut self, members: &[Child], taken_out: usize, edits: &mut Edits) {
        for member in members {
            match &member.node.value {
                Value::Number(written) => {
                    let rule = self.rule;
                    let mut totals = rule.totals.iter();
                    let counts = totals.any(|total| self.leads_to(member, total));
                    if let (true, Ok(total)) = (counts, written.parse::<usize>()) {
                        let left = total.saturating_sub(taken_out);
                        edits.replace(member.node.span.clone(), left.to_string());
                    }
                }
                Value::Object(inside) if !inside.iter().any(|one| holds_list(&one.node)) => {
                    let pushed = self.keys.push(&member.key);
                    self.count(inside, taken_out, edits);
                    self.keys.pop(pushed);
                }
                _ => {}
            }
        }
    }

    fn leads_to(&mut self, member: &Child, path: &FieldPath) -> bool {
        let pushed = self.keys.push(&member.key);
        let leads = self.keys.end_with(path);
        self.keys.pop(pushed);
        leads
    }

    fn is_own(&self, node: &Node) -> bool {
        match &node.value {
            Value::Text(value) | Value::Number(value) => Some(value.as_str()) == self.own,
            Value::Array(items) => {
                !items.is_empty() && items.iter().all(|item| self.is_own(&item.node))
            }
            _ => false,
        }
    }
}

fn holds_list(node: &Node) -> bool {
    matches!(node.value, Value::Array(_))
        || node.children().iter().any(|child| holds_list(&child.node))
}

/// Whether a value says anything: an answer without hits need not name an owner.
fn says_something(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => !matches!(text.trim(), "" | "[]" | "{}"),
        Value::Number(number) => number.parse::<f64>() != Ok(0.0),
        Value::Bool(_) => true,
        Value::Null => false,
        Value::Array(_) | Value::Object(_) => {
            let mut children = node.children().iter();
            children.any(|child| says_something(&child.node))
        }
    }
}
