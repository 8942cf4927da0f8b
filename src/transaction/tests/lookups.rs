//! Records whose owner the filter looks up before a call.

use std::cell::RefCell;

use super::fake_proxy::{FakeServer, Store};
use super::*;
use base::http::{HttpRequest, HttpResponse};

/// A policy in which closing a ticket needs a ticket of the caller's organization.
fn asking(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "upstream": {"cluster": "crm"},
        "seal": {"key_env": "KEY"},
        "tools": {
            "crm.close_*": {"owner": owner(json!({}))},
            "crm.get_ticket": {"arguments": {"organization_id": {"set": "organization"}}},
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

fn owner(changes: Value) -> Value {
    let mut owner = json!({
        "lookup": {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ticket_id"}},
        "field": "organization_id",
        "is": "organization",
    });
    for (key, value) in changes.as_object().unwrap() {
        owner[key] = value.clone();
    }
    owner
}

fn rule(changes: Value) -> Rc<Policy> {
    asking(json!({"tools": {"crm.close_*": {"owner": owner(changes)}}}))
}

/// A server with tickets of acme (`t-1` to `t-3`) and of globex.
fn server() -> FakeServer {
    Rc::new(|call: &HttpRequest| {
        let asked: Value = serde_json::from_slice(&call.body).unwrap();
        let id = asked["params"]["arguments"]["ticket_id"].as_str();
        let uri = asked["params"]["uri"].as_str();
        let id = id.or(uri.map(|uri| uri.rsplit('/').next().unwrap()));
        let result = match id {
            Some("t-1" | "t-2" | "t-3") => {
                ticket(json!({"organization_id": "acme", "version": 3, "ids": [1, 2]}))
            }
            Some("t-4") => ticket(json!({"organization_id": "globex"})),
            Some("t-5") => ticket(json!({"title": "no owner"})),
            _ => json!({"isError": true, "content": [{"type": "text", "text": "no such ticket"}]}),
        };
        let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        Some(HttpResponse::json(200, body.to_string().into_bytes()))
    })
}

fn ticket(record: Value) -> Value {
    json!({"structuredContent": record, "content": [{"type": "text", "text": record.to_string()}]})
}

/// The outcome of a call, and the look-ups that were made for it.
fn asked(policy: &Rc<Policy>, request: &Request) -> (Outcome, Vec<HttpRequest>) {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let proxy = FakeProxy::new(policy).with_server(&server(), &calls);
    let outcome = proxy.send(request, &[], false);
    (outcome, calls.take())
}

fn reason(policy: &Rc<Policy>, request: &Request) -> &'static str {
    asked(policy, request).0.record.decision.reason
}

fn close(id: &str) -> Request {
    call("crm.close_ticket", &json!({"ticket_id": id}).to_string())
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> Option<&'c str> {
    let own = call.headers.iter().map(|(name, value)| (*name, value));
    let passed = call.passed.iter();
    let all = own.chain(passed.map(|(name, value)| (name.as_str(), value)));
    let mut found = all.filter(|(other, _)| *other == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} is repeated");
    value
}

fn body(call: &HttpRequest) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

#[test]
fn l1_the_filter_asks_for_the_record_as_the_caller() {
    let request = close("t-1")
        .with("mcp-protocol-version", "2025-11-25")
        .with("x-mcp-organization", "globex")
        .with("x-trace", "7")
        .with("x-envoy-upstream-rq-timeout-ms", "1")
        .with("accept-encoding", "gzip")
        .with("range", "bytes=0-1")
        .with("x-mcp-auth-lookup-x", "1");
    let (outcome, calls) = asked(&asking(json!({})), &request);
    assert_eq!(outcome.server_body(), request.body);
    assert_eq!(outcome.record.lookups, Some(1));
    assert_eq!(outcome.record.lookup_ms, Some(0));
    let evidence = outcome.record.decision.evidence.last().unwrap();
    assert_eq!(evidence.source, "tools.crm.close_*.owner");
    assert_eq!(evidence.summary, "the caller's: asked `crm.get_ticket`");
    let [lookup] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(lookup.cluster, "crm");
    for (name, value) in [
        (":method", Some("POST")),
        (":path", Some("/mcp")),
        (":authority", Some("crm.example.com")),
        ("content-type", Some("application/json")),
        ("accept", Some("application/json, text/event-stream")),
        ("mcp-protocol-version", Some("2025-11-25")),
        ("x-mcp-user", Some("u1")),
        ("x-mcp-organization", Some("acme")),
        ("x-mcp-roles", Some("support")),
        ("x-mcp-auth-lookup", Some("1")),
        ("x-trace", Some("7")),
        ("x-envoy-upstream-rq-timeout-ms", None),
        ("x-mcp-auth-lookup-x", None),
        ("accept-encoding", None),
        ("authorization", None),
        ("content-length", None),
        ("range", None),
        ("mcp-name", None),
    ] {
        assert_eq!(header(lookup, name), value, "{name}");
    }
    let id = body(lookup)["id"].clone();
    assert!(id.as_u64().unwrap() >= 1 << 30);
    let expected = json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "crm.get_ticket",
                   "arguments": {"ticket_id": "t-1", "organization_id": "acme"}},
    });
    assert_eq!(body(lookup), expected);
}

#[test]
fn l1_a_look_up_of_2026_07_28_has_its_headers_and_no_capabilities() {
    let policy = asking(json!({"tools": {
        "crm.close_*": {"owner": owner(json!({}))},
        "crm.get_ticket": {"param_headers": {"ticket_id": "Ticket", "other": "Other"}},
    }}));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "chat", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "progressToken": 7,
    });
    let params = json!({
        "name": "crm.close_ticket", "arguments": {"ticket_id": "t-1"}, "_meta": meta,
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = Request::post(&message.to_string())
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "crm.close_ticket")
        .with("mcp-param-reason", "t-1");
    let (outcome, calls) = asked(&policy, &request);
    assert!(outcome.server.is_some());
    let lookup = calls.first().unwrap();
    for (name, value) in [
        ("mcp-protocol-version", Some("2026-07-28")),
        ("mcp-method", Some("tools/call")),
        ("mcp-name", Some("crm.get_ticket")),
        ("mcp-param-ticket", Some("t-1")),
        ("mcp-param-reason", None),
        ("mcp-param-other", None),
    ] {
        assert_eq!(header(lookup, name), value, "{name}");
    }
    let expected = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "chat", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    assert_eq!(body(lookup)["params"]["_meta"], expected);
}

#[test]
fn l2_a_record_that_is_not_the_callers_is_refused_with_one_text() {
    let policy = asking(json!({}));
    let mut replies = Vec::new();
    for (id, expected) in [
        ("t-4", "lookup_not_owned"),
        ("t-5", "lookup_no_owner"),
        ("t-6", "lookup_error"),
    ] {
        for request in [
            close(id),
            modern_call("crm.close_ticket", &json!({"ticket_id": id}).to_string()),
        ] {
            let (outcome, calls) = asked(&policy, &request);
            assert_eq!(outcome.server, None, "{id} reached the server");
            assert_eq!(calls.len(), 1);
            assert_eq!(outcome.record.decision.reason, expected);
            assert_eq!(outcome.record.lookups, Some(1));
            assert!(!outcome.record.to_json().contains(id));
            replies.push(outcome.reply.unwrap());
        }
    }
    // Of each era one answer for all.
    assert_eq!(replies[0], replies[2]);
    assert_eq!(replies[0], replies[4]);
    assert_eq!(replies[1], replies[3]);
    assert_eq!(replies[1], replies[5]);
    let result: Value = serde_json::from_slice(&replies[0].body).unwrap();
    assert_eq!(result["result"]["isError"], true);
}

#[test]
fn l1_every_record_of_a_call_is_asked_for_once() {
    let policy = rule(json!({"lookup": {
        "tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ticket_ids", "view": "owner"},
    }}));
    let close = |ids: &Value| call("crm.close_tickets", &json!({"ticket_ids": ids}).to_string());
    let (outcome, calls) = asked(&policy, &close(&json!(["t-1", "t-2", "t-1"])));
    assert!(outcome.server.is_some());
    assert_eq!((outcome.record.lookups, calls.len()), (Some(2), 2));
    let ids: Vec<Value> = calls.iter().map(|call| body(call)["id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(body(&calls[1])["params"]["arguments"]["view"], "owner");
    for (ids, expected) in [
        (json!(["t-1", "t-4", "t-2"]), "lookup_not_owned"),
        (json!(["t-6", "t-1"]), "lookup_error"),
        (json!([]), "record_not_named"),
        (json!(null), "record_not_named"),
        (json!(["t-1", null]), "record_not_named"),
        (json!({"$ne": "t-1"}), "record_not_named"),
        (json!(vec!["t-1"; 40]), "allowed"),
        (
            json!((0..17).map(|id| id.to_string()).collect::<Vec<_>>()),
            "record_not_named",
        ),
    ] {
        assert_eq!(reason(&policy, &close(&ids)), expected, "{ids}");
    }
}

#[test]
fn l3_an_argument_that_a_server_could_read_instead_is_refused_without_a_look_up() {
    for arguments in [
        r#"{"ticket_id":"t-1","TicketID":"t-4"}"#,
        r#"{"ticket_id":"t-1","ticket_id[]":"t-4"}"#,
        r#"{"Ticket-Id":"t-1"}"#,
    ] {
        let (outcome, calls) = asked(&asking(json!({})), &call("crm.close_ticket", arguments));
        assert_eq!(outcome.refusal(), (200, -32602, "argument_misspelled"));
        assert!(calls.is_empty());
    }
    let twice = r#"{"ticket_id":"t-1","ticket_id":"t-4"}"#;
    let (outcome, calls) = asked(&asking(json!({})), &call("crm.close_ticket", twice));
    assert_eq!(outcome.refusal().2, "body_not_json");
    assert!(calls.is_empty());
}

#[test]
fn l3_a_resource_is_asked_for_and_its_argument_stays_one_segment() {
    let policy = rule(json!({"lookup": {"resource": "crm://tickets/{args.ticket_id}"}}));
    let (outcome, calls) = asked(&policy, &close("t-1"));
    assert!(outcome.server.is_some());
    let asked_for = body(&calls[0]);
    assert_eq!(asked_for["method"], "resources/read");
    assert_eq!(asked_for["params"], json!({"uri": "crm://tickets/t-1"}));
    assert_eq!(reason(&policy, &close("t-4")), "lookup_not_owned");
    for id in ["../t-1", "t-4/../t-1", "t-4%2f..%2ft-1", "a/t-1", ".."] {
        let (outcome, calls) = asked(&policy, &close(id));
        assert_eq!(outcome.server, None, "{id}");
        assert!(calls.is_empty(), "{id}");
        assert_eq!(
            outcome.record.decision.reason, "lookup_not_possible",
            "{id}"
        );
    }
    let (_, calls) = asked(&policy, &close("t 4?x=1#y"));
    assert_eq!(
        body(&calls[0])["params"]["uri"],
        "crm://tickets/t%204%3Fx%3D1%23y"
    );
}

#[test]
fn l1_prompts_have_records_too() {
    let policy = asking(json!({"prompts": {"crm.*": {"owner": owner(json!({}))}}}));
    let get = |id: &str| {
        let params = json!({"name": "crm.review", "arguments": {"ticket_id": id}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": params});
        Request::post(&message.to_string())
    };
    assert_eq!(reason(&policy, &get("t-1")), "allowed");
    let mut bodies = Vec::new();
    for id in ["t-4", "t-6"] {
        let (outcome, _) = asked(&policy, &get(id));
        assert_eq!(outcome.refusal().1, -32602);
        bodies.push(outcome.reply.unwrap().body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn l3_an_argument_in_a_text_that_a_rule_would_change_refuses() {
    // The policy cannot know that the id holds JSON with a name that it sets.
    let (outcome, calls) = asked(
        &asking(json!({})),
        &close(r#"{"organization_id":"globex"}"#),
    );
    assert_eq!(outcome.server, None);
    assert!(calls.is_empty());
    assert_eq!(outcome.record.decision.reason, "argument_in_string");
}

#[test]
fn l1_a_caller_without_the_value_owns_nothing_and_nothing_is_asked() {
    for claims in [json!({"org_id": null}), json!({"org_id": ""})] {
        let (outcome, calls) = asked(&asking(json!({})), &close("t-1").token(claims));
        assert_eq!(outcome.server, None);
        assert!(calls.is_empty());
    }
    let anonymous = asking(json!({"anonymous": {"tools": ["crm.close_ticket"]}}));
    let (outcome, calls) = asked(&anonymous, &close("t-1").without("authorization"));
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "lookup_not_owned");
    assert!(calls.is_empty());
}

#[test]
fn l1_a_role_may_be_exempt_and_a_view_lifts_nothing() {
    let policy = asking(json!({
        "tools": {"crm.close_*": {"owner": owner(json!({"unless_role": ["admin"]}))}},
        "roles": {
            "support": {"tools": ["crm.*"], "view_as": {"users": ["test"]}},
            "admin": {"extends": ["support"], "view_as": {"roles": ["support"], "users": ["test"]}},
        },
        "view_as": {
            "header": "x-view-as",
            "users": {"test": {"organization": "globex", "roles": ["support"]}},
        },
    }));
    let admin_of = |id| close(id).token(json!({"roles": ["admin"]}));
    let admin = || admin_of("t-4");
    let (outcome, calls) = asked(&policy, &admin());
    assert!(outcome.server.is_some() && calls.is_empty());
    assert_eq!(outcome.record.lookups, None);
    let as_support = admin().with("x-view-as", "role:support");
    assert_eq!(reason(&policy, &as_support), "lookup_not_owned");
    // A test user of another organization owns what that organization owns.
    let as_test = |id| admin_of(id).with("x-view-as", "user:test");
    assert_eq!(reason(&policy, &as_test("t-4")), "allowed");
    assert_eq!(reason(&policy, &as_test("t-1")), "lookup_not_owned");
}

#[test]
fn l1_observe_mode_asks_and_logs_and_lets_the_call_pass_unchanged() {
    let policy = asking(json!({"mode": "observe"}));
    for (id, expected, would_be) in [
        ("t-1", "allowed", "approved"),
        ("t-4", "lookup_not_owned", "blocked"),
    ] {
        let request = close(id).with("x-api-key", "k");
        let (outcome, calls) = asked(&policy, &request);
        assert_eq!(outcome.server_body(), request.body);
        assert_eq!(outcome.record.decision.reason, expected);
        assert_eq!(outcome.record.would_be, Some(would_be));
        // As the server receives it today.
        assert_eq!(header(&calls[0], "x-api-key"), Some("k"));
        assert!(header(&calls[0], "authorization").is_some());
    }
}

#[test]
fn l1_the_look_up_has_the_servers_credential_and_place() {
    let policy = asking(json!({"upstream": {
        "cluster": "crm", "path": "/internal/mcp", "authority": "crm.internal:8443",
        "authorization": "static", "credential_env": "KEY",
    }}));
    let (_, calls) = asked(&policy, &close("t-1"));
    assert_eq!(header(&calls[0], "authorization"), Some("Bearer s3cret"));
    assert_eq!(header(&calls[0], ":path"), Some("/internal/mcp"));
    assert_eq!(header(&calls[0], ":authority"), Some("crm.internal:8443"));
    let passing = asking(json!({"upstream": {"cluster": "crm", "authorization": "pass"}}));
    let (_, calls) = asked(&passing, &close("t-1"));
    assert!(
        header(&calls[0], "authorization")
            .unwrap()
            .starts_with("Bearer ey")
    );
}

#[test]
fn l1_the_look_up_comes_before_the_question_and_a_refusal_uses_nothing_up() {
    let policy = asking(json!({
        "tools": {"crm.close_*": {
            "owner": owner(json!({})), "confirm": true, "single_use": true,
        }},
    }));
    let modern = |id: &str, token: &str| {
        let params = json!({
            "name": "crm.close_ticket", "arguments": {"ticket_id": id},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
            },
        });
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        Request::post(&message.to_string())
            .without("authorization")
            .with("authorization", &format!("Bearer {token}"))
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "tools/call")
            .with("mcp-name", "crm.close_ticket")
    };
    let token = tokens::token(json!({"jti": "1"}));
    assert_eq!(reason(&policy, &modern("t-4", &token)), "lookup_not_owned");
    assert_eq!(
        reason(&policy, &modern("t-1", &token)),
        "confirmation_needed"
    );
    let once = asking(json!({
        "tools": {"crm.close_*": {"owner": owner(json!({})), "single_use": true}},
    }));
    let store = Store::default();
    let sent = |id: &str| {
        let calls = Rc::new(RefCell::new(Vec::new()));
        let proxy = FakeProxy::new(&once)
            .with_store(&store)
            .with_server(&server(), &calls);
        let request = close(id).without("authorization");
        let request = request.with("authorization", &format!("Bearer {token}"));
        proxy.send(&request, &[], false).record.decision.reason
    };
    assert_eq!(sent("t-4"), "lookup_not_owned");
    assert_eq!(sent("t-1"), "allowed");
    assert_eq!(sent("t-1"), "token_used");
}

#[test]
fn l6_a_look_up_never_needs_another_one() {
    let (outcome, calls) = asked(
        &asking(json!({})),
        &close("t-1").with("x-mcp-auth-lookup", "1"),
    );
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "lookup_nested");
    assert!(calls.is_empty());
    // The tool that reads has a rule itself: the filter's own call is under none.
    let policy = asking(json!({"tools": {"crm.*": {"owner": owner(json!({}))}}}));
    let (outcome, calls) = asked(&policy, &call("crm.get_ticket", r#"{"ticket_id":"t-1"}"#));
    assert!(outcome.server.is_some());
    assert_eq!(calls.len(), 1);
}

#[test]
fn l1_other_calls_and_lists_make_no_look_up() {
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    for request in [call("crm.search", r#"{"ticket_id":"t-4"}"#), list] {
        let (outcome, calls) = asked(&asking(json!({})), &request);
        assert!(outcome.server.is_some() && calls.is_empty());
        assert_eq!(outcome.record.lookups, None);
    }
    // A call that no role allows is refused before.
    let (outcome, calls) = asked(&asking(json!({})), &call("erp.close_ticket", "{}"));
    assert_eq!(outcome.refusal().2, "no_role");
    assert!(calls.is_empty());
}

#[test]
fn l1_a_server_that_does_not_answer_refuses() {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let nothing: FakeServer = Rc::new(|_| None);
    let proxy = FakeProxy::new(&asking(json!({}))).with_server(&nothing, &calls);
    let outcome = proxy.send(&close("t-1"), &[], false);
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "lookup_unavailable");
}

#[test]
fn l1_the_version_of_the_record_goes_with_the_call() {
    let policy = rule(json!({"expect": {"version": "version"}}));
    let close = |arguments: &str| call("crm.close_ticket", arguments);
    let (outcome, calls) = asked(&policy, &close(r#"{"ticket_id":"t-1"}"#));
    assert_eq!(received(&outcome), r#"{"ticket_id":"t-1","version":3}"#);
    assert_eq!(calls.len(), 1);
    let same = close(r#"{"ticket_id":"t-1", "version" : 3}"#);
    assert_eq!(asked(&policy, &same).0.server_body(), same.body);
    let older = close(r#"{"ticket_id":"t-1","version":2}"#);
    assert_eq!(
        asked(&policy, &older).0.refusal(),
        (200, -32602, "record_changed")
    );
    // The version of another owner's record is not told.
    let other = close(r#"{"ticket_id":"t-4","version":2}"#);
    assert_eq!(reason(&policy, &other), "lookup_not_owned");
    let spelled = close(r#"{"ticket_id":"t-1","Version":3}"#);
    assert_eq!(reason(&policy, &spelled), "argument_misspelled");
    let modern = modern_call("crm.close_ticket", r#"{"ticket_id":"t-1"}"#);
    let (outcome, _) = asked(&policy, &modern);
    assert_eq!(received(&outcome), r#"{"ticket_id":"t-1","version":3}"#);
    for (path, expected) in [("ids", "lookup_unreadable"), ("none", "lookup_unreadable")] {
        let policy = rule(json!({"expect": {"version": path}}));
        assert_eq!(reason(&policy, &close(r#"{"ticket_id":"t-1"}"#)), expected);
    }
    let several = rule(json!({
        "expect": {"version": "version"},
        "lookup": {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ids"}},
    }));
    let ids = close(r#"{"ids":["t-1","t-2"]}"#);
    assert_eq!(reason(&several, &ids), "lookup_not_possible");
    assert_eq!(reason(&several, &close(r#"{"ids":["t-1"]}"#)), "allowed");
}

#[test]
fn l1_a_server_that_has_forgotten_the_session_is_passed_on() {
    let policy = asking(json!({}));
    let gone: FakeServer = Rc::new(|_| Some(HttpResponse::json(404, b"{}".to_vec())));
    let calls = Rc::new(RefCell::new(Vec::new()));
    let send = |request: &Request| {
        let proxy = FakeProxy::new(&policy).with_server(&gone, &calls);
        proxy.send(request, &[], false).record.decision.reason
    };
    assert_eq!(send(&close("t-1")), "lookup_status");
}
