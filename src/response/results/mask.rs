//! Replacements of hidden values.

use std::borrow::Cow;

use super::new_keys::NewKeys;
use crate::response::changes::Changes;
use base::json::tree::{Node, Value};
use policy::Mask;

/// Replaces a text or a part of one.
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
    pub(super) fn text(self, text: &str) -> Cow<'static, str> {
        match self.with {
            Mask::Mask | Mask::Remove => STARS.into(),
            Mask::Last4 => {
                let length = text.chars().count();
                let last: String = text.chars().skip(length.saturating_sub(4)).collect();
                // Four characters are most of a short text.
                if length > 8 {
                    format!("{STARS}{last}").into()
                } else {
                    STARS.into()
                }
            }
            Mask::Hash => match self.key {
                Some(key) => {
                    let hash = hmac_sha256::HMAC::mac(text.as_bytes(), key.as_bytes());
                    let short = hash.iter().take(8);
                    let hash: String = short.map(|byte| format!("{byte:02x}")).collect();
                    hash.into()
                }
                None => STARS.into(),
            },
        }
    }

    /// Hides all values in a node, and all keys that do not look like names of fields. The shape stays.
    /// Hidden values are added to `values`.
    pub(super) fn leaves(self, node: &Node, changes: &mut Changes, values: &mut Vec<String>) {
        let mut renamed = NewKeys::new(node.members());
        for member in node.members() {
            let key = changes.key(member);
            if !is_plain_name(&key) && !changes.is_gone(&member.node) {
                renamed.rename(member, STARS.to_owned(), changes);
                values.extend(is_value(&key).then(|| key.into_owned()));
            }
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

/// All texts and numbers in a node, and all keys that are values.
pub(super) fn collect(node: &Node, changes: &Changes, values: &mut Vec<String>) {
    if let Some(text) = changes.text(node) {
        values.push(text.into_owned());
    } else if let Some(number) = changes.number(node) {
        values.push(number.to_owned());
    }
    for child in node.children() {
        if is_value(&child.key) && !changes.is_gone(&child.node) {
            values.push(changes.key(child).into_owned());
        }
        collect(&child.node, changes, values);
    }
}

/// All texts and numbers in a node.
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

/// Whether a key looks like the name of a field: `cardNumber`, `card_number`.
fn is_plain_name(key: &str) -> bool {
    let starts = key.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    starts
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// Whether a key is a value that other texts may repeat, such as `123-45-6789`, and not a name such as
/// `line1`.
fn is_value(key: &str) -> bool {
    let is_name = !key.starts_with(|first: char| first.is_ascii_digit())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !is_name && key.bytes().any(|byte| byte.is_ascii_digit())
}
