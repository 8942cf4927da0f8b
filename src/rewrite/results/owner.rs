//! Whose the objects in a result are.

use super::NotOwned;
use super::mask::collect;
use crate::mcp::json::tree::{Child, Node, Value};
use crate::mcp::names::fold;
use crate::policy::{FieldPath, Missing, Otherwise, OwnerRule};
use crate::rewrite::splice::Edits;

/// Checks one value, and takes out what is somebody else's.
pub(super) struct Owners<'r> {
    rule: &'r OwnerRule,
    /// The caller's own value; without one, nothing is the caller's.
    own: Option<&'r str>,
    edits: &'r mut Edits,
    keys: Vec<String>,
    /// How many were taken out.
    pub dropped: usize,
    /// The values in them.
    pub hidden: Vec<String>,
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
    pub(super) fn new(rule: &'r OwnerRule, own: Option<&'r str>, edits: &'r mut Edits) -> Self {
        Self {
            rule,
            own,
            edits,
            keys: Vec::new(),
            dropped: 0,
            hidden: Vec::new(),
        }
    }

    /// Checks a whole value.
    ///
    /// # Errors
    ///
    /// It is somebody else's, or names no owner, and cannot be taken out of a list.
    pub(super) fn check(&mut self, root: &Node) -> Result<(), NotOwned> {
        let state = self.node(root, false)?;
        let missing = !state.named && self.rule.missing != Missing::Keep && says_something(root);
        if state.foreign || missing {
            return Err(NotOwned);
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, covered: bool) -> Result<State, NotOwned> {
        match &node.value {
            Value::Object(members) => self.object(members, covered),
            Value::Array(items) => self.array(items, covered),
            _ => Ok(State::default()),
        }
    }

    fn object(&mut self, members: &[Child], covered: bool) -> Result<State, NotOwned> {
        let before = self.dropped;
        let mut state = State::default();
        for member in members {
            let rule = self.rule;
            if self.leads_to(member, &rule.field) {
                state.named = true;
                state.foreign |= !self.is_own(&member.node);
            }
        }
        let covered = covered || state.named;
        for member in members {
            self.keys.push(fold(&member.key).into_owned());
            let inside = self.node(&member.node, covered);
            self.keys.pop();
            let inside = inside?;
            state.named |= inside.named;
            state.foreign |= inside.foreign;
        }
        let taken_out = self.dropped.saturating_sub(before);
        if taken_out > 0 {
            self.count(members, taken_out);
        }
        Ok(state)
    }

    /// Takes out the items that are somebody else's.
    fn array(&mut self, items: &[Child], covered: bool) -> Result<State, NotOwned> {
        let mut named = false;
        let mut removed = 0_usize;
        for item in items {
            let state = self.node(&item.node, covered)?;
            named |= state.named;
            let is_object = matches!(item.node.value, Value::Object(_));
            let nobodys = is_object && !covered && !state.named && says_something(&item.node);
            let action = match (state.foreign, self.rule.otherwise, self.rule.missing) {
                (true, Otherwise::Drop, _) => Missing::Drop,
                (true, Otherwise::Refuse, _) => Missing::Refuse,
                (false, _, missing) if nobodys => missing,
                (false, _, _) => Missing::Keep,
            };
            match action {
                Missing::Keep => {}
                Missing::Refuse => return Err(NotOwned),
                Missing::Drop => {
                    self.edits.remove(item.element.cut(removed));
                    collect(&item.node, &mut self.hidden);
                    self.dropped = self.dropped.saturating_add(1);
                    removed = removed.saturating_add(1);
                    // It named its owner, or may be left out.
                    named = true;
                }
            }
        }
        Ok(State {
            foreign: false,
            named,
        })
    }

    /// Subtracts what was taken out from the fields that count.
    fn count(&mut self, members: &[Child], taken_out: usize) {
        for member in members {
            let Value::Number(written) = &member.node.value else {
                continue;
            };
            let rule = self.rule;
            let counts = rule.totals.iter().any(|total| self.leads_to(member, total));
            if let (true, Ok(total)) = (counts, written.parse::<usize>()) {
                let left = total.saturating_sub(taken_out);
                self.edits
                    .replace(member.node.span.clone(), left.to_string());
            }
        }
    }

    fn leads_to(&mut self, member: &Child, path: &FieldPath) -> bool {
        self.keys.push(fold(&member.key).into_owned());
        let leads = path.matches(&self.keys);
        self.keys.pop();
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

/// Whether a value says anything: an answer without hits need not name an owner.
fn says_something(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => !text.is_empty(),
        Value::Number(number) => number.parse::<f64>() != Ok(0.0),
        Value::Bool => true,
        Value::Null => false,
        Value::Array(_) | Value::Object(_) => node
            .children()
            .iter()
            .any(|child| says_something(&child.node)),
    }
}
