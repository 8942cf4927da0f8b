//! Answers of the client to requests of the server during a call.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, policy, send};
use policy::Policy;

const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

/// Tools with argument rules of their own, and one without.
fn asking() -> Rc<Policy> {
    policy(json!({
        "seal": {"key_env": "KEY"},
        "tools": {
            "crm.approve": {"arguments": {"username": "keep", "role": "keep", "user_id": {"set": "user"}}},
            "crm.strict": {"arguments": {"customer": "reject"}},
        },
        "prompts": {"crm.review": {"arguments": {"username": "keep"}}},
    }))
}

/// The message that the client receives during a call, if the server sends this one.
fn during(request: &Request, message: &Value) -> Value {
    let answered = request
        .clone()
        .answered(EVENTS, &format!("data: {message}\n\n"));
    let body = send(&asking(), &answered).client_body();
    serde_json::from_str(body.trim().strip_prefix("data: ").unwrap()).unwrap()
}

fn elicitation(id: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": {"message": "?"}})
}

fn answer(id: &Value, content: Value) -> Request {
    let result = json!({"action": "accept", "content": content});
    Request::post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
}

fn sent(outcome: &Outcome) -> Value {
    serde_json::from_slice(outcome.server_body()).unwrap()
}

#[test]
fn r5_the_rules_of_the_tool_apply_to_an_answer() {
    for id in [json!(0), json!(7), json!("a\"b"), json!(-3)] {
        let asked = during(&call("crm.approve", "{}"), &elicitation(id.clone()));
        assert!(
            asked["id"]
                .as_str()
                .unwrap()
                .starts_with("mcp-auth-filter-request:")
        );
        let content = json!({"username": "Ann", "role": "boss", "user_id": "u2", "amount": 3});
        let outcome = send(&asking(), &answer(&asked["id"], content));
        assert_eq!(sent(&outcome)["id"], id);
        let expected = json!({"username": "Ann", "role": "boss", "user_id": "u1", "amount": 3});
        assert_eq!(sent(&outcome)["result"]["content"], expected);
    }
    let prompt =
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.review"}}"#;
    let asked = during(&Request::post(prompt), &elicitation(json!(1)));
    let outcome = send(&asking(), &answer(&asked["id"], json!({"username": "Ann"})));
    assert_eq!(sent(&outcome)["result"]["content"]["username"], "Ann");
}

#[test]
fn r5_a_request_during_another_call_keeps_its_id_and_the_general_rules() {
    let asked = during(&call("crm.get", "{}"), &elicitation(json!(7)));
    assert_eq!(asked["id"], 7);
    let outcome = send(
        &asking(),
        &answer(&json!(7), json!({"role": "boss", "n": 1})),
    );
    assert_eq!(sent(&outcome)["result"]["content"], json!({"n": 1}));
}

#[test]
fn r5_a_refused_answer_ends_the_call_with_an_error() {
    let error_for = |request: &Request, reason: &str| {
        let outcome = send(&asking(), request);
        assert_eq!(outcome.record.decision.reason, reason);
        let sent = sent(&outcome);
        assert_eq!(sent["error"]["code"], -32603);
        assert!(
            sent.get("result").is_none() && !sent.to_string().contains("u2"),
            "{sent}"
        );
        sent["id"].clone()
    };
    let asked = during(&call("crm.strict", "{}"), &elicitation(json!(5)));
    let refused = answer(&asked["id"], json!({"customer": "u2"}));
    assert_eq!(error_for(&refused, "argument_rejected"), 5);
    let general = answer(&json!(6), json!({"username": "u2"}));
    assert_eq!(error_for(&general, "argument_rejected"), 6);
    let in_string = answer(&json!(6), json!({"x": "{\"user_id\":\"u2\"}"}));
    assert_eq!(error_for(&in_string, "argument_in_string"), 6);
    for (id, expected) in [(json!("x"), json!("x")), (asked["id"].clone(), json!(5))] {
        let twice = format!(r#"{{"result":{{"a":"u2","a":1}},"jsonrpc":"2.0","id":{id}}}"#);
        assert_eq!(error_for(&Request::post(&twice), "body_not_json"), expected);
    }
}

#[test]
fn r5_an_answer_without_a_right_to_it_is_refused() {
    let asked = during(&call("crm.approve", "{}"), &elicitation(json!(7)));
    let request = answer(&asked["id"], json!({"username": "Ann"}));
    let other = request.clone().token(json!({"sub": "u2"}));
    assert_eq!(
        send(&asking(), &other).refusal(),
        (400, -32600, "message_malformed")
    );
    let mut forged = asked["id"].as_str().unwrap().to_owned();
    forged.pop();
    let forged = answer(&json!(forged), json!({"username": "Ann"}));
    assert_eq!(
        send(&asking(), &forged).refusal(),
        (400, -32600, "message_malformed")
    );
    let without = request.without("authorization");
    assert_eq!(send(&asking(), &without).refusal().2, "no_token");
}

#[test]
fn r5_the_server_cancels_its_request_by_the_same_id() {
    let approve = call("crm.approve", "{}");
    let asked = during(&approve, &elicitation(json!(7)));
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(
        during(&approve, &cancel)["params"]["requestId"],
        asked["id"]
    );
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7}});
    assert_eq!(during(&approve, &progress), progress);
}

#[test]
fn r5_observe_mode_changes_nothing() {
    let observing = policy(json!({"mode": "observe", "seal": {"key_env": "KEY"}}));
    let request = answer(&json!(6), json!({"username": "u2"}));
    let outcome = send(&observing, &request);
    assert_eq!(outcome.server_body(), request.body);
    assert_eq!(outcome.record.would_be, Some("blocked"));
}
