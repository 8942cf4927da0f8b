//! Acting with a lower role, or as a test user: never with more than the caller has.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, policy, received, send};
use policy::Policy;

fn viewing(changes: &Value) -> Rc<Policy> {
    let mut document = json!({
        "roles": {
            "support": {"tools": ["crm.*"], "resources": ["crm://{organization}/*"]},
            "manager": {
                "extends": ["support"],
                "tools": ["admin.*"],
                "deny": ["crm.purge"],
                "view_as": {"roles": ["support"], "users": ["test-1"]},
            },
            "trainee": {"deny": ["crm.export"]},
        },
        "tools": {
            "crm.notes": {"arguments": {"organization_id": {"set": "organization"}}},
            "crm.close": {"when": "!('trainee' in identity.roles)"},
        },
        "view_as": {
            "header": "x-view-as",
            "users": {"test-1": {"organization": "acme-test", "roles": ["support"]}},
        },
        "seal": {"key_env": "KEY"},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

/// A manager's call, as somebody.
fn manager(tool: &str, view: &str) -> Request {
    let request = call(tool, "{}").token(json!({"roles": ["manager"]}));
    match view {
        "" => request,
        _ => request.with("x-view-as", view),
    }
}

fn reason(outcome: &Outcome) -> &'static str {
    outcome.record.decision.reason
}

#[test]
fn a_lower_role_narrows_what_is_allowed() {
    let policy = viewing(&json!({}));
    assert_eq!(
        reason(&send(&policy, &manager("admin.users", ""))),
        "allowed"
    );
    let outcome = send(&policy, &manager("admin.users", "role:support"));
    assert_eq!(outcome.refusal().2, "no_role");
    let outcome = send(&policy, &manager("crm.notes", "role:support"));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
    assert_eq!(outcome.server_header("x-mcp-user"), Some("u1"));
    assert_eq!(outcome.server_header("x-mcp-roles"), Some("support"));
    assert_eq!(outcome.server_header("x-view-as"), None);
    let record = &outcome.record;
    assert_eq!(record.acting_as.as_deref(), Some("role:support"));
    assert_eq!(record.acting_as_roles, ["support"]);
    assert_eq!(record.roles, ["manager"]);
    let evidence = &record.decision.evidence;
    assert_eq!(evidence[1].source, "view_as");
    assert_eq!(evidence[1].summary, "role:support, which `manager` allows");
}

#[test]
fn a_test_user_has_its_own_name_and_organization() {
    let policy = viewing(&json!({}));
    let plain = send(&policy, &manager("crm.notes", ""));
    let outcome = send(&policy, &manager("crm.notes", "user:test-1"));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme-test"}"#);
    assert_eq!(outcome.server_header("x-mcp-user"), Some("test-1"));
    assert_eq!(
        outcome.server_header("x-mcp-organization"),
        Some("acme-test")
    );
    assert_eq!(outcome.record.acting_as.as_deref(), Some("user:test-1"));
    assert_eq!(outcome.record.subject, plain.record.subject);
    let read = |uri: &str| {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}});
        let request = Request::post(&body.to_string()).token(json!({"roles": ["manager"]}));
        reason(&send(&policy, &request.with("x-view-as", "user:test-1")))
    };
    assert_eq!(read("crm://acme-test/a"), "allowed");
    assert_eq!(read("crm://acme/a"), "no_role");
}

#[test]
fn what_the_callers_own_roles_deny_stays_denied() {
    let policy = viewing(&json!({}));
    for view in ["role:support", "user:test-1"] {
        // `support` allows it, and `manager` denies it.
        let outcome = send(&policy, &manager("crm.purge", view));
        assert_eq!(outcome.refusal().2, "denied", "{view}");
        let trainee = |tool: &str| {
            let request = call(tool, "{}").token(json!({"roles": ["manager", "trainee"]}));
            reason(&send(&policy, &request.with("x-view-as", view)))
        };
        assert_eq!(trainee("crm.export"), "denied", "{view}");
        assert_eq!(trainee("crm.close"), "condition_not_met", "{view}");
        assert_eq!(trainee("crm.get"), "allowed", "{view}");
    }
}

#[test]
fn result_rules_apply_with_a_view() {
    let policy = viewing(&json!({
        "results": [{"tools": ["crm.*"], "redact": ["ssn"], "unless_role": ["support"], "with": "remove"}],
    }));
    let body =
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"ssn":"12345"}}}"#;
    let json = [(":status", "200"), ("content-type", "application/json")];
    let shows = |request: Request| {
        send(&policy, &request.answered(&json, body))
            .client_body()
            .contains("12345")
    };
    assert!(shows(call("crm.get", "{}")), "support may see it");
    assert!(!shows(manager("crm.get", "")));
    assert!(!shows(manager("crm.get", "role:support")));
    assert!(!shows(manager("crm.get", "user:test-1")));
}

#[test]
fn a_wish_that_is_not_granted_is_refused() {
    let policy = viewing(&json!({}));
    for view in [
        "role:manager",
        "role:trainee",
        "role:*",
        "role:",
        "user:test-2",
        "user:u1",
        "support",
        "Role:support",
        "role:support,user:test-1",
        " ",
    ] {
        let outcome = send(&policy, &manager("crm.get", "").with("x-view-as", view));
        assert_eq!(
            outcome.refusal(),
            (403, 403, "view_as_not_allowed"),
            "{view:?}"
        );
    }
    // Nobody below may.
    let support = call("crm.get", "{}").with("x-view-as", "role:support");
    assert_eq!(send(&policy, &support).refusal().2, "view_as_not_allowed");
    let twice = manager("crm.get", "role:support").with("x-view-as", "role:support");
    assert_eq!(send(&policy, &twice).refusal().2, "view_as_not_allowed");
    let odd = manager("crm.get", "").with("x_view_as", "role:support");
    assert_eq!(send(&policy, &odd).refusal().2, "view_as_not_allowed");
}

#[test]
fn an_anonymous_caller_has_no_view() {
    let policy = viewing(&json!({"anonymous": {"tools": ["docs.*"]}}));
    let request = call("docs.find", "{}").without("authorization");
    assert_eq!(reason(&send(&policy, &request)), "allowed");
    let outcome = send(&policy, &request.with("x-view-as", "role:support"));
    assert_eq!(outcome.refusal().2, "view_as_not_allowed");
}

#[test]
fn a_token_may_state_the_wish() {
    let mut issuer = json!({
        "issuer": "https://login.example.com",
        "jwks": {"inline": super::tokens::key_set()},
        "identity": {"organization": "org_id", "roles": "roles", "view_as": "view"},
    });
    issuer["identity"]["view_as"] = json!("view");
    let policy = viewing(&json!({"issuers": [issuer]}));
    let ask = |view: Value, header: Option<&str>| {
        let request = call("crm.get", "{}").token(json!({"roles": ["manager"], "view": view}));
        let request = match header {
            Some(header) => request.with("x-view-as", header),
            None => request,
        };
        let outcome = send(&policy, &request);
        (reason(&outcome), outcome.record.acting_as)
    };
    let support = Some("role:support".to_owned());
    assert_eq!(ask(Value::Null, None), ("allowed", None));
    assert_eq!(
        ask(json!("role:support"), None),
        ("allowed", support.clone())
    );
    let both = ask(json!("role:support"), Some("role:support"));
    assert_eq!(both, ("allowed", support));
    let other = ask(json!("role:support"), Some("user:test-1"));
    assert_eq!(other, ("view_as_not_allowed", None));
    assert_eq!(
        ask(json!("role:manager"), None),
        ("view_as_not_allowed", None)
    );
    assert_eq!(
        ask(json!(["role:support"]), None),
        ("token_claim_invalid", None)
    );
}

#[test]
fn b24_a_session_is_of_one_view() {
    let policy = viewing(&json!({}));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let answer = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("mcp-session-id", "s-1"),
    ];
    let session = |request: Request, view: &str| {
        let request = match view {
            "" => request,
            _ => request.with("x-view-as", view),
        };
        let outcome = send(&policy, &request.answered(&answer, "{}"));
        outcome.client_header("mcp-session-id").unwrap().to_owned()
    };
    let initialize = |user: &str| {
        let claims = json!({"sub": user, "roles": ["manager"]});
        Request::post(body).token(claims)
    };
    let views = ["", "role:support", "user:test-1"];
    let mut sessions: Vec<String> = views
        .iter()
        .map(|view| session(initialize("u1"), view))
        .collect();
    // Whoever else acts as the test user, and somebody of that name.
    sessions.push(session(initialize("u2"), "user:test-1"));
    sessions.push(session(initialize("test-1"), ""));
    for (index, session) in sessions.iter().enumerate() {
        for (own, view) in views.iter().enumerate() {
            let request = manager("crm.get", view).with("mcp-session-id", session);
            let expected = if own == index {
                "allowed"
            } else {
                "unknown_session"
            };
            assert_eq!(reason(&send(&policy, &request)), expected, "{index} {view}");
        }
    }
}

#[test]
fn lists_show_what_the_view_allows() {
    let policy = viewing(&json!({}));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"admin.users","inputSchema":{}},{"name":"crm.get","inputSchema":{}},{"name":"crm.purge","inputSchema":{}}]}}"#;
    let json = [(":status", "200"), ("content-type", "application/json")];
    let request = Request::post(body)
        .token(json!({"roles": ["manager"]}))
        .with("x-view-as", "role:support")
        .answered(&json, answer);
    let shown = send(&policy, &request).client_body();
    assert!(shown.contains("crm.get"));
    assert!(!shown.contains("admin.users") && !shown.contains("crm.purge"));
}

#[test]
fn a_listed_output_schema_fits_the_results_of_the_view() {
    // The view is spared the rule, and the caller's own roles are not.
    let results = json!([{"tools": ["crm.*"], "redact": ["age"], "with": "remove", "unless_role": ["support"]}]);
    let policy = viewing(&json!({"results": results}));
    let json_answer: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
    let result = r#"{"jsonrpc":"2.0","id":ID,"result":RESULT}"#;
    let answer = |request: Request, answer: Value| -> Value {
        let request = request
            .token(json!({"roles": ["manager"]}))
            .with("x-view-as", "user:test-1");
        let sent: Value = serde_json::from_slice(send(&policy, &request).server_body()).unwrap();
        let body = result.replace("ID", &sent["id"].to_string());
        let body = body.replace("RESULT", &answer.to_string());
        let outcome = send(&policy, &request.answered(json_answer, &body));
        serde_json::from_str(&outcome.client_body()).unwrap()
    };
    let schema = json!({
        "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"],
    });
    let tools = json!({"tools": [{"name": "crm.get", "inputSchema": {"type": "object"}, "outputSchema": schema}]});
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let listed = answer(list, tools);
    let called = answer(
        call("crm.get", "{}"),
        json!({"content": [], "structuredContent": {"age": 41}}),
    );
    let content = &called["result"]["structuredContent"];
    assert_eq!(content, &json!({}));
    let shown = &listed["result"]["tools"][0]["outputSchema"];
    assert!(jsonschema::is_valid(shown, content), "{shown}");
}

/// What a manager's call brings the server in a view, and the reason.
fn credential(policy: &Rc<Policy>, tool: &str, view: &str) -> (Option<String>, &'static str) {
    let outcome = send(policy, &manager(tool, view));
    let header = outcome.server.as_ref();
    let header = header.and_then(|_| outcome.server_header("authorization"));
    (header.map(str::to_owned), reason(&outcome))
}

#[test]
fn a4_a_test_user_does_not_bring_the_callers_own_token() {
    let exchange = json!({
        "cluster": "login", "path": "/token", "client_id": "mcp", "audience": "crm",
    });
    let users = json!({
        "header": "x-view-as",
        "users": {
            "test-1": {"organization": "acme-test", "roles": ["support"]},
            "test-2": {"roles": ["support"], "own_token": true},
        },
    });
    let roles = json!({
        "support": {"tools": ["crm.*"]},
        "manager": {
            "extends": ["support"],
            "view_as": {"roles": ["support"], "users": ["test-1", "test-2"]},
        },
    });
    for upstream in [
        json!({"authorization": "pass"}),
        json!({"authorization": "exchange", "exchange": exchange}),
    ] {
        let passes = upstream["authorization"] == "pass";
        let policy = viewing(&json!({"upstream": upstream, "roles": roles, "view_as": users}));
        for method in ["tools/list", "initialize", "resources/read"] {
            let body =
                json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": "crm://a"}});
            let request = Request::post(&body.to_string()).token(json!({"roles": ["manager"]}));
            let outcome = send(&policy, &request.with("x-view-as", "user:test-1"));
            assert_eq!(
                outcome.refusal(),
                (403, 403, "test_user_credential"),
                "{method}"
            );
        }
        for method in ["GET", "DELETE"] {
            let request = Request::method(method).token(json!({"roles": ["manager"]}));
            let outcome = send(&policy, &request.with("x-view-as", "user:test-1"));
            assert_eq!(reason(&outcome), "test_user_credential", "{method}");
            assert_eq!(outcome.server, None);
        }
        let refused = credential(&policy, "crm.notes", "user:test-1");
        assert_eq!(refused, (None, "test_user_credential"));
        if passes {
            for view in ["", "role:support", "user:test-2"] {
                let (header, reason) = credential(&policy, "crm.other", view);
                assert!(header.is_some_and(|it| it.starts_with("Bearer ")), "{view}");
                assert_eq!(reason, "allowed");
            }
        }
    }
    // The headers of a released request leave before its body is judged.
    let released = json!({
        "hold": "buffer_filter", "upstream": {"authorization": "pass"}, "view_as": users,
        "roles": roles, "tools": {},
    });
    let refused = credential(&viewing(&released), "crm.notes", "user:test-1");
    assert_eq!(refused, (None, "test_user_credential"));
}
