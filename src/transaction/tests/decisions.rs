//! Who may, and what is said and logged about it.

use serde_json::json;

use super::fake_host::Request;
use super::{call, default, policy, received, send};
use crate::decision::Verdict;

#[test]
fn tokens_decide_and_challenges_say_how_to_cure() {
    let policy = policy(json!({"scopes": ["crm:read"]}));
    let none = send(&policy, &call("crm.get", "{}").without("authorization"));
    assert_eq!(none.refusal(), (401, 401, "no_token"));
    assert_eq!(
        none.challenge(),
        "Bearer resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"crm:read\""
    );
    let expired = send(
        &policy,
        &call("crm.get", "{}").token(json!({"at_hash": "x"})),
    );
    assert_eq!(expired.refusal(), (401, 401, "token_type_wrong"));
    assert!(expired.challenge().contains("error=\"invalid_token\""));
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
    assert_eq!(
        send(&policy, &too_much).refusal(),
        (200, -32602, "condition_not_met")
    );
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
fn b14_a_request_for_none_of_several_policies_is_refused_where_one_enforces() {
    use super::super::{Forward, Now, Step, Transaction};
    let now = Now {
        unix_ms: super::NOW * 1000,
    };
    let headers = mcp::headers::Headers::new(call("crm.get", "{}").headers);
    for (mode, verdict) in [("enforce", Verdict::Blocked), ("observe", Verdict::Draft)] {
        let mut exchange = Transaction::new(
            policy(json!({"mode": mode})),
            &Default::default(),
            &Default::default(),
            now,
        );
        match exchange.is_for_nobody(&headers) {
            Step::Reply(reply) => assert_eq!((mode, reply.status), ("enforce", 404)),
            step => assert_eq!((mode, step), ("observe", Step::Forward(Forward::default()))),
        }
        assert!(exchange.is_over());
        let record = exchange.finish(404, now).unwrap();
        assert_eq!(record.decision.verdict, verdict);
        assert_eq!(record.decision.reason, "not_found");
        assert_eq!((record.http_method.as_str(), record.policy), ("POST", None));
    }
}

#[test]
fn a_client_that_leaves_has_a_record() {
    let policy = default();
    let mut exchange = super::super::Transaction::new(
        policy.clone(),
        &Default::default(),
        &Default::default(),
        super::super::Now { unix_ms: 1 },
    );
    let mut verifier = oauth::Verifier::new(policy.issuers.clone()).unwrap();
    let headers = mcp::headers::Headers::new(call("crm.get", "{}").headers);
    let now = super::super::Now {
        unix_ms: super::NOW * 1000,
    };
    assert_eq!(
        exchange.request_headers(headers, false, &mut verifier, now),
        super::super::Step::Hold
    );
    let record = exchange.finish(0, now).unwrap();
    assert_eq!(record.decision.reason, "client_gone");
    let unborn =
        super::super::Transaction::new(policy, &Default::default(), &Default::default(), now);
    assert_eq!(unborn.finish(0, now), None);
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
