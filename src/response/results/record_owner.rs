//! The owner of a record that the filter looked up. It is judged by the code for results. In addition, the
//! record must name its owner.

use super::key_path::KeyPath;
use super::places::{AnswerTo, DataForm, places};
use super::{NotTheCallers, judge};
use crate::response::changes::{Changes, Held};
use crate::response::embedded::ValuesLeft;
use base::json::tree::{Node, Value};
use oauth::Identity;
use policy::{OwnerRule, ResultRule};

/// Whose record an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordOwnership {
    /// The caller's.
    Callers,
    /// It names no owner.
    Unknown,
    /// It names another owner, or several.
    Others,
}

/// Whose record the answer to a look-up is. Every object in it must name the caller, and one object must do so
/// outside of texts inside of it: other users may have written these.
pub(crate) fn of_record(
    rule: &ResultRule,
    identity: &Identity,
    message: &Node,
    max_depth: usize,
) -> RecordOwnership {
    let Some(owner) = &rule.owner else {
        return RecordOwnership::Unknown;
    };
    let mut changes = Changes::within(ValuesLeft::default());
    let to = AnswerTo::Call;
    let judged = judge(
        &[rule],
        identity,
        None,
        message,
        to,
        max_depth,
        &mut changes,
    );
    let names = NamedOwners::of(owner, owner.is.of(identity), message, max_depth);
    match (judged, names) {
        (Ok(_), NamedOwners { own: true, .. }) if !changes.values().is_exceeded() => {
            RecordOwnership::Callers
        }
        (Err(NotTheCallers), NamedOwners { any: true, .. }) => RecordOwnership::Others,
        _ => RecordOwnership::Unknown,
    }
}

/// The owners that a record names outside of texts.
#[derive(Debug, Default)]
struct NamedOwners {
    /// One is named.
    any: bool,
    /// The caller is named.
    own: bool,
}

impl NamedOwners {
    fn of(rule: &OwnerRule, own: Option<&str>, message: &Node, max_depth: usize) -> Self {
        let mut names = Self::default();
        let mut changes = Changes::within(ValuesLeft::default());
        for place in places(message, AnswerTo::Call) {
            match (&place.node.value, place.form) {
                (Value::Text(_), DataForm::Text) => {
                    if let Some(Held::Json(inner)) = changes.open(place.node, max_depth) {
                        names.find(rule, own, &inner.node, &mut KeyPath::default());
                        changes.close(inner);
                    }
                }
                (Value::Object(_) | Value::Array(_), DataForm::Answer) => {
                    names.find(rule, own, place.node, &mut KeyPath::default());
                }
                _ => {}
            }
        }
        names
    }

    fn find(&mut self, rule: &OwnerRule, own: Option<&str>, node: &Node, keys: &mut KeyPath) {
        for child in node.children() {
            let pushed = match child.key_span.is_empty() {
                true => 0,
                false => keys.push(&child.key),
            };
            if pushed > 0 && keys.end_with(&rule.field) {
                self.any = true;
                let named = child.node.text().or_else(|| child.node.number());
                self.own |= named.is_some() && named == own;
            }
            self.find(rule, own, &child.node, keys);
            keys.pop(pushed);
        }
    }
}
