//! Ids of calls whose results are judged (threats B36).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use std::rc::Rc;

use super::fake_proxy::{FakeProxy, Outcome, Request, Store, stored};
use super::{NOW, modern_call, policy, send};
use crate::engine;
use base::time::UnixTime;

use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

fn judging() -> Rc<Policy> {
    let results = json!([{"tools": ["crm.get"], "redact": ["ssn"], "text": "keep"}]);
    policy(json!({"results": results}))
}

fn sent_id(outcome: &Outcome) -> Value {
    let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    body["id"].clone()
}

/// A ping with this id, as it is written.
fn ping(id: &str) -> Request {
    Request::post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#))
}

/// A call whose id is a text.
fn call(tool: &str, arguments: &str) -> Request {
    let body = super::call(tool, arguments).body;
    let body = String::from_utf8(body).unwrap();
    Request::post(&body.replacen("\"id\":1", "\"id\":\"one\"", 1))
}

/// A call whose id is an integer.
fn integer_call(tool: &str) -> Request {
    super::call(tool, "{}")
}

#[test]
fn b36_a_judged_call_has_an_id_of_its_own() {
    let id = sent_id(&send(&judging(), &call("crm.get", "{}")));
    assert!(id.as_str().unwrap().starts_with("mcp-auth-filter:"), "{id}");
    // Calls of other tools, and all of 2026-07-28, keep the client's.
    assert_eq!(sent_id(&send(&judging(), &call("crm.other", "{}"))), "one");
    assert_eq!(sent_id(&send(&judging(), &integer_call("crm.other"))), 1);
    assert_eq!(sent_id(&send(&judging(), &modern_call("crm.get", "{}"))), 1);
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"structuredContent": {"ssn": "1"}}});
    let request = call("crm.get", "{}").answered(JSON, &answer.to_string());
    let received: Value = serde_json::from_str(&send(&judging(), &request).client_body()).unwrap();
    assert_eq!(received["id"], "one");
    assert_eq!(received["result"]["structuredContent"]["ssn"], "***");
}

#[test]
fn r4_an_integer_stays_an_integer() {
    let id = sent_id(&send(&judging(), &integer_call("crm.get")));
    assert!(
        id.as_i64()
            .is_some_and(|id| i32::try_from(id).is_ok() && id != 1),
        "{id}"
    );
    for written in [id.to_string(), format!("{id}.0")] {
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":{written},"result":{{"structuredContent":{{"ssn":"1"}}}}}}"#
        );
        for (headers, body) in [
            (JSON, answer.clone()),
            (EVENTS, format!("data: {answer}\n\n")),
        ] {
            let request = integer_call("crm.get").answered(headers, &body);
            let received = send(&judging(), &request).client_body();
            assert!(
                received.contains(r#""id":1,"#) && received.contains("***"),
                "{received}"
            );
        }
    }
    // Requests of the server and notifications are no answers.
    let asks = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let request = integer_call("crm.get").answered(EVENTS, &format!("data: {asks}\n\n"));
    assert!(send(&judging(), &request).client_body().contains(&asks));
}

#[test]
fn r4_lists_of_all_kinds_have_integer_ids() {
    for method in [
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ] {
        let list = Request::post(&format!(
            r#"{{"jsonrpc":"2.0","id":-7,"method":"{method}"}}"#
        ));
        let id = sent_id(&send(&judging(), &list));
        assert!(id.is_i64() && id != -7, "{method} {id}");
        let answer =
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}});
        let received = send(&judging(), &list.answered(JSON, &answer.to_string())).client_body();
        assert!(received.contains(r#""id":-7"#), "{received}");
    }
}

#[test]
fn r4_no_client_chooses_an_integer_of_the_filter() {
    for own in [1 << 30, (1_i64 << 30) + 5, (1 << 31) - 1] {
        let ping = ping(&own.to_string());
        let id = sent_id(&FakeProxy::new(&judging()).send(&ping, &[], false));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {}});
        let received = send(
            &judging(),
            &ping.clone().answered(JSON, &answer.to_string()),
        )
        .client_body();
        assert!(received.contains(&format!(r#""id":{own}"#)), "{received}");
    }
    for own in [(1 << 30) - 1, 1_i64 << 31, i64::MAX, 0, -1] {
        assert_eq!(sent_id(&send(&judging(), &ping(&own.to_string()))), own);
    }
    // The answer to another request is not passed.
    let other = (1_i64 << 30) + 9;
    let answer = json!({"jsonrpc": "2.0", "id": other, "result": {}});
    let outcome = send(
        &judging(),
        &integer_call("crm.get").answered(JSON, &answer.to_string()),
    );
    assert_eq!(
        outcome.record.decision.reason,
        "upstream_answer_uncheckable"
    );
}

#[test]
fn r4_a_cancellation_names_the_request_as_the_server_knows_it() {
    for request in [call("crm.get", "{}"), integer_call("crm.get")] {
        let memory = Store::default();
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        let cancel = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"reason": "x", "requestId": sent["id"]},
        });
        let cancel = Request::post(&cancel.to_string());
        let cancelled = |token: Option<&str>| {
            let cancel = match token {
                Some(user) => cancel.clone().token(json!({"sub": user})),
                None => cancel.clone(),
            };
            let proxy = FakeProxy::new(&judging()).with_memory(&memory);
            let body: Value =
                serde_json::from_slice(proxy.send(&cancel, &[], false).server_body()).unwrap();
            body["params"]["requestId"].clone()
        };
        assert_eq!(cancelled(None), sent["id"], "nothing runs");
        let (id, during) =
            FakeProxy::new(&judging())
                .with_memory(&memory)
                .during(&request, |worker| {
                    tick(worker, &memory);
                    cancelled(None)
                });
        assert_ne!(id, sent["id"]);
        assert_eq!(during, id);
        let (_, during) =
            FakeProxy::new(&judging())
                .with_memory(&memory)
                .during(&request, |worker| {
                    tick(worker, &memory);
                    cancelled(Some("u2"))
                });
        assert_eq!(during, sent["id"], "of another user");
        assert_eq!(cancelled(None), sent["id"], "it has ended");
    }
}

/// The timer of a worker: it writes the requests that still run.
fn tick(worker: &Rc<engine::Engine>, memory: &Store) {
    worker.running.write(&worker.policy.resource);
    for operation in worker.notes.take() {
        stored(memory, &operation, UnixTime::from_secs(NOW)).unwrap();
    }
}

/// A cancellation of the request with id 1, and the id that the server receives. The proxy's reads of its memory
/// are counted: one for the worker's ids, one at first, and one after each pause.
fn cancelled_by(proxy: FakeProxy) -> Value {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let outcome = proxy.send(&Request::post(body), &[], false);
    let sent: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    sent["params"]["requestId"].clone()
}

#[test]
fn r4_a_cancellation_soon_after_its_request_names_it_as_the_server_knows_it() {
    let memory = Store::default();
    let (policy, other) = (judging(), || {
        FakeProxy::new(&judging()).with_memory(&memory)
    });
    let run =
        |act: &dyn Fn(&Rc<engine::Engine>) -> Value| other().during(&integer_call("crm.get"), act);
    // The worker of the request has not ticked: it knows the id, and the memory is empty.
    let (id, named) = run(&|worker| {
        let proxy = FakeProxy::new(&policy)
            .with_memory(&memory)
            .in_worker(worker);
        cancelled_by(proxy)
    });
    assert_eq!(named, id);
    let written = String::from_utf8_lossy(&memory.borrow()).into_owned();
    assert!(!written.contains(&id.to_string()), "it ended soon");
    // Another worker waits until it has ticked.
    for reads in [1, 2, 13] {
        let (id, named) = run(&|worker| {
            let (worker, memory) = (Rc::clone(worker), Rc::clone(&memory));
            cancelled_by(other().before_read(reads, move || tick(&worker, &memory)))
        });
        assert_eq!(named, id, "{reads}");
    }
    // It does not wait for ever.
    let (id, named) = run(&|worker| {
        let (worker, memory) = (Rc::clone(worker), Rc::clone(&memory));
        cancelled_by(other().before_read(14, move || tick(&worker, &memory)))
    });
    assert_ne!(named, id);
    assert_eq!(named, 1);
}

#[test]
fn r4_without_rules_for_calls_a_list_is_written_at_once_and_no_cancellation_waits() {
    let memory = Store::default();
    let policy = policy(json!({}));
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let proxy = || FakeProxy::new(&policy).with_memory(&memory);
    let (id, named) = proxy().during(&list, |_| cancelled_by(proxy()));
    assert_eq!(named, id);
    let read_again = || panic!("it waited");
    assert_eq!(cancelled_by(proxy().before_read(2, read_again)), 1);
}

#[test]
fn r4_no_client_cancels_a_request_by_an_id_of_the_filter() {
    let ids = [
        "1073741824",
        "1073741824.0",
        "1.073741824e9",
        "2147483647",
        r#""mcp-auth-filter:0011223344556677:MQ""#,
        r#""\u006dcp-auth-filter:0011223344556677:MQ""#,
    ];
    for id in ids {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        for policy in [judging(), policy(json!({}))] {
            let refusal = send(&policy, &Request::post(&body)).refusal();
            assert_eq!(refusal, (400, -32600, "message_malformed"), "{id}");
        }
    }
}

#[test]
fn b36_a_list_has_an_id_of_its_own() {
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let id = sent_id(&send(&judging(), &list));
    assert!(id.as_str().unwrap().starts_with("mcp-auth-filter:"), "{id}");
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"tools": []}});
    let list = list.answered(JSON, &answer.to_string());
    let received: Value = serde_json::from_str(&send(&judging(), &list).client_body()).unwrap();
    assert_eq!(received["id"], "a");
}

#[test]
fn b36_no_other_request_may_have_such_an_id() {
    let id = sent_id(&send(&judging(), &call("crm.get", "{}")));
    let id = id.as_str().unwrap();
    let escaped = id.replacen('m', "\\u006d", 1);
    for spelled in [format!("\"{id}\""), format!("\"{escaped}\"")] {
        let refusal = send(&judging(), &ping(&spelled)).refusal();
        assert_eq!(refusal, (400, -32600, "message_malformed"), "{spelled}");
    }
    assert!(send(&judging(), &ping("\"mcp-auth\"")).server.is_some());
}

#[test]
fn b36_the_answer_to_another_call_is_not_passed() {
    let policy = policy(json!({"results": [{"tools": ["crm.*"], "redact": ["ssn"]}]}));
    let other = sent_id(&send(&policy, &call("crm.other", "{}")));
    let answer = json!({"jsonrpc": "2.0", "id": other, "result": {}});
    let outcome = send(
        &policy,
        &call("crm.get", "{}").answered(JSON, &answer.to_string()),
    );
    assert_eq!(outcome.client_header(":status"), Some("502"));
    assert_eq!(
        outcome.record.decision.reason,
        "upstream_answer_uncheckable"
    );
}

/// What the filter takes an id for comes from the server.
#[test]
fn b36_only_the_clients_own_id_is_put_back() {
    let request = call("crm.get", "{}");
    let id = sent_id(&send(&judging(), &request));
    let (head, _) = id.as_str().unwrap().rsplit_once(':').unwrap();
    let another = r#"1,"result":{"structuredContent":{"ssn":"123-45-6789"}}"#;
    for own in [another, "2", "\"1\"", " 1", "1.0", ""] {
        let id = format!("{head}:{}", BASE64_URL_SAFE_NO_PAD.encode(own));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"structuredContent": {}}});
        let outcome = send(
            &judging(),
            &request.clone().answered(JSON, &answer.to_string()),
        );
        assert_eq!(
            outcome.record.decision.reason, "upstream_answer_uncheckable",
            "{own}"
        );
        assert!(!outcome.client_body().contains("123-45-6789"));
    }
}

#[test]
fn b36_on_a_stream_of_its_own_an_id_is_one_string_or_number() {
    let event = |own: &str| {
        let id = format!("mcp-auth-filter:0:{}", BASE64_URL_SAFE_NO_PAD.encode(own));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {}});
        let headers = [(":status", "200"), ("content-type", "text/event-stream")];
        let get = Request::method("GET").answered(&headers, &format!("data: {answer}\n\n"));
        send(&judging(), &get)
    };
    for own in ["7", "\"a\"", "-1.5"] {
        let body = event(own).client_body();
        assert!(body.contains(&format!("\"id\":{own}")), "{body}");
    }
    for own in ["1,\"result\":{}", "{}", "[1]", "null", "1 2", "x", ""] {
        let body = event(own).client_body();
        assert!(!body.contains(&format!("\"id\":{own}")), "{body}");
    }
}

#[test]
fn a_cancellation_of_an_unknown_request_goes_on_with_the_clients_id() {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let outcome = send(&judging(), &Request::post(body));
    assert_eq!(outcome.server_body(), body.as_bytes());
}
