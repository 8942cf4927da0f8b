//! The owners of the objects in a result.

use std::collections::HashSet;

use super::NotTheCallers;
use super::key_path::KeyPath;
use super::mask::{collect, collect_values};
use crate::response::changes::{Changes, Held};
use base::json::tree::{Child, Node, Value};
use policy::{FieldPath, Missing, Otherwise, OwnerRule};

/// Checks one value, and removes objects of other owners.
pub(super) struct Owners<'r> {
    pub(super) rule: &'r OwnerRule,
    /// The caller's own value. Without it no object belongs to the caller.
    pub(super) own: Option<&'r str>,
    /// The rule for an object without an owner.
    pub(super) missing: Missing,
    pub(super) max_depth: usize,
    /// The number of removed objects.
    pub(super) dropped: usize,
    /// The values in removed objects.
    pub(super) hidden: Vec<String>,
    /// The number of objects that were removed from the lists beside the current fields.
    listed: usize,
}

/// The owners that a value names.
#[derive(Debug, Clone, Copy, Default)]
struct Ownership {
    /// It belongs to another owner.
    foreign: bool,
    /// The value names an owner.
    named: bool,
    /// It is an object that names its owner, or holds one outside of any list.
    is_record: bool,
}

/// Objects beside owned ones that describe the result, such as a page. They have no owner.
const AROUND: [&str; 11] = [
    "cursor",
    "cursors",
    "links",
    "meta",
    "metadata",
    "page",
    "pageinfo",
    "pages",
    "pagination",
    "paging",
    "query",
];

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
            dropped: 0,
            hidden: Vec::new(),
            listed: 0,
        }
    }

    /// Checks a whole value.
    ///
    /// # Errors
    ///
    /// The value belongs to another owner or names none, and is not an item of a list.
    pub(super) fn check(
        &mut self,
        root: &Node,
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        let state = self.node(root, &KeyPath::default(), false, changes)?;
        let missing =
            !state.named && self.missing != Missing::Keep && says_something(root, changes);
        if state.foreign || missing {
            return Err(NotTheCallers);
        }
        Ok(())
    }

    fn node(
        &mut self,
        node: &Node,
        keys: &KeyPath<'_>,
        covered: bool,
        changes: &mut Changes,
    ) -> Result<Ownership, NotTheCallers> {
        match &node.value {
            Value::Object(members) => self.object(members, keys, covered, changes),
            Value::Array(items) => self.array(items, keys, covered, changes),
            Value::Text(_) => self.text(node, keys, covered, changes),
            _ => Ok(Ownership::default()),
        }
    }

    /// A text may hold JSON.
    fn text(
        &mut self,
        node: &Node,
        keys: &KeyPath<'_>,
        covered: bool,
        changes: &mut Changes,
    ) -> Result<Ownership, NotTheCallers> {
        let Some(Held::Json(mut inner)) = changes.open(node, self.max_depth) else {
            return Ok(Ownership::default());
        };
        // Each nested text is read with a lower depth limit, so the search ends.
        self.max_depth = self.max_depth.saturating_sub(1);
        let state = self.node(&inner.node, keys, covered, &mut inner.changes);
        self.max_depth = self.max_depth.saturating_add(1);
        changes.close(inner);
        state
    }

    fn object(
        &mut self,
        members: &[Child],
        keys: &KeyPath<'_>,
        covered: bool,
        changes: &mut Changes,
    ) -> Result<Ownership, NotTheCallers> {
        let before = std::mem::take(&mut self.listed);
        let mut state = Ownership::default();
        for member in members
            .iter()
            .filter(|member| !changes.is_gone(&member.node))
        {
            if leads_to(keys, member, &self.rule.field, changes) {
                state.named = true;
                state.foreign |= !self.is_own(&member.node, changes);
            }
        }
        state.is_record = state.named;
        let covered = covered || state.named;
        let mut ownerless = Vec::new();
        for member in members {
            // Other values have no owners in them.
            if !may_hold_objects(&member.node) || changes.is_gone(&member.node) {
                continue;
            }
            let key = changes.key(member);
            let inner = keys.member(&key);
            let inside = self.node(&member.node, &inner, covered, changes);
            let is_around = || AROUND.contains(&&*inner.last());
            let is_ownerless = matches!(inside, Ok(Ownership { named: false, .. }))
                && !covered
                && is_object(&member.node)
                && !is_around();
            let inside = inside?;
            if is_ownerless {
                ownerless.push(member);
            }
            state.named |= inside.named;
            state.foreign |= inside.foreign;
            state.is_record |= inside.is_record;
        }
        if state.is_record && !covered {
            self.ownerless(&ownerless, changes)?;
        }
        if self.listed > 0 {
            self.count(members, keys, self.listed, changes);
        }
        self.listed = self.listed.saturating_add(before);
        Ok(state)
    }

    /// Objects without an owner in an object that holds owned ones: it may be a map of records.
    fn ownerless(
        &mut self,
        members: &[&Child],
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        for member in members {
            if !says_something(&member.node, changes) {
                continue;
            }
            match self.missing {
                Missing::Keep => {}
                Missing::Refuse => return Err(NotTheCallers),
                Missing::Drop => self.drop(member, changes),
            }
        }
        Ok(())
    }

    /// Removes an object. Other texts may repeat its values.
    fn drop(&mut self, child: &Child, changes: &mut Changes) {
        collect(&child.node, changes, &mut self.hidden);
        changes.remove(child);
        self.dropped = self.dropped.saturating_add(1);
    }

    /// The texts and numbers in the caller's own objects.
    pub(super) fn own_values(
        &mut self,
        node: &Node,
        keys: &KeyPath<'_>,
        changes: &mut Changes,
        values: &mut HashSet<String>,
    ) {
        if let Some(Held::Json(mut inner)) = changes.open(node, self.max_depth) {
            self.max_depth = self.max_depth.saturating_sub(1);
            self.own_values(&inner.node, keys, &mut inner.changes, values);
            self.max_depth = self.max_depth.saturating_add(1);
            changes.close(inner);
            return;
        }
        let members = node.members().iter();
        let is_own = members.clone().any(|member| {
            !changes.is_gone(&member.node)
                && leads_to(keys, member, &self.rule.field, changes)
                && self.is_own(&member.node, changes)
        });
        if is_own {
            let mut own = Vec::new();
            collect_values(node, changes, &mut own);
            values.extend(own);
            return;
        }
        for child in node.children() {
            if changes.is_gone(&child.node) {
                continue;
            }
            let key = changes.key(child);
            let inner = match child.key_span.is_empty() {
                true => keys,
                false => &keys.member(&key),
            };
            self.own_values(&child.node, inner, changes, values);
        }
    }

    /// Removes the items of other owners.
    fn array(
        &mut self,
        items: &[Child],
        keys: &KeyPath<'_>,
        covered: bool,
        changes: &mut Changes,
    ) -> Result<Ownership, NotTheCallers> {
        let mut named = false;
        let mut removed = 0_usize;
        for item in items {
            if changes.is_gone(&item.node) {
                continue;
            }
            let listed = self.listed;
            let state = self.node(&item.node, keys, covered, changes)?;
            if !matches!(item.node.value, Value::Array(_)) {
                // Objects that were removed inside an object are counted there.
                self.listed = listed;
            }
            named |= state.named;
            let is_object = matches!(item.node.value, Value::Object(_));
            let nobodys =
                is_object && !covered && !state.named && says_something(&item.node, changes);
            let action = match (state.foreign, self.rule.otherwise, self.missing) {
                (true, Otherwise::Drop, _) => Missing::Drop,
                (true, Otherwise::Refuse, _) => Missing::Refuse,
                (false, _, missing) if nobodys => missing,
                (false, _, _) => Missing::Keep,
            };
            match action {
                Missing::Keep => {}
                Missing::Refuse => return Err(NotTheCallers),
                Missing::Drop => {
                    self.drop(item, changes);
                    removed = removed.saturating_add(1);
                    // The item named its owner, or `missing` allows that it does not.
                    named = true;
                }
            }
        }
        self.listed = self.listed.saturating_add(removed);
        Ok(Ownership {
            foreign: false,
            named,
            is_record: false,
        })
    }

    /// Subtracts removed objects from the fields that count them, beside the list or in an object beside
    /// it.
    fn count(
        &self,
        members: &[Child],
        keys: &KeyPath<'_>,
        taken_out: usize,
        changes: &mut Changes,
    ) {
        for member in members {
            if let (false, Some(written)) =
                (self.rule.totals.is_empty(), changes.number(&member.node))
            {
                let rule = self.rule;
                let mut totals = rule.totals.iter();
                let counts = totals.any(|total| leads_to(keys, member, total, changes));
                if let (true, Ok(total)) = (counts, written.parse::<usize>()) {
                    let left = total.saturating_sub(taken_out);
                    changes.set_json(&member.node, left.to_string());
                }
            }
            let inside = member.node.members();
            if !inside.iter().any(|one| holds_list(&one.node, changes)) {
                let key = changes.key(member);
                self.count(inside, &keys.member(&key), taken_out, changes);
            }
        }
    }

    fn is_own(&self, node: &Node, changes: &Changes) -> bool {
        let is_own = |value: &str| Some(value) == self.own;
        match &node.value {
            Value::Text(_) => changes.text(node).is_some_and(|text| is_own(&text)),
            Value::Number(_) => changes.number(node).is_some_and(is_own),
            Value::Array(items) => {
                let mut items = items.iter().filter(|item| !changes.is_gone(&item.node));
                let mut any = false;
                items.all(|item| {
                    any = true;
                    self.is_own(&item.node, changes)
                }) && any
            }
            _ => false,
        }
    }
}

/// Whether a path leads to a member.
fn leads_to(keys: &KeyPath<'_>, member: &Child, path: &FieldPath, changes: &Changes) -> bool {
    keys.member(&changes.key(member)).end_with(path)
}

fn may_hold_objects(node: &Node) -> bool {
    match &node.value {
        Value::Array(_) | Value::Object(_) | Value::Text(_) => true,
        Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}

/// Whether a value is an object, or a text that holds one.
fn is_object(node: &Node) -> bool {
    let text = node.text().unwrap_or_default();
    matches!(node.value, Value::Object(_)) || text.trim_start().starts_with('{')
}

fn holds_list(node: &Node, changes: &Changes) -> bool {
    let mut children = node.children().iter();
    !changes.is_gone(node)
        && (matches!(node.value, Value::Array(_))
            || children.any(|child| holds_list(&child.node, changes)))
}

/// Whether a value has content: a result without hits need not name an owner.
fn says_something(node: &Node, changes: &Changes) -> bool {
    match &node.value {
        Value::Text(_) => changes
            .text(node)
            .is_some_and(|text| !matches!(text.trim(), "" | "[]" | "{}")),
        Value::Number(_) => changes
            .number(node)
            .is_some_and(|number| number.parse::<f64>() != Ok(0.0)),
        Value::Bool(_) => !changes.is_gone(node),
        Value::Null => false,
        Value::Array(_) | Value::Object(_) => {
            let mut children = node.children().iter();
            children.any(|child| says_something(&child.node, changes))
        }
    }
}
