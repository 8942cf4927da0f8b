//! What stands in the place of a value the caller does not see.

use crate::response::changes::Changes;
use base::json::tree::{Node, Value};
use policy::Mask;

/// In the place of a text, or of a part of one.
pub(in crate::response) const STARS: &str = "***";
/// Hides values in one way.
#[derive(Clone, Copy)]
pub(super) struct Masker<'k> {
    pub(super) with: Mask,
    /// The key of hashes.
    pub(super) key: Option<&'k str>,
}

impl Masker<'_> {
    /// A text, hidden.
    pub(super) fn text(self, text: &str) -> String {
        match self.with {
            Mask::Mask | Mask::Remove => STARS.to_owned(),
            Mask::Last4 => {
                let length = text.chars().count();
                let last: String = text.chars().skip(length.saturating_sub(4)).collect();
                // Of a short one, four characters are most of it.
                if length > 8 {
                    format!("{STARS}{last}")
                } else {
                    STARS.to_owned()
                }
            }
            Mask::Hash => match self.key {
                Some(key) => {
                    let hash = hmac_sha256::HMAC::mac(text.as_bytes(), key.as_bytes());
                    let short = hash.iter().take(8);
                    short.map(|byte| format!("{byte:02x}")).collect()
                }
                None => STARS.to_owned(),
            },
        }
    }

    /// Hides every value in a node; its type stays. An object is emptied, because keys are values as
    /// often as names. What was hidden is added to `values`.
    pub(super) fn leaves(self, node: &Node, changes: &mut Changes, values: &mut Vec<String>) {
        if matches!(&node.value, Value::Object(members) if !members.is_empty()) {
            collect(node, changes, values);
            changes.set_json(node, "{}");
            return;
        }
        if let Some(text) = changes.text(node) {
            changes.set_text(node, self.text(&text));
            values.push(text.into_owned());
        } else if let Some(number) = changes.number(node) {
            values.push(number.to_owned());
            changes.set_json(node, "0");
        } else if matches!(node.value, Value::Bool(_)) {
            changes.set_json(node, "false");
        }
        for child in node.children() {
            self.leaves(&child.node, changes, values);
        }
    }
}

/// Every text and number in a node, and every key that is no plain name.
pub(super) fn collect(node: &Node, changes: &Changes, values: &mut Vec<String>) {
    if let Some(text) = changes.text(node) {
        values.push(text.into_owned());
    } else if let Some(number) = changes.number(node) {
        values.push(number.to_owned());
    }
    for child in node.children() {
        if !is_plain_name(&child.key) && !changes.is_gone(&child.node) {
            values.push(changes.key(child).into_owned());
        }
        collect(&child.node, changes, values);
    }
}

/// Every text and number in a node.
pub(super) fn collect_values(node: &Node, changes: &Changes, values: &mut Vec<String>) {
    if let Some(text) = changes.text(node) {
        values.push(text.into_owned());
    } else if let Some(number) = changes.number(node) {
        values.push(number.to_owned());
    }
    for child in node.children() {
        collect_values(&child.node, changes, values);
    }
}

/// Whether a key is written as servers write the names of fields. Such a name is no value.
fn is_plain_name(key: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphabetic() || b"_-.$@".contains(&byte);
    key.bytes().all(is_of_name)
}
