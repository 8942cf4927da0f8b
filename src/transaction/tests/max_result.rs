//! Results that are larger than `max_result`.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Outcome, Request};
use super::{call, modern_call, policy, send};
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

fn limited(more: Value) -> Rc<Policy> {
    let mut changes = json!({
        "tools": {"crm.get": {"max_result": "2KiB"}, "crm.*": {"max_result": "4KiB"}},
        "prompts": {"crm.brief": {"max_result": "2KiB"}},
        "resources": {"crm://o1/*": {"max_result": "2KiB"}},
        "seal": {"key_env": "KEY"},
    });
    for (key, value) in more.as_object().unwrap() {
        changes[key] = value.clone();
    }
    policy(changes)
}

fn result(size: usize) -> String {
    let text = "x".repeat(size);
    json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}})
        .to_string()
}

/// In one piece, or in two.
fn answered(policy: &Rc<Policy>, request: &Request, cuts: &[usize]) -> Outcome {
    FakeProxy::new(policy).send(request, cuts, false)
}

fn message(outcome: &Outcome) -> Value {
    let body = outcome.client_body();
    let data = body.split("data: ").last().unwrap();
    serde_json::from_str(data.trim()).unwrap_or_else(|_| panic!("{body}"))
}

#[track_caller]
fn is_replaced(outcome: &Outcome, size: &str) {
    let message = message(outcome);
    assert_eq!(message["id"], 1);
    let result = &message["result"];
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains(size) && text.contains("at most 2048") && text.contains("ask for less"),
        "{text}"
    );
    assert_eq!(result["isError"], true);
    assert_eq!(outcome.client_header(":status"), Some("200"));
    assert_eq!(outcome.record.decision.reason, "result_too_large");
    assert_eq!(outcome.record.decision.verdict.name(), "blocked");
    assert!(!outcome.client_body().contains("xxx"));
}

#[test]
fn a_large_result_is_an_error_that_says_its_size() {
    let policy = limited(json!({}));
    let body = result(3000);
    let length = body.len().to_string();
    let sized = [JSON, &[("content-length", &length)]].concat();
    let event = format!("event: message\ndata: {body}\n\n");
    for (headers, body) in [(JSON, &body), (&sized, &body), (EVENTS, &event)] {
        for request in [call("crm.get", "{}"), modern_call("crm.get", "{}")] {
            let outcome = send_whole(&policy, &request.answered(headers, body));
            is_replaced(&outcome, &length);
        }
    }
    // In pieces the rest is not waited for.
    let request = call("crm.get", "{}").answered(JSON, &result(100_000));
    let outcome = answered(&policy, &request, &[1000, 3000, 50_000]);
    is_replaced(&outcome, "at least 3000");
    let modern = send_whole(
        &policy,
        &modern_call("crm.get", "{}").answered(JSON, &result(3000)),
    );
    assert_eq!(message(&modern)["result"]["resultType"], "complete");
}

fn send_whole(policy: &Rc<Policy>, request: &Request) -> Outcome {
    answered(policy, request, &[])
}

#[test]
fn a_small_result_passes_as_it_is() {
    let policy = limited(json!({}));
    for (tool, size) in [("crm.get", 1900), ("crm.other", 3900)] {
        let body = result(size);
        let outcome = send_whole(&policy, &call(tool, "{}").answered(JSON, &body));
        assert_eq!(outcome.client_body(), body);
        let event = format!("event: message\ndata: {body}\n\n");
        let outcome = send_whole(&policy, &call(tool, "{}").answered(EVENTS, &event));
        assert_eq!(outcome.client_body(), event);
        assert_eq!(outcome.record.decision.reason, "allowed");
    }
    let outcome = send_whole(
        &policy,
        &call("crm.other", "{}").answered(JSON, &result(4100)),
    );
    assert_eq!(outcome.record.decision.reason, "result_too_large");
}

#[test]
fn the_smallest_limit_of_all_rules_counts() {
    let policy = policy(json!({
        "tools": {"crm.get": {"max_result": "8KiB"}, "crm.*": {"max_result": "2KiB"}},
    }));
    let outcome = send_whole(
        &policy,
        &call("crm.get", "{}").answered(JSON, &result(3000)),
    );
    is_replaced(&outcome, "3");
}

#[test]
fn prompts_and_resources_have_limits_too() {
    let policy = limited(json!({}));
    let requests = [
        ("prompts/get", json!({"name": "crm.brief"})),
        ("resources/read", json!({"uri": "crm://o1/a"})),
    ];
    for (method, params) in requests {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = Request::post(&body.to_string()).token(json!({"org_id": "o1"}));
        let outcome = send_whole(&policy, &request.answered(JSON, &result(3000)));
        let error = &message(&outcome)["error"];
        assert_eq!(error["code"], -32602, "{method}: {}", outcome.client_body());
        assert!(error["message"].as_str().unwrap().contains("ask for less"));
        assert_eq!(outcome.record.decision.reason, "result_too_large");
    }
}

#[test]
fn the_errors_of_a_server_have_the_limit_and_its_notifications_do_not() {
    let policy = limited(json!({}));
    let error =
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "x".repeat(3000)}});
    let outcome = send_whole(
        &policy,
        &call("crm.get", "{}").answered(JSON, &error.to_string()),
    );
    assert_eq!(outcome.record.decision.reason, "result_too_large");
    let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x".repeat(3000)}});
    let events = format!("data: {log}\n\ndata: {}\n\n", result(10));
    let outcome = send_whole(&policy, &call("crm.get", "{}").answered(EVENTS, &events));
    assert_eq!(outcome.client_body(), events);
    assert_eq!(outcome.record.decision.reason, "allowed");
}

#[test]
fn other_rules_do_not_touch_the_error() {
    for more in [
        json!({"errors": "withhold"}),
        json!({"results": [{"tools": ["*"], "redact": ["ssn"], "text": "withhold"}]}),
        json!({"max_response": 2500}),
        json!({"hold": "buffer_filter"}),
    ] {
        let policy = limited(more.clone());
        let event = format!("data: {}\n\n", result(3000));
        for (headers, body) in [(JSON, &result(3000)), (EVENTS, &event)] {
            let outcome = send_whole(&policy, &call("crm.get", "{}").answered(headers, body));
            let text = message(&outcome)["result"]["content"][0]["text"].clone();
            assert!(
                text.as_str().unwrap().contains("ask for less"),
                "{more}: {text}"
            );
        }
    }
}

#[test]
fn what_is_no_result_or_observed_passes() {
    let observing = limited(json!({"mode": "observe"}));
    let body = result(3000);
    let outcome = send(&observing, &call("crm.get", "{}").answered(JSON, &body));
    assert_eq!(outcome.client_body(), body);
    // Other targets.
    let unlimited = policy(json!({"tools": {"crm.get": {"max_result": "2KiB"}}}));
    let outcome = send_whole(&unlimited, &call("crm.other", "{}").answered(JSON, &body));
    assert_eq!(outcome.client_body(), body);
}

#[test]
fn the_result_in_a_task_has_the_limit_of_its_tool() {
    let policy = limited(json!({}));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    });
    let rpc = |method: &str, name: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Request::post(&body.to_string())
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", method)
            .with("mcp-name", name)
    };
    let made = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t-1","status":"working"}}"#;
    let call = rpc("tools/call", "crm.get", json!({"name": "crm.get"}));
    let task =
        message(&send_whole(&policy, &call.answered(JSON, made)))["result"]["taskId"].clone();
    let task = task.as_str().unwrap();
    let get = rpc("tasks/get", task, json!({"taskId": task}));
    let content = json!([{"type": "text", "text": "x".repeat(3000)}]);
    let done = json!({"jsonrpc": "2.0", "id": 1, "result": {
        "resultType": "complete", "taskId": "t-1", "status": "completed", "result": {"content": content},
    }});
    let event = format!("data: {done}\n\n");
    for (headers, body) in [(JSON, &done.to_string()), (EVENTS, &event)] {
        for cuts in [&[][..], &[2500]] {
            let outcome = answered(&policy, &get.clone().answered(headers, body), cuts);
            let result = &message(&outcome)["result"];
            assert_eq!(
                (&result["taskId"], &result["status"]),
                (&json!(task), &json!("completed"))
            );
            let text = result["result"]["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("ask for less"), "{text}");
            assert_eq!(result["result"]["isError"], true);
            assert_eq!(outcome.record.decision.reason, "result_too_large");
        }
    }
    let small =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"taskId": "t-1", "status": "working"}});
    let outcome = send_whole(&policy, &get.answered(JSON, &small.to_string()));
    assert_eq!(outcome.record.decision.reason, "allowed");
}

#[test]
fn a_resumed_stream_has_the_limit_and_the_clients_id() {
    let policy = limited(json!({"results": [{"tools": ["crm.*"], "redact": ["ssn"]}]}));
    for id in [json!(7), json!("seven")] {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "crm.get"}});
        let first = "id: e-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n";
        let outcome = send_whole(
            &policy,
            &Request::post(&body.to_string()).answered(EVENTS, first),
        );
        let sent: Value = serde_json::from_slice(outcome.server_body()).unwrap();
        let body = outcome.client_body();
        let event = body
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .unwrap();
        let mut rest: Value = serde_json::from_str(&result(3000)).unwrap();
        rest["id"] = sent["id"].clone();
        let resumed = Request::method("GET")
            .with("last-event-id", event)
            .answered(EVENTS, &format!("data: {rest}\n\n"));
        let outcome = send_whole(&policy, &resumed);
        let message = message(&outcome);
        assert_eq!(message["id"], id, "{message}");
        let text = message["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("ask for less"), "{text}");
        assert_eq!(outcome.record.decision.reason, "result_too_large");
    }
}
