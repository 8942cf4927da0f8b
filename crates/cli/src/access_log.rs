//! The records in an access log: lines of Envoy's log, of its access log, or the records alone.

use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::progress::Progress;
use crate::{Failure, files};

/// The records of a log, in its order. A record that stands twice, in Envoy's log and in its access log, is
/// read twice: the file should be one of them.
pub(crate) fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let timed = read_timed(path)?;
    Ok(timed.into_iter().map(|(_, record)| record).collect())
}

/// The records of a log, each with its time if the line begins with one.
pub(crate) fn read_timed(path: &Path) -> Result<Vec<(Option<SystemTime>, Value)>, Failure> {
    let text = files::read_text(path)?;
    let name = files::name(path);
    let mut progress = Progress::of_steps(&format!("reading {name}"), text.lines().count());
    let timed = |line| {
        progress.step();
        Some((time(line), record(line)?))
    };
    let records: Vec<(Option<SystemTime>, Value)> = text.lines().filter_map(timed).collect();
    match records.is_empty() {
        false => Ok(records),
        true => Err(Failure::usage(
            format!("{name} has no record of the filter"),
            "print %FILTER_STATE(wasm.mcp_auth:PLAIN)% in Envoy's access log, as envoy/envoy.yaml does",
        )),
    }
}

/// The time at the start of a line: of Envoy's access log, or of its own log.
fn time(line: &str) -> Option<SystemTime> {
    let seconds = line.trim_start_matches('[').get(..19)?;
    humantime::parse_rfc3339_weak(seconds).ok()
}

/// The record in a line: from a brace to the end.
fn record(line: &str) -> Option<Value> {
    let mut starts = line.match_indices('{').map(|(start, _)| start);
    starts.find_map(|start| {
        let record: Value = serde_json::from_str(line.get(start..)?.trim_end()).ok()?;
        let record = match record.get("record") {
            Some(inner) => inner.clone(),
            None => record,
        };
        let is_record = record.get("decision").is_some() && record.get("reason").is_some();
        is_record.then_some(record)
    })
}

/// The roles of the caller of a request.
pub(crate) fn roles(record: &Value) -> Vec<&str> {
    let roles = record.get("enduser.roles").and_then(Value::as_array);
    roles
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_each_form_of_a_line() {
        let json = r#"{"decision":"blocked","reason":"no_role"}"#;
        for line in [
            json.to_owned(),
            format!("2026-11-29T12:00:00Z POST /mcp HTTP/1.1 200 - 3ms id {json}"),
            format!("[info][wasm] wasm log mcp_auth: mcp_auth_access {json}"),
            format!(r#"{{"listener":"x","record":{json}}}"#),
        ] {
            assert_eq!(record(&line).unwrap()["reason"], "no_role", "{line}");
        }
        assert!(record("POST /mcp {\"a\": 1}").is_none());
        let start = time("2026-11-29T12:00:00.123Z POST");
        assert!(start.is_some() && start == time("[2026-11-29 12:00:00.456][info]"));
        assert!(time(json).is_none());
    }
}
