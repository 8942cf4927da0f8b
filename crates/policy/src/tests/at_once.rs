//! All mistakes of a policy are reported at once.

use super::*;

#[track_caller]
fn exactly(policy: &Value, expected: &[&str]) {
    assert_eq!(errors(&policy.to_string()), expected, "{policy:#}");
}

#[test]
fn mistakes_of_every_kind_are_reported_at_once() {
    let policy = json!({
        "path": "mcp",
        "mode": "enforced",
        "issuers": [
            {
                "issuer": "https://login.example.com",
                "jwks": {"cluster": 5, "path": "/keys", "refresh": "often"},
                "clock_skew": "10m",
                "algorithms": ["RS256", "HS256"],
            },
            {"jwks": ["login", "/keys"], "audience": "x"},
        ],
        "roles": {
            "support": {"tools": "crm.get", "extends": ["manger"]},
            "manager": null,
        },
        "tools": {
            "crm.refund": {"when": "args.amount <=", "scope": []},
            "crm.get": {"max_token_age": 5, "pin": "x"},
        },
        "arguments": {"user_id": {"set": "usr"}, "role": "drop"},
        "connections": {"jira": {"account": {"cluster": "c", "path": "/me"}}},
        "seal": ["KEY"],
        "compat": [true],
        "max_body": "2MiB",
    });
    exactly(
        &policy,
        &[
            "arguments.role: unknown value `drop`, expected one of `set`, `remove`, `reject`, `keep`, `owner`",
            "arguments.user_id.set: unknown value `usr`, expected `user` or `organization`; did you mean `user`?",
            "compat: found a list, expected a mapping",
            "issuers[0].algorithms[1]: unknown value `HS256`, expected one of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`; did you mean `ES256`?",
            "issuers[0].jwks.cluster: found number `5`, expected a text",
            "issuers[0].jwks.refresh: found `often`, expected a length of time such as 5m: expected number at 0",
            "issuers[1].audience: unknown key `audience`, expected one of `issuer`, `tenants`, `authorization_server`, `jwks`, `introspection`, `algorithms`, `audiences`, `without_audience`, `types`, `identity`, `sign_in`, `delegation`, `actors`, `clock_skew`, `max_lifetime`; did you mean `audiences`?",
            "issuers[1].jwks: found a list, expected a mapping",
            "issuers[1]: missing key `issuer`",
            "mode: unknown value `enforced`, expected `enforce` or `observe`; did you mean `enforce`?",
            "roles.manager: found null, expected a mapping",
            "roles.support.tools: found string \"crm.get\", expected a list",
            "seal: found a list, expected a mapping",
            "tools.crm.get.max_token_age: found number `5`, expected a length of time such as 5m",
            "tools.crm.refund.scope: unknown key `scope`, expected one of `scopes`, `max_token_age`, `connection`, `lifetime`, `single_use`, `confirm`, `max_result`, `when`, `decide`, `message`, `owner`, `param_headers`, `pin`, `arguments`; did you mean `scopes`?",
            "missing key `resource`",
            "path: found `mcp`, expected a plain path that starts with `/`",
            "issuers[0].clock_skew: expected at most 5m",
            "connections.jira.issuer: found none, expected the issuer identifier of the authorization server",
            "connections.jira.authorize: found none, expected one, or `discover`",
            "connections.jira.token: found none, expected one, or `discover`",
            "connections.jira.client_id: found none, expected one, or `discover`",
            "connections.jira.account.field: found none, expected one, or `id_token` or `userinfo`",
            "tools.crm.get.pin: expected `sha256:` and 64 hexadecimal digits, as `mcp-auth pin` prints them, or `first-seen`",
            "tools.crm.refund.when: not a CEL expression: 1:15: Syntax error: mismatched input '<EOF>' expecting expression",
            "roles.support.extends[0]: unknown role `manger`; did you mean `manager`?",
            "max_body: found 2097152 bytes, expected 1 to 1048576",
        ],
    );
}

#[test]
fn several_missing_keys_of_one_mapping_are_reported_at_once() {
    let policy = with(
        "/upstream",
        json!({"authorization": "exchange", "exchange": {}}),
    );
    exactly(
        &policy,
        &[
            "upstream.exchange: missing key `cluster`",
            "upstream.exchange: missing key `path`",
            "upstream.exchange: missing key `client_id`",
            "upstream.exchange.audience: found none, and no `resource` and `scopes` either: expected what the token is to be for",
        ],
    );
}

/// A value that cannot be read is no reason to report its consequences elsewhere.
#[test]
fn a_mistake_of_form_has_no_consequences_of_meaning() {
    for (pointer, value, expected) in [
        (
            "/resource",
            json!(5),
            "resource: found number `5`, expected a text",
        ),
        (
            "/issuers/0/issuer",
            json!(5),
            "issuers[0].issuer: found number `5`, expected a text",
        ),
        (
            "/issuers",
            json!("x"),
            "issuers: found string \"x\", expected a list",
        ),
        (
            "/issuers/0",
            json!("x"),
            "issuers[0]: found string \"x\", expected a mapping",
        ),
        (
            "/issuers/0/identity",
            json!("x"),
            "issuers[0].identity: found string \"x\", expected a mapping",
        ),
        (
            "/issuers/0/sign_in",
            json!("x"),
            "issuers[0].sign_in: found string \"x\", expected a mapping",
        ),
        (
            "/roles",
            json!("x"),
            "roles: found string \"x\", expected a mapping",
        ),
        (
            "/roles/a",
            json!("x"),
            "roles.a: found string \"x\", expected a mapping",
        ),
        (
            "/connections",
            json!("x"),
            "connections: found string \"x\", expected a mapping",
        ),
        (
            "/connections/jira",
            json!("x"),
            "connections.jira: found string \"x\", expected a mapping",
        ),
        (
            "/connections/jira/lifetime",
            json!("x"),
            "connections.jira.lifetime: found `x`, expected a length of time such as 5m: expected number at 0",
        ),
        (
            "/upstream/authorization",
            json!("exchagne"),
            "upstream.authorization: unknown value `exchagne`, expected one of `remove`, `pass`, `static`, `exchange`, `connection`; did you mean `exchange`?",
        ),
        (
            "/seal",
            json!("x"),
            "seal: found string \"x\", expected a mapping",
        ),
        ("/hold", json!(1), "hold: found number `1`, expected a word"),
        (
            "/max_body",
            json!("x"),
            "max_body: found string \"x\", expected a size such as 256KiB or a number of bytes",
        ),
        (
            "/connections/jira/lifetime",
            json!(10),
            "connections.jira.lifetime: found number `10`, expected a length of time such as 5m",
        ),
        (
            "/issuers/0/jwks/refresh",
            json!(10),
            "issuers[0].jwks.refresh: found number `10`, expected a length of time such as 5m",
        ),
        (
            "/tools/t/confirm",
            json!("yes"),
            "tools.t.confirm: found string \"yes\", expected true, false, or a mapping with `by`",
        ),
        ("/headers", json!({"user": 1, "roles": 2}), ""),
    ] {
        let policy = edited(
            json!({
                "resource": "https://crm.example.com/mcp",
                "issuers": [{
                    "issuer": "https://login.example.com",
                    "jwks": {"cluster": "login", "path": "/keys", "keep": "6m"},
                    "identity": {"organization": "org", "roles": "groups"},
                    "sign_in": {
                        "authorize": "https://login.example.com/authorize",
                        "token": {"cluster": "login", "path": "/token"},
                        "client_id": "mcp",
                    },
                }],
                "roles": {"a": {"tools": ["*"]}, "b": {"extends": ["a"]}},
                "arguments": {"org": {"set": "organization"}},
                "connections": {"jira": {
                    "issuer": "https://jira.example.com",
                    "discover": {"cluster": "jira"},
                }},
                "tools": {"t": {"connection": "jira", "lifetime": "30m"}},
                "upstream": {
                    "authorization": "exchange",
                    "exchange": {"cluster": "login", "path": "/token", "client_id": "mcp", "audience": "crm"},
                },
                "seal": {"key_env": "KEY"},
            }),
            pointer,
            value,
        );
        match expected {
            "" => assert_eq!(errors(&policy.to_string()).len(), 2, "{pointer}"),
            _ => exactly(&policy, &[expected]),
        }
    }
}

#[test]
fn a_misspelled_key_is_not_a_missing_key_too() {
    for (pointer, value, path, meant) in [
        ("/issuers/0/isuer", json!("x"), "issuers[0].isuer", "issuer"),
        ("/isuers", json!([]), "isuers", "issuers"),
        (
            "/upstream",
            json!({"authorization": "exchange", "exchang": {}}),
            "upstream.exchang",
            "exchange",
        ),
    ] {
        let mut policy = with(pointer, value);
        match pointer {
            "/issuers/0/isuer" => policy = edited(policy, "/issuers/0/issuer", json!(null)),
            "/isuers" => policy = edited(policy, "/issuers", json!(null)),
            _ => {}
        }
        refuse_at(
            path,
            &["unknown key", &format!("did you mean `{meant}`?")],
            &policy,
        );
    }
}

#[test]
fn the_report_is_bounded() {
    let keys = (0..500).map(|index| (format!("zzz{index:03}"), json!(1)));
    let mut policy = short();
    policy.as_object_mut().unwrap().extend(keys);
    let found = errors(&policy.to_string());
    assert_eq!(found.len(), 200);
    let report = report(found);
    assert_eq!(report.len(), 51);
    assert!(report[49].starts_with("zzz049: unknown key"), "{report:?}");
    assert_eq!(report[50], "and 150 more");
}

#[test]
fn the_order_of_mistakes_is_stable() {
    let policy = with(
        "/roles",
        json!({"b": {"tool": 1}, "a": {"tool": 1, "deny": 2}}),
    );
    let first = errors(&policy.to_string());
    assert_eq!(first.len(), 3);
    assert!(first.is_sorted(), "{first:?}");
    assert_eq!(first, errors(&policy.to_string()));
}

#[test]
fn a_variant_without_a_value_takes_none() {
    for (value, expected) in [
        (
            json!({"keep": 1}),
            "arguments.a.keep: found number `1`, expected the word alone",
        ),
        (
            json!({"keep": []}),
            "arguments.a.keep: found a list, expected the word alone",
        ),
        (
            json!("owner"),
            "arguments.a.owner: found no value, expected one, as in `set: user`",
        ),
        (
            json!({"set": ["user"]}),
            "arguments.a.set: found a list, expected a word",
        ),
        (
            json!({"set": "user", "keep": null}),
            "arguments.a: found a mapping, expected one key",
        ),
    ] {
        exactly(&with("/arguments", json!({"a": value})), &[expected]);
    }
}
