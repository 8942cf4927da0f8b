//! Handles of the server: sealed on the way out, opened on the way in, for their owner only.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Outcome, Request};
use super::{policy, send};
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

/// The usual policy with a key.
fn sealing() -> Rc<Policy> {
    policy(json!({"seal": {"key_env": "KEY", "lifetime": "1h"}}))
}

/// A request of an earlier era.
fn legacy(method: &str, params: Value) -> Request {
    Request::post(
        &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string(),
    )
}

/// A request of 2026-07-28.
fn modern(method: &str, name: Option<&str>, mut params: Value) -> Request {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    });
    let request = legacy(method, params)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", method);
    match name {
        Some(name) => request.with("mcp-name", name),
        None => request,
    }
}

fn with_session(session: &str) -> Vec<(&str, &str)> {
    [JSON, &[("mcp-session-id", session)]].concat()
}

/// The session a client holds, of one the server made.
fn session(policy: &Rc<Policy>, of_server: &str) -> String {
    let request = legacy("initialize", json!({"protocolVersion": "2025-11-25"}))
        .answered(&with_session(of_server), "{}");
    let outcome = send(policy, &request);
    outcome.client_header("mcp-session-id").unwrap().to_owned()
}

fn client_json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.client_body()).unwrap()
}

fn server_json(outcome: &Outcome) -> Value {
    serde_json::from_slice(outcome.server_body()).unwrap()
}

#[test]
fn a_large_result_passes_where_nothing_in_it_is_judged() {
    let policy = policy(json!({"seal": {"key_env": "KEY"}, "max_response": 200}));
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"data":"{}"}}}}"#,
        "x".repeat(300)
    );
    let call = modern("tools/call", Some("crm.get"), json!({"name": "crm.get"}));
    let outcome = send(&policy, &call.answered(JSON, &large));
    assert_eq!(outcome.client_body(), large);
    let stream = format!("id: 1\ndata: {{}}\n\nid: 2\ndata: {large}\n\nid: 3\ndata: {{}}\n\n");
    let call = legacy("tools/call", json!({"name": "crm.get"}));
    let body = send(&policy, &call.answered(EVENTS, &stream)).client_body();
    let (first, rest) = body.split_once("\n\n").unwrap();
    assert!(
        !first.contains("id: 1\n") && first.ends_with("data: {}"),
        "{first}"
    );
    assert_eq!(rest, stream.split_once("\n\n").unwrap().1);
}

#[test]
fn b24_a_session_is_its_users() {
    let policy = sealing();
    let held = session(&policy, "s-1");
    assert!(!held.contains("s-1"));
    assert_eq!(session(&policy, "s-1"), held, "clients compare session ids");
    let ping = legacy("ping", json!({}));
    let outcome = send(&policy, &ping.clone().with("mcp-session-id", &held));
    assert_eq!(outcome.server_header("mcp-session-id"), Some("s-1"));
    for request in [
        ping.clone()
            .with("mcp-session-id", &held)
            .token(json!({"sub": "u2"})),
        ping.clone().with("mcp-session-id", "s-1"),
        ping.with("mcp-session-id", &format!("{held},{held}")),
        Request::method("GET").with("mcp-session-id", "s-1"),
        Request::method("DELETE")
            .with("mcp-session-id", &held)
            .token(json!({"sub": "u2"})),
    ] {
        assert_eq!(
            send(&policy, &request).refusal(),
            (404, -32001, "unknown_session")
        );
    }
    for method in ["GET", "DELETE"] {
        let request = Request::method(method).with("mcp-session-id", &held);
        assert_eq!(
            send(&policy, &request).server_header("mcp-session-id"),
            Some("s-1")
        );
    }
}

#[test]
fn there_are_no_sessions_in_2026_07_28() {
    let request = modern("tools/list", None, json!({}))
        .with("mcp-session-id", "anything")
        .with("last-event-id", "anything")
        .answered(&with_session("s-1"), r#"{"result":{"tools":[]}}"#);
    let outcome = send(&sealing(), &request);
    assert_eq!(outcome.server_header("mcp-session-id"), None);
    assert_eq!(outcome.server_header("last-event-id"), None);
    assert_eq!(outcome.client_header("mcp-session-id"), None);
}

#[test]
fn without_a_key_no_handle_is_given_out() {
    let policy = super::default();
    for body in ["{}", ""] {
        let request = legacy("initialize", json!({"protocolVersion": "2025-11-25"}))
            .answered(&with_session("s-1"), body);
        let outcome = FakeProxy::new(&policy).send(&request, &[], false);
        assert_eq!(outcome.client_header(":status"), Some("502"));
        assert_eq!(outcome.client_header("mcp-session-id"), None);
        assert_eq!(outcome.record.decision.reason, "no_seal_key");
        assert!(outcome.record.decision.next_action.is_some());
    }
    let state = r#"{"jsonrpc":"2.0","id":1,"result":{"requestState":"s"}}"#;
    let call = modern("tools/call", Some("crm.get"), json!({"name": "crm.get"}));
    let outcome = send(&policy, &call.answered(JSON, state));
    assert_eq!(outcome.record.decision.reason, "no_seal_key");
    let asked = legacy("tools/call", json!({"name": "crm.get", "task": {"ttl": 1}}));
    assert_eq!(
        send(&policy, &asked).refusal(),
        (500, -32603, "no_seal_key")
    );
}

#[test]
fn b15_b24_a_stream_is_resumed_by_its_owner_only() {
    let policy = sealing();
    let held = session(&policy, "s-1");
    let stream = "id: 7\ndata:\n\n: ping\n\ndata: {}\nid: 8\n\n";
    let get = Request::method("GET").with("mcp-session-id", &held);
    let outcome = send(&policy, &get.clone().answered(EVENTS, stream));
    let body = outcome.client_body();
    let ids: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(body.replace(ids[0], "7").replace(ids[1], "8"), stream);
    let resumed = get.clone().with("last-event-id", ids[1]);
    assert_eq!(
        send(&policy, &resumed).server_header("last-event-id"),
        Some("8")
    );
    let other_session = session(&policy, "s-2");
    for request in [
        get.with("last-event-id", "8"),
        Request::method("GET").with("last-event-id", ids[1]),
        Request::method("GET")
            .with("mcp-session-id", &other_session)
            .with("last-event-id", ids[1]),
    ] {
        assert_eq!(
            send(&policy, &request).refusal(),
            (400, -32600, "unknown_event")
        );
    }
    let of_another = resumed.token(json!({"sub": "u2"}));
    assert_eq!(
        send(&policy, &of_another).refusal(),
        (404, -32001, "unknown_session")
    );
}

/// The task a client holds, made by a call of `crm.get`.
fn task(policy: &Rc<Policy>) -> String {
    let made = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t-1","status":"working"}}"#;
    let call = modern("tools/call", Some("crm.get"), json!({"name": "crm.get"}));
    let outcome = send(policy, &call.answered(JSON, made));
    let task = client_json(&outcome)["result"]["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!task.contains("t-1"));
    task
}

fn get_task(task: &str) -> Request {
    let params = json!({"taskId": task});
    modern("tasks/get", Some(task), params).answered(
        JSON,
        r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","taskId":"t-1","result":{"taskId":"data"}}}"#,
    )
}

#[test]
fn b24_a_task_is_its_callers() {
    let policy = sealing();
    let task = task(&policy);
    let outcome = send(&policy, &get_task(&task));
    assert_eq!(server_json(&outcome)["params"]["taskId"], "t-1");
    assert_eq!(outcome.server_header("mcp-name"), Some("t-1"));
    assert_eq!(client_json(&outcome)["result"]["taskId"], task.as_str());
    assert_eq!(client_json(&outcome)["result"]["result"]["taskId"], "data");
    assert_eq!(outcome.record.tool.as_deref(), Some("crm.get"));
    for request in [
        get_task(&task).token(json!({"sub": "u2"})),
        get_task("t-1"),
        get_task(&session(&policy, "t-1")),
    ] {
        assert_eq!(
            send(&policy, &request).refusal(),
            (200, -32602, "unknown_task")
        );
    }
    let late = FakeProxy::at(&policy, 3599).send(&get_task(&task).token(long()), &[], false);
    assert!(late.server.is_some());
    let later = FakeProxy::at(&policy, 3600).send(&get_task(&task).token(long()), &[], false);
    assert_eq!(later.refusal(), (200, -32602, "unknown_task"));
}

#[test]
fn b07_a_declared_header_mirrors_nothing_of_a_request_about_a_task() {
    let declared = json!({"crm.get": {"param_headers": {"organization_id": "Org"}}});
    let policy = policy(json!({"seal": {"key_env": "KEY"}, "tools": declared}));
    let request = get_task(&task(&policy));
    assert!(send(&policy, &request).server.is_some());
    assert_eq!(
        send(&policy, &request.with("mcp-param-org", "globex")).refusal(),
        (400, -32020, "header_mismatch")
    );
}

/// Claims of a token that outlives the handles.
fn long() -> Value {
    json!({"exp": super::NOW + 7200})
}

#[test]
fn a_task_needs_what_its_tool_needs() {
    let policy = sealing();
    let task = task(&policy);
    let request = get_task(&task).token(json!({"roles": ["nobody"]}));
    assert_eq!(send(&policy, &request).refusal(), (200, -32602, "no_role"));
    let listen = |task: &str| {
        let notifications = json!({"notifications": {"taskIds": [task]}});
        modern("subscriptions/listen", None, notifications)
    };
    let news = r#"data: {"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"ID"}}"#;
    let stream = format!(
        "{}\n\n{}\n\n",
        news.replace("ID", "t-1"),
        news.replace("ID", "t-2")
    );
    let outcome = send(&policy, &listen(&task).answered(EVENTS, &stream));
    assert_eq!(
        server_json(&outcome)["params"]["notifications"]["taskIds"],
        json!(["t-1"])
    );
    // What is said of a task nobody here has asked for is left out.
    assert_eq!(
        outcome.client_body(),
        format!("{}\n\n", news.replace("ID", &task))
    );
    assert_eq!(send(&policy, &listen("t-1")).refusal().2, "unknown_task");
    let denied = listen(&task).token(json!({"roles": ["nobody"]}));
    assert_eq!(send(&policy, &denied).refusal().2, "no_role");
}

#[test]
fn tasks_of_2025_11_25() {
    let policy = sealing();
    let made = r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t-1","status":"working"}}}"#;
    let call = legacy("tools/call", json!({"name": "crm.get", "task": {}})).answered(JSON, made);
    let task = client_json(&send(&policy, &call))["result"]["task"]["taskId"].clone();
    assert_ne!(task, "t-1");
    let related = |id: &Value| json!({"io.modelcontextprotocol/related-task": {"taskId": id}});
    // A question of the server's on the way to the result, and the client's answer to it.
    let asks = json!({"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"_meta": related(&json!("t-1"))}});
    let result = legacy("tasks/result", json!({"taskId": task}))
        .answered(EVENTS, &format!("data: {asks}\n\n"));
    let outcome = send(&policy, &result);
    assert_eq!(server_json(&outcome)["params"]["taskId"], "t-1");
    assert!(outcome.client_body().contains(task.as_str().unwrap()));
    let answer = |task: &Value| {
        let result = json!({"action": "accept", "_meta": related(task)});
        Request::post(&json!({"jsonrpc": "2.0", "id": 9, "result": result}).to_string())
    };
    let outcome = send(&policy, &answer(&task));
    assert_eq!(
        server_json(&outcome)["result"]["_meta"],
        related(&json!("t-1"))
    );
    assert_eq!(
        send(&policy, &answer(&json!("t-1"))).refusal().2,
        "unknown_task"
    );
    // Only requests about tasks are.
    let call = legacy("tools/call", json!({"name": "crm.get", "taskId": task}));
    assert_eq!(send(&policy, &call).refusal().2, "unknown_task");
    // The client's own tasks are between it and the server.
    let poll = r#"data: {"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"c-1"}}"#;
    let stream = format!("{poll}\n\n");
    let outcome = send(&policy, &Request::method("GET").answered(EVENTS, &stream));
    assert_eq!(outcome.client_body(), stream);
}

/// A call with the state a server gave out for it, or with none.
fn retry(arguments: Value, state: Option<&str>) -> Request {
    let mut params = json!({"name": "crm.get", "arguments": arguments});
    if let Some(state) = state {
        params["requestState"] = json!(state);
        params["inputResponses"] = json!({"a": {"action": "accept"}});
    }
    modern("tools/call", Some("crm.get"), params)
}

#[test]
fn b24_a_request_state_is_for_the_same_request_of_the_same_caller() {
    let policy = sealing();
    let arguments = json!({"a": 1, "b": ["x"]});
    let asks = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{},"requestState":"{\"s\":1}"}}"#;
    let outcome = send(
        &policy,
        &retry(arguments.clone(), None).answered(JSON, asks),
    );
    let state = client_json(&outcome)["result"]["requestState"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!state.contains("\"s\""));
    let outcome = send(&policy, &retry(json!({"b": ["x"], "a": 1}), Some(&state)));
    assert_eq!(server_json(&outcome)["params"]["requestState"], "{\"s\":1}");
    let refused = [
        retry(arguments.clone(), Some(&state)).token(json!({"sub": "u2"})),
        retry(json!({"a": 2, "b": ["x"]}), Some(&state)),
        retry(json!({}), Some(&state)),
        retry(arguments.clone(), Some("{\"s\":1}")),
        modern("tools/list", None, json!({"requestState": state})),
        modern(
            "tools/call",
            Some("crm.notes"),
            json!({"name": "crm.notes", "arguments": arguments, "requestState": state}),
        ),
        modern(
            "prompts/get",
            Some("crm.get"),
            json!({"name": "crm.get", "arguments": arguments, "requestState": state}),
        ),
    ];
    for request in refused {
        assert_eq!(
            send(&policy, &request).refusal(),
            (200, -32602, "unknown_request_state")
        );
    }
    let late = retry(arguments, Some(&state)).token(long());
    let late = FakeProxy::at(&policy, 3600).send(&late, &[], false);
    assert_eq!(late.refusal(), (200, -32602, "unknown_request_state"));
}

#[test]
fn b24_earlier_versions_have_no_request_states() {
    let policy = sealing();
    for state in [json!("s-1"), json!("")] {
        let call = legacy(
            "tools/call",
            json!({"name": "crm.get", "requestState": state}),
        );
        assert_eq!(
            send(&policy, &call).refusal(),
            (200, -32602, "unknown_request_state")
        );
    }
    let none = legacy(
        "tools/call",
        json!({"name": "crm.get", "requestState": null}),
    );
    assert!(send(&policy, &none).server.is_some());
}

#[test]
fn what_the_caller_may_not_call_is_said_before_its_handles_are() {
    let request = modern(
        "tools/call",
        Some("hr.x"),
        json!({"name": "hr.x", "requestState": "s"}),
    );
    assert_eq!(send(&sealing(), &request).refusal().2, "no_role");
}

#[test]
fn in_observe_mode_handles_stay_the_servers() {
    let policy = policy(json!({"mode": "observe", "seal": {"key_env": "KEY"}}));
    let request = legacy("ping", json!({}))
        .with("mcp-session-id", "s-1")
        .answered(&with_session("s-1"), "{}");
    let outcome = send(&policy, &request);
    assert_eq!(outcome.server_header("mcp-session-id"), Some("s-1"));
    assert_eq!(outcome.client_header("mcp-session-id"), Some("s-1"));
    assert_eq!(outcome.record.would_be, Some("approved"));
    let task = legacy("tasks/get", json!({"taskId": "t-1"}));
    assert_eq!(send(&policy, &task).record.would_be, Some("approved"));
}
