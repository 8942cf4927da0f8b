//! The outcome of one case.

use std::path::Path;

use explanation::{ExplainedRequest, RequestInputs};
use mcp_auth_filter::audit::Record;
use mcp_auth_filter::step::End;
use serde_json::{Map, Value, json};

use super::case_file::{Case, CaseCaller, CaseFile, Expectation};
use crate::explain;
use crate::terminal_text::printable;
use crate::{Failure, files, policy_file};

/// A case, and what is not as expected.
#[derive(Debug)]
pub(super) struct CaseOutcome {
    /// The file, and the position in it.
    pub(super) file: String,
    pub(super) line: usize,
    /// The name of the case.
    pub(super) name: String,
    /// The decision and its reason.
    pub(super) decision: String,
    /// What is not as expected, one line each.
    pub(super) differences: Vec<String>,
    record: Record,
}

impl CaseOutcome {
    /// Judges a case.
    pub(super) fn of(
        path: &Path,
        case: Case,
        file: &CaseFile,
        document: &Value,
    ) -> Result<Self, Failure> {
        let name = files::name(path);
        let failure = |message: String| {
            Failure::usage(
                format!("{name}: `{}`: {message}", printable(&case.name)),
                "docs/command-line.md shows a file of cases",
            )
        };
        let policy = policy_file::compile(document)?;
        let message = message(&case).map_err(&failure)?;
        let mut headers = case.headers.clone();
        let claims = match (&case.caller, &policy.local) {
            (Some(_), Some(_)) => {
                return Err(failure(
                    "the policy names the caller, under `local`".to_owned(),
                ));
            }
            (None, Some(_)) => None,
            (None, None) => {
                headers.push("authorization:".to_owned());
                Some(Map::new())
            }
            (Some(CaseCaller::Claims(claims)), None) => Some(claims.clone()),
            (Some(CaseCaller::Named(name)), None) => {
                let claims = file.callers.get(name);
                let claims = claims
                    .ok_or_else(|| failure(format!("`callers` has no `{}`", printable(name))));
                Some(claims?.clone())
            }
        };
        let answer = case
            .answer
            .as_ref()
            .map(|answer| match answer.get("jsonrpc") {
                Some(_) => answer.to_string().into_bytes(),
                None => json!({"jsonrpc": "2.0", "id": 1, "result": answer})
                    .to_string()
                    .into_bytes(),
            });
        let inputs = RequestInputs {
            claims,
            body: message.to_string().into_bytes(),
            response: answer,
            decision: case
                .decision
                .as_ref()
                .map(|answer| answer.to_string().into_bytes()),
            headers,
            age: case.age,
            lookup: case
                .lookup
                .as_ref()
                .map(|answer| answer.to_string().into_bytes()),
            ..RequestInputs::default()
        };
        let (judged, _) = explain::decide(policy, inputs)?;
        let decision = &judged.record.decision;
        Ok(Self {
            file: name,
            line: case.place.map_or(1, |place| place.line),
            decision: format!("{} ({})", decision.verdict.name(), decision.reason),
            differences: differences(&case.expect, &judged),
            name: case.name,
            record: judged.record,
        })
    }

    /// Whether all is as expected.
    pub(super) fn is_met(&self) -> bool {
        self.differences.is_empty()
    }

    /// The record of the request.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }
}

/// The JSON-RPC message of a case.
fn message(case: &Case) -> Result<Value, String> {
    let arguments = || case.arguments.clone().unwrap_or_else(|| json!({}));
    let (method, params) = match (
        &case.tool,
        &case.prompt,
        &case.resource,
        &case.list,
        &case.request,
    ) {
        (Some(tool), None, None, None, None) => (
            "tools/call".to_owned(),
            json!({"name": tool, "arguments": arguments()}),
        ),
        (None, Some(prompt), None, None, None) => (
            "prompts/get".to_owned(),
            json!({"name": prompt, "arguments": arguments()}),
        ),
        (None, None, Some(uri), None, None) => ("resources/read".to_owned(), json!({"uri": uri})),
        (None, None, None, Some(list), None) => (format!("{list}/list"), json!({})),
        (None, None, None, None, Some(request)) => return Ok(request.clone()),
        _ => {
            return Err(
                "one of `tool`, `prompt`, `resource`, `list` or `request` says what is asked"
                    .to_owned(),
            );
        }
    };
    Ok(json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

fn differences(expected: &Expectation, judged: &ExplainedRequest) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: &Value, found: &Value| {
        if expected != found {
            differences.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let decision = &judged.record.decision;
    compare(
        "decision",
        &json!(expected.decision),
        &json!(decision.verdict.name()),
    );
    if let Some(reason) = &expected.reason {
        compare("reason", &json!(reason), &json!(decision.reason));
    }
    let sent = match &judged.end {
        End::Forward(forward) => {
            let body = forward.body.as_deref().unwrap_or(&judged.body);
            serde_json::from_slice(body).unwrap_or(Value::Null)
        }
        End::Reply(_) => Value::Null,
    };
    if let Some(arguments) = &expected.arguments {
        let found = sent.pointer("/params/arguments").unwrap_or(&Value::Null);
        compare("arguments", arguments, found);
    }
    if let Some(body) = &expected.body {
        compare("body", body, &sent);
    }
    let received = match (&judged.end, &judged.answer) {
        (End::Reply(reply), _) => reply.body.clone(),
        (End::Forward(_), Some(answer)) => answer.received.clone(),
        (End::Forward(_), None) => Vec::new(),
    };
    let text = String::from_utf8_lossy(&received).into_owned();
    let received: Value = serde_json::from_slice(&received).unwrap_or(Value::Null);
    if let Some(result) = &expected.result {
        compare(
            "result",
            result,
            received.get("result").unwrap_or(&Value::Null),
        );
    }
    if let Some(shows) = &expected.shows {
        compare("shows", &json!(shows), &listed(&received));
    }
    for hidden in &expected.hides {
        if text.contains(hidden.as_str()) {
            differences.push(format!(
                "hides: the caller receives {}",
                Value::from(hidden.as_str())
            ));
        }
    }
    differences
}

/// The names or URIs in a list.
fn listed(answer: &Value) -> Value {
    let lists = ["tools", "prompts", "resources", "resourceTemplates"];
    let lists = lists
        .iter()
        .filter_map(|key| answer.pointer(&format!("/result/{key}"))?.as_array());
    let items = lists.flatten();
    let names = items.filter_map(|item| {
        let keys = ["uri", "uriTemplate", "name"];
        keys.iter().find_map(|key| item.get(key).cloned())
    });
    Value::Array(names.collect())
}
