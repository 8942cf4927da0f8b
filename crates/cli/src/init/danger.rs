//! What a tool may do, by its annotations and its name.

use serde_json::Value;

/// Words of tools that only read.
const READS: [&str; 22] = [
    "get", "list", "search", "find", "read", "fetch", "show", "describe", "query", "count",
    "lookup", "view", "check", "status", "who", "whoami", "browse", "download", "export", "help",
    "ping", "echo",
];
/// Words of tools that destroy.
const DESTROYS: [&str; 15] = [
    "delete",
    "remove",
    "drop",
    "purge",
    "destroy",
    "erase",
    "wipe",
    "truncate",
    "revoke",
    "kill",
    "reset",
    "terminate",
    "uninstall",
    "refund",
    "transfer",
];
/// Words of tools that can do anything.
const EXECUTES: [&str; 8] = [
    "exec", "execute", "eval", "shell", "run", "sql", "command", "script",
];

/// What a tool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Danger {
    /// It reads.
    Reads,
    /// It changes something.
    Writes,
    /// It destroys something, or can do anything.
    Destroys,
}

/// A doubt about what a tool may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Neither annotations nor the name say it.
    Unclear,
    /// The annotations say that it reads, and the name says otherwise.
    Contradiction,
}

/// What a tool may do, by its annotations, else by its name.
pub(super) fn danger(name: &str, tool: &Value) -> (Danger, Option<Doubt>) {
    let hint = |hint: &str| {
        let hint = tool.pointer(&format!("/annotations/{hint}"));
        hint.and_then(Value::as_bool)
    };
    let by_name = by_name(name);
    match (hint("readOnlyHint"), hint("destructiveHint")) {
        (Some(true), _) if by_name == Danger::Destroys => {
            (Danger::Destroys, Some(Doubt::Contradiction))
        }
        (Some(true), _) => (Danger::Reads, None),
        (_, Some(true)) => (Danger::Destroys, None),
        (Some(false), _) | (_, Some(false)) if executes(name) => (Danger::Destroys, None),
        (Some(false), _) | (_, Some(false)) => (Danger::Writes, None),
        (None, None) => {
            let doubt = (by_name == Danger::Writes).then_some(Doubt::Unclear);
            (by_name, doubt)
        }
    }
}

fn by_name(name: &str) -> Danger {
    let words = words(name);
    let is_in = |list: &'static [&str]| move |word: &&String| list.contains(&word.as_str());
    let (reads, destroys) = (is_in(&READS), is_in(&DESTROYS));
    // The first verb counts: `list_deleted` reads.
    let verb = words.iter().find(|word| reads(word) || destroys(word));
    match verb {
        _ if executes(name) => Danger::Destroys,
        Some(verb) if destroys(&verb) => Danger::Destroys,
        Some(_) => Danger::Reads,
        None => Danger::Writes,
    }
}

/// Whether a name is that of a tool that can do anything.
fn executes(name: &str) -> bool {
    words(name)
        .iter()
        .any(|word| EXECUTES.contains(&word.as_str()))
}

/// `crm.getCustomer_v2` as `crm`, `get`, `customer`, `v2`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || character.is_uppercase() && was_lower;
        if begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(
            words("crm.getCustomer_v2"),
            ["crm", "get", "customer", "v2"]
        );
        assert_eq!(words("HTTP-Fetch"), ["http", "fetch"]);
    }

    #[test]
    fn annotations_count_and_then_the_first_verb() {
        let (reads, destroys) = (
            json!({"readOnlyHint": true}),
            json!({"destructiveHint": true}),
        );
        for (name, annotations, expected) in [
            ("list_deleted", json!({}), (Danger::Reads, None)),
            ("delete_list", json!({}), (Danger::Destroys, None)),
            ("assign", json!({}), (Danger::Writes, Some(Doubt::Unclear))),
            ("run_query", json!({}), (Danger::Destroys, None)),
            ("assign", reads.clone(), (Danger::Reads, None)),
            (
                "wipe",
                reads,
                (Danger::Destroys, Some(Doubt::Contradiction)),
            ),
            ("get", destroys, (Danger::Destroys, None)),
            (
                "sql",
                json!({"readOnlyHint": false}),
                (Danger::Destroys, None),
            ),
            (
                "delete",
                json!({"destructiveHint": false}),
                (Danger::Writes, None),
            ),
        ] {
            assert_eq!(
                danger(name, &json!({"annotations": annotations})),
                expected,
                "{name}"
            );
        }
    }
}
