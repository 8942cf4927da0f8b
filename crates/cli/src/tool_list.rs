//! The tools in saved answers to `tools/list`.

use std::path::PathBuf;

use serde_json::Value;

use crate::{Failure, files, pin};

/// The tools of saved answers, the pages of one list.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Value>, Failure> {
    let mut tools = Vec::new();
    for path in paths {
        let bytes = files::read(path)?;
        let not_a_list = |why: &str| {
            Failure::usage(
                format!("{} holds no list of tools: {why}", files::name(path)),
                "save what the server answers to `tools/list`, as docs/pins.md says",
            )
        };
        let messages = match bytes.trim_ascii_start().first() {
            Some(b'{') => vec![bytes],
            _ => pin::messages(&bytes).ok_or_else(|| not_a_list("an event in it does not end"))?,
        };
        let before = tools.len();
        for message in messages {
            let message: Value =
                serde_json::from_slice(&message).map_err(|error| not_a_list(&error.to_string()))?;
            // The answer, or its result alone.
            let result = message.get("result").unwrap_or(&message);
            let found = result.get("tools").and_then(Value::as_array);
            tools.extend(found.into_iter().flatten().cloned());
        }
        if tools.len() == before {
            return Err(not_a_list("there are no tools in it"));
        }
    }
    Ok(tools)
}

/// The names of tools.
pub(crate) fn names(tools: &[Value]) -> impl Iterator<Item = &str> {
    tools.iter().filter_map(|tool| tool.get("name")?.as_str())
}
