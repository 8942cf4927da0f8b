//! What becomes of the arguments that say who is calling.

use std::rc::Rc;

use serde_json::json;

use super::fake_proxy::{FakeProxy, Request};
use super::{call, default, modern_call, policy, received, refusal, send};
use crate::decision::Verdict;

#[test]
fn a_request_without_identity_arguments_leaves_as_it_came() {
    let arguments = r#"{ "id" : 9223372036854775809 , "x":1.0e2,"y":-0, "t":"a\u0062\/" }"#;
    let request = call("crm.get", arguments);
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_body(), request.body);
    assert_eq!(outcome.record.decision.verdict, Verdict::Approved);
    assert_eq!(outcome.record.decision.reason, "allowed");
}

#[test]
fn identity_arguments_are_set_and_removed_and_nothing_else_changes() {
    for (sent, expected) in [
        (
            r#"{"organization_id":"globex","q":1}"#,
            r#"{"organization_id":"acme","q":1}"#,
        ),
        (r#"{"role":"admin"}"#, r#"{}"#),
        (r#"{"role":"admin","q":1}"#, r#"{"q":1}"#),
        (r#"{"q":1 , "role":"admin"}"#, r#"{"q":1 }"#),
        (
            r#"{"role":1,"Role":2,"q":1,"r":2,"roles":[],"z":0}"#,
            r#"{"q":1,"r":2,"z":0}"#,
        ),
        (
            r#"{"q":{"role":"admin"},"list":[{"userId":"u2"},[{"a":{"USER-ID":"u2"}}]]}"#,
            r#"{"q":{},"list":[{"userId":"u1"},[{"a":{"USER-ID":"u1"}}]]}"#,
        ),
        (r#"{"user_ids":["u2","u3"]}"#, r#"{"user_ids":["u1"]}"#),
        (
            r#"{"user_id":null,"x":[1,2]}"#,
            r#"{"user_id":"u1","x":[1,2]}"#,
        ),
    ] {
        let outcome = send(&default(), &call("crm.get", sent));
        let expected = call("crm.get", expected).body;
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        assert_eq!(text(outcome.server_body()), text(&expected));
    }
}

#[test]
fn an_object_in_the_place_of_an_identity_argument_is_refused() {
    let outcome = send(&default(), &call("crm.get", r#"{"user":{"id":"u2"}}"#));
    assert_eq!(outcome.refusal(), (200, -32602, "argument_not_single"));
}

#[test]
fn b02_every_spelling_of_an_identity_argument_is_found() {
    for name in [
        "organization_id",
        "organizationId",
        "ORGANIZATION-ID",
        "organization.id",
        "Organization Id",
        "organi\\u007aation_id",
        "ｏｒｇａｎｉｚａｔｉｏｎ＿ｉｄ",
        "organization\u{200b}_id",
        "organ\u{131}zation_id",
        "tenant\u{ad}_id",
        "work\u{17f}pace_id",
        "x/organization_id",
    ] {
        let outcome = send(
            &default(),
            &call("crm.get", &format!(r#"{{"{name}":"globex"}}"#)),
        );
        let text = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(
            text.contains("acme") && !text.contains("globex"),
            "{name}: {text}"
        );
    }
}

#[test]
fn numbers_stay_numbers() {
    for (sub, sent, expected) in [
        ("42", r#"{"user_id":7}"#, r#"{"user_id":42}"#),
        ("42", r#"{"user_id":"7"}"#, r#"{"user_id":"42"}"#),
        ("u1", r#"{"user_id":7}"#, r#"{"user_id":"u1"}"#),
        ("042", r#"{"user_id":7}"#, r#"{"user_id":"042"}"#),
    ] {
        let request = call("crm.get", sent).token(json!({"sub": sub}));
        assert_eq!(received(&send(&default(), &request)), expected);
    }
}

#[test]
fn an_operations_own_set_adds_what_was_left_out() {
    for (arguments, expected) in [
        ("{}", r#"{"organization_id":"acme"}"#),
        (r#"{"q":1}"#, r#"{"organization_id":"acme","q":1}"#),
        (r#"{"role":1}"#, r#"{"organization_id":"acme"}"#),
        (
            r#"{"OrganizationID":"globex"}"#,
            r#"{"organization_id":"acme"}"#,
        ),
        (
            r#"{"q":{"organization_id":"globex"}}"#,
            r#"{"organization_id":"acme","q":{"organization_id":"acme"}}"#,
        ),
    ] {
        assert_eq!(
            received(&send(&default(), &call("crm.notes", arguments))),
            expected
        );
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.notes"}}"#;
    let outcome = send(&default(), &Request::post(body));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
    assert_eq!(outcome.record.arguments_set, ["organization_id"]);
}

#[test]
fn an_operation_may_keep_an_argument_as_data() {
    let outcome = send(&default(), &call("crm.assign", r#"{"user_id":"u9"}"#));
    assert_eq!(received(&outcome), r#"{"user_id":"u9"}"#);
}

#[test]
fn b28_identity_values_in_strings_meta_and_answers() {
    let in_string = send(
        &default(),
        &call(
            "crm.get",
            r#"{"filter":"{\"organization_id\":\"globex\"}"}"#,
        ),
    );
    assert_eq!(in_string.refusal(), (200, -32602, "argument_in_string"));
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","_meta":{"user_id":"u2","com.example/user_id":"u2"}}}"#,
            r#"{"user_id":"u1","com.example/user_id":"u1"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","inputResponses":{"a":{"content":{"userId":"u2"}}}}}"#,
            r#"{"content":{"userId":"u1"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","user_id":"u2"}}"#,
            r#""user_id":"u1""#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"userId":"u2","n":1}}}"#,
            r#"{"userId":"u1","n":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.review","arguments":{"organization_id":"globex"}}}"#,
            r#"{"organization_id":"acme"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"crm.review"},"argument":{"name":"customer","value":""},"context":{"arguments":{"organization_id":"globex"}}}}"#,
            r#"{"organization_id":"acme"}"#,
        ),
    ] {
        let outcome = send(&default(), &Request::post(body));
        let text = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("u2") && !text.contains("globex"), "{text}");
    }
    let completes = r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"crm.review"},"argument":{"name":"organizationId","value":""}}}"#;
    assert_eq!(refusal(completes).2, "argument_rejected");
    let uri = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://globex/customers"}}"#;
    assert_eq!(refusal(uri), (200, -32002, "no_role"));
    let dots = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://acme/../globex/x"}}"#;
    assert_eq!(refusal(dots).2, "uri_ambiguous");
}

#[test]
fn param_headers_follow_the_arguments_they_mirror() {
    let request = modern_call(
        "crm.get",
        r#"{"organization_id":"globex","role":"admin","q":"a b","n":42}"#,
    )
    .with("mcp-param-org", "globex")
    .with("mcp-param-role", "admin")
    .with("mcp-param-q", "=?base64?YSBi?=")
    .with("mcp-param-n", "42.0");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("mcp-param-org"), Some("acme"));
    assert_eq!(outcome.server_header("mcp-param-role"), None);
    assert_eq!(
        outcome.server_header("mcp-param-q"),
        Some("=?base64?YSBi?=")
    );
    assert_eq!(outcome.server_header("mcp-param-n"), Some("42.0"));
    for (arguments, header, value) in [
        (r#"{"q":"x"}"#, "mcp-param-org", "globex"),
        (r#"{"q":"x"}"#, "mcp-param-organization-id", "globex"),
        (
            r#"{"note":"globex"}"#,
            "mcp-param-organization-id",
            "globex",
        ),
        (
            r#"{"note":"globex","organization_id":"acme"}"#,
            "mcp-param-org",
            "globex",
        ),
        (
            r#"{"q":"globex","organization_id":"globex"}"#,
            "mcp-param-x",
            "globex",
        ),
    ] {
        let request = modern_call("crm.get", arguments).with(header, value);
        assert_eq!(
            send(&default(), &request).refusal(),
            (400, -32020, "header_mismatch")
        );
    }
}

#[test]
fn a_mirrored_argument_may_have_underscores_in_its_header() {
    let request = modern_call("crm.get", r#"{"org_id":"globex"}"#)
        .with("mcp-param-org_id", "globex")
        .with("mcp_param-x", "globex")
        .with("mcp_method", "tools/list");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("mcp-param-org_id"), Some("acme"));
    assert_eq!(outcome.server_header("mcp_param-x"), None);
    assert_eq!(outcome.server_header("mcp_method"), None);
    let request = modern_call("crm.get", r#"{"my_region":"eu"}"#).with("mcp-param-my_region", "eu");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("mcp-param-my_region"), Some("eu"));
    // A server that reads underscores as dashes must not take one header for another.
    let double = request.with("mcp-param-my-region", "eu");
    let outcome = send(&default(), &double);
    assert_eq!(outcome.server_header("mcp-param-my_region"), None);
    assert_eq!(outcome.server_header("mcp-param-my-region"), Some("eu"));
    let declared = policy(json!({"tools": {"crm.*": {"param_headers": {"region": "My-Region"}}}}));
    let double = modern_call("crm.get", "{}").with("mcp-param-my_region", "eu");
    let outcome = send(&declared, &double);
    assert_eq!(outcome.server_header("mcp-param-my_region"), None);
    let legacy = call("crm.get", "{}").with("mcp-param-my_region", "eu");
    let outcome = send(&default(), &legacy);
    assert_eq!(outcome.server_header("mcp-param-my_region"), None);
}

/// The worker remembers the removed headers for each list of names.
#[test]
fn the_headers_of_one_request_do_not_decide_about_those_of_another() {
    let policy = default();
    let plain = modern_call("crm.get", r#"{"my_region":"eu"}"#);
    let alone = || plain.clone().with("mcp-param-my_region", "eu");
    let requests = [
        alone(),
        alone().with("mcp-param-my-region", "eu"),
        alone().with("cookie", "a=b"),
        alone().with("x-mcp-user", "mallory"),
        call("crm.get", "{}").with("mcp-param-my_region", "eu"),
        alone(),
    ];
    let (_, worker) = FakeProxy::new(&policy).during(&plain, Rc::clone);
    for request in &requests {
        let known = FakeProxy::new(&policy).in_worker(&worker);
        let [known, new] = [known, FakeProxy::new(&policy)].map(|proxy| {
            let outcome = proxy.send(request, &[], false);
            outcome.server.map(|(headers, _)| headers)
        });
        assert!(known.is_some());
        assert_eq!(known, new);
    }
}

/// A call with members beside its arguments.
fn call_with(members: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"crm.get","arguments":{{}},{members}}}}}"#
    );
    Request::post(&body)
}

#[test]
fn s1_an_argument_that_a_condition_judges_has_one_spelling() {
    let policy = policy(json!({"tools": {"crm.refund": {"when": "args.amount <= 100"}}}));
    for arguments in [
        r#"{"amount":50,"AMOUNT":5000}"#,
        r#"{"amount":50,"a_mount":5000}"#,
        "{\"amount\":50,\"a\u{2060}mount\":5000}",
        r#"{"Amount":50}"#,
    ] {
        let outcome = send(&policy, &call("crm.refund", arguments));
        assert_eq!(
            outcome.refusal(),
            (200, -32602, "argument_misspelled"),
            "{arguments}"
        );
    }
    let outcome = send(
        &policy,
        &call("crm.refund", r#"{"amount":50,"Note":"AMOUNT"}"#),
    );
    assert_eq!(outcome.record.decision.verdict, Verdict::Approved);
    let outcome = send(&policy, &call("crm.get", r#"{"amount":50,"AMOUNT":5000}"#));
    assert_eq!(
        outcome.record.decision.verdict,
        Verdict::Approved,
        "no condition"
    );
}

#[test]
fn s2_json_in_strings_is_read_as_the_server_may_read_it() {
    let arguments = json!({"customer_number": {"set": "organization"}, "user_id": {"set": "user"}});
    let policy = policy(json!({ "arguments": arguments }));
    for text in [
        r#"{\"x\":NaN,\"customer\":{\"number\":\"E\"}}"#.to_owned(),
        r#"{\"x\":NaN,\"filter.user_id\":\"E\"}"#.to_owned(),
        r#"{\"x\":\"\\ud800\",\"customer\":{\"number\":\"E\"}}"#.to_owned(),
        format!(
            r#"{}{{\"customer\":{{\"number\":\"E\"}}}}"#,
            "[".repeat(200)
        ),
        r#"{\"op\":1}\n{\"user_id\":\"E\"}"#.to_owned(),
        "\u{a0}{\\\"user_id\\\":\\\"E\\\"}".to_owned(),
    ] {
        let request = call("crm.get", &format!(r#"{{"q":"{text}"}}"#));
        let refusal = FakeProxy::new(&policy).send(&request, &[], false).refusal();
        assert_eq!(refusal, (200, -32602, "argument_in_string"), "{text}");
    }
    let request = call("crm.get", r#"{"customer":"{\"number\":\"E\"}"}"#);
    assert_eq!(
        send(&policy, &request).refusal().2,
        "argument_in_string",
        "under a key"
    );
}

#[test]
fn s9_flattened_names_are_set_or_refused() {
    for (sent, expected) in [
        (r#"{"/user/id":"u2"}"#, r#"{"/user/id":"u1"}"#),
        (r#"{"filter->user_id":"u2"}"#, r#"{"filter->user_id":"u1"}"#),
        (r#"{"filter__user_id":"u2"}"#, r#"{"filter__user_id":"u1"}"#),
        (r#"{"user_id[0]":"u2"}"#, r#"{"user_id[0]":"u1"}"#),
        (r#"{"a":1,"filter.role":"admin"}"#, r#"{"a":1}"#),
    ] {
        assert_eq!(
            received(&send(&default(), &call("crm.get", sent))),
            expected
        );
    }
    for sent in [
        r#"{"filter[user_id][$eq]":"u2"}"#,
        r#"{"user_id.$ne":"u1"}"#,
        r#"{"user_id__in":["u1"]}"#,
    ] {
        let outcome = send(&default(), &call("crm.get", sent));
        assert_eq!(
            outcome.refusal(),
            (200, -32602, "argument_not_single"),
            "{sent}"
        );
    }
    let arguments = json!({"crm_customer_number": {"set": "organization"}});
    let policy = policy(json!({ "arguments": arguments }));
    let nested = call("crm.get", r#"{"crm":{"customer":{"number":"E"}}}"#);
    assert_eq!(
        received(&send(&policy, &nested)),
        r#"{"crm":{"customer":{"number":"acme"}}}"#
    );
}

#[test]
fn s9_a_kept_name_hides_no_other() {
    // `id` has a rule for another tool only.
    let policy = policy(json!({
        "builtin_arguments": false,
        "tools": {"crm.other": {"arguments": {"id": "reject"}}},
    }));
    let outcome = send(
        &policy,
        &call("crm.get", r#"{"user":[{"id":"u2"}],"id":7}"#),
    );
    assert_eq!(received(&outcome), r#"{"id":7,"user":[{"id":"u1"}]}"#);
}

#[test]
fn s10_every_parameter_is_searched() {
    let sealed = policy(json!({"seal": {"key_env": "KEY"}}));
    for (members, reason) in [
        (
            r#""task":{"ttl":1,"user":{"id":"u2"}}"#,
            "argument_not_single",
        ),
        (
            r#""task":{"ttl":1,"impersonate":"u2"}"#,
            "argument_rejected",
        ),
        (r#""cursor":"{\"user_id\":\"u2\"}""#, "argument_in_string"),
        (
            r#""capabilities":{"experimental":{"x":{"impersonate":"u2"}}}"#,
            "argument_rejected",
        ),
        (
            r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{"experimental":{"impersonate":1}}}"#,
            "argument_rejected",
        ),
        (
            r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{"impersonate":1}}}}"#,
            "argument_rejected",
        ),
        (
            r#""protocolVersion":{"impersonate":"u2"}"#,
            "argument_rejected",
        ),
        (
            r#""notifications":{"impersonate":"u2"}"#,
            "argument_rejected",
        ),
        (
            r#""notifications":{"x":{"y":"{\"user_id\":\"u2\"}"}}"#,
            "argument_in_string",
        ),
        (
            r#""inputResponses":{"user_id":{"action":"accept"}}"#,
            "argument_not_single",
        ),
        (
            r#""inputResponses":{"impersonate":{"action":"accept"}}"#,
            "argument_rejected",
        ),
        (
            r#""inputResponses":{"x":{"content":{"impersonate":"u2"}}}"#,
            "argument_rejected",
        ),
        (
            r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":{"x/y":{"impersonate":1}}}}"#,
            "argument_rejected",
        ),
        (
            r#""_meta":{"progressToken":"{\"user_id\":\"u2\"}"}"#,
            "argument_in_string",
        ),
    ] {
        let sent = FakeProxy::new(&sealed).send(&call_with(members), &[], false);
        assert_eq!(sent.refusal(), (200, -32602, reason), "{members}");
    }
    let sampled =
        r#""inputResponses":{"x":{"role":"assistant","content":{"type":"text","text":"y"}}}"#;
    let request = call_with(sampled);
    assert_eq!(send(&default(), &request).server_body(), request.body);
}

#[test]
fn prose_and_code_in_arguments_pass() {
    for text in [
        "The user_id: 7 has role: admin, see [docs](https://example.com/user).",
        "# Title\n\n```json\n{\"user_id\": 1}\n```\n",
        "- [x] role: admin\n- [ ] user: bob",
        "[note] the user: role",
        "{{ user.name }}, your role: {role}",
        "fn role(user: &str) -> u8 { 7 }",
        "SELECT user_id FROM t WHERE role = 'x' -- user: 1",
        "{ viewer { user { id role } } }",
        "{\"city\":\"Berlin\",\"note\":\"{user} has role: admin\"}",
        "2026-11-29 08:00 user: x",
        "null and void, role: none",
        "1,5",
    ] {
        let arguments = json!({"text": text, "n": [1, -2.5e3, null, true]}).to_string();
        let request = call("crm.get", &arguments);
        assert_eq!(
            FakeProxy::new(&default())
                .send(&request, &[], false)
                .server_body(),
            request.body,
            "{text}"
        );
    }
}

#[test]
fn r3_what_a_client_says_of_itself_is_never_refused() {
    let mut issuer = json!({"user": "sub", "roles": "roles"});
    let without_organization = |identity: &serde_json::Value| {
        policy(json!({
            "issuers": [{"issuer": "https://login.example.com", "jwks": {"inline": super::tokens::key_set()}, "identity": identity}],
            "roles": {"support": {"tools": ["crm.*"]}},
            "arguments": {}, "tools": {},
        }))
    };
    let message = |method: &str, params: &str| {
        Request::post(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#
        ))
    };
    let chatgpt =
        r#"{"openai/subject":"v1/abc","openai/organization":"org-x","openai/locale":"en"}"#;
    let policy = without_organization(&issuer);
    for method in [
        "initialize",
        "tools/list",
        "ping",
        "logging/setLevel",
        "prompts/list",
    ] {
        let outcome = send(
            &policy,
            &message(method, &format!(r#"{{"_meta":{chatgpt}}}"#)),
        );
        let sent = String::from_utf8_lossy(outcome.server_body()).into_owned();
        let expected = r#"{"openai/subject":"v1/abc","openai/locale":"en"}"#;
        assert!(sent.contains(expected), "{sent}");
        assert_eq!(outcome.record.arguments_removed, ["organization"]);
    }
    for (params, expected) in [
        (
            r#"{"_meta":{"a/b":{"organization":{"x":1},"y":2}}}"#,
            r#"{"_meta":{"a/b":{"y":2}}}"#,
        ),
        (
            r#"{"_meta":{"a/username":"ann","y":2}}"#,
            r#"{"_meta":{"y":2}}"#,
        ),
        (r#"{"_meta":{"a/user":{"id":"u2"}}}"#, r#"{"_meta":{}}"#),
        (
            r#"{"_meta":{"a/b":"{\"role\":1}","c/d":"{}"}}"#,
            r#"{"_meta":{"c/d":"{}"}}"#,
        ),
        (
            r#"{"_meta":{"a/b":"{\"q\":1}"}}"#,
            r#"{"_meta":{"a/b":"{\"q\":1}"}}"#,
        ),
        (
            r#"{"_meta":{"x.user_id":"u2"}}"#,
            r#"{"_meta":{"x.user_id":"u1"}}"#,
        ),
        (
            r#"{"capabilities":{"experimental":{"a/tenant":{}}},"clientInfo":{"name":"c"}}"#,
            r#"{"capabilities":{"experimental":{}},"clientInfo":{"name":"c"}}"#,
        ),
    ] {
        let outcome = send(&policy, &message("initialize", params));
        let sent = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(
            sent.ends_with(&format!(r#""params":{expected}}}"#)),
            "{sent}"
        );
    }
    let strange = send(
        &policy,
        &message("initialize", r#"{"_meta":{"organization":"x"}}"#),
    );
    assert_eq!(strange.refusal().2, "argument_rejected", "not namespaced");
    issuer["organization"] = json!("org_id");
    let outcome = send(
        &without_organization(&issuer),
        &message("tools/list", &format!(r#"{{"_meta":{chatgpt}}}"#)),
    );
    let sent = String::from_utf8_lossy(outcome.server_body()).into_owned();
    assert!(sent.contains(r#""openai/organization":"acme""#), "{sent}");
}

#[test]
fn r6_arguments_that_are_null_are_set_like_missing_ones() {
    let outcome = send(&default(), &call("crm.notes", "null"));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
    let outcome = send(&default(), &call("crm.get", "null"));
    assert_eq!(outcome.server_body(), call("crm.get", "null").body);
    let meta = call_with(r#""_meta":null"#);
    assert_eq!(send(&default(), &meta).server_body(), meta.body);
    let ping = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#);
    assert_eq!(send(&default(), &ping).server_body(), ping.body);
    let policy = policy(json!({"tools": {"crm.x": {"when": "!has(args.q)"}}}));
    assert!(send(&policy, &call("crm.x", "null")).server.is_some());
}
