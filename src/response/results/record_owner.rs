//! The owner of a record that the filter looked up. It is judged by the code for results. In addition, the
//! record must name its owner.

use super::NotTheCallers;
use super::key_path::KeyPath;
use super::pass::Pass;
use super::places::{AnswerTo, DataForm, DataPlace, places};
use crate::response::changes::{Changes, Held};
use crate::response::embedded::ValuesLeft;
use base::json::tree::{Node, Value};
use oauth::Identity;
use policy::{FieldPath, ResultRule};

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
    let places = places(message, AnswerTo::Call);
    let judged = Pass::new(rule, identity, None, max_depth).owners(&places, &mut changes);
    let own = owner.is.of(identity);
    let named = fields(&owner.field, &places, max_depth, &mut changes);
    let names_own = named
        .iter()
        .any(|field| field.text().is_some() && field.text() == own);
    match judged {
        Ok(_) if names_own && !changes.values().is_exceeded() => RecordOwnership::Callers,
        Err(NotTheCallers) if !named.is_empty() => RecordOwnership::Others,
        _ => RecordOwnership::Unknown,
    }
}

/// The value of a field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordField {
    /// A text.
    Text(String),
    /// A number, as written.
    Number(String),
    /// Another value.
    Other,
}

impl RecordField {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Other => None,
        }
    }
}

/// The values of a field in the answer to a look-up, outside of texts inside of the record.
pub(crate) fn fields_of(path: &FieldPath, message: &Node, max_depth: usize) -> Vec<RecordField> {
    let mut changes = Changes::within(ValuesLeft::default());
    let places = places(message, AnswerTo::Call);
    fields(path, &places, max_depth, &mut changes)
}

fn fields(
    path: &FieldPath,
    places: &[DataPlace<'_>],
    max_depth: usize,
    changes: &mut Changes,
) -> Vec<RecordField> {
    let mut found = Vec::new();
    for place in places {
        match (&place.node.value, place.form) {
            (Value::Text(_), DataForm::Text) => {
                if let Some(Held::Json(inner)) = changes.open(place.node, max_depth) {
                    find(path, &inner.node, &KeyPath::default(), &mut found);
                    changes.close(inner);
                }
            }
            (Value::Object(_) | Value::Array(_), DataForm::Answer) => {
                find(path, place.node, &KeyPath::default(), &mut found);
            }
            _ => {}
        }
    }
    found
}

fn find(path: &FieldPath, node: &Node, keys: &KeyPath<'_>, found: &mut Vec<RecordField>) {
    for child in node.children() {
        let is_member = !child.key_span.is_empty();
        let inner = match is_member {
            true => &keys.member(&child.key),
            false => keys,
        };
        if is_member && inner.ends_with_name() && inner.end_with(path) {
            found.push(match &child.node.value {
                Value::Text(text) => RecordField::Text(text.into()),
                Value::Number(number) => RecordField::Number(number.into()),
                _ => RecordField::Other,
            });
        }
        find(path, &child.node, inner, found);
    }
}
