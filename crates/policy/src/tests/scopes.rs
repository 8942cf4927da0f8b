//! Scopes, which of them include others, and what the metadata says of them.

use super::*;

fn satisfying(includes: Value, needed: &str, granted: &[&str]) -> Option<String> {
    let policy = parse(&with("/scope_includes", includes));
    let granted: Vec<String> = granted.iter().map(|scope| (*scope).to_owned()).collect();
    let found = policy.scope_hierarchy.satisfying(needed, &granted);
    found.map(str::to_owned)
}

#[test]
fn a_scope_includes_others_at_any_remove() {
    let includes = json!({
        "admin": ["write", "audit"],
        "write": ["read"],
        "other": ["read"],
    });
    let satisfying = |needed, granted| satisfying(includes.clone(), needed, granted);
    assert_eq!(satisfying("read", &["read"]).as_deref(), Some("read"));
    assert_eq!(satisfying("read", &["write"]).as_deref(), Some("write"));
    assert_eq!(
        satisfying("read", &["x", "admin"]).as_deref(),
        Some("admin")
    );
    assert_eq!(
        satisfying("read", &["admin", "read"]).as_deref(),
        Some("read")
    );
    assert_eq!(satisfying("write", &["read", "other"]), None);
    assert_eq!(satisfying("admin", &["write", "audit", "read"]), None);
    assert_eq!(satisfying("read", &["audit"]), None);
    assert_eq!(satisfying("reader", &["write"]), None);
    assert_eq!(satisfying("read", &["Admin", "admin ", "adm"]), None);
    assert_eq!(satisfying("read", &[]), None);
    // What nobody wrote down is a scope like any other.
    assert_eq!(satisfying("x", &["x"]).as_deref(), Some("x"));
}

#[test]
fn scopes_do_not_include_each_other() {
    let errors = |includes: Value| errors(&with("/scope_includes", includes).to_string());
    assert_eq!(
        errors(json!({"a": ["b", "a"]})),
        ["scope_includes.a[1]: `a` includes itself"]
    );
    assert_eq!(
        errors(json!({"a": ["b"], "b": ["c"], "c": ["x", "a"]})),
        [
            "scope_includes.a[0]: `a` and `b` include each other",
            "scope_includes.b[0]: `b` and `c` include each other",
            "scope_includes.c[1]: `c` and `a` include each other",
        ]
    );
    // Two ways to the same scope are no circle.
    parse(&with(
        "/scope_includes",
        json!({"a": ["b", "c"], "b": ["d"], "c": ["d"]}),
    ));
}

#[test]
fn included_scopes_are_well_formed() {
    let expected = "expected one scope, without spaces and quotes";
    refuse(vec![
        (
            "/scope_includes",
            json!({"a b": ["c"]}),
            &format!("scope_includes.a b: found `a b`, {expected}"),
        ),
        (
            "/scope_includes",
            json!({"a": ["b", "c d"]}),
            &format!("scope_includes.a[1]: found `c d`, {expected}"),
        ),
        (
            "/scope_includes",
            json!({"a": "b"}),
            "scope_includes.a: found string \"b\", expected a list",
        ),
    ]);
}

#[test]
fn offline_access_is_not_asked_for() {
    let message = "a client asks the issuer for `offline_access` itself; take it out";
    for (pointer, value, path) in [
        ("/scopes", json!(["a", "offline_access"]), "scopes[1]"),
        (
            "/tools",
            json!({"x": {"scopes": ["offline_access"]}}),
            "tools.x.scopes[0]",
        ),
        (
            "/prompts",
            json!({"x": {"scopes": ["offline_access"]}}),
            "prompts.x.scopes[0]",
        ),
        (
            "/metadata",
            json!({"scopes_supported": ["offline_access"]}),
            "metadata.scopes_supported[0]",
        ),
        (
            "/scope_includes",
            json!({"a": ["offline_access"]}),
            "scope_includes.a[0]",
        ),
    ] {
        refuse(vec![(pointer, value, &format!("{path}: {message}"))]);
    }
}

#[test]
fn hierarchies_of_no_use_are_warned_about() {
    let policy = with(
        "/scope_includes",
        json!({"a": ["reed"], "b": ["a"], "c": ["read"]}),
    );
    let policy = edited(policy, "/scopes", json!(["read"]));
    let policy = edited(policy, "/roles", json!({"*": {"tools": ["*"]}}));
    assert_eq!(
        warnings(&policy),
        [
            "scope_includes.a: no rule asks for a scope it includes",
            "scope_includes.b: no rule asks for a scope it includes",
        ]
    );
}

#[test]
fn the_metadata_names_pages_that_can_be_opened() {
    refuse(vec![
        (
            "/metadata",
            json!({"resource_name": " "}),
            "metadata.resource_name: expected a name of one line",
        ),
        (
            "/metadata",
            json!({"resource_name": "a\nb"}),
            "metadata.resource_name: expected a name of one line",
        ),
        (
            "/metadata",
            json!({"resource_documentation": "docs"}),
            "metadata.resource_documentation: found `docs`, expected an absolute URL such as https://crm.example.com/mcp",
        ),
        (
            "/metadata",
            json!({"resource_tos_uri": "http://crm.example.com/tos"}),
            "metadata.resource_tos_uri: found `http://crm.example.com/tos`, expected https (http is for localhost only)",
        ),
        (
            "/metadata",
            json!({"resource_policy_uri": "javascript:alert(1)"}),
            "metadata.resource_policy_uri: found `javascript:alert(1)`, expected https (http is for localhost only)",
        ),
        (
            "/metadata",
            json!({"scopes_supported": ["a b"]}),
            "metadata.scopes_supported[0]: found `a b`, expected one scope, without spaces and quotes",
        ),
        (
            "/metadata",
            json!(["x"]),
            "metadata: found a list, expected a mapping",
        ),
    ]);
    refuse_at(
        "metadata.resource_nam",
        &["resource_name"],
        &with("/metadata", json!({"resource_nam": "x"})),
    );
}
