use serde_json::{Value, json};

use super::*;
use crate::identity::{Algorithm, Identity, KeySource, TokenType};
use crate::mcp::names::fold;

fn short() -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
        }],
    })
}

/// The short policy with `value` at a JSON pointer; `null` takes out what is there.
fn with(pointer: &str, value: Value) -> Value {
    edited(short(), pointer, value)
}

fn edited(mut policy: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent =
        parent
            .split('/')
            .skip(1)
            .fold(&mut policy, |at, key| match key.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[key],
            });
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else {
        parent[key] = value;
    }
    policy
}

fn parse(policy: &Value) -> Policy {
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

fn errors(policy: &str) -> Vec<String> {
    let errors = Policy::parse(policy.as_bytes()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn warnings(policy: &Value) -> Vec<String> {
    let warnings = parse(policy).warnings();
    warnings.iter().map(ToString::to_string).collect()
}

/// Each edit of the short policy leads to exactly this error.
#[track_caller]
fn refuse(table: Vec<(&str, Value, &str)>) {
    for (pointer, value, expected) in table {
        let found = errors(&with(pointer, value.clone()).to_string());
        assert_eq!(found, [expected], "{pointer} = {value}");
    }
}

/// Each edit is an error at this path, whose message has these words.
#[track_caller]
fn refuse_at(path: &str, words: &[&str], policy: &Value) {
    let found = errors(&policy.to_string());
    let [error] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(error.starts_with(&format!("{path}: ")), "{error}");
    for word in words {
        assert!(error.contains(word), "{error} has no {word}");
    }
}

// === what the short form means ===

#[test]
fn a_short_policy_is_a_safe_one() {
    let policy = parse(&short());
    assert_eq!(policy.path, "/mcp");
    assert_eq!(policy.mode, Mode::Enforce);
    assert!(policy.scopes.is_empty() && policy.roles.is_empty());
    assert!(policy.tools.is_empty() && policy.prompts.is_empty());
    assert_eq!(policy.refusals, Refusals::Hidden);
    assert_eq!(policy.origins, ["https://crm.example.com"]);
    assert_eq!(policy.headers.user, "x-mcp-user");
    assert_eq!(policy.headers.organization, "x-mcp-organization");
    assert_eq!(policy.headers.roles, "x-mcp-roles");
    assert_eq!(policy.upstream.authorization, Authorization::Remove);
    assert!(policy.upstream.remove_headers.is_empty());
    assert_eq!(policy.audit.subject, Subject::Hash);
    assert_eq!(policy.audit.key_env, None);
    assert_eq!(policy.max_body, 256 * 1024);
    assert_eq!(policy.max_response, 1024 * 1024);
    assert_eq!(policy.hold, Hold::StopIteration);

    let [issuer] = policy.issuers.as_slice() else {
        panic!()
    };
    assert_eq!(issuer.audiences, ["https://crm.example.com/mcp"]);
    assert_eq!(issuer.algorithms, Algorithm::ALL);
    assert_eq!(issuer.types, [TokenType::AccessToken, TokenType::Jwt]);
    assert_eq!(issuer.clock_skew, Duration::from_secs(30));
    assert_eq!(issuer.max_lifetime, Duration::from_secs(24 * 3600));
    let KeySource::Fetch(fetch) = &issuer.keys else {
        panic!()
    };
    assert_eq!(
        (fetch.cluster.as_str(), fetch.path.as_str()),
        ("login", "/keys")
    );
    assert_eq!(fetch.authority, "login.example.com");
    assert_eq!(fetch.refresh, Duration::from_secs(300));
    assert_eq!(fetch.keep, Duration::from_secs(3600));
}

#[test]
fn what_envoy_hands_over_has_numbers_with_fractions() {
    assert_eq!(parse(&with("/max_body", json!(1024.0))).max_body, 1024);
    assert_eq!(
        parse(&with("/max_body", json!("1MiB"))).max_body,
        1024 * 1024
    );
    assert_eq!(
        parse(&with("/max_response", json!("16 MiB"))).max_response,
        16 * 1024 * 1024
    );
}

#[test]
fn resources_for_this_machine_may_be_http() {
    for resource in [
        "http://localhost:8080/mcp",
        "http://127.0.0.1/",
        "http://[::1]:1/mcp",
    ] {
        parse(&with("/resource", json!(resource)));
    }
    assert_eq!(
        parse(&with("/resource", json!("https://a.example"))).path,
        "/"
    );
}

#[test]
fn the_metadata_url_keeps_the_resources_path() {
    for (resource, expected) in [
        (
            "https://a.example",
            "https://a.example/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example/",
            "https://a.example/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example:8443/x/mcp/",
            "https://a.example:8443/.well-known/oauth-protected-resource/x/mcp",
        ),
    ] {
        assert_eq!(
            parse(&with("/resource", json!(resource))).metadata_url(),
            expected
        );
    }
}

#[test]
fn an_issuers_port_is_part_of_the_fetchs_authority() {
    let policy = with("/issuers/0/issuer", json!("http://login.local:9000/realm"));
    let KeySource::Fetch(fetch) = &parse(&policy).issuers[0].keys else {
        panic!()
    };
    assert_eq!(fetch.authority, "login.local:9000");
}

#[test]
fn every_scope_is_listed_once() {
    let policy = edited(
        with("/scopes", json!(["b"])),
        "/tools",
        json!({"x": {"scopes": ["c", "a"]}}),
    );
    let policy = edited(policy, "/prompts", json!({"x": {"scopes": ["a", "b"]}}));
    assert_eq!(parse(&policy).all_scopes(), ["a", "b", "c"]);
}

#[test]
fn the_most_specific_rule_for_an_argument_comes_first() {
    let policy = edited(
        with(
            "/arguments",
            json!({"userId": "remove", "ticket": "reject"}),
        ),
        "/tools",
        json!({
            "*": {"arguments": {"ticket": "remove"}},
            "crm.*": {"arguments": {"user-id": "reject"}},
            "crm.assign": {"arguments": {"user_id": "keep"}},
        }),
    );
    let policy = parse(&policy);
    let patterns: Vec<&str> = policy
        .tools
        .iter()
        .map(|tool| tool.pattern.written())
        .collect();
    assert_eq!(patterns, ["crm.assign", "crm.*", "*"]);
    let all: Vec<&Operation> = policy.tools.iter().collect();
    let rule = |name: &str, operations: &[&Operation]| {
        policy.argument_rule(policy.names.find(&fold(name)).unwrap(), operations)
    };
    assert_eq!(rule("user_id", &all), ArgumentRule::Keep);
    assert_eq!(rule("USER.ID", &all[1..]), ArgumentRule::Reject);
    assert_eq!(rule("user_id", &[]), ArgumentRule::Remove);
    assert_eq!(rule("ticket", &all), ArgumentRule::Remove);
    assert_eq!(rule("ticket", &[]), ArgumentRule::Reject);
    // A built-in name, and one that is only an operation's.
    assert_eq!(rule("org_id", &[]), ArgumentRule::Reject);
    assert_eq!(rule("is_admin", &[]), ArgumentRule::Remove);
}

#[test]
fn built_in_names_follow_the_identity_and_can_be_turned_off() {
    let policy = with("/issuers/0/identity", json!({"organization": "org"}));
    let rule = |policy: &Policy, name: &str| {
        let id = policy.names.find(&fold(name))?;
        Some(policy.argument_rule(id, &[]))
    };
    let organization = Some(ArgumentRule::Set(IdentityField::Organization));
    assert_eq!(rule(&parse(&policy), "tenant_id"), organization);
    assert_eq!(
        rule(&parse(&short()), "tenant_id"),
        Some(ArgumentRule::Reject)
    );
    let user = Some(ArgumentRule::Set(IdentityField::User));
    assert_eq!(rule(&parse(&short()), "userId"), user);
    assert_eq!(
        rule(&parse(&with("/builtin_arguments", json!(false))), "user_id"),
        None
    );
}

// === mistakes of form ===

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
        ("/issuers", json!(null), "missing key `issuers`"),
        (
            "/issuers/0/issuer",
            json!(null),
            "issuers[0]: missing key `issuer`",
        ),
        (
            "/issuers/0/jwks",
            json!(null),
            "issuers[0]: missing key `jwks`",
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
            "issuers[0].identity.user: found number `5`, expected a claim name, names with dots between them, or a list of names",
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
            "upstream.authorization: unknown value `passs`, expected `remove` or `pass`; did you mean `pass`?",
        ),
        (
            "/audit",
            json!({"subject": "hashed"}),
            "audit.subject: unknown value `hashed`, expected one of `hash`, `plain`, `omit`; did you mean `hash`?",
        ),
        (
            "/arguments",
            json!({"a": "drop"}),
            "arguments.a: unknown value `drop`, expected one of `set`, `remove`, `reject`, `keep`",
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
    const EXPECTED: &str = "max_body: expected a size such as 256KiB or a number of bytes";
    refuse(vec![
        ("/max_body", json!("big"), EXPECTED),
        ("/max_body", json!(-1), EXPECTED),
        ("/max_body", json!(1.5), EXPECTED),
        ("/max_body", json!([]), EXPECTED),
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

// === mistakes of meaning ===

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
            "origins[0]: found `https://a.example/`, expected an origin such as https://app.example.com",
        ),
        (
            "/origins",
            json!(["*"]),
            "origins[0]: found `*`, expected an origin such as https://app.example.com",
        ),
        (
            "/origins",
            json!(["null"]),
            "origins[0]: found `null`, expected an origin such as https://app.example.com",
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
            "issuers: found none, expected at least one",
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
            "issuers[0].jwks.authority: expected the host to fetch from: the issuer is not a URL",
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
    }
    refuse(vec![
        (
            "/headers",
            json!({"user": "x", "roles": "x"}),
            "headers: expected three different names",
        ),
        (
            "/headers",
            json!({"user": "x-mcp-roles"}),
            "headers: expected three different names",
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

// === what is allowed and can hardly be meant ===

#[test]
fn warnings_name_rules_that_can_never_match() {
    assert_eq!(
        warnings(&short()),
        ["roles: there are none: nobody may call anything"]
    );
    let policy = with("/issuers/0/identity", json!({"roles": "roles"}));
    let policy = edited(
        policy,
        "/roles",
        json!({
            "a": {"tools": ["crm.*", "x"], "deny": ["crm.*"]},
            "b": {"extends": ["a"], "tools": ["crm.get"]},
        }),
    );
    let policy = edited(
        policy,
        "/tools",
        json!({"crm.*": {}, "c*get": {}, "x": {}, "y": {}, "*y": {}}),
    );
    let policy = edited(policy, "/prompts", json!({"crm.x": {}}));
    assert_eq!(
        warnings(&policy),
        [
            "roles.a: `crm.*` can never match: `crm.*` denies it",
            "roles.b: `crm.get` can never match: `crm.*` denies it",
            "roles.b: `crm.*` can never match: `crm.*` denies it",
            "tools.y: no role allows it: nobody may call it",
            "prompts.crm.x: no role allows it: nobody may call it",
        ]
    );
}

#[test]
fn warnings_name_roles_nobody_can_have() {
    let policy = with(
        "/roles",
        json!({"*": {"tools": ["x"]}, "a": {"tools": ["x"]}}),
    );
    assert_eq!(
        warnings(&policy),
        ["roles.a: no issuer has `identity.roles`: nobody has this role"]
    );
    let policy = edited(policy, "/issuers/0/identity", json!({"roles": "roles"}));
    assert_eq!(warnings(&policy), [""; 0]);
}

// === patterns ===

fn caller(organization: Option<&str>) -> Identity {
    Identity {
        user: "u1".into(),
        organization: organization.map(str::to_owned),
        roles: Vec::new(),
        scopes: Vec::new(),
    }
}

#[test]
fn b16_a_denial_applies_also_where_a_placeholder_has_no_value() {
    let denial = Pattern::denial("crm://{organization}/secret*");
    assert!(denial.matches("crm://acme/secrets", &caller(Some("acme"))));
    assert!(!denial.matches("crm://globex/secrets", &caller(Some("acme"))));
    for organization in [None, Some("a/b"), Some(".."), Some("*")] {
        assert!(denial.matches("crm://acme/secrets", &caller(organization)));
        assert!(!denial.matches("crm://acme/public", &caller(organization)));
        let grant = Pattern::uri("crm://{organization}/secret*");
        assert!(!grant.matches("crm://acme/secrets", &caller(organization)));
    }
}

#[test]
fn patterns_overlap_when_some_name_matches_both() {
    for (one, other, expected) in [
        ("crm.*", "crm.get", true),
        ("a*", "*b", true),
        ("*", "*", true),
        ("a*c", "ab*", true),
        ("a*", "b*", false),
        ("*a", "*b", false),
        ("ab", "a", false),
    ] {
        let (one, other) = (Pattern::name(one), Pattern::name(other));
        assert_eq!(one.overlaps(&other), expected, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), expected, "{other:?} {one:?}");
    }
}
