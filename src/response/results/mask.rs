//! What stands in the place of a value the caller does not see.

use crate::response::changes::Changes;
use base::json::tree::{Node, Value};
use policy::Mask;

/// In the place of a text, or of a part of one.
pub(in crate::response) const STARS: &str = "***";
/// In the place of a text that cannot be looked into.
pub(super) const WITHHELD: &str = "[withheld]";

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

    /// Hides every value in a node; the shape stays. What was hidden is added to `values`.
    pub(super) fn leaves(self, node: &Node, changes: &mut Changes, values: &mut Vec<String>) {
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

/// Every text and number in a node.
pub(super) fn collect(node: &Node, changes: &Changes, values: &mut Vec<String>) {
    if let Some(text) = changes.text(node) {
        values.push(text.into_owned());
    } else if let Some(number) = changes.number(node) {
        values.push(number.to_owned());
    }
    for child in node.children() {
        collect(&child.node, changes, values);
    }
}
