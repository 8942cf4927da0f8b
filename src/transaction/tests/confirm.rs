//! Calls the user has to agree to.

use super::fake_proxy::Store;
use super::*;

fn careful() -> Rc<Policy> {
    policy(json!({
        "tools": {"crm.get": {"confirm": true}},
        "seal": {"key_env": "KEY"},
    }))
}

/// A call of 2026-07-28 by a client with these capabilities, with further parameters.
fn asked(id: u32, arguments: &Value, capabilities: &Value, more: &Value) -> Request {
    let mut params = json!({
        "name": "crm.get", "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    Request::post(&body.to_string())
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "crm.get")
}

fn elicits() -> Value {
    json!({"elicitation": {}})
}

/// The question a call is answered with: what the user reads, and what comes back.
fn question(arguments: &Value) -> (String, String) {
    let outcome = send(&careful(), &asked(1, arguments, &elicits(), &json!({})));
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "confirmation_needed");
    assert_eq!(outcome.record.decision.verdict.name(), "needs_review");
    let reply = outcome.reply.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let result = &body["result"];
    assert_eq!((reply.status, &body["id"]), (200, &json!(1)));
    assert_eq!(result["resultType"], "input_required");
    let request = &result["inputRequests"]["mcp-auth-filter"];
    assert_eq!(request["method"], "elicitation/create");
    let message = request["params"]["message"].as_str().unwrap().to_owned();
    (message, result["requestState"].as_str().unwrap().to_owned())
}

fn answer(state: &str, action: &str) -> Value {
    let answer = json!({"action": action, "content": {}});
    json!({"requestState": state, "inputResponses": {"mcp-auth-filter": answer}})
}

#[test]
fn the_user_agrees_to_exactly_this_call_once() {
    let (policy, store) = (careful(), Store::default());
    let arguments = json!({"q": "x", "user_id": "eve"});
    let (message, state) = question(&arguments);
    // As the server will read them.
    assert!(
        message.contains("crm.get")
            && message.ends_with("?\n\n{\n  \"q\": \"x\",\n  \"user_id\": \"u1\"\n}"),
        "{message}"
    );
    let request = asked(2, &arguments, &elicits(), &answer(&state, "accept"));
    let sent = |request: &Request| {
        let host = FakeProxy::new(&policy).with_store(&store);
        host.send(request, &[], false)
    };
    let passed = sent(&request);
    let body: Value = serde_json::from_slice(passed.server_body()).unwrap();
    assert_eq!(
        body["params"]["arguments"],
        json!({"q": "x", "user_id": "u1"})
    );
    assert_eq!(body["params"].get("requestState"), None);
    assert_eq!(body["params"].get("inputResponses"), None);
    let evidence = &passed.record.decision.evidence;
    assert!(evidence.iter().any(|each| each.source == "user"));
    assert_eq!(sent(&request).refusal().2, "unknown_request_state");
}

#[test]
fn an_agreement_is_good_for_nothing_else() {
    let arguments = json!({"amount": 1});
    let (_, state) = question(&arguments);
    let refused = |policy: &Rc<Policy>, request: &Request| send(policy, request).refusal().2;
    let accept = answer(&state, "accept");
    let policy = careful();
    let other = asked(2, &json!({"amount": 2}), &elicits(), &accept);
    assert_eq!(refused(&policy, &other), "unknown_request_state");
    let same = asked(2, &arguments, &elicits(), &accept);
    let of_eve = same.clone().token(json!({"sub": "eve"}));
    assert_eq!(refused(&policy, &of_eve), "unknown_request_state");
    let late = FakeProxy::at(&policy, 601).send(&of_later(&same), &[], false);
    assert_eq!(late.refusal().2, "unknown_request_state");
}

/// The same with a token that lasts.
fn of_later(request: &Request) -> Request {
    request.clone().token(json!({"exp": NOW + 3000}))
}

#[test]
fn without_a_yes_nothing_passes() {
    let arguments = json!({});
    let (_, state) = question(&arguments);
    for action in ["decline", "cancel", "", "ACCEPT"] {
        let request = asked(2, &arguments, &elicits(), &answer(&state, action));
        let outcome = send(&careful(), &request);
        assert_eq!(outcome.refusal(), (200, 403, "call_declined"));
        assert_eq!(outcome.record.decision.verdict.name(), "blocked");
    }
    let silent = asked(2, &arguments, &elicits(), &json!({"requestState": state}));
    assert_eq!(send(&careful(), &silent).refusal().2, "call_declined");
    // An answer nobody asked for.
    let forged = json!({"inputResponses": {"mcp-auth-filter": {"action": "accept"}}});
    let forged = asked(2, &arguments, &elicits(), &forged);
    assert_eq!(
        send(&careful(), &forged).record.decision.reason,
        "confirmation_needed"
    );
}

#[test]
fn clients_that_cannot_ask_are_told_so() {
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
        let request = asked(1, &json!({}), &capabilities, &json!({}));
        let outcome = send(&careful(), &request);
        assert_eq!(outcome.refusal(), (400, -32021, "elicitation_not_declared"));
        let body: Value = serde_json::from_slice(&outcome.reply.unwrap().body).unwrap();
        let needed = &body["error"]["data"]["requiredCapabilities"];
        assert_eq!(needed, &json!({"elicitation": {"form": {}}}));
    }
    let outcome = send(&careful(), &call("crm.get", "{}"));
    assert_eq!(outcome.refusal(), (200, 403, "confirmation_unsupported"));
    assert!(send(&careful(), &call("crm.other", "{}")).server.is_some());
}

#[test]
fn what_the_policy_refuses_is_not_asked_about() {
    let policy = policy(json!({
        "tools": {"crm.purge": {"confirm": true}},
        "seal": {"key_env": "KEY"},
    }));
    let body = modern_call("crm.purge", "{}");
    assert_eq!(send(&policy, &body).refusal().2, "denied");
}

/// The answer of the server that a call got, which passed.
fn answer_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.client_body()).unwrap()
}

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

#[test]
fn b44_a_state_of_the_servers_goes_on_with_an_agreed_call_once() {
    let (policy, store) = (careful(), Store::default());
    let sent = |request: &Request| {
        let host = FakeProxy::new(&policy).with_store(&store);
        host.send(request, &[], false)
    };
    let arguments = json!({});
    let (_, state) = question(&arguments);
    let asks = r#"{"jsonrpc":"2.0","id":2,"result":{"resultType":"input_required","inputRequests":{},"requestState":"s"}}"#;
    let agreed = asked(2, &arguments, &elicits(), &answer(&state, "accept"));
    let state = answer_of(&sent(&agreed.answered(JSON, asks)));
    let state = json!({"requestState": state["result"]["requestState"]});
    let retry = asked(3, &arguments, &elicits(), &state);
    assert!(sent(&retry).server.is_some());
    assert_eq!(sent(&retry).refusal().2, "unknown_request_state");
}

#[test]
fn the_task_of_an_agreed_call_is_looked_after_without_another_yes() {
    let (policy, store) = (careful(), Store::default());
    let sent = |request: &Request| {
        let host = FakeProxy::new(&policy).with_store(&store);
        host.send(request, &[], false)
    };
    let tasks = json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}});
    let arguments = json!({});
    let (_, state) = question(&arguments);
    let made = r#"{"jsonrpc":"2.0","id":2,"result":{"resultType":"task","taskId":"t-1","status":"working"}}"#;
    let agreed = asked(2, &arguments, &tasks, &answer(&state, "accept"));
    let task = answer_of(&sent(&agreed.answered(JSON, made)));
    let task = task["result"]["taskId"].as_str().unwrap().to_owned();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": tasks,
    });
    let params = json!({"taskId": task, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 3, "method": "tasks/get", "params": params});
    let poll = Request::post(&body.to_string())
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tasks/get")
        .with("mcp-name", &task);
    for _ in 0..2 {
        assert!(sent(&poll).server.is_some());
    }
}

#[test]
fn a1_a_yes_in_the_form_is_for_the_client_that_asked() {
    let arguments = json!({"q": "x"});
    let of_client = |request: Request, client: &str| request.token(json!({"client_id": client}));
    let first = of_client(asked(1, &arguments, &elicits(), &json!({})), "a");
    let reply = send(&careful(), &first).reply.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let state = body["result"]["requestState"].as_str().unwrap();
    let again = asked(2, &arguments, &elicits(), &answer(state, "accept"));
    let other = send(&careful(), &of_client(again.clone(), "b"));
    assert_eq!(other.refusal().2, "unknown_request_state");
    assert!(send(&careful(), &of_client(again, "a")).server.is_some());
}
