//! An explained decision, as text for people and as JSON for programs.

use std::fmt::Write;

use base::http::Reply;
use mcp::headers::HeaderEdit;
use mcp_auth_filter::audit::Record;
use mcp_auth_filter::decision::{Decision, Evidence};
use mcp_auth_filter::step::{End, Forward};
use policy::Policy;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::explain::{CallerSource, ExplainedRequest};
use crate::given_token::{SignatureCheck, TokenFacts};
use crate::terminal_text::{printable, wrapped};
use crate::value_changes::changes;

/// The indentation of lines after a label.
const INDENT: &str = "             ";
/// The start of the evidence of a verified token. Here the command itself made the signature.
const VERIFIED: &str = "verified, ";
const NOT_VERIFIED: &str = "claims as given, NOT verified, ";

/// The explanation as text.
pub(crate) fn text(judged: ExplainedRequest, policy: &Policy, source: &CallerSource) -> String {
    let record = honest(judged.record, judged.is_verified);
    let decision = &record.decision;
    let mut out = labelled("decision", &headline(&record));
    out.push_str(&labelled("asks for", &asked(&record)));
    let evidence = decision.evidence.iter();
    let evidence = evidence.map(|Evidence { source, summary }| format!("{source}: {summary}"));
    out.push_str(&labelled_list("evidence", evidence));
    out.push_str(&labelled_list(
        "caller",
        caller(&record, judged.missing_key.as_deref()),
    ));
    out.push_str(&labelled_list("next action", decision.next_action.iter()));
    let note = hint(decision, &record, policy, judged.token.is_none());
    out.push_str(&labelled_list("note", note));
    if let Some(claims) = &source.claims {
        out.push_str(&labelled_list(
            "claims",
            provenance(claims, &judged.filled_in),
        ));
    }
    if let Some(token) = &judged.token {
        out.push_str(&labelled_list("token", token.lines(&source.keys)));
    }
    out.push('\n');
    match &judged.end {
        End::Reply(reply) => out.push_str(&answer(reply)),
        End::Forward(forward) => out.push_str(&forwarded(forward, &judged.body)),
    }
    if let Some(answer) = &judged.answer {
        out.push_str(&received(answer, &record));
    }
    out
}

/// The server's answer, as the caller receives it.
fn received(answer: &Answer, record: &Record) -> String {
    let mut out = String::from("\n");
    if !record.pins_broken.is_empty() {
        let _ = writeln!(
            out,
            "Not as pinned: {}",
            printable(&record.pins_broken.join(", "))
        );
    }
    if answer.received == answer.sent {
        out.push_str("The caller receives the answer byte for byte as it came\n");
        return out;
    }
    out.push_str("The caller receives the answer with this changed\n");
    for change in changes(&answer.sent, &answer.received) {
        let _ = writeln!(out, "  {change}");
    }
    if let Some(dropped) = record.dropped_items {
        let _ = writeln!(out, "  taken out, since another owns it: {dropped}");
    }
    if !record.redacted.is_empty() {
        let _ = writeln!(out, "  hidden: {}", record.redacted.join(", "));
    }
    if let Some(names) = record.hidden_names {
        let _ = writeln!(out, "  names of tools hidden: {names}");
    }
    if let Some(errors) = record.withheld_errors {
        let _ = writeln!(out, "  errors without their text: {errors}");
    }
    let body = String::from_utf8_lossy(&answer.received);
    let _ = writeln!(out, "so that it is\n\n  {}", shown_body(&body));
    out
}

/// The explanation as JSON. Bodies are strings: exactly what is sent.
pub(crate) fn json(judged: ExplainedRequest) -> String {
    let record = honest(judged.record, judged.is_verified);
    let end = match &judged.end {
        End::Reply(reply) => json!({"answer": {
            "status": reply.status,
            "headers": reply.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "body": String::from_utf8_lossy(&reply.body),
        }}),
        End::Forward(forward) => json!({"forward": {
            "headers": forward.headers.iter().map(edit).collect::<Vec<_>>(),
            "body": forward.body.as_deref().map(String::from_utf8_lossy),
            "changes": forward.body.as_deref().map(|body| changes(&judged.body, body)),
        }}),
    };
    let mut all = json!({
        "claims_verified": judged.token.as_ref().is_some_and(|token| token.signature == SignatureCheck::Verifies),
        "token": judged.token.as_ref().map(TokenFacts::json),
        "claims_filled_in": judged.filled_in,
        "record": serde_json::to_value(&record).unwrap_or_default(),
    });
    if let (Value::Object(all), Value::Object(end)) = (&mut all, end) {
        all.extend(end);
        let answer = judged.answer.as_ref().map(received_json);
        all.extend(answer.map(|answer| ("received".to_owned(), answer)));
    }
    format!("{all:#}\n")
}

fn received_json(answer: &Answer) -> Value {
    json!({
        "headers": answer.headers.iter().map(edit).collect::<Vec<_>>(),
        "body": String::from_utf8_lossy(&answer.received),
        "changes": changes(&answer.sent, &answer.received),
    })
}

/// The record without the claim that a signature was verified, if the command itself made it.
fn honest(mut record: Record, is_verified: bool) -> Record {
    if is_verified {
        return record;
    }
    for evidence in &mut record.decision.evidence {
        if evidence.source == "token"
            && let Some(rest) = evidence.summary.strip_prefix(VERIFIED)
        {
            evidence.summary = format!("{NOT_VERIFIED}{rest}").into();
        }
    }
    record
}

/// The caller, as the log names it.
fn caller(record: &Record, missing_key: Option<&str>) -> Option<String> {
    let client = record.client.as_ref();
    let client = client.map_or_else(String::new, |client| format!(", client {client}"));
    match (&record.subject, missing_key) {
        (Some(subject), _) => Some(format!("{subject} in the log{client}")),
        (None, Some(variable)) => Some(format!(
            "set the variable {variable} to see the hash that the log has{client}"
        )),
        (None, None) => None,
    }
}

fn headline(record: &Record) -> String {
    let Decision {
        verdict, reason, ..
    } = &record.decision;
    match record.would_be {
        Some(would_be) => format!(
            "{} ({reason}): `mode: observe` changes nothing; enforced it would be {would_be}",
            verdict.name()
        ),
        None => format!("{} ({reason})", verdict.name()),
    }
}

/// The target of the request.
fn asked(record: &Record) -> String {
    let parts = [
        &record.method,
        &record.tool,
        &record.prompt,
        &record.resource,
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() {
        return format!(
            "{}, refused before its message was understood",
            record.http_method
        );
    }
    let version = record.version.as_deref().unwrap_or("no version header");
    format!("{} ({version})", parts.join(" "))
}

fn provenance(claims: &str, filled_in: &[&str]) -> Vec<String> {
    let mut lines = vec![format!(
        "from {claims}, NOT verified: every check of a token ran but the signature's"
    )];
    if !filled_in.is_empty() {
        lines.push(format!("filled in: {}", filled_in.join(", ")));
    }
    lines
}

/// A hint for the operator with details that a client does not get.
fn hint(
    decision: &Decision,
    record: &Record,
    policy: &Policy,
    is_of_claims: bool,
) -> Option<String> {
    let issuers = || policy.issuers.iter();
    match decision.reason {
        "token_audience_wrong" => {
            let audiences = issuers().flat_map(|issuer| &issuer.audiences);
            Some(format!("`aud` must have {}", quoted(audiences, " or ")))
        }
        "token_issuer_untrusted" => {
            let names = issuers().map(|issuer| &issuer.issuer);
            Some(format!("`iss` must be {}", quoted(names, " or ")))
        }
        "token_expired" | "token_not_yet_valid" | "token_lifetime_too_long" if is_of_claims => Some(
            "without `exp`, `iat` and `nbf` in the file, the claims are judged as a fresh token's"
                .to_owned(),
        ),
        "no_role" => roles(record, policy),
        "condition_not_met" => condition(decision, policy),
        "resource_not_owned" => owner(decision, policy),
        "header_mismatch" => Some(
            "without --header, the headers are those a client would send with this body".to_owned(),
        ),
        _ => None,
    }
}

/// The roles of the policy, and the caller's. All callers have `*`.
fn roles(record: &Record, policy: &Policy) -> Option<String> {
    let mut known: Vec<&String> = policy.roles.keys().filter(|role| *role != "*").collect();
    known.sort_unstable();
    let own = match record.roles.as_slice() {
        [] => "none of them".to_owned(),
        roles => quoted(roles.iter(), " and "),
    };
    (!known.is_empty()).then(|| {
        let known = quoted(known.into_iter(), " and ");
        format!("the policy has the roles {known}; the caller has {own}")
    })
}

/// The condition that does not hold, as it is written.
fn condition(decision: &Decision, policy: &Policy) -> Option<String> {
    let mut sources = decision.evidence.iter().map(|evidence| &evidence.source);
    let rule = sources.find(|source| source.ends_with(".when"))?;
    let (section, _) = rule.split_once('.')?;
    let operations = policy.tools.iter().chain(&policy.prompts);
    let mut written = operations.filter_map(|operation| {
        let own = format!("{section}.{}.when", operation.pattern.written());
        (own == *rule).then_some(operation.when.as_ref()?.written())
    });
    Some(format!("the condition is `{}`", written.next()?))
}

/// The owner expression for a resource.
fn owner(decision: &Decision, policy: &Policy) -> Option<String> {
    let mut sources = decision.evidence.iter().map(|evidence| &evidence.source);
    let path = sources.find(|source| source.starts_with("resources."))?;
    let rule = policy
        .resources
        .iter()
        .find(|rule| *path == format!("resources.{}.owner", rule.pattern.written()))?;
    Some(format!(
        "the owner is what `{}` finds",
        rule.owner.written()
    ))
}

fn quoted<'n>(names: impl Iterator<Item = &'n String>, between: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(between)
}

/// The reply to the client.
fn answer(reply: &Reply) -> String {
    let mut out = format!("The client gets HTTP {}\n", reply.status);
    for (name, value) in &reply.headers {
        let _ = writeln!(out, "  {name}: {}", printable(value));
    }
    let body = String::from_utf8_lossy(&reply.body);
    let _ = writeln!(out, "\n  {}", printable(&body));
    out
}

/// The request that the server gets.
fn forwarded(forward: &Forward, original: &[u8]) -> String {
    let mut out = String::new();
    if forward.headers.is_empty() {
        out.push_str("The server gets the client's headers unchanged\n");
    } else {
        out.push_str("The server gets these headers changed\n");
    }
    for edit in &forward.headers {
        let _ = match edit {
            HeaderEdit::Remove(name) => writeln!(out, "  - {}", printable(name)),
            HeaderEdit::Set(name, value) => {
                writeln!(out, "  + {}: {}", printable(name), printable(value))
            }
        };
    }
    let Some(body) = &forward.body else {
        out.push_str("and the body byte for byte as it came\n");
        return out;
    };
    out.push_str("and this of the body changed\n");
    for change in changes(original, body) {
        let _ = writeln!(out, "  {change}");
    }
    let body = String::from_utf8_lossy(body);
    let _ = writeln!(out, "so that it is\n\n  {}", shown_body(&body));
    out
}

/// A body on one line. Only line breaks and their indentation are lost.
fn shown_body(body: &str) -> String {
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    printable(lines.join(" ").trim())
}

fn edit(edit: &HeaderEdit) -> Value {
    match edit {
        HeaderEdit::Remove(name) => json!({"remove": name}),
        HeaderEdit::Set(name, value) => json!({"set": name, "value": value}),
    }
}

pub(crate) fn labelled(label: &str, prose: &str) -> String {
    wrapped(&format!("{label:<13}"), INDENT, &printable(prose))
}

/// A label with one paragraph for each item; nothing without items.
pub(crate) fn labelled_list(
    label: &str,
    items: impl IntoIterator<Item = impl AsRef<str>>,
) -> String {
    let mut out = String::new();
    let mut label = label;
    for item in items {
        out.push_str(&labelled(label, item.as_ref()));
        label = "";
    }
    out
}
