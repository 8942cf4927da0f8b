//! Which decision point is asked, and mistakes in `decide`.

use super::*;

fn deciding() -> Value {
    let mut policy = short();
    policy["decide"] = json!({
        "authzen": {"cluster": "pdp", "path": "/access/v1/evaluation"},
        "arguments": ["amount", "order.total"],
        "cache": "10s",
    });
    policy
}

#[track_caller]
fn refuses(pointer: &str, value: Value, expected: &str) {
    let found = errors(&edited(deciding(), pointer, value).to_string());
    assert!(
        found.iter().any(|error| error.starts_with(expected)),
        "{pointer}: {found:?}"
    );
}

#[test]
fn the_short_form_is_complete() {
    let policy = parse(&deciding());
    let decide = policy.decide_for(&[]).unwrap();
    assert_eq!(decide.point.name(), "authzen:pdp");
    assert_eq!(decide.point.endpoint.authority, "pdp");
    assert_eq!(decide.point.timeout, Duration::from_secs(1));
    assert_eq!(decide.cache, Duration::from_secs(10));
    assert!(decide.point.evaluations.is_none() && decide.reads_arguments());
    assert!(parse(&short()).decide_for(&[]).is_none());
}

#[test]
fn the_most_specific_section_is_used() {
    let mut document = deciding();
    document["tools"] = json!({
        "crm.*": {"decide": {"opa": {"cluster": "opa", "path": "/v1/data/mcp"}, "cache": "1m"}},
        "crm.refund": {"decide": {"arguments": ["amount"]}},
    });
    let policy = parse(&document);
    let of = |tool: &str| {
        let matches =
            |operation: &&Operation| operation.pattern.matches(tool, Identity::anonymous());
        let operations: Vec<_> = policy.tools.iter().filter(matches).collect();
        let decide = policy.decide_for(&operations).unwrap();
        (
            decide.rule.clone(),
            decide.point.name(),
            decide.arguments.len(),
            decide.cache.as_secs(),
        )
    };
    let text = str::to_owned;
    assert_eq!(
        of("crm.refund"),
        (text("tools.crm.refund.decide"), text("authzen:pdp"), 1, 10)
    );
    assert_eq!(
        of("crm.get"),
        (text("tools.crm.*.decide"), text("opa:opa"), 0, 60)
    );
    assert_eq!(of("docs.get"), (text("decide"), text("authzen:pdp"), 2, 10));
}

#[test]
fn other_spellings_of_the_arguments_are_refused() {
    let policy = parse(&deciding());
    let decide = policy.decide_for(&[]).unwrap();
    let check = |arguments: &str| decide.check_spelling(arguments.as_bytes());
    for same in [
        r#"{"amount":1}"#,
        "{}",
        r#"{"order":{"total":1,"ID":2},"Note":1}"#,
    ] {
        assert_eq!(check(same), Ok(()), "{same}");
    }
    for other in [
        r#"{"Amount":1}"#,
        r#"{"amount":1,"a_mount":2}"#,
        r#"{"order":{"total":1,"TOTAL":2}}"#,
        r#"{"order.total":1}"#,
    ] {
        assert!(check(other).is_err(), "{other}");
    }
}

#[test]
fn mistakes_are_named() {
    let http = |changes: Value| {
        let mut point =
            json!({"cluster": "pdp", "path": "/", "body": {"u": "{subject.id}"}, "allow": "/ok"});
        for (key, value) in changes.as_object().unwrap() {
            point[key] = value.clone();
        }
        json!({"http": point})
    };
    for (pointer, value, expected) in [
        (
            "/decide",
            json!({}),
            "decide: found none of `authzen`, `opa` and `http`",
        ),
        (
            "/decide/opa",
            json!({"cluster": "opa", "path": "/v1"}),
            "decide: found more than one of",
        ),
        (
            "/decide/authzen/path",
            json!("access"),
            "decide.authzen.path: found `access`",
        ),
        (
            "/decide/authzen/cluster",
            json!(null),
            "decide.authzen: missing key `cluster`",
        ),
        (
            "/decide/authzen/timeout",
            json!("10s"),
            "decide.authzen.timeout: expected 10ms to 5s",
        ),
        (
            "/decide/authzen/timeout",
            json!("1ms"),
            "decide.authzen.timeout: expected 10ms to 5s",
        ),
        (
            "/decide/authzen/scheme",
            json!("Basic"),
            "decide.authzen.scheme: goes with",
        ),
        (
            "/decide/cache",
            json!("10m"),
            "decide.cache: expected at most 300 s",
        ),
        (
            "/decide/arguments",
            json!([""]),
            "decide.arguments[0]: found ``",
        ),
        (
            "/decide/arguments",
            json!(["a..b"]),
            "decide.arguments[0]: found `a..b`",
        ),
        (
            "/decide/arguments",
            json!(["a", "a"]),
            "decide.arguments[1]: `a` and `a` overlap",
        ),
        (
            "/decide/arguments",
            json!(["a.b", "a"]),
            "decide.arguments[1]: `a` and `a.b` overlap",
        ),
        (
            "/decide/arguments",
            json!((0..17).map(|index| format!("a{index}")).collect::<Vec<_>>()),
            "decide.arguments: found 17 arguments",
        ),
        (
            "/decide/resource",
            json!({"type": "", "id": "x"}),
            "decide.resource.type: found none",
        ),
        (
            "/decide/resource",
            json!({"type": "t", "id": "args."}),
            "decide.resource.id: expected",
        ),
        (
            "/decide/resource",
            json!({"type": "t", "id": ""}),
            "decide.resource.id: expected",
        ),
        (
            "/decide/authzen/evaluation",
            json!("/x"),
            "decide.authzen.evaluation: unknown key",
        ),
        (
            "/decide",
            http(json!({"allow": "ok"})),
            "decide.http.allow: found `ok`",
        ),
        (
            "/decide",
            http(json!({"is": 1})),
            "decide.http.is: expected",
        ),
        (
            "/decide",
            http(json!({"body": {"u": "{user}"}})),
            "decide.http.body: `{user}`",
        ),
        (
            "/decide",
            http(json!({"body": "x"})),
            "decide.http.body: expected a JSON object",
        ),
        (
            "/decide",
            json!({"opa": {"cluster": "a", "path": "/", "evaluations": "/x"}}),
            "decide.opa.evaluations: goes with `authzen`",
        ),
        (
            "/tools",
            json!({"x": {"decide": {"arguments": [""]}}}),
            "tools.x.decide.arguments[0]: found ``",
        ),
    ] {
        refuses(pointer, value, expected);
    }
    assert!(
        parse(&edited(deciding(), "/decide", http(json!({}))))
            .decide
            .is_some()
    );
}
