//! The live view of decisions.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::terminal_text::printable;

/// Prints decisions as lines or as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveView {
    as_json: bool,
}

impl LiveView {
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json }
    }

    /// Prints the introduction; with JSON to standard error.
    pub(super) fn introduce(self, text: &str) {
        match self.as_json {
            false => print(&format!("{text}\n")),
            true => {
                let _ = anstream::stderr().write_all(text.as_bytes());
            }
        }
    }

    /// Prints what happened to the run itself.
    pub(super) fn note(self, text: &str) {
        match self.as_json {
            false => print(&format!("-- {text}\n")),
            true => {
                let _ = anstream::stderr().write_all(format!("-- {text}\n").as_bytes());
            }
        }
    }

    /// Prints the record in a line of Envoy's access log.
    pub(super) fn show(self, line: &str) {
        let Some((time, record)) = record(line) else {
            return;
        };
        match self.as_json {
            true => print(&format!("{record}\n")),
            false => print(&decision(time, &record)),
        }
    }
}

fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    // A reader such as `head` may close the output early.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The time and the record in a line of Envoy's access log.
fn record(line: &str) -> Option<(&str, Value)> {
    let (before, record) = line.split_at_checked(line.find(" {")?)?;
    let time = before.get(11..19).unwrap_or_default();
    Some((time, serde_json::from_str(record.trim()).ok()?))
}

/// One line: time, decision, request, caller, reason, and what to do.
fn decision(time: &str, record: &Value) -> String {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let decision = text("decision");
    let colour = match decision {
        "approved" => AnsiColor::Green,
        "blocked" | "failed" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    let (bold, dim) = (
        Style::new().bold().fg_color(Some(colour.into())),
        Style::new().dimmed(),
    );
    let names = ["gen_ai.tool.name", "gen_ai.prompt.name", "mcp.resource.uri"];
    let target: Vec<&str> = names
        .into_iter()
        .map(text)
        .filter(|name| !name.is_empty())
        .collect();
    let method = match text("mcp.method.name") {
        "" => text("http.request.method"),
        method => method,
    };
    let request = printable(format!("{method} {}", target.join(" ")).trim());
    let roles = record.get("enduser.roles").and_then(Value::as_array);
    let roles: Vec<&str> = roles
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let caller = printable(&roles.join(","));
    let reason = text("reason");
    let next = match (decision, text("next_action")) {
        ("approved", _) | (_, "") => changes(record),
        (_, next) => format!(": {}", printable(next)),
    };
    format!(
        "{dim}{time}{dim:#}  {bold}{decision:<12}{bold:#}  {request:<44}  {caller:<10}  {reason}{dim}{next}{dim:#}\n"
    )
}

/// What the filter changed of an allowed request and its answer.
fn changes(record: &Value) -> String {
    let words = |key: &str| {
        let list = record.get(key).and_then(Value::as_array);
        let list: Vec<&str> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        (!list.is_empty()).then(|| printable(&list.join(", ")))
    };
    let number = |key: &str| {
        record
            .get(key)
            .and_then(Value::as_u64)
            .filter(|number| *number > 0)
    };
    let parts = [
        words("arguments_set").map(|names| format!("set {names}")),
        words("arguments_removed").map(|names| format!("removed {names}")),
        number("hidden_items").map(|number| format!("{number} not listed")),
        number("dropped_items").map(|number| format!("{number} of other owners removed")),
        words("redacted").map(|names| format!("hid {names}")),
        words("pins_broken").map(|names| format!("changed tools: {names}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(" ({})", parts.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_access_log_becomes_a_line_of_the_view() {
        let line = r#"2026-11-29T12:01:02.345Z POST /mcp HTTP/1.1 200 - 3ms id {"decision":"blocked","reason":"no_role","next_action":"let a role","mcp.method.name":"tools/call","gen_ai.tool.name":"crm.purge","enduser.roles":["support"]}"#;
        let (time, record) = record(line).unwrap();
        let shown = anstream::adapter::strip_str(&decision(time, &record)).to_string();
        let words: Vec<&str> = shown.split_whitespace().collect();
        let expected = "12:01:02 blocked tools/call crm.purge support no_role: let a role";
        assert_eq!(words.join(" "), expected);
        assert!(super::record("2026-11-29T12:01:02.345Z GET / HTTP/1.1 404 NR -").is_none());
    }

    #[test]
    fn an_allowed_request_shows_what_was_changed() {
        let record = serde_json::json!({"arguments_set": ["org"], "hidden_items": 2});
        assert_eq!(changes(&record), " (set org; 2 not listed)");
    }
}
