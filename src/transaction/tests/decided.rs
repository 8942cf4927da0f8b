//! Requests that a decision point decides about, in addition to the policy.

use std::cell::RefCell;

use super::fake_proxy::{Store, secrets};
use super::*;
use base::http::{HttpRequest, HttpResponse};

fn deciding(decide: Value, changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "decide": decide,
        "roles": {
            "support": {
                "tools": ["crm.*"], "prompts": ["crm.*"], "resources": ["crm://{organization}/*"],
                "deny": ["crm.purge"], "extends": ["trainee"], "view_as": {"roles": ["trainee"]},
            },
            "trainee": {"tools": ["crm.*"]},
        },
        "view_as": {"header": "x-view-as"},
        "seal": {"key_env": "KEY"},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

fn authzen() -> Value {
    json!({
        "authzen": {
            "cluster": "pdp", "path": "/access/v1/evaluation",
            "evaluations": "/access/v1/evaluations", "credential_env": "PDP_TOKEN",
        },
        "arguments": ["amount", "order.total", "order.lines"],
    })
}

fn answered(status: u16, body: &str) -> HttpResponse {
    let body = body.as_bytes().to_vec();
    HttpResponse::json(status, body)
}

fn allowed() -> HttpResponse {
    answered(200, r#"{"decision":true}"#)
}

fn denied() -> HttpResponse {
    answered(200, r#"{"decision":false}"#)
}

/// Sends a request in every chunking to a proxy whose decision point answers this. Returns the calls of the last
/// one.
fn decide(
    policy: &Rc<Policy>,
    request: &Request,
    answers: &[HttpResponse],
) -> (Outcome, Vec<HttpRequest>) {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let once = |cuts: &[usize], trailers| {
        calls.borrow_mut().clear();
        let proxy = FakeProxy::new(policy).with_answers(answers, &calls);
        proxy.send(request, cuts, trailers)
    };
    let whole = once(&[], false);
    for cuts in chunkings(request.body.len()).into_iter().take(4) {
        for trailers in [false, true] {
            assert_eq!(once(&cuts, trailers), whole, "{cuts:?} {trailers}");
        }
    }
    (whole, calls.take())
}

fn asked(call: &HttpRequest) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

fn result_text(outcome: &Outcome) -> String {
    let reply = outcome.reply.as_ref().expect("refused");
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["result"]["isError"], true);
    body["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_question_is_authzens_and_has_the_arguments_that_the_server_will_read() {
    let policy = deciding(authzen(), json!({}));
    let arguments =
        r#"{"amount":1.50,"note":"s3cret","user_id":"eve","order":{"total":1e2,"who":"x"}}"#;
    for (request, version) in [
        (call("crm.get", arguments), None),
        (modern_call("crm.get", arguments), Some("2026-07-28")),
    ] {
        let (outcome, calls) = decide(&policy, &request, &[allowed()]);
        assert!(outcome.server.is_some());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].cluster, "pdp");
        let question = asked(&calls[0]);
        let subject = &question["subject"];
        assert_eq!(subject["type"], "user");
        assert_eq!(subject["properties"]["roles"], json!(["support"]));
        let action = json!({"name": "tools/call", "properties": {"tool": "crm.get"}});
        assert_eq!(question["action"], action);
        assert_eq!(
            question["resource"],
            json!({"type": "tool", "id": "crm.get"})
        );
        let text = String::from_utf8(calls[0].body.clone()).unwrap();
        assert!(
            text.contains(r#""arguments":{"amount":1.50,"order":{"total":1e2}}"#),
            "{text}"
        );
        assert!(!text.contains("s3cret") && !text.contains("eve"), "{text}");
        assert_eq!(question["context"]["identified_by"], "token");
        assert_eq!(question["context"]["protocol_version"].as_str(), version);
        assert!(question["context"]["token_age"].is_u64());
        let headers = &calls[0].headers;
        assert!(headers.contains(&("authorization", "Bearer pdp-s3cret".to_owned())));
        assert_eq!(outcome.record.decided_by.as_deref(), Some("authzen:pdp"));
        assert!(!outcome.record.to_json().contains("s3cret"));
    }
}

#[test]
fn the_decision_point_can_only_refuse_more() {
    let policy = deciding(authzen(), json!({}));
    for request in [call("crm.get", "{}"), modern_call("crm.get", "{}")] {
        let (outcome, _) = decide(&policy, &request, &[denied()]);
        assert_eq!(outcome.server, None);
        assert_eq!(outcome.record.decision.reason, "decision_denied");
        assert_eq!(
            result_text(&outcome),
            "The policy does not allow this call with these arguments."
        );
    }
    // The policy decides first.
    for request in [
        call("crm.purge", "{}"),
        call("crm.refund", r#"{"amount":1}"#),
        call("hr.get", "{}"),
    ] {
        let (outcome, calls) = decide(&policy, &request, &[allowed()]);
        assert_eq!((outcome.server, calls.len()), (None, 0));
    }
}

#[test]
fn the_user_and_the_log_have_reasons_of_their_own() {
    let policy = deciding(authzen(), json!({}));
    let answer = r#"{"decision":false,"context":{"reason_admin":{"en":"rule 7"},"reason_user":"Ask your manager."}}"#;
    let (outcome, _) = decide(&policy, &call("crm.get", "{}"), &[answered(200, answer)]);
    assert_eq!(result_text(&outcome), "Ask your manager.");
    let record = outcome.record.to_json();
    assert!(
        record.contains("authzen:pdp does not allow it: rule 7"),
        "{record}"
    );
    assert!(!String::from_utf8_lossy(&outcome.reply.unwrap().body).contains("rule 7"));
}

#[test]
fn d1_every_fault_refuses_with_retry_after() {
    let policy = deciding(authzen(), json!({}));
    let large = format!(r#"{{"decision":true,"x":"{}"}}"#, "x".repeat(70_000));
    for (answer, reason) in [
        (None, "decision_unavailable"),
        (
            Some(answered(500, r#"{"decision":true}"#)),
            "decision_unavailable",
        ),
        (Some(answered(503, "")), "decision_unavailable"),
        (Some(answered(504, "")), "decision_timed_out"),
        (
            Some(answered(401, r#"{"decision":true}"#)),
            "decision_credential_refused",
        ),
        (Some(answered(403, "")), "decision_credential_refused"),
        (Some(answered(302, "")), "decision_unreadable"),
        (
            Some(answered(201, r#"{"decision":true}"#)),
            "decision_unreadable",
        ),
        (
            Some(answered(200, "<html>true</html>")),
            "decision_unreadable",
        ),
        (
            Some(answered(200, r#"{"decision":"true"}"#)),
            "decision_unreadable",
        ),
        (
            Some(answered(200, r#"{"decision":false,"decision":true}"#)),
            "decision_unreadable",
        ),
        (Some(answered(200, "{}")), "decision_unreadable"),
        (Some(answered(200, "")), "decision_unreadable"),
        (Some(answered(200, &large)), "decision_unreadable"),
    ] {
        let answers: Vec<_> = answer.into_iter().collect();
        for request in [call("crm.get", "{}"), modern_call("crm.get", "{}")] {
            let (outcome, _) = decide(&policy, &request, &answers);
            assert_eq!(outcome.refusal(), (503, 503, reason));
            let headers = &outcome.reply.unwrap().headers;
            assert!(headers.contains(&("retry-after", "5".to_owned())));
        }
    }
}

#[test]
fn d2_other_spellings_of_a_chosen_argument_are_refused() {
    let policy = deciding(authzen(), json!({}));
    for arguments in [
        r#"{"amount":5,"AMOUNT":5000}"#,
        r#"{"Amount":5000}"#,
        r#"{"amount":5,"amount[0]":5000}"#,
        r#"{"order":{"total":5,"Total":5000}}"#,
        r#"{"order":{"total":5},"order.total":5000}"#,
    ] {
        let (outcome, calls) = decide(&policy, &call("crm.get", arguments), &[allowed()]);
        assert_eq!((outcome.server, calls.len()), (None, 0), "{arguments}");
        assert_eq!(outcome.record.decision.reason, "argument_misspelled");
    }
}

#[test]
fn an_argument_names_the_resource() {
    let mut decide_ticket = authzen();
    decide_ticket["resource"] = json!({"type": "ticket", "id": "args.ticket.id"});
    let policy = deciding(decide_ticket, json!({}));
    for (arguments, id) in [
        (r#"{"ticket":{"id":"t-4"}}"#, "t-4"),
        (r#"{"ticket":{"id":9007199254740993}}"#, "9007199254740993"),
    ] {
        let (_, calls) = decide(&policy, &call("crm.close", arguments), &[allowed()]);
        let question = asked(&calls[0]);
        assert_eq!(question["resource"], json!({"type": "ticket", "id": id}));
        assert_eq!(question["action"]["properties"]["tool"], "crm.close");
    }
    for arguments in [
        "{}",
        r#"{"ticket":{"id":""}}"#,
        r#"{"ticket":{"id":null}}"#,
        r#"{"ticket":{"id":["t-1","t-4"]}}"#,
        r#"{"ticket":{"id":1.5}}"#,
        r#"{"ticket":{"id":{"id":"t-1"}}}"#,
        r#"{"ticket":"t-4"}"#,
    ] {
        let (outcome, calls) = decide(&policy, &call("crm.close", arguments), &[allowed()]);
        assert_eq!((&outcome.server, calls.len()), (&None, 0), "{arguments}");
        assert_eq!(outcome.record.decision.reason, "decision_argument_missing");
        assert!(result_text(&outcome).contains("`ticket.id`"));
    }
}

#[test]
fn a_section_of_a_tool_replaces_the_general_one() {
    let tools = json!({"tools": {
        "crm.refund": {"decide": {"arguments": ["amount"]}},
        "crm.close": {"decide": {"opa": {"cluster": "opa", "path": "/v1/data/mcp/allow"}}},
    }});
    let policy = deciding(authzen(), tools);
    let (_, calls) = decide(
        &policy,
        &call("crm.refund", r#"{"amount":5,"order":{"total":1}}"#),
        &[allowed()],
    );
    assert_eq!(calls[0].cluster, "pdp");
    assert_eq!(
        asked(&calls[0])["context"]["arguments"],
        json!({"amount": 5})
    );
    let (outcome, calls) = decide(
        &policy,
        &call("crm.close", r#"{"amount":5}"#),
        &[answered(200, r#"{"result":{"allow":true}}"#)],
    );
    assert!(outcome.server.is_some());
    assert_eq!(calls[0].cluster, "opa");
    assert_eq!(asked(&calls[0])["input"]["context"]["arguments"], json!({}));
}

#[test]
fn another_language_is_written_as_a_template() {
    let cerbos = json!({
        "http": {
            "cluster": "cerbos", "path": "/api/check/resources",
            "body": {
                "principal": {"id": "{subject.id}", "roles": "{subject.properties.roles}"},
                "resources": [{"actions": ["call"], "resource": {
                    "kind": "tool", "id": "t:{resource.id}", "attr": {"amount": "{context.arguments.amount}"},
                }}],
            },
            "allow": "/results/0/actions/call", "is": "EFFECT_ALLOW",
        },
        "arguments": ["amount"],
    });
    let policy = deciding(cerbos, json!({}));
    let said = |effect: &str| {
        answered(
            200,
            &format!(r#"{{"results":[{{"actions":{{"call":{effect}}}}}]}}"#),
        )
    };
    let request = call("crm.get", r#"{"amount":12345678901234567890.5}"#);
    let (outcome, calls) = decide(&policy, &request, &[said(r#""EFFECT_ALLOW""#)]);
    assert!(outcome.server.is_some());
    let body = String::from_utf8(calls[0].body.clone()).unwrap();
    assert!(
        body.contains(r#""attr":{"amount":12345678901234567890.5}"#),
        "{body}"
    );
    assert!(body.contains(r#""id":"t:crm.get""#) && body.contains(r#""roles":["support"]"#));
    for (effect, reason) in [
        (r#""EFFECT_DENY""#, "decision_denied"),
        ("true", "decision_unreadable"),
        ("null", "decision_unreadable"),
    ] {
        let (outcome, _) = decide(&policy, &request, &[said(effect)]);
        assert_eq!(outcome.server, None);
        assert_eq!(outcome.record.decision.reason, reason, "{effect}");
    }
}

#[test]
fn prompts_resources_and_completions_are_decided_about_and_the_server_itself_is_not() {
    let policy = deciding(authzen(), json!({}));
    for (method, params, kind, id) in [
        (
            "prompts/get",
            json!({"name": "crm.greet"}),
            "prompt",
            "crm.greet",
        ),
        (
            "resources/read",
            json!({"uri": "crm://acme/1"}),
            "resource",
            "crm://acme/1",
        ),
        (
            "resources/subscribe",
            json!({"uri": "crm://acme/1"}),
            "resource",
            "crm://acme/1",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "crm.greet"}, "argument": {"name": "a", "value": ""}}),
            "prompt",
            "crm.greet",
        ),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = Request::post(&body.to_string());
        let (outcome, calls) = decide(&policy, &request, &[denied()]);
        assert_eq!(outcome.refusal().2, "decision_denied", "{method}");
        let question = asked(&calls[0]);
        assert_eq!(question["action"]["name"], method);
        assert_eq!(question["resource"], json!({"type": kind, "id": id}));
    }
    for method in ["ping", "initialize"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
        let (outcome, calls) = decide(&policy, &Request::post(&body.to_string()), &[denied()]);
        assert!(outcome.server.is_some() && calls.is_empty(), "{method}");
    }
}

#[test]
fn d4_a_view_does_not_lift_what_the_decision_point_says_about_the_own_roles() {
    let policy = deciding(authzen(), json!({}));
    let request = call("crm.get", "{}").with("x-view-as", "role:trainee");
    let (outcome, calls) = decide(&policy, &request, &[allowed(), denied()]);
    assert_eq!(outcome.refusal_reason(), "decision_denied");
    let roles = |call| asked(call)["subject"]["properties"]["roles"].clone();
    assert_eq!(roles(&calls[0]), json!(["trainee"]));
    assert_eq!(roles(&calls[1]), json!(["support"]));
    assert_eq!(
        asked(&calls[0])["subject"]["properties"]["acting_as"],
        "role:trainee"
    );
    let (outcome, _) = decide(&policy, &request, &[allowed(), allowed()]);
    assert!(outcome.server.is_some());
}

#[test]
fn anonymous_callers_are_subjects_too() {
    let policy = deciding(authzen(), json!({"anonymous": {"tools": ["crm.docs"]}}));
    let request = call("crm.docs", "{}").without("authorization");
    let (outcome, calls) = decide(&policy, &request, &[denied()]);
    assert_eq!(outcome.server, None);
    assert_eq!(
        asked(&calls[0])["subject"],
        json!({"type": "anonymous", "id": "anonymous"})
    );
}

#[test]
fn observe_mode_asks_and_logs() {
    let policy = deciding(authzen(), json!({"mode": "observe"}));
    for (answer, reason, verdict) in [
        (denied(), "decision_denied", "blocked"),
        (answered(500, ""), "decision_unavailable", "blocked"),
        (allowed(), "allowed", "approved"),
    ] {
        let (outcome, calls) = decide(&policy, &call("crm.get", "{}"), &[answer]);
        assert!(outcome.server.is_some());
        assert_eq!(calls.len(), 1);
        assert_eq!(outcome.record.decision.reason, reason);
        assert_eq!(outcome.record.would_be, Some(verdict));
    }
}

fn obliged(obligations: &Value) -> HttpResponse {
    let answer = json!({"decision": true, "context": {"obligations": obligations}});
    answered(200, &answer.to_string())
}

#[test]
fn an_obligation_to_confirm_asks_the_user() {
    let policy = deciding(authzen(), json!({}));
    let answer = [obliged(&json!({"confirm": true}))];
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}"#;
    let request = Request::post(body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "tools/call")
        .with("mcp-name", "crm.get");
    let (outcome, _) = decide(&policy, &request, &answer);
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "confirmation_needed");
    // A client that cannot ask, and something that is no call.
    let (outcome, _) = decide(&policy, &call("crm.get", "{}"), &answer);
    assert_eq!(outcome.refusal_reason(), "confirmation_unsupported");
    let read =
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://acme/1"}}"#;
    let (outcome, _) = decide(&policy, &Request::post(read), &answer);
    assert_eq!(outcome.refusal_reason(), "confirmation_unsupported");
}

#[test]
fn an_obligation_of_max_age_asks_for_a_newer_sign_in() {
    let policy = deciding(authzen(), json!({}));
    let request = call("crm.get", "{}");
    let (outcome, _) = decide(&policy, &request, &[obliged(&json!({"max_age": 0}))]);
    assert_eq!(outcome.refusal().2, "sign_in_too_old");
    assert!(outcome.challenge().contains("max_age=\"0\""));
    let (outcome, _) = decide(&policy, &request, &[obliged(&json!({"max_age": 86400}))]);
    assert!(outcome.server.is_some());
}

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

#[test]
fn an_obligation_to_redact_hides_fields_of_the_result() {
    let policy = deciding(authzen(), json!({}));
    let answer = [obliged(&json!({"redact": ["ssn"]}))];
    let result = |id: &Value| {
        json!({"jsonrpc": "2.0", "id": id, "result": {
            "content": [{"type": "text", "text": "{\"ssn\":\"078-05-1120\",\"name\":\"Ada\"}"}],
            "structuredContent": {"ssn": "078-05-1120", "name": "Ada"},
        }})
        .to_string()
    };
    for request in [call("crm.get", "{}"), modern_call("crm.get", "{}")] {
        for headers in [JSON, EVENTS] {
            let (_, server_id) = {
                let calls = Rc::default();
                let proxy = FakeProxy::new(&policy).with_answers(&answer, &calls);
                let (id, ()) = proxy.during(&request, |_| ());
                ((), id)
            };
            let body = match headers == JSON {
                true => result(&server_id),
                false => format!("id: e1\ndata: {}\n\n", result(&server_id)),
            };
            let calls = Rc::default();
            let proxy = FakeProxy::new(&policy).with_answers(&answer, &calls);
            let outcome = proxy.send(&request.clone().answered(headers, &body), &[], false);
            let seen = outcome.client_body();
            assert!(
                !seen.contains("078-05-1120") && seen.contains("Ada"),
                "{seen}"
            );
            assert_eq!(outcome.record.redacted, ["ssn"]);
        }
    }
}

#[test]
fn d3_an_obligation_to_redact_holds_for_the_task_and_the_rest_of_a_stream() {
    let policy = deciding(authzen(), json!({}));
    let obliged = [obliged(&json!({"redact": ["ssn"]}))];
    let secrets = secrets(&policy);
    let proxy = |answers: &[HttpResponse]| {
        let calls = Rc::default();
        FakeProxy::with_secrets(&policy, secrets.clone(), 0).with_answers(answers, &calls)
    };
    // A task of an earlier version.
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"crm.get","arguments":{},"task":{}}}"#;
    let request = Request::post(body).with("mcp-protocol-version", "2025-11-25");
    let made =
        r#"{"jsonrpc":"2.0","id":"a","result":{"task":{"taskId":"t-1","status":"working"}}}"#;
    let outcome = proxy(&obliged).send(&request.answered(JSON, made), &[], false);
    let seen: Value = serde_json::from_str(&outcome.client_body()).unwrap();
    let task = seen["result"]["task"]["taskId"].as_str().unwrap();
    let body =
        json!({"jsonrpc": "2.0", "id": "b", "method": "tasks/result", "params": {"taskId": task}});
    let request = Request::post(&body.to_string()).with("mcp-protocol-version", "2025-11-25");
    let result = r#"{"jsonrpc":"2.0","id":"b","result":{"content":[],"structuredContent":{"ssn":"078-05-1120"}}}"#;
    // The decision point is not asked again.
    let outcome = proxy(&[]).send(&request.answered(JSON, result), &[], false);
    assert!(!outcome.client_body().contains("078-05-1120"));
    // A stream that is resumed.
    let first = "id: e1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n";
    let request = call("crm.get", "{}").with("mcp-protocol-version", "2025-11-25");
    let outcome = proxy(&obliged).send(&request.answered(EVENTS, first), &[], false);
    let seen = outcome.client_body();
    let event = seen
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap();
    let rest = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[],\"structuredContent\":{\"ssn\":\"078-05-1120\"}}}\n\n";
    let request = Request::method("GET")
        .with("last-event-id", event)
        .answered(EVENTS, rest);
    let outcome = proxy(&[]).send(&request, &[], false);
    assert!(
        !outcome.client_body().contains("078-05-1120"),
        "{}",
        outcome.client_body()
    );
}

fn tools(names: &[&str]) -> String {
    let tools: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"jsonrpc": "2.0", "id": "a", "result": {"tools": tools}}).to_string()
}

fn decisions(decisions: &[bool]) -> HttpResponse {
    let all = decisions
        .iter()
        .map(|decision| json!({"decision": decision}));
    let all: Vec<_> = all.collect();
    answered(200, &json!({"evaluations": all}).to_string())
}

#[test]
fn a_list_shows_what_the_decision_point_would_allow() {
    let policy = deciding(authzen(), json!({}));
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let body = tools(&["crm.a", "hr.b", "crm.c", "crm.d", "crm.a"]);
    let events = format!(": hello\n\ndata: {body}\n\ndata: {{}}\n\n");
    for (headers, body) in [(JSON, &body), (EVENTS, &events)] {
        let request = list.clone().answered(headers, body);
        let (outcome, calls) = decide(&policy, &request, &[decisions(&[true, false, true])]);
        let seen = outcome.client_body();
        assert!(seen.contains("crm.a") && seen.contains("crm.d"), "{seen}");
        assert!(!seen.contains("crm.c") && !seen.contains("hr.b"), "{seen}");
        assert_eq!(calls.len(), 1);
        let path = |call: &HttpRequest| call.headers[1].1.clone();
        assert_eq!(path(&calls[0]), "/access/v1/evaluations");
        let asked = asked(&calls[0]);
        assert_eq!(asked["context"]["listing"], true);
        let evaluations = asked["evaluations"].as_array().unwrap();
        assert_eq!(evaluations.len(), 3);
        assert_eq!(
            evaluations[1]["resource"],
            json!({"type": "tool", "id": "crm.c"})
        );
        assert_eq!(evaluations[1]["action"]["name"], "tools/call");
        assert_eq!(outcome.record.decided_by.as_deref(), Some("authzen:pdp"));
    }
}

#[test]
fn a_list_without_decisions_is_refused() {
    let policy = deciding(authzen(), json!({}));
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let body = tools(&["crm.a", "crm.c"]);
    let events = format!("data: {body}\n\n");
    for answer in [
        None,
        Some(answered(500, "")),
        Some(answered(200, r#"{"evaluations":[]}"#)),
        Some(decisions(&[true])),
        Some(decisions(&[true, true, true])),
        Some(answered(
            200,
            r#"{"evaluations":[{"decision":true},{"decision":"true"}]}"#,
        )),
        Some(allowed()),
    ] {
        let answers: Vec<_> = answer.into_iter().collect();
        for (headers, body) in [(JSON, &body), (EVENTS, &events)] {
            let request = list.clone().answered(headers, body);
            let (outcome, _) = decide(&policy, &request, &answers);
            let seen = outcome.client_body();
            assert!(!seen.contains("crm."), "{seen}");
            assert!(outcome.record.decision.reason.starts_with("decision_"));
            if headers == JSON {
                assert_eq!(outcome.client_header("retry-after"), Some("5"));
                assert_eq!(outcome.client_header(":status"), Some("503"));
            }
        }
    }
}

#[test]
fn an_empty_list_asks_nothing_and_a_long_one_is_bounded() {
    let policy = deciding(authzen(), json!({}));
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let (outcome, calls) = decide(&policy, &list.clone().answered(JSON, &tools(&[])), &[]);
    assert!(calls.is_empty() && outcome.client_body().contains("tools"));
    let names: Vec<String> = (0..550).map(|index| format!("crm.t{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = list.answered(JSON, &tools(&names));
    let calls = Rc::default();
    let answers: Vec<_> = (0..5).map(|_| decisions(&[true; 100])).collect();
    let proxy = FakeProxy::new(&policy).with_answers(&answers, &calls);
    let outcome = proxy.send(&request, &[], false);
    assert_eq!(calls.borrow().len(), 5);
    assert_eq!(outcome.record.hidden_items, Some(50));
}

#[test]
fn an_answer_is_remembered_for_exactly_the_same_question() {
    let mut cached = authzen();
    cached["cache"] = json!("30s");
    let policy = deciding(cached, json!({}));
    let secrets = secrets(&policy);
    let calls = Rc::new(RefCell::new(Vec::new()));
    let ask = |request: &Request, later, answers: &[HttpResponse]| {
        calls.borrow_mut().clear();
        let proxy = FakeProxy::with_secrets(&policy, secrets.clone(), later);
        let outcome = proxy
            .with_answers(answers, &calls)
            .send(request, &[], false);
        (
            outcome.server.is_some(),
            calls.borrow().len(),
            outcome.record.decision_cached,
        )
    };
    let small = call("crm.get", r#"{"amount":5}"#);
    assert_eq!(ask(&small, 0, &[allowed()]), (true, 1, false));
    assert_eq!(ask(&small, 10, &[denied()]), (true, 0, true));
    // Arguments that are not sent do not count. All others do.
    assert_eq!(
        ask(&call("crm.get", r#"{"amount":5,"note":"x"}"#), 10, &[]),
        (true, 0, true)
    );
    for other in [
        call("crm.get", r#"{"amount":5.0}"#),
        call("crm.get", r#"{"amount":"5"}"#),
        call("crm.get", "{}"),
        call("crm.got", r#"{"amount":5}"#),
        call("crm.get", r#"{"amount":5}"#).with("x-view-as", "role:trainee"),
        call("crm.get", r#"{"amount":5}"#).token(json!({"org_id": "other"})),
        call("crm.get", r#"{"amount":5}"#).token(json!({"sub": "other"})),
    ] {
        assert_eq!(ask(&other, 10, &[denied()]), (false, 1, false));
    }
    assert_eq!(ask(&small, 31, &[denied()]), (false, 1, false));
    // A denial is remembered as well, and a fault is not.
    assert_eq!(ask(&small, 32, &[allowed()]), (false, 0, true));
    let other = call("crm.fault", "{}");
    assert_eq!(ask(&other, 0, &[answered(500, "")]), (false, 1, false));
    assert_eq!(ask(&other, 0, &[allowed()]), (true, 1, false));
    // A list has questions of its own.
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let list = list.answered(JSON, &tools(&["crm.get"]));
    assert_eq!(ask(&list, 0, &[decisions(&[true])]).1, 1);
    assert_eq!(ask(&list, 0, &[]).1, 0);
}

#[test]
fn what_is_refused_uses_nothing_up() {
    let single = json!({"tools": {"crm.get": {"single_use": true}}});
    let policy = deciding(authzen(), single);
    let store = Store::default();
    let calls = Rc::default();
    let once = |answer| {
        let proxy = FakeProxy::new(&policy).with_store(&store);
        let outcome =
            proxy
                .with_answers(&[answer], &calls)
                .send(&call("crm.get", "{}"), &[], false);
        outcome.record.decision.reason
    };
    assert_eq!(once(denied()), "decision_denied");
    assert_eq!(once(answered(500, "")), "decision_unavailable");
    assert_eq!(once(allowed()), "allowed");
    assert_eq!(once(allowed()), "token_used");
}

#[test]
fn anonymous_callers_see_tools_that_need_a_sign_in() {
    let policy = deciding(
        authzen(),
        json!({"anonymous": {"tools": ["crm.docs", "crm.help"]}}),
    );
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let list = list.without("authorization");
    let request = list.answered(JSON, &tools(&["crm.docs", "crm.help", "crm.get"]));
    let (outcome, calls) = decide(&policy, &request, &[decisions(&[true, false])]);
    assert_eq!(asked(&calls[0])["evaluations"].as_array().unwrap().len(), 2);
    let seen = outcome.client_body();
    assert!(
        seen.contains("crm.docs") && seen.contains("crm.get"),
        "{seen}"
    );
    assert!(!seen.contains("crm.help"), "{seen}");
}
