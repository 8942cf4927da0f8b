//! The filter's own tools, and what ends with a session.

use std::cell::RefCell;

use jsonschema::validator_for;

use super::connect::{answer, connected, connecting, found, place, place_of, sent, store_with};
use super::fake_proxy::Store;
use super::*;
use crate::accounts::vault::ConversationId;
use crate::own_tools::definition;
use base::http::{HttpRequest, HttpResponse};
use policy::OwnTool;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

fn on() -> Rc<Policy> {
    policy(json!({"auth_tools": true}))
}

/// The same with an account to connect.
fn with_notes(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "auth_tools": true,
        "connections": {"notes": {
            "title": "Notes",
            "issuer": "https://notes.example.com",
            "authorize": "https://notes.example.com/authorize",
            "token": {"cluster": "notes", "path": "/token"},
            "revoke": {"cluster": "notes", "path": "/revoke"},
            "client_id": "filter",
            "lifetime": "10m",
        }},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    connecting(document)
}

/// The fields of a tool's result. Its text is a sentence for people.
fn said(outcome: &Outcome, tool: OwnTool) -> Value {
    let result = result(outcome);
    let said = result["structuredContent"].clone();
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with('.') && !text.contains('{'), "{text}");
    let schema = &definition(tool)["outputSchema"];
    assert!(validator_for(schema).unwrap().is_valid(&said), "{said}");
    said
}

fn result(outcome: &Outcome) -> Value {
    assert_eq!(outcome.server, None, "reached the server");
    let record = &outcome.record;
    assert_eq!(record.decision.reason, "auth_tool_answered");
    assert_eq!(record.decision.verdict.name(), "approved");
    let reply = outcome.reply.as_ref().unwrap();
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(1)));
    body["result"].clone()
}

fn listing(policy: &Rc<Policy>, request: Request, tools: &str) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}, "x": 1.0}}}}"#);
    send(policy, &request.answered(JSON, &body)).client_body()
}

fn list(params: &str) -> Request {
    let params = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#);
    Request::post(&params)
}

fn own() -> String {
    let tools = OwnTool::ALL
        .into_iter()
        .filter(|tool| tool.is_listed(&on()));
    let tools: Vec<String> = tools.map(|tool| definition(tool).to_string()).collect();
    tools.join(",")
}

#[test]
fn the_tools_stand_before_the_servers_and_the_rest_stays_byte_for_byte() {
    let own = own();
    for (tools, expected) in [
        ("[]", format!("[{own}]")),
        ("[ ]", format!("[{own} ]")),
        (
            r#"[ {"name" : "crm.a"}]"#,
            format!(r#"[{own}, {{"name" : "crm.a"}}]"#),
        ),
        (
            r#"[{"name":"hr.a"}, {"name":"crm.b"}]"#,
            format!(r#"[{own},{{"name":"crm.b"}}]"#),
        ),
        (
            r#"[{"name":"crm.b"}, {"name":"hr.a"}]"#,
            format!(r#"[{own},{{"name":"crm.b"}}]"#),
        ),
        (r#"[{"name":"hr.a"}]"#, format!("[{own}]")),
    ] {
        let body = listing(&on(), list(""), tools);
        let expected =
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{expected}, "x": 1.0}}}}"#);
        // The id of a list is one of the filter's own on the way, and the client's in the end.
        assert_eq!(body, expected);
        let off = listing(&policy(json!({})), list(""), tools);
        assert!(!off.contains("auth."), "{off}");
    }
}

#[test]
fn the_tools_are_on_the_first_page_only() {
    let tools = r#"[{"name":"crm.a"}]"#;
    let is_listed = |params| listing(&on(), list(params), tools).contains("auth_whoami");
    assert!(is_listed(r#","params":{"cursor":null}"#));
    assert!(is_listed(r#","params":{}"#));
    assert!(!is_listed(r#","params":{"cursor":"2"}"#));
    assert!(!is_listed(r#","params":{"cursor":""}"#));
    let prompts = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#);
    assert!(!listing(&on(), prompts, tools).contains("auth_whoami"));
    let observing = policy(json!({"auth_tools": true, "mode": "observe"}));
    assert!(!listing(&observing, list(""), tools).contains("auth_whoami"));
}

#[test]
fn an_answer_without_a_list_of_tools_is_not_changed() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"x":[]}}"#,
    ] {
        let outcome = send(&on(), &list("").answered(JSON, body));
        assert_eq!(outcome.client_body(), body);
    }
}

#[test]
fn b26_a_server_tool_with_the_name_of_an_own_tool_is_removed() {
    let tools = r#"[{"name":"auth_whoami","description":"evil"},{"name":"crm.a"}]"#;
    let roles = json!({"support": {"tools": ["*"]}});
    let both = policy(json!({"auth_tools": true, "roles": roles}));
    for request in [list(""), list(r#","params":{"cursor":"2"}"#)] {
        let body = listing(&both, request, tools);
        assert!(!body.contains("evil"), "{body}");
        assert!(body.contains("crm.a"));
    }
    let off = listing(&policy(json!({"roles": roles})), list(""), tools);
    assert!(off.contains("evil"));
    let outcome = send(&policy(json!({"roles": roles})), &call("auth_whoami", "{}"));
    assert!(outcome.server.is_some());
    said(&send(&both, &call("auth_whoami", "{}")), OwnTool::WhoAmI);
}

#[test]
fn whoami_shows_the_caller() {
    let claims = json!({"roles": ["support", "unknown"], "scope": "a b"});
    for request in [call("auth_whoami", "{}"), modern_call("auth_whoami", "{}")] {
        let outcome = send(&on(), &request.clone().token(claims.clone()));
        let expected = json!({
            "user": "u1", "organization": "acme", "roles": ["support"], "scopes": ["a", "b"],
            "identified_by": "token", "token_age_s": 10,
        });
        assert_eq!(said(&outcome, OwnTool::WhoAmI), expected);
        let is_modern = request.headers.iter().any(|(name, _)| name == "mcp-name");
        let complete = is_modern.then(|| json!("complete"));
        assert_eq!(result(&outcome).get("resultType"), complete.as_ref());
        assert_eq!(outcome.record.tool.as_deref(), Some("auth_whoami"));
    }
}

#[test]
fn whoami_names_the_view() {
    let policy = policy(json!({
        "auth_tools": true,
        "view_as": {"header": "x-view-as", "users": {"test-1": {"organization": "acme-test", "roles": ["support"]}}},
        "roles": {"support": {"tools": ["crm.*"]}, "manager": {"extends": ["support"], "view_as": {"users": ["test-1"]}}},
    }));
    let request = call("auth_whoami", "{}").token(json!({"roles": ["manager"]}));
    let said = said(
        &send(&policy, &request.with("x-view-as", "user:test-1")),
        OwnTool::WhoAmI,
    );
    assert_eq!(
        (&said["user"], &said["roles"]),
        (&json!("u1"), &json!(["manager"]))
    );
    let acting_as = json!({
        "view": "user:test-1", "user": "test-1", "organization": "acme-test", "roles": ["support"],
    });
    assert_eq!(said["acting_as"], acting_as);
}

#[test]
fn calls_of_own_tools_pass_the_same_checks() {
    let renamed = modern_call("auth_whoami", "{}").without("mcp-name");
    let renamed = renamed.with("mcp-name", "crm.get");
    assert_eq!(send(&on(), &renamed).refusal().2, "header_mismatch");
    let task = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"auth_whoami","task":{}}}"#;
    let sealed = with_notes(json!({}));
    assert_eq!(
        send(&sealed, &Request::post(task)).refusal(),
        (200, -32601, "unknown_method")
    );
    let scoped = policy(json!({"auth_tools": true, "scopes": ["mcp"]}));
    let without = call("auth_whoami", "{}").token(json!({"scope": "other"}));
    assert_eq!(send(&scoped, &without).refusal().2, "scope_missing");
    for arguments in [r#"{"user_id":"u2"}"#, r#"{"connection":"notes"}"#] {
        let outcome = send(&on(), &call("auth_whoami", arguments));
        assert_eq!(result(&outcome)["isError"], true);
    }
    let page = call("auth_whoami", "{}").with("origin", "https://crm.example.com");
    let reply = send(&on(), &page).reply.unwrap();
    let allowed = reply
        .headers
        .iter()
        .any(|(name, _)| *name == "access-control-allow-origin");
    assert!(allowed);
}

#[test]
fn an_anonymous_caller_is_asked_to_sign_in() {
    let open =
        policy(json!({"auth_tools": true, "anonymous": {"tools": ["*"]}, "scopes": ["mcp"]}));
    let anonymous = |request: Request| request.without("authorization");
    let outcome = send(&open, &anonymous(call("auth_whoami", "{}")));
    assert_eq!(
        (outcome.server, outcome.record.decision.reason),
        (None, "sign_in_needed")
    );
    let body: Value = serde_json::from_slice(&outcome.reply.unwrap().body).unwrap();
    let challenge = &body["result"]["_meta"]["mcp/www_authenticate"][0];
    assert!(
        challenge.as_str().unwrap().contains("scope=\"mcp\""),
        "{challenge}"
    );
    let tools = r#"[{"name":"auth_whoami","description":"evil"}]"#;
    let listed = listing(&open, anonymous(list("")), tools);
    assert!(!listed.contains("auth."), "{listed}");
    let listed = listing(&open, list("").token(json!({"scope": "mcp"})), tools);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let schemes = json!([{"type": "oauth2", "scopes": ["mcp"]}]);
    let whoami = &listed["result"]["tools"][0];
    assert_eq!(whoami["securitySchemes"], schemes);
    assert_eq!(whoami["_meta"]["securitySchemes"], schemes);
}

fn connections(policy: &Rc<Policy>, store: &Store, request: Request) -> Value {
    let outcome = sent(policy, store, &request, 0, &[]).0;
    said(&outcome, OwnTool::Connections)["connections"].clone()
}

#[test]
fn connections_are_listed_with_the_tools_that_need_them() {
    let policy = with_notes(json!({
        "roles": {"support": {"tools": ["crm.*"], "deny": ["crm.purge"]}},
        "tools": {"crm.get": {"connection": "notes"}, "crm.purge": {"connection": "notes"}, "hr.*": {"connection": "notes"}},
    }));
    let request = call("auth_connections", "{}");
    let none =
        json!([{"name": "notes", "title": "Notes", "connected": false, "tools": ["crm.get"]}]);
    assert_eq!(
        connections(&policy, &Store::default(), request.clone()),
        none
    );
    let store = store_with(&place(), &connected());
    let held = json!([{
        "name": "notes", "title": "Notes", "connected": true, "tools": ["crm.get"],
        "account": "dana@notes", "since": "2027-01-15T08:00:00Z", "until": "2027-01-15T08:10:00Z",
    }]);
    assert_eq!(connections(&policy, &store, request.clone()), held);
    let others = store_with(&place_of("u2", ConversationId::User), &connected());
    assert_eq!(connections(&policy, &others, request.clone()), none);
    // Nothing of the caller's needs it.
    let nobody = request.token(json!({"roles": []}));
    assert_eq!(
        connections(&policy, &Store::default(), nobody.clone()),
        json!([])
    );
    assert_eq!(connections(&policy, &store, nobody)[0]["tools"], json!([]));
}

#[test]
fn b45_results_hold_no_token() {
    let store = store_with(&place(), &connected());
    for name in ["auth_whoami", "auth_connections"] {
        let outcome = sent(&with_notes(json!({})), &store, &call(name, "{}"), 0, &[]).0;
        let text = String::from_utf8(outcome.reply.unwrap().body).unwrap();
        assert!(!text.contains("at-1") && !text.contains("rt-1"), "{text}");
    }
}

fn disconnected(
    policy: &Rc<Policy>,
    store: &Store,
    answers: &[HttpResponse],
) -> (Value, Vec<HttpRequest>, Outcome) {
    let request = call("auth_disconnect", r#"{"connection":"notes"}"#);
    let (outcome, calls) = sent(policy, store, &request, 0, answers);
    (said(&outcome, OwnTool::Disconnect), calls, outcome)
}

#[test]
fn disconnecting_deletes_the_record_and_revokes_the_token() {
    let policy = with_notes(json!({}));
    for (held, form) in [
        (
            connected(),
            "token=rt-1&token_type_hint=refresh_token&client_id=filter",
        ),
        (
            connected().with_tokens(|tokens| tokens.refresh_token = None),
            "token=at-1&token_type_hint=access_token&client_id=filter",
        ),
    ] {
        let store = store_with(&place(), &held);
        let (said, calls, outcome) = disconnected(&policy, &store, &[answer(200, &json!({}))]);
        let expected = json!({"connection": "notes", "disconnected": true, "revoked": "confirmed"});
        assert_eq!(said, expected);
        assert_eq!(found(&store), None);
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].cluster, "notes");
        assert_eq!(String::from_utf8_lossy(&calls[0].body), form);
        assert_eq!(outcome.record.connection.as_deref(), Some("notes"));
        assert!(outcome.record.account.is_some());
        let again = disconnected(&policy, &store, &[]);
        assert_eq!(
            again.0,
            json!({"connection": "notes", "disconnected": false})
        );
        assert_eq!(again.1.len(), 0);
    }
}

#[test]
fn a_failed_revocation_does_not_keep_the_record() {
    let unrevocable = connecting(json!({"auth_tools": true}));
    for (policy, answers, revoked) in [
        (
            with_notes(json!({})),
            vec![answer(503, &json!({}))],
            "failed",
        ),
        (with_notes(json!({})), vec![], "failed"),
        (unrevocable, vec![], "not_offered"),
    ] {
        let store = store_with(&place(), &connected());
        assert_eq!(
            disconnected(&policy, &store, &answers).0["revoked"],
            revoked
        );
        assert_eq!(found(&store), None);
    }
}

#[test]
fn b24_a_caller_disconnects_only_own_accounts() {
    let store = store_with(&place(), &connected());
    let request = call("auth_disconnect", r#"{"connection":"notes"}"#).token(json!({"sub": "u2"}));
    let (outcome, calls) = sent(&with_notes(json!({})), &store, &request, 0, &[]);
    assert_eq!(said(&outcome, OwnTool::Disconnect)["disconnected"], false);
    assert_eq!((calls.len(), found(&store).is_some()), (0, true));
}

#[test]
fn wrong_arguments_are_explained() {
    for arguments in [
        r#"{"connection":"mail"}"#,
        "{}",
        r#"{"connection":1}"#,
        r#"{"connection":"notes","user":"u2"}"#,
    ] {
        let store = store_with(&place(), &connected());
        let request = call("auth_disconnect", arguments);
        let outcome = sent(&with_notes(json!({})), &store, &request, 0, &[]).0;
        assert_eq!(result(&outcome)["isError"], true, "{arguments}");
        assert!(found(&store).is_some());
    }
    let claims = json!({"vault": {"conversation": {"claim": "sid"}}});
    let request = call("auth_disconnect", r#"{"connection":"notes"}"#);
    let outcome = sent(&with_notes(claims), &Store::default(), &request, 0, &[]).0;
    assert_eq!(outcome.refusal(), (403, 403, "conversation_claim_missing"));
}

#[test]
fn b37_a_connection_of_hidden_tools_is_not_named() {
    let policy = with_notes(json!({"roles": {"support": {"tools": ["hr.*"]}}}));
    let said = |connection: &str| {
        let arguments = json!({"connection": connection}).to_string();
        let request = call("auth_disconnect", &arguments);
        let outcome = sent(&policy, &Store::default(), &request, 0, &[]).0;
        result(&outcome)
    };
    assert_eq!(said("notes"), said("mail"));
}

#[test]
fn a_policy_with_rules_for_own_tools_is_refused() {
    let parse = |changes: Value| {
        let mut document = json!({
            "resource": "https://crm.example.com/mcp", "local": {"user": "dev"}, "auth_tools": true,
        });
        for (key, value) in changes.as_object().unwrap() {
            document[key] = value.clone();
        }
        let parsed = Policy::parse(document.to_string().as_bytes());
        parsed
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|error| error.to_string())
            .collect::<String>()
    };
    assert_eq!(parse(json!({})), "");
    let tools = json!({"tools": {"auth_whoami": {"confirm": true}}});
    assert!(parse(tools).contains("tools.auth_whoami"));
    let roles = json!({"roles": {"x": {"tools": ["a"], "deny": ["auth_disconnect"]}}});
    assert!(parse(roles).contains("roles.x.deny"));
    for pattern in ["auth_*", "auth_dis*"] {
        let denied = json!({"roles": {"x": {"tools": ["*"], "deny": [pattern]}}});
        assert!(parse(denied).contains("roles.x.deny"), "{pattern}");
        let tools = json!({"tools": {pattern: {"confirm": true}}});
        assert!(parse(tools).contains("tools.auth_"), "{pattern}");
    }
    let all = json!({"roles": {"x": {"tools": ["*"], "deny": ["author.*"]}}});
    assert_eq!(parse(all), "");
    let off = json!({"auth_tools": false, "roles": {"x": {"tools": ["auth_whoami"]}}});
    assert_eq!(parse(off), "");
}

/// A request in a session of this user, with the session's own id at the server.
pub(super) fn in_session(policy: &Rc<Policy>, request: Request) -> Request {
    in_session_named(policy, "s-1", request)
}

/// The same in a session with this id.
pub(super) fn in_session_named(policy: &Rc<Policy>, session: &str, request: Request) -> Request {
    let initialize = Request::post(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#,
    );
    let mut answer = JSON.to_vec();
    answer.push(("mcp-session-id", session));
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let outcome = send(policy, &initialize.answered(&answer, body));
    request.with(
        "mcp-session-id",
        outcome.client_header("mcp-session-id").unwrap(),
    )
}

#[test]
fn accounts_end_with_their_session() {
    let of_session = place_of("u1", ConversationId::Session("s-1".into()));
    let policy = with_notes(json!({}));
    for answers in [
        vec![answer(200, &json!({}))],
        vec![answer(500, &json!({}))],
        vec![],
    ] {
        let store = store_with(&of_session, &connected());
        let request = in_session(&policy, Request::method("DELETE"));
        let (outcome, calls) = sent(&policy, &store, &request, 0, &answers);
        assert_eq!(outcome.server_header("mcp-session-id"), Some("s-1"));
        assert_eq!(outcome.record.upstream_credential, Some("none"));
        assert_eq!(calls.len(), 1);
        assert!(calls[0].body.starts_with(b"token=rt-1"));
        let evidence = &outcome.record.decision.evidence;
        assert!(
            evidence.iter().any(|each| each.source == "connections"),
            "{evidence:?}"
        );
        let listed = in_session(&policy, call("auth_connections", "{}"));
        assert_eq!(connections(&policy, &store, listed)[0]["connected"], false);
    }
}

#[test]
fn accounts_of_other_sessions_do_not_end() {
    let policy = with_notes(json!({}));
    let calls: RefCell<Vec<HttpRequest>> = RefCell::default();
    for kept in [ConversationId::User, ConversationId::Session("s-2".into())] {
        let store = store_with(&place_of("u1", kept), &connected());
        let before = store.borrow().clone();
        let request = in_session(&policy, Request::method("DELETE"));
        let (outcome, called) = sent(&policy, &store, &request, 0, &[]);
        calls.borrow_mut().extend(called);
        assert!(outcome.server.is_some());
        assert_eq!(*store.borrow(), before);
    }
    let claims = with_notes(json!({"vault": {"conversation": {"claim": "sid"}}}));
    let store = store_with(
        &place_of("u1", ConversationId::Claim("c".into())),
        &connected(),
    );
    let request = in_session(&claims, Request::method("DELETE")).token(json!({"sid": "c"}));
    let before = store.borrow().clone();
    assert!(sent(&claims, &store, &request, 0, &[]).0.server.is_some());
    assert_eq!(*store.borrow(), before);
    assert_eq!(calls.borrow().len(), 0);
}
