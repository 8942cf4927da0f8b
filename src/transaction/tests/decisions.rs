//! Who may, and what is said and logged about it.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{End, Ending, Forward, Transaction};
use super::fake_proxy::{Request, now};
use super::with_client;
use super::{call, default, policy, received, send};
use crate::decision::Verdict;
use crate::effect::{Effect, Progress};
use crate::engine::{Engine, Secrets};
use mcp::headers::Headers;
use oauth::Verifier;
use policy::Policy;

#[test]
fn tokens_decide_and_challenges_say_how_to_cure() {
    let policy = policy(json!({"scopes": ["crm:read"]}));
    let none = send(&policy, &call("crm.get", "{}").without("authorization"));
    assert_eq!(none.refusal(), (401, 401, "no_token"));
    assert_eq!(
        none.challenge(),
        "Bearer resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"crm:read\""
    );
    for (claims, reason) in [
        (json!({"at_hash": "x"}), "token_type_wrong"),
        (json!({"exp": super::NOW - 120}), "token_expired"),
    ] {
        let refused = send(&policy, &call("crm.get", "{}").token(claims));
        assert_eq!(refused.refusal(), (401, 401, reason));
        assert!(refused.challenge().contains("error=\"invalid_token\""));
    }
    let scope = send(&policy, &call("crm.refund", r#"{"amount":5}"#));
    assert_eq!(scope.refusal(), (403, 403, "scope_missing"));
    assert!(
        scope
            .challenge()
            .contains("error=\"insufficient_scope\", scope=\"crm:read crm:write\"")
    );
    assert_eq!(scope.record.decision.verdict, Verdict::NeedsReview);
    let with_scope =
        call("crm.refund", r#"{"amount":5}"#).token(json!({"scope": "crm:read crm:write"}));
    assert!(send(&policy, &with_scope).server.is_some());
    let too_much =
        call("crm.refund", r#"{"amount":500}"#).token(json!({"scope": "crm:read crm:write"}));
    let too_much = send(&policy, &too_much);
    assert_eq!(too_much.record.decision.reason, "condition_not_met");
    assert_eq!(too_much.server, None);
}

#[test]
fn b25_conditions_are_judged_on_what_the_server_will_read() {
    let policy = policy(json!({"tools": {"crm.x": {"when": "args.organization_id == 'acme'"}}}));
    let outcome = send(&policy, &call("crm.x", r#"{"organization_id":"globex"}"#));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
}

#[test]
fn what_no_role_allows_looks_as_if_it_did_not_exist() {
    for (tool, reason) in [("hr.salaries", "no_role"), ("crm.purge", "denied")] {
        let outcome = send(&default(), &call(tool, "{}"));
        assert_eq!(outcome.refusal(), (200, -32602, reason));
        let reply = String::from_utf8(outcome.reply.unwrap().body).unwrap();
        assert!(reply.contains(&format!("Unknown tool: {tool}")), "{reply}");
        assert!(
            reply.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,"),
            "{reply}"
        );
    }
    let visible = policy(json!({"refusals": "visible"}));
    assert_eq!(
        send(&visible, &call("hr.salaries", "{}")).refusal(),
        (200, 403, "no_role")
    );
    assert_eq!(
        send(&visible, &super::modern_call("hr.salaries", "{}")).refusal(),
        (403, 403, "no_role")
    );
}

#[test]
fn observe_mode_decides_and_changes_nothing() {
    let policy = policy(json!({"mode": "observe"}));
    for (request, reason, would_be) in [
        (call("hr.salaries", "{}"), "no_role", "blocked"),
        (
            call("crm.get", r#"{"organization_id":"globex"}"#),
            "allowed",
            "approved",
        ),
        (
            call("crm.get", "{}").without("authorization"),
            "no_token",
            "needs_review",
        ),
        (Request::post("not json"), "body_not_json", "blocked"),
    ] {
        let outcome = send(&policy, &request);
        let (headers, body) = outcome.server.as_ref().expect("forwarded");
        assert_eq!((headers, body), (&request.headers, &request.body));
        assert_eq!(outcome.record.decision.verdict, Verdict::Draft);
        assert_eq!(outcome.record.decision.reason, reason);
        assert_eq!(outcome.record.would_be, Some(would_be));
    }
}

#[test]
fn b14_a_request_that_matches_no_policy_is_refused_where_the_policy_enforces() {
    let headers = Headers::new(call("crm.get", "{}").headers);
    for (mode, verdict) in [("enforce", Verdict::Blocked), ("observe", Verdict::Draft)] {
        let mut transaction = transaction(policy(json!({"mode": mode})));
        match transaction.refuse_unmatched(&headers) {
            End::Reply(reply) => assert_eq!((mode, reply.status), ("enforce", 404)),
            end => assert_eq!((mode, end), ("observe", End::Forward(Forward::default()))),
        }
        assert!(transaction.is_over());
        let record = transaction.finish(404, Ending::Whole, now(0)).unwrap();
        assert_eq!(record.decision.verdict, verdict);
        assert_eq!(record.decision.reason, "not_found");
        assert_eq!((record.http_method.as_str(), record.policy), ("POST", None));
    }
}

#[test]
fn a_client_that_leaves_has_a_record() {
    let mut gone = transaction(default());
    let headers = Headers::new(call("crm.get", "{}").headers);
    let progress = gone.request_headers(headers, false, now(0));
    let progress = with_client(&mut gone, progress);
    assert_eq!(progress, Progress::Waits(Effect::Body(None)));
    let record = gone.finish(0, Ending::Whole, now(0)).unwrap();
    assert_eq!(record.decision.reason, "client_gone");
    let not_arrived = transaction(default());
    assert_eq!(not_arrived.finish(0, Ending::Whole, now(0)), None);
}

#[test]
fn k9_the_record_tells_failures_of_proxy_and_server_from_decisions() {
    let begin = || {
        let mut transaction = transaction(default());
        let headers = Headers::new(call("crm.get", "{}").headers);
        let progress = transaction.request_headers(headers, false, now(0));
        let progress = with_client(&mut transaction, progress);
        assert_eq!(progress, Progress::Waits(Effect::Body(None)));
        transaction
    };
    let passed = || {
        let mut transaction = begin();
        let body = crate::effect::Outcome::Body(call("crm.get", "{}").body);
        let progress = transaction.resume(body, now(0));
        assert!(matches!(progress, Some(Progress::Done(End::Forward(_)))));
        transaction
    };
    let refused = || {
        let mut transaction = begin();
        assert!(transaction.request_grows(300 * 1024, Vec::new).is_some());
        transaction
    };
    let unreadable = || {
        let mut transaction = passed();
        let text = Headers::new(vec![(":status".into(), b"503".to_vec())]);
        transaction.response_headers(&text, false);
        transaction
    };
    for (transaction, status, ending, verdict, reason) in [
        (
            begin(),
            408,
            Ending::ByProxy,
            Verdict::Blocked,
            "answered_by_proxy",
        ),
        (
            begin(),
            413,
            Ending::ByProxy,
            Verdict::Blocked,
            "answered_by_proxy",
        ),
        (begin(), 0, Ending::Whole, Verdict::Blocked, "client_gone"),
        (
            passed(),
            503,
            Ending::ByProxy,
            Verdict::Failed,
            "upstream_unavailable",
        ),
        (
            unreadable(),
            502,
            Ending::ByProxy,
            Verdict::Failed,
            "upstream_unavailable",
        ),
        (
            passed(),
            200,
            Ending::CutOff,
            Verdict::Failed,
            "upstream_reset",
        ),
        (passed(), 200, Ending::Whole, Verdict::Approved, "allowed"),
        (
            refused(),
            413,
            Ending::ByProxy,
            Verdict::Blocked,
            "body_too_large",
        ),
    ] {
        let record = transaction.finish(status, ending, now(0)).unwrap();
        assert_eq!(record.decision.reason, reason);
        assert_eq!(record.decision.verdict, verdict, "{reason}");
    }
}

fn transaction(policy: Rc<Policy>) -> Transaction {
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    let engine = Engine::new(policy, Secrets::default(), verifier);
    Transaction::new(Rc::new(engine))
}

#[test]
fn b45_nothing_secret_is_in_a_record() {
    let request = call(
        "crm.get",
        r#"{"organization_id":"s3cret-org","note":"s3cret-note"}"#,
    );
    let token = String::from_utf8(request.headers.last().unwrap().1.clone()).unwrap();
    let outcome = send(&default(), &request.path("/mcp?token=s3cret-query"));
    let other = send(
        &default(),
        &call(
            "crm.get",
            r#"{"organization_id":"s3cret-org","note":"s3cret-note"}"#,
        ),
    );
    for record in [outcome.record, other.record] {
        let json = record.to_json();
        assert!(
            !json.contains("s3cret")
                && !json.contains(token.trim_start_matches("Bearer "))
                && !json.contains("\"u1\""),
            "{json}"
        );
    }
}

#[test]
fn r15_a_call_that_a_condition_refuses_tells_the_model_why() {
    let policy = policy(json!({
        "tools": {
            "crm.refund": {"when": "args.amount <= 100", "message": "Refunds over 100 need a manager."},
            "crm.*": {"when": "!has(args.force)"},
        },
        "prompts": {"crm.review": {"when": "args.q == 'x'", "message": "Only x."}},
    }));
    let failed = |request: &Request, reason: &str| {
        let outcome = send(&policy, request);
        assert_eq!(outcome.record.decision.reason, reason);
        assert_eq!(outcome.server, None);
        let reply = outcome.reply.unwrap();
        assert_eq!(reply.status, 200);
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let own = "Refunds over 100 need a manager.";
    let usual = "The policy does not allow this call with these arguments.";
    for (tool, arguments, text) in [
        ("crm.refund", r#"{"amount":101}"#, own),
        ("crm.refund", r#"{"amount":"x"}"#, own),
        ("crm.get", r#"{"force":true}"#, usual),
    ] {
        let body = failed(&call(tool, arguments), "condition_not_met");
        let result = json!({"content": [{"type": "text", "text": text}], "isError": true});
        assert_eq!(body, json!({"jsonrpc": "2.0", "id": 1, "result": result}));
        let modern = failed(&super::modern_call(tool, arguments), "condition_not_met");
        assert_eq!(modern["result"]["resultType"], "complete");
        assert_eq!(modern["result"]["content"], result["content"]);
    }
    let prompt = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.review","arguments":{"q":"y"}}}"#;
    let body = failed(&Request::post(prompt), "condition_not_met");
    assert_eq!(body["error"], json!({"code": -32602, "message": "Only x."}));
    // A tool that no role allows is unknown, whatever its condition.
    let hidden = send(&policy, &call("crm.purge", r#"{"force":true}"#));
    assert_eq!(hidden.refusal(), (200, -32602, "denied"));
}
