//! An explained decision, as text for people.

use std::fmt::Write;

use base::http::Reply;
use explanation::value_changes::changes;
use explanation::{Answer, ExplainedRequest, caller, headline, hint, target};
use mcp::headers::HeaderEdit;
use mcp_auth_filter::audit::Record;
use mcp_auth_filter::decision::Evidence;
use mcp_auth_filter::step::{End, Forward};
use policy::Policy;

use crate::explain::CallerSource;
use crate::terminal_text::{printable, wrapped};

/// The indentation of lines after a label.
const INDENT: &str = "             ";
/// The explanation as text.
pub(crate) fn text(judged: ExplainedRequest, policy: &Policy, source: &CallerSource) -> String {
    let record = judged.record;
    let decision = &record.decision;
    let mut out = labelled("decision", &headline(&record));
    out.push_str(&labelled("asks for", &target(&record)));
    let evidence = decision.evidence.iter();
    let evidence = evidence.map(|Evidence { source, summary }| format!("{source}: {summary}"));
    out.push_str(&labelled_list("evidence", evidence));
    out.push_str(&labelled_list(
        "caller",
        caller(&record, judged.missing_key.as_deref()),
    ));
    out.push_str(&labelled_list("next action", decision.next_action.iter()));
    out.push_str(&labelled_list("looks up", &judged.lookups));
    let note = hint(&record, policy, judged.token.is_none());
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
    for call in &judged.questions {
        let body = String::from_utf8_lossy(&call.body);
        let place = format!("{}{}: {body}", call.cluster, call.path());
        out.push_str(&labelled("question", &place));
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

fn provenance(claims: &str, filled_in: &[&str]) -> Vec<String> {
    let mut lines = vec![format!(
        "from {claims}, NOT verified: every check of a token ran but the signature's"
    )];
    if !filled_in.is_empty() {
        lines.push(format!("filled in: {}", filled_in.join(", ")));
    }
    lines
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
