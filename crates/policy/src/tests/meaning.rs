//! Mistakes of meaning.

use super::*;

#[test]
fn b39_the_resource_is_a_plain_url() {
    const URL: &str = "expected an absolute URL such as https://crm.example.com/mcp";
    const HTTPS: &str = "expected https (http is for localhost only)";
    const PLAIN: &str = "expected a URL without query, fragment and user (RFC 8707 section 2)";
    for (resource, expected) in [
        ("", URL),
        ("/mcp", URL),
        ("crm.example.com/mcp", URL),
        ("http://crm.example.com/mcp", HTTPS),
        ("http://localhost.evil.example/", HTTPS),
        ("http://127.0.0.1.evil.example/", HTTPS),
        ("http://localhost@evil.example/", HTTPS),
        ("http://10.0.0.1/", HTTPS),
        ("ftp://localhost/", HTTPS),
        ("https://crm.example.com/mcp?x", PLAIN),
        ("https://crm.example.com/mcp#x", PLAIN),
        ("https://me@crm.example.com/mcp", PLAIN),
        ("https://:secret@crm.example.com/mcp", PLAIN),
    ] {
        let found = errors(&with("/resource", json!(resource)).to_string());
        assert_eq!(found, [format!("resource: found `{resource}`, {expected}")]);
    }
}

#[test]
fn paths_scopes_and_origins_are_well_formed() {
    refuse(vec![
        (
            "/path",
            json!("mcp"),
            "path: found `mcp`, expected a plain path that starts with `/`",
        ),
        (
            "/path",
            json!(""),
            "path: found ``, expected a plain path that starts with `/`",
        ),
        (
            "/path",
            json!("/a//b"),
            "path: found `/a//b`, expected a plain path that starts with `/`",
        ),
        (
            "/path",
            json!("/%6d"),
            "path: found `/%6d`, expected a plain path that starts with `/`",
        ),
        (
            "/path",
            json!("/mcp?x"),
            "path: found `/mcp?x`, expected a plain path that starts with `/`",
        ),
        (
            "/resource",
            json!("https://a.example/a%20b"),
            "path: found `/a%20b`, expected a plain path that starts with `/`",
        ),
        (
            "/scopes",
            json!(["a", "b c"]),
            "scopes[1]: found `b c`, expected one scope, without spaces and quotes",
        ),
        (
            "/scopes",
            json!([""]),
            "scopes[0]: found ``, expected one scope, without spaces and quotes",
        ),
        (
            "/tools",
            json!({"x": {"scopes": ["a\""]}}),
            "tools.x.scopes[0]: found `a\"`, expected one scope, without spaces and quotes",
        ),
        (
            "/origins",
            json!(["https://a.example/"]),
            "origins[0]: found `https://a.example/`, expected an origin such as https://app.example.com, chrome-extension://ID or vscode-webview://*",
        ),
        (
            "/origins",
            json!(["*"]),
            "origins[0]: found `*`, expected an origin such as https://app.example.com, chrome-extension://ID or vscode-webview://*",
        ),
        (
            "/origins",
            json!(["null"]),
            "origins[0]: found `null`, expected an origin such as https://app.example.com, chrome-extension://ID or vscode-webview://*",
        ),
        (
            "/tools",
            json!({" x": {}}),
            "tools. x: found ` x`, expected a name or pattern without spaces around it",
        ),
        (
            "/prompts",
            json!({"": {}}),
            "prompts.: found ``, expected a name or pattern without spaces around it",
        ),
        (
            "/tools",
            json!({"x": {"when": "identity.organisation == 'a'"}}),
            "tools.x.when: unknown field `identity.organisation`, expected one of `user`, `organization`, \
             `roles`, `scopes`, `actors`",
        ),
        (
            "/tools",
            json!({"x": {"when": "arg.y == 1"}}),
            "tools.x.when: unknown variable `arg`, expected one of `args`, `identity`, `call`",
        ),
        (
            "/tools",
            json!({"x": {"when": "args.y =="}}),
            "tools.x.when: not a CEL expression: 1:10: Syntax error: mismatched input '<EOF>' expecting expression",
        ),
    ]);
    parse(&with(
        "/origins",
        json!(["https://app.example.com", "http://localhost:6274"]),
    ));
}

#[test]
fn an_issuer_is_complete() {
    refuse(vec![
        (
            "/issuers",
            json!([]),
            "issuers: found none, expected at least one; or `local`, for one's own machine",
        ),
        (
            "/issuers/0/algorithms",
            json!([]),
            "issuers[0].algorithms: found none, expected at least one",
        ),
        (
            "/issuers/0/types",
            json!([]),
            "issuers[0].types: found none, expected at least one",
        ),
        (
            "/issuers/0/audiences",
            json!([]),
            "issuers[0].audiences: found none, expected at least one",
        ),
        (
            "/issuers/0/audiences",
            json!(["a", ""]),
            "issuers[0].audiences: found an empty one",
        ),
        (
            "/issuers/0/clock_skew",
            json!("5m 1s"),
            "issuers[0].clock_skew: expected at most 5m",
        ),
        (
            "/issuers/0/jwks",
            json!({}),
            "issuers[0].jwks: expected `cluster` and `path`, or `inline`",
        ),
        (
            "/issuers/0/jwks/path",
            json!(null),
            "issuers[0].jwks: expected `cluster` and `path`, or `inline`",
        ),
        (
            "/issuers/0/jwks/cluster",
            json!(null),
            "issuers[0].jwks: expected `cluster` and `path`, or `inline`",
        ),
        (
            "/issuers/0/jwks/inline",
            json!({"keys": []}),
            "issuers[0].jwks: expected `cluster` and `path`, or `inline`",
        ),
        (
            "/issuers/0/jwks/cluster",
            json!(""),
            "issuers[0].jwks.cluster: found none, expected the name of an Envoy cluster",
        ),
        (
            "/issuers/0/jwks/path",
            json!("keys"),
            "issuers[0].jwks.path: found `keys`, expected a path that starts with `/`",
        ),
        (
            "/issuers/0/jwks/path",
            json!("https://evil.example/keys"),
            "issuers[0].jwks.path: found `https://evil.example/keys`, expected a path that starts with `/`",
        ),
        (
            "/issuers/0/jwks/keep",
            json!("1m"),
            "issuers[0].jwks.keep: expected at least `refresh`",
        ),
        (
            "/issuers/0/issuer",
            json!("login"),
            "issuers[0].jwks.authority: found none, expected the host to call: there is no URL to take it from",
        ),
        (
            "/issuers/0/jwks",
            json!({"inline": {"keys": []}}),
            "issuers[0].jwks.inline: no usable key in it",
        ),
        (
            "/issuers/0/jwks",
            json!({"inline": {}}),
            "issuers[0].jwks.inline: not a JSON Web Key Set",
        ),
        (
            "/issuers/0/jwks",
            json!({"inline": "{\"keys\":[]}"}),
            "issuers[0].jwks.inline: not a JSON Web Key Set",
        ),
    ]);
    let one = short()["issuers"][0].clone();
    refuse(vec![(
        "/issuers",
        json!([one, one]),
        "issuers[1].issuer: `https://login.example.com` is named twice",
    )]);
}

#[test]
fn b08_two_spellings_of_one_argument_are_one_name() {
    refuse(vec![
        (
            "/arguments",
            json!({"userId": "remove", "user_id": "keep"}),
            "arguments.user_id: the same name as `userId`, in another spelling",
        ),
        (
            "/arguments",
            json!({"USER-ID": "remove", "\u{ff55}ser_id": "keep"}),
            "arguments.\u{ff55}ser_id: the same name as `USER-ID`, in another spelling",
        ),
        (
            "/tools",
            json!({"x": {"arguments": {"a.b": "keep", "ab": "keep"}}}),
            "tools.x.arguments.ab: the same name as `a.b`, in another spelling",
        ),
        (
            "/arguments",
            json!({"_-_": "remove"}),
            "arguments._-_: expected a name with a letter or digit in it",
        ),
        (
            "/prompts",
            json!({"x": {"arguments": {"": "keep"}}}),
            "prompts.x.arguments.: expected a name with a letter or digit in it",
        ),
    ]);
}

#[test]
fn an_organization_can_be_set_only_where_every_issuer_has_one() {
    let message = "`set: organization` needs `identity.organization` at every issuer";
    let set = json!({"org": {"set": "organization"}});
    let found = errors(&with("/arguments", set.clone()).to_string());
    assert_eq!(found, [format!("arguments.org: {message}")]);
    let found = errors(&with("/tools", json!({"x": {"arguments": set}})).to_string());
    assert_eq!(found, [format!("tools.x.arguments.org: {message}")]);

    let mut policy = edited(
        with("/arguments", set),
        "/issuers/0/identity",
        json!({"organization": "org"}),
    );
    parse(&policy);
    // A mistake elsewhere in the issuer is one mistake.
    let broken = edited(policy.clone(), "/issuers/0/jwks/path", json!(null));
    refuse_at("issuers[0].jwks", &["expected `cluster`"], &broken);
    let second = json!({"issuer": "https://b.example", "jwks": {"cluster": "b", "path": "/"}});
    policy["issuers"].as_array_mut().unwrap().push(second);
    refuse_at("arguments.org", &[message], &policy);
}

#[test]
fn roles_extend_roles_that_exist_and_not_each_other() {
    refuse(vec![
        (
            "/roles",
            json!({"support": {}, "manager": {"extends": ["suport"]}}),
            "roles.manager.extends[0]: unknown role `suport`; did you mean `support`?",
        ),
        (
            "/roles",
            json!({"a": {"extends": ["zzz"]}}),
            "roles.a.extends[0]: unknown role `zzz`",
        ),
        (
            "/roles",
            json!({"a": {"extends": ["a"]}}),
            "roles.a.extends[0]: `a` extends itself",
        ),
        (
            "/roles",
            json!({"a": {"tools": [""]}}),
            "roles.a.tools[0]: found ``, expected a name or pattern without spaces around it",
        ),
        (
            "/roles",
            json!({"a": {"deny": ["x", "y "]}}),
            "roles.a.deny[1]: found `y `, expected a name or pattern without spaces around it",
        ),
        (
            "/roles",
            json!({"a": {"prompts": [" y"]}}),
            "roles.a.prompts[0]: found ` y`, expected a name or pattern without spaces around it",
        ),
        (
            "/roles",
            json!({"a": {"resources": ["\t"]}}),
            "roles.a.resources[0]: found `\t`, expected a name or pattern without spaces around it",
        ),
        (
            "/roles",
            json!({"a,b": {}}),
            "roles.a,b: expected a role name without commas and control characters",
        ),
    ]);
    let ring = json!({"a": {"extends": ["b"]}, "b": {"extends": ["c"]}, "c": {"extends": ["a"]}, "d": {"extends": ["a"]}});
    let found = errors(&with("/roles", ring).to_string());
    assert_eq!(
        found,
        [
            "roles.a.extends[0]: `a` and `b` extend each other",
            "roles.b.extends[0]: `b` and `c` extend each other",
            "roles.c.extends[0]: `c` and `a` extend each other",
        ]
    );
}

#[test]
fn identity_headers_are_three_headers_the_protocol_does_not_use() {
    const NAME: &str = "expected a header name of lower-case letters, digits and dashes that the protocol does not use";
    for name in [
        "X-User",
        "",
        "x_user",
        "x user",
        ":path",
        "x-user\r\n",
        "mcp-method",
        "mcp-param-user",
        "authorization",
        "host",
        "content-length",
    ] {
        let expected = format!("headers.user: found `{name}`, {NAME}");
        refuse(vec![("/headers", json!({"user": name}), &expected)]);
        let expected = format!("upstream.remove_headers[1]: found `{name}`, {NAME}");
        refuse(vec![(
            "/upstream",
            json!({"remove_headers": ["x", name]}),
            &expected,
        )]);
        let expected = format!("upstream.pass_headers[0]: found `{name}`, {NAME}");
        refuse(vec![(
            "/upstream",
            json!({"pass_headers": [name]}),
            &expected,
        )]);
    }
    let expected = "upstream.pass_headers[0]: found `x-mcp-user`, which the filter removes or sets";
    let passed = json!({"pass_headers": ["x-mcp-user"]});
    refuse(vec![("/upstream", passed, expected)]);
    refuse(vec![
        (
            "/headers",
            json!({"user": "x", "roles": "x"}),
            "headers.roles: found `x` a second time, expected three different names",
        ),
        (
            "/headers",
            json!({"user": "x-mcp-roles"}),
            "headers.roles: found `x-mcp-roles` a second time, expected three different names",
        ),
    ]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut policy = with("/resource", json!("crm"));
    policy["issuers"][0]["algorithms"] = json!([]);
    policy["issuers"][0]["jwks"]["keep"] = json!("1s");
    policy["arguments"] = json!({"org": {"set": "organization"}});
    policy["tools"] = json!({"x": {"when": "y"}});
    policy["roles"] = json!({"a": {"extends": ["b"]}});
    policy["headers"] = json!({"user": "X"});
    policy["max_body"] = json!(0);
    let found = errors(&policy.to_string());
    let paths: Vec<&str> = found
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "resource",
            "issuers[0].algorithms",
            "issuers[0].jwks.keep",
            "arguments.org",
            "tools.x.when",
            "roles.a.extends[0]",
            "headers.user",
            "max_body",
        ]
    );
}

#[test]
fn r15_a_message_has_a_condition_and_a_length() {
    let refund = |operation: Value| with("/tools/crm.refund", operation);
    let long = "x".repeat(1001);
    for (operation, expected) in [
        (
            json!({"message": "no"}),
            "tools.crm.refund.message: says why `when` refuses a call, and there is no `when`",
        ),
        (
            json!({"when": "true", "message": " "}),
            "tools.crm.refund.message: found 0 characters, expected 1 to 1000",
        ),
        (
            json!({"when": "true", "message": long}),
            "tools.crm.refund.message: found 1001 characters, expected 1 to 1000",
        ),
    ] {
        assert_eq!(errors(&refund(operation).to_string()), [expected]);
    }
    let document = refund(json!({"when": "true", "message": "Ask a manager."}));
    assert!(Policy::parse(document.to_string().as_bytes()).is_ok());
}
