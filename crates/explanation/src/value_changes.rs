//! The differences of two JSON texts, value by value.

use serde_json::Value;

use crate::printable_text::printable;

/// The differences, one line each. Empty if one of the texts is not JSON.
pub fn changes(before: &[u8], after: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Ok(before), Ok(after)) = (
        serde_json::from_slice(before),
        serde_json::from_slice::<Value>(after),
    ) {
        compare("", &before, &after, &mut lines);
    }
    lines
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let path = join(path, key);
                match new.get(key) {
                    Some(now) => compare(&path, value, now, lines),
                    None => lines.push(format!("{path}: {} -> taken out", shown(value))),
                }
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                lines.push(format!("{}: added {}", join(path, key), shown(value)));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, lines);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() > new.len() => {
            let mut left = new.iter().peekable();
            for (index, old) in old.iter().enumerate() {
                let path = format!("{path}[{index}]");
                match left.next_if(|new| is_same_one(old, new)) {
                    Some(new) => compare(&path, old, new, lines),
                    None => lines.push(format!("{path}: {} -> taken out", shown(old))),
                }
            }
        }
        _ => lines.push(format!("{path}: {} -> {}", shown(before), shown(after))),
    }
}

/// Whether an item of a list has not been replaced: a part of it is equal.
fn is_same_one(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => after
            .iter()
            .any(|(key, value)| !value.is_boolean() && before.get(key) == Some(value)),
        _ => before == after,
    }
}

fn join(path: &str, key: &str) -> String {
    let key = printable(key);
    if path.is_empty() {
        return key;
    }
    format!("{path}.{key}")
}

/// A value, shortened to fit into a line.
fn shown(value: &Value) -> String {
    const MAX: usize = 60;
    let text = value.to_string();
    let cut = match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    };
    printable(&cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_one_line() {
        let before = br#"{"a": {"x": 1, "gone": true}, "list": [{"id": "b"}], "same": 1.0}"#;
        let after = br#"{"a": {"x": "1", "new": "n"}, "list": [{"id": "c"}], "same": 1.0}"#;
        assert_eq!(
            changes(before, after),
            [
                "a.gone: true -> taken out",
                "a.x: 1 -> \"1\"",
                "a.new: added \"n\"",
                "list[0].id: \"b\" -> \"c\"",
            ]
        );
    }
}
