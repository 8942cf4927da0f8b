//! Mistakes of form.

use super::*;

#[test]
fn an_unknown_key_is_named_with_the_nearest_one_at_any_depth() {
    for (path, nearest, policy) in [
        ("modes", "mode", with("/modes", json!(1))),
        ("rolls", "roles", with("/rolls", json!({}))),
        (
            "issuers[0].algorithm",
            "algorithms",
            with("/issuers/0/algorithm", json!([])),
        ),
        (
            "issuers[0].jwks.clustr",
            "cluster",
            with("/issuers/0/jwks/clustr", json!("x")),
        ),
        (
            "issuers[0].identity.usr",
            "user",
            with("/issuers/0/identity", json!({"usr": "x"})),
        ),
        (
            "roles.support.tool",
            "tools",
            with("/roles", json!({"support": {"tool": []}})),
        ),
        (
            "roles.support.Tools",
            "tools",
            with("/roles", json!({"support": {"Tools": []}})),
        ),
        (
            "tools.a.b.scope",
            "scopes",
            with("/tools", json!({"a.b": {"scope": []}})),
        ),
        ("headers.usr", "user", with("/headers", json!({"usr": "x"}))),
        (
            "upstream.authorisation",
            "authorization",
            with("/upstream", json!({"authorisation": "pass"})),
        ),
        ("audit.key", "key_env", with("/audit", json!({"key": "x"}))),
    ] {
        let key = path.rsplit_once('.').map_or(path, |(_, key)| key);
        let unknown = format!("unknown key `{key}`, expected one of ");
        let unknown = unknown.strip_suffix("one of ").unwrap();
        refuse_at(
            path,
            &[unknown, &format!("did you mean `{nearest}`?")],
            &policy,
        );
    }
    let far = errors(&with("/zzz", json!(1)).to_string());
    assert!(!far[0].contains("did you mean"), "{far:?}");
}

#[test]
fn a_missing_key_is_named() {
    refuse(vec![
        ("/resource", json!(null), "missing key `resource`"),
        (
            "/issuers",
            json!(null),
            "issuers: found none, expected at least one; or `local`, for one's own machine",
        ),
        (
            "/issuers/0/issuer",
            json!(null),
            "issuers[0]: missing key `issuer`",
        ),
        (
            "/issuers/0/jwks",
            json!(null),
            "issuers[0]: expected either `jwks` or `introspection`",
        ),
    ]);
}

#[test]
fn a_wrong_type_says_what_was_found_and_expected() {
    refuse(vec![
        (
            "/resource",
            json!(5),
            "resource: found number `5`, expected a text",
        ),
        (
            "/issuers",
            json!({}),
            "issuers: found a mapping, expected a list",
        ),
        (
            "/issuers",
            json!("x"),
            "issuers: found string \"x\", expected a list",
        ),
        (
            "/issuers",
            json!(["x"]),
            "issuers[0]: found string \"x\", expected a mapping",
        ),
        ("/mode", json!(1), "mode: found number `1`, expected a word"),
        (
            "/scopes",
            json!("a b"),
            "scopes: found string \"a b\", expected a list",
        ),
        (
            "/builtin_arguments",
            json!("no"),
            "builtin_arguments: found string \"no\", expected a boolean",
        ),
        (
            "/roles",
            json!({"a": "x"}),
            "roles.a: found string \"x\", expected a mapping",
        ),
        (
            "/roles",
            json!({"a": {"tools": "x"}}),
            "roles.a.tools: found string \"x\", expected a list",
        ),
        (
            "/roles",
            json!({"a": {"tools": [1.0]}}),
            "roles.a.tools[0]: found number `1.0`, expected a text",
        ),
        (
            "/tools",
            json!({"a": {"when": true}}),
            "tools.a.when: found boolean `true`, expected a text",
        ),
        (
            "/arguments",
            json!({"a": {"remove": true}}),
            "arguments.a.remove: found boolean `true`, expected the word alone",
        ),
        (
            "/arguments",
            json!({"a": "set"}),
            "arguments.a.set: found no value, expected one, as in `set: user`",
        ),
        (
            "/arguments",
            json!({"a": {}}),
            "arguments.a: found a mapping, expected one key",
        ),
        (
            "/arguments",
            json!({"a": null}),
            "arguments.a: found null, expected a word",
        ),
        (
            "/issuers/0/identity",
            json!({"user": 5}),
            "issuers[0].identity.user: found number `5`, expected a claim name, names with dots between them, a list of names, or a mapping with `claims`",
        ),
        (
            "/issuers/0/identity",
            json!({"user": "a..b"}),
            "issuers[0].identity.user: a claim path has no empty names",
        ),
        (
            "/issuers/0/identity",
            json!({"user": []}),
            "issuers[0].identity.user: a claim path has no empty names",
        ),
    ]);
}

#[test]
fn a_list_is_not_taken_for_a_mapping() {
    refuse(vec![
        (
            "/audit",
            json!(["plain"]),
            "audit: found a list, expected a mapping",
        ),
        (
            "/headers",
            json!([]),
            "headers: found a list, expected a mapping",
        ),
        (
            "/upstream",
            json!([]),
            "upstream: found a list, expected a mapping",
        ),
        (
            "/issuers/0/identity",
            json!([]),
            "issuers[0].identity: found a list, expected a mapping",
        ),
        (
            "/issuers/0/jwks",
            json!(["login", "/keys"]),
            "issuers[0].jwks: found a list, expected a mapping",
        ),
        (
            "/roles",
            json!({"a": [[], ["*"]]}),
            "roles.a: found a list, expected a mapping",
        ),
        (
            "/roles",
            json!([]),
            "roles: found a list, expected a mapping",
        ),
        (
            "/tools",
            json!({"a.b": []}),
            "tools.a.b: found a list, expected a mapping",
        ),
        (
            "/prompts",
            json!({"a": []}),
            "prompts.a: found a list, expected a mapping",
        ),
    ]);
    assert_eq!(errors("[]"), ["found a list, expected a mapping"]);
}

#[test]
fn an_unknown_word_is_named_with_the_nearest_one() {
    refuse(vec![
        (
            "/mode",
            json!("enforced"),
            "mode: unknown value `enforced`, expected `enforce` or `observe`; did you mean `enforce`?",
        ),
        (
            "/hold",
            json!("buffer"),
            "hold: unknown value `buffer`, expected `stop_iteration` or `buffer_filter`; did you mean `buffer_filter`?",
        ),
        (
            "/refusals",
            json!("show"),
            "refusals: unknown value `show`, expected `hidden` or `visible`",
        ),
        (
            "/upstream",
            json!({"authorization": "passs"}),
            "upstream.authorization: unknown value `passs`, expected one of `remove`, `pass`, `static`, `exchange`, `connection`; did you mean `pass`?",
        ),
        (
            "/audit",
            json!({"subject": "hashed"}),
            "audit.subject: unknown value `hashed`, expected one of `hash`, `plain`, `omit`; did you mean `hash`?",
        ),
        (
            "/arguments",
            json!({"a": "drop"}),
            "arguments.a: unknown value `drop`, expected one of `set`, `remove`, `reject`, `keep`, `owner`",
        ),
        (
            "/arguments",
            json!({"a": {"set": "usr"}}),
            "arguments.a.set: unknown value `usr`, expected `user` or `organization`; did you mean `user`?",
        ),
        (
            "/issuers/0/types",
            json!(["at-jwt"]),
            "issuers[0].types[0]: unknown value `at-jwt`, expected one of `at+jwt`, `JWT`, `absent`; did you mean `at+jwt`?",
        ),
    ]);
}

#[test]
fn b38_only_asymmetric_algorithms_can_be_named() {
    for name in ["none", "HS256", "HS512", "rs256", "ES256K"] {
        let policy = with("/issuers/0/algorithms", json!(["RS256", name]));
        let unknown = format!("unknown value `{name}`");
        refuse_at("issuers[0].algorithms[1]", &[&unknown], &policy);
    }
    let lower = with("/issuers/0/algorithms", json!(["rs256"]));
    refuse_at(
        "issuers[0].algorithms[0]",
        &["did you mean `RS256`?"],
        &lower,
    );
}

#[test]
fn lengths_of_time_have_units() {
    for (written, words) in [
        (json!(5), "found number `5`"),
        (json!("5"), "found `5`"),
        (json!(""), "found ``"),
        (json!("5 minuts"), "found `5 minuts`"),
        (json!("-5m"), "found `-5m`"),
        (json!("99999999999999999999y"), "too large"),
    ] {
        let words = [words, "expected a length of time such as 5m"];
        let policy = with("/issuers/0/clock_skew", written.clone());
        refuse_at("issuers[0].clock_skew", &words, &policy);
        let policy = with("/tools", json!({"a": {"max_token_age": written}}));
        refuse_at("tools.a.max_token_age", &words, &policy);
    }
}

#[test]
fn sizes_have_limits() {
    for (value, found) in [
        (json!("big"), "string \"big\""),
        (json!(-1), "number `-1`"),
        (json!(-1.0), "number `-1.0`"),
        (json!(1.5), "number `1.5`"),
        (json!([]), "a list"),
        (json!({}), "a mapping"),
        (json!(null), "null"),
    ] {
        let expected = "expected a size such as 256KiB or a number of bytes";
        let expected = format!("max_body: found {found}, {expected}");
        let mut policy = short();
        policy["max_body"] = value;
        assert_eq!(errors(&policy.to_string()), [expected]);
    }
    refuse(vec![
        (
            "/max_body",
            json!(0),
            "max_body: found 0 bytes, expected 1 to 1048576",
        ),
        (
            "/max_body",
            json!(1_048_577),
            "max_body: found 1048577 bytes, expected 1 to 1048576",
        ),
        (
            "/max_body",
            json!(1e30),
            "max_body: found 18446744073709551615 bytes, expected 1 to 1048576",
        ),
        (
            "/max_response",
            json!("17MiB"),
            "max_response: found 17825792 bytes, expected 1 to 16777216",
        ),
    ]);
}

#[test]
fn b08_a_policy_is_strict_json() {
    let short = short().to_string();
    let twice = short.replacen('{', r#"{"mode":"enforce","mode":"observe","#, 1);
    let role = short.replacen(
        '{',
        r#"{"roles":{"a":{"tools":[]},"\u0061":{"tools":["*"]}},"#,
        1,
    );
    for (text, expected) in [
        (String::new(), "not strict JSON: unexpected end at byte 0"),
        (
            "resource: x".to_owned(),
            "not strict JSON: unexpected character at byte 0",
        ),
        (
            format!("{short} x"),
            "not strict JSON: text after the value",
        ),
        (twice, "not strict JSON: duplicate key"),
        (role, "not strict JSON: duplicate key"),
        ("null".to_owned(), "found null, expected a mapping"),
    ] {
        let found = errors(&text);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
}
