//! What the page shows.

use explanation::Surroundings;
use explanation::yaml::Place;
use explanation::{
    ExplainedRequest, Mistake, PolicyText, PolicyTextError, caller, decide, headline, hint, target,
};
use mcp::headers::HeaderEdit;
use mcp_auth_filter::reasons::{Approval, Reason};
use mcp_auth_filter::step::{End, Forward};
use policy::Policy;
use serde_json::{Value, json};

use crate::inputs::{PlaygroundInputs, place};

/// The headers with the token that is made of the claims.
const MADE_OF_CLAIMS: [&str; 2] = ["authorization", "dpop"];

/// Everything that the page shows about its fields.
pub(crate) fn view(inputs: PlaygroundInputs) -> Value {
    let text = match PolicyText::parse(&inputs.policy, &|_| Vec::new()) {
        Ok(text) => text,
        Err(error) => return json!({"mistakes": mistakes(error)}),
    };
    let warnings: Vec<Value> = text.warnings.iter().map(of_mistake).collect();
    let resources: Vec<String> = text
        .policies
        .iter()
        .map(|(policy, _)| policy.resource.clone())
        .collect();
    let mut policies = text.policies.into_iter().map(|(policy, _)| policy);
    let chosen = resources.iter().position(|name| *name == inputs.resource);
    let policy = policies.nth(chosen.unwrap_or_default());
    let mut view = json!({"warnings": warnings, "policies": resources});
    let outcome = policy.map_or_else(|| json!({}), |policy| of_request(policy, &inputs));
    if let (Value::Object(view), Value::Object(outcome)) = (&mut view, outcome) {
        view.extend(outcome);
    }
    view
}

/// All mistakes of a policy.
fn mistakes(error: PolicyTextError) -> Vec<Value> {
    match error {
        PolicyTextError::NotYaml(error) => vec![at(error.place, &error.message)],
        PolicyTextError::OtherKind { mistake, under } => {
            let message = format!("{}: paste what is under {under}", mistake.message);
            vec![at(mistake.place, &message)]
        }
        PolicyTextError::Mistakes(mistakes) => mistakes.iter().map(of_mistake).collect(),
    }
}

fn of_mistake(mistake: &Mistake) -> Value {
    at(mistake.place, &mistake.message)
}

fn at(place: Place, message: &str) -> Value {
    json!({"line": place.line, "column": place.column, "message": message})
}

fn of_request(policy: Policy, inputs: &PlaygroundInputs) -> Value {
    if inputs.request.trim().is_empty() {
        return json!({});
    }
    let surroundings = Surroundings {
        now: inputs.now(),
        audit_key: None,
    };
    let request = inputs.request(&policy);
    match request.and_then(|request| decide(policy, request, surroundings)) {
        Ok((judged, policy)) => json!({"explanation": explained(&judged, &policy)}),
        Err(error) => {
            let (field, next) = place(&error);
            json!({"problem": {"field": field.name(), "message": error.to_string(), "next": next}})
        }
    }
}

fn explained(judged: &ExplainedRequest, policy: &Policy) -> Value {
    let record = &judged.record;
    let decision = &record.decision;
    let mut all = judged.to_json();
    let more = json!({
        "verdict": decision.verdict.name(),
        "reason": decision.reason,
        "headline": headline(record),
        "meaning": meaning(decision.reason),
        "target": target(record),
        "evidence": decision.evidence,
        "caller": caller(record, judged.missing_key.as_deref()),
        "next_action": decision.next_action,
        "note": hint(record, policy, true),
        "answered": judged.answer.as_ref().map(|answer| String::from_utf8_lossy(&answer.sent)),
        "sent": match &judged.end {
            End::Forward(forward) => sent(judged, forward),
            End::Reply(_) => Value::Null,
        },
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// The meaning of a reason, for operators.
fn meaning(code: &str) -> Option<&'static str> {
    let refusals = Reason::ALL.iter().map(|reason| reason.row());
    let mut refusals = refusals.map(|row| (row.code, row.meaning));
    let approvals = Approval::ALL.iter().map(|approval| approval.row());
    let mut approvals = approvals.map(|row| (row.code, row.meaning));
    let is_meant = |row: &(&str, &str)| row.0 == code;
    let row = refusals.find(is_meant).or_else(|| approvals.find(is_meant));
    row.map(|(_, meaning)| meaning)
}

/// The request that the server gets: all headers, each with its change, and the body.
fn sent(judged: &ExplainedRequest, forward: &Forward) -> Value {
    let mut headers: Vec<Value> = Vec::new();
    for (name, value) in judged.headers.iter() {
        let is_edited = |edit: &HeaderEdit| match edit {
            HeaderEdit::Remove(other) | HeaderEdit::Set(other, _) => other == name,
        };
        let change = match forward.headers.iter().any(is_edited) {
            true => "removed",
            false => "kept",
        };
        let value = match MADE_OF_CLAIMS.contains(&name) {
            true => "(made of the claims)".into(),
            false => String::from_utf8_lossy(value),
        };
        headers.push(json!({"name": name, "value": value, "change": change}));
    }
    for edit in &forward.headers {
        if let HeaderEdit::Set(name, value) = edit {
            headers.push(json!({"name": name, "value": value, "change": "set"}));
        }
    }
    let body = forward.body.as_deref().unwrap_or(&judged.body);
    json!({"headers": headers, "body": String::from_utf8_lossy(body)})
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "resource: http://127.0.0.1:10000/mcp\nlocal: {user: me, organization: acme, roles: [reader]}\n\
                          roles: {reader: {tools: [crm.get]}}\narguments: {organization_id: {set: organization}}\n\
                          seal: {key_env: KEY}\n";

    fn call(tool: &str) -> String {
        format!(
            r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {{"name": "{tool}", "arguments": {{"organization_id": "globex"}}}}}}"#
        )
    }

    fn shown(policy: &str, change: impl FnOnce(&mut PlaygroundInputs)) -> Value {
        let mut inputs = PlaygroundInputs {
            policy: policy.to_owned(),
            request: call("crm.get"),
            now: 1_800_000_000,
            ..PlaygroundInputs::default()
        };
        change(&mut inputs);
        view(inputs)
    }

    #[test]
    fn the_request_that_the_server_gets_is_shown_with_its_changes() {
        let shown = shown(POLICY, |_| {});
        let explanation = &shown["explanation"];
        assert_eq!(explanation["verdict"], "approved", "{shown:#}");
        assert!(
            explanation["sent"]["body"]
                .as_str()
                .unwrap()
                .contains(r#""organization_id": "acme""#)
        );
        let headers = explanation["sent"]["headers"].as_array().unwrap();
        assert!(headers.iter().any(|header| header["change"] == "set"));
        assert!(
            headers
                .iter()
                .any(|header| header["name"] == "accept" && header["change"] == "kept")
        );
    }

    #[test]
    fn a_refusal_has_its_meaning_and_the_reply() {
        let shown = shown(POLICY, |inputs| inputs.request = call("crm.purge"));
        let explanation = &shown["explanation"];
        assert_eq!(explanation["reason"], "no_role");
        assert!(explanation["meaning"].is_string() && explanation["next_action"].is_string());
        assert_eq!(explanation["sent"], Value::Null);
        assert_eq!(explanation["answer"]["status"], 200);
    }

    #[test]
    fn every_reason_has_a_meaning() {
        assert!(
            Reason::ALL
                .iter()
                .all(|reason| meaning(reason.row().code).is_some())
        );
        assert_eq!(meaning("unknown"), None);
    }

    #[test]
    fn all_mistakes_have_their_places() {
        let shown = shown(
            "resource: http://127.0.0.1:1/mcp\nrols: {}\nlocal: {usr: me}\n",
            |_| {},
        );
        let mistakes = shown["mistakes"].as_array().unwrap();
        let lines: Vec<u64> = mistakes
            .iter()
            .map(|mistake| mistake["line"].as_u64().unwrap())
            .collect();
        assert!(lines.contains(&2) && lines.contains(&3), "{shown:#}");
        let shown = view(PlaygroundInputs {
            policy: "a: [1".to_owned(),
            ..PlaygroundInputs::default()
        });
        assert_eq!(shown["mistakes"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_problem_names_its_field() {
        for (field, headers, claims) in [
            ("headers", "no header", ""),
            ("headers", "Authorization: Bearer x", ""),
            ("claims", "", "{\"sub\": 1, \"sub\": 2}"),
            ("claims", "", "[]"),
            ("claims", "", "{}"),
        ] {
            let shown = shown(POLICY, |inputs| {
                (inputs.headers, inputs.claims) = (headers.to_owned(), claims.to_owned());
            });
            assert_eq!(shown["problem"]["field"], field, "{shown:#}");
        }
    }

    #[test]
    fn an_event_stream_needs_no_empty_line_at_its_end() {
        let policy = format!("{POLICY}results: [{{tools: [crm.get], redact: [ssn]}}]\n");
        let shown = shown(&policy, |inputs| {
            inputs.answer = r#"data: {"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"ssn":"900"}}}"#
                .to_owned();
        });
        let received = shown["explanation"]["received"]["body"].as_str().unwrap();
        assert!(
            received.contains("***") && !received.contains("900"),
            "{shown:#}"
        );
    }

    #[test]
    fn the_server_s_answer_is_shown_as_the_client_gets_it() {
        let policy = format!("{POLICY}results: [{{tools: [crm.get], redact: [ssn]}}]\n");
        let shown = shown(&policy, |inputs| {
            inputs.answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"ssn":"900"}}}"#.to_owned();
        });
        let received = shown["explanation"]["received"]["body"].as_str().unwrap();
        assert!(
            received.contains("***") && !received.contains("900"),
            "{shown:#}"
        );
    }
}
