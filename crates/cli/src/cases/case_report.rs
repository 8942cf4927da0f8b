//! The results of cases: as text, as JSON and as JUnit XML.

use std::fmt::Write;

use serde_json::{Value, json};

use super::coverage::Coverage;
use super::outcome::CaseOutcome;
use crate::terminal_text::{count, printable};

pub(super) fn text(outcomes: &[CaseOutcome], coverage: Option<&Coverage>) -> String {
    let mut out = String::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_met()) {
        let CaseOutcome {
            file,
            line,
            name,
            decision,
            ..
        } = outcome;
        let _ = writeln!(
            out,
            "{file}:{line}: `{}` is not met: it is {decision}",
            printable(name)
        );
        for difference in &outcome.differences {
            let _ = writeln!(out, "  {}", printable(difference));
        }
    }
    let met = outcomes.iter().filter(|outcome| outcome.is_met()).count();
    let _ = match met == outcomes.len() {
        true => writeln!(out, "{}: all met", count(met, "case")),
        false => writeln!(
            out,
            "{}: {met} met, {} not",
            count(outcomes.len(), "case"),
            outcomes.len().saturating_sub(met)
        ),
    };
    if let Some(coverage) = coverage {
        let missed = coverage.missed();
        let _ = writeln!(
            out,
            "{} % of {} reached",
            coverage.percent(),
            count(coverage.rules(), "rule")
        );
        for (file, rule) in missed {
            let _ = writeln!(out, "  no case reaches {file}: {}", printable(rule));
        }
    }
    out
}

pub(super) fn json(outcomes: &[CaseOutcome], coverage: Option<&Coverage>) -> String {
    let cases = outcomes.iter().map(|outcome| {
        json!({"file": outcome.file, "line": outcome.line, "name": outcome.name, "decision": outcome.decision,
               "met": outcome.is_met(), "differences": outcome.differences})
    });
    let mut all = json!({"cases": cases.collect::<Vec<_>>()});
    if let (Some(coverage), Value::Object(all)) = (coverage, &mut all) {
        let missed = coverage.missed();
        let missed = missed
            .iter()
            .map(|(file, rule)| json!({"file": file, "rule": rule}));
        let of_rules = json!({"percent": coverage.percent(), "rules": coverage.rules(), "missed": missed.collect::<Vec<_>>()});
        all.insert("coverage".to_owned(), of_rules);
    }
    format!("{all:#}\n")
}

pub(super) fn junit(outcomes: &[CaseOutcome]) -> String {
    let failures = outcomes.iter().filter(|outcome| !outcome.is_met()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"mcp-auth\" tests=\"{}\" failures=\"{failures}\">\n",
        outcomes.len()
    );
    for outcome in outcomes {
        let (file, name) = (xml(&outcome.file), xml(&outcome.name));
        let _ = write!(
            out,
            "<testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\"",
            outcome.line
        );
        match outcome.is_met() {
            true => out.push_str("/>\n"),
            false => {
                let text = xml(&outcome.differences.join("\n"));
                let _ = writeln!(
                    out,
                    "><failure message=\"{}\">{text}</failure></testcase>",
                    xml(&outcome.decision)
                );
            }
        }
    }
    out + "</testsuite>\n</testsuites>\n"
}

/// A text in XML. Characters that XML does not have are escaped as on a terminal.
fn xml(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    let text = lines.join("\n");
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
