//! What may be used without signing in, and how everything else asks for it.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, modern_call, policy, send};
use crate::decision::Verdict;
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

/// The usual policy, with something for anybody.
fn mixed() -> Rc<Policy> {
    policy(json!({
        "scopes": ["crm:read"],
        "anonymous": {"tools": ["docs.*", "crm.search"], "resources": ["ui://widget/*"]},
        "seal": {"key_env": "KEY"},
        "tools": {"crm.refund": {"scopes": ["crm:write"]}, "docs.rare": {"scopes": ["docs:rare"]}},
    }))
}

fn nobody(request: Request) -> Request {
    request.without("authorization")
}

fn reply(outcome: &Outcome) -> (u16, Value) {
    assert_eq!(outcome.server, None);
    let reply = outcome.reply.as_ref().unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

#[test]
fn anonymous_callers_may_use_what_anonymous_allows() {
    let policy = mixed();
    let request = nobody(call(
        "docs.find",
        r#"{"q":1,"user_id":"u2","role":"admin"}"#,
    ))
    .with("x-mcp-user", "u2");
    let outcome = send(&policy, &request);
    assert_eq!(super::received(&outcome), r#"{"q":1}"#);
    for header in ["x-mcp-user", "x-mcp-organization", "x-mcp-roles"] {
        assert_eq!(outcome.server_header(header), None, "{header}");
    }
    assert_eq!(outcome.record.subject, None);
    assert!(
        outcome
            .record
            .decision
            .evidence
            .iter()
            .any(|evidence| evidence.source == "anonymous")
    );
    let read =
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"ui://widget/a"}}"#;
    assert!(send(&policy, &nobody(Request::post(read))).server.is_some());
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    assert!(
        send(&policy, &nobody(Request::post(initialize)))
            .server
            .is_some()
    );
    // Signed in, it needs no role and no scope either.
    let signed_in = call("docs.find", "{}").token(json!({"roles": [], "scope": ""}));
    assert_eq!(
        send(&policy, &signed_in).server_header("x-mcp-user"),
        Some("u1")
    );
}

#[test]
fn a_tool_for_signed_in_callers_asks_for_the_sign_in_in_its_result() {
    let policy = mixed();
    for (request, era) in [
        (call("crm.refund", "{}"), "legacy"),
        (modern_call("crm.refund", "{}"), "modern"),
    ] {
        let outcome = send(&policy, &nobody(request));
        let (status, body) = reply(&outcome);
        assert_eq!((status, &body["result"]["isError"]), (200, &json!(true)));
        let challenges = &body["result"]["_meta"]["mcp/www_authenticate"];
        assert_eq!(
            challenges,
            &json!([
                "Bearer resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource/mcp\", error=\"insufficient_scope\", error_description=\"Sign in to continue\", scope=\"crm:read crm:write\""
            ])
        );
        let complete = (era == "modern").then_some("complete");
        assert_eq!(body["result"]["resultType"].as_str(), complete);
        assert_eq!(outcome.record.decision.verdict, Verdict::NeedsReview);
        assert_eq!(outcome.record.decision.reason, "sign_in_needed");
    }
    // It also does where anybody could use it but for its scopes.
    let (_, body) = reply(&send(&policy, &nobody(call("docs.rare", "{}"))));
    assert_eq!(body["result"]["isError"], json!(true));
    // A tool nobody may call does not exist.
    assert_eq!(
        send(&policy, &nobody(call("hr.x", "{}"))).refusal(),
        (200, -32602, "no_role")
    );
}

#[test]
fn everything_else_asks_with_a_401() {
    let policy = mixed();
    let get = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.p"}}"#;
    let read =
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://acme/1"}}"#;
    for body in [get, read] {
        let outcome = send(&policy, &nobody(Request::post(body)));
        assert_eq!(outcome.refusal(), (401, 401, "sign_in_needed"));
        assert!(outcome.challenge().starts_with("Bearer resource_metadata="));
    }
    // A token that is there has to be good.
    for authorization in ["Bearer x.y.z", "Basic abc", ""] {
        let request = nobody(call("docs.find", "{}")).with("authorization", authorization);
        assert_eq!(send(&policy, &request).refusal().0, 401);
    }
    // Without the section, nobody may do anything.
    let outcome = send(&super::default(), &nobody(call("docs.find", "{}")));
    assert_eq!(outcome.refusal(), (401, 401, "no_token"));
}

#[test]
fn the_role_of_all_is_for_signed_in_callers_and_its_denials_are_for_all() {
    let roles = json!({"*": {"tools": ["crm.*"], "deny": ["docs.secret"]}});
    let policy = policy(json!({"roles": roles, "anonymous": {"tools": ["docs.*"]}}));
    assert_eq!(
        send(&policy, &nobody(call("docs.secret", "{}")))
            .refusal()
            .2,
        "denied"
    );
    let (status, body) = reply(&send(&policy, &nobody(call("crm.get", "{}"))));
    assert_eq!((status, &body["result"]["isError"]), (200, &json!(true)));
}

#[test]
fn lists_say_what_needs_a_sign_in() {
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).answered(
        JSON,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"hr.x"},{"name":"docs.find","_meta":{}},{"name":"crm.search","_meta":{"a":1},"securitySchemes":[]},{"name":"crm.refund","_meta":{"securitySchemes":1,"b":2}},{"name":"crm.get","_meta":null}]}}"#,
    );
    let noauth = r#"{"type":"noauth"}"#;
    let oauth2 = |scopes: &str| format!(r#"{{"scopes":[{scopes}],"type":"oauth2"}}"#);
    let optional = format!(r#"[{noauth},{}]"#, oauth2("\"crm:read\""));
    let refund = format!("[{}]", oauth2("\"crm:read\",\"crm:write\""));
    let get = format!("[{}]", oauth2("\"crm:read\""));
    let expected = [
        format!(r#"{{"securitySchemes":[{noauth}],"name":"docs.find","_meta":{{"securitySchemes":[{noauth}]}}}}"#),
        format!(r#"{{"name":"crm.search","_meta":{{"securitySchemes":{optional},"a":1}},"securitySchemes":{optional}}}"#),
        format!(r#"{{"securitySchemes":{refund},"name":"crm.refund","_meta":{{"securitySchemes":{refund},"b":2}}}}"#),
        format!(r#"{{"securitySchemes":{get},"name":"crm.get","_meta":{{"securitySchemes":{get}}}}}"#),
    ]
    .join(",");
    let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{expected}]}}}}"#);
    for request in [nobody(list.clone()), list] {
        let outcome = send(&mixed(), &request);
        assert_eq!(outcome.client_body(), expected);
        assert_eq!(outcome.record.hidden_items, Some(1));
    }
}

#[test]
fn an_anonymous_caller_sees_only_resources_for_anonymous_callers() {
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#).answered(
        JSON,
        r#"{"jsonrpc":"2.0","id":1,"result":{"resources":[{"uri":"crm://acme/1"},{"uri":"ui://widget/a"}]}}"#,
    );
    let outcome = send(&mixed(), &nobody(list));
    assert!(!outcome.client_body().contains("crm://"));
    assert!(outcome.client_body().contains("ui://widget/a"));
}

#[test]
fn b24_a_session_of_an_anonymous_caller_belongs_to_no_user() {
    let policy = mixed();
    let session = [JSON, &[("mcp-session-id", "s-1")]].concat();
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    let request = nobody(Request::post(initialize)).answered(&session, "{}");
    let outcome = send(&policy, &request);
    let held = outcome.client_header("mcp-session-id").unwrap();
    let call = call("docs.find", "{}").with("mcp-session-id", held);
    assert_eq!(
        send(&policy, &nobody(call.clone())).server_header("mcp-session-id"),
        Some("s-1")
    );
    assert_eq!(
        send(&policy, &call).refusal(),
        (404, -32001, "unknown_session")
    );
}

#[test]
fn an_anonymous_caller_does_not_see_a_tool_that_all_roles_are_denied() {
    let policy = policy(json!({"anonymous": {"tools": ["docs.*"]}}));
    // `support` has `crm.*`, and denies `crm.purge`.
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).answered(
        JSON,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"crm.get"},{"name":"crm.purge"}]}}"#,
    );
    for request in [list.clone(), nobody(list)] {
        let body = send(&policy, &request).client_body();
        assert!(body.contains("crm.get") && !body.contains("crm.purge"));
    }
    assert_eq!(
        send(&policy, &nobody(call("crm.purge", "{}"))).refusal(),
        (200, -32602, "no_role")
    );
}

#[test]
fn an_anonymous_caller_completes_only_templates_for_anonymous_callers() {
    let policy = mixed();
    let complete = |template: &str| {
        let params = json!({
            "ref": {"type": "ref/resource", "uri": template},
            "argument": {"name": "name", "value": ""},
            "context": {"arguments": {"kind": "private"}},
        });
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "completion/complete", "params": params});
        send(&policy, &nobody(Request::post(&body.to_string())))
    };
    assert!(complete("ui://widget/{name}").server.is_some());
    for template in ["ui://{kind}/{name}", "{+anything}", "ui://widget{+name}"] {
        assert_eq!(
            complete(template).refusal(),
            (401, 401, "sign_in_needed"),
            "{template}"
        );
    }
}
