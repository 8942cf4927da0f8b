//! What a list shows.

use super::*;

#[test]
fn b26_a_list_shows_what_a_call_could_be_allowed_or_cured_and_nothing_else() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["crm.*"], "deny": ["crm.purge"]}},
        "tools": {
            "crm.scope": {"scopes": ["s"]},
            "crm.age": {"max_token_age": "1s"},
            "crm.when": {"when": "args.amount <= 100"},
            "crm.never": {"when": "false"},
        },
    }));
    for (tool, visible) in [
        ("crm.get", true),
        ("crm.scope", true),
        ("crm.age", true),
        ("crm.when", true),
        ("crm.never", true),
        ("crm.purge", false),
        ("other", false),
    ] {
        let identity = identity(&["r"], &[]);
        let caller = Principal {
            identity: &identity,
            ceiling: None,
            token_age: None,
        };
        assert_eq!(
            may_see(&policy, caller, Target::of_item(List::Tools, tool)),
            visible,
            "{tool}"
        );
    }
}
