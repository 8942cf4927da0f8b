//! The server's `instructions` for models (MCP "Initialization", 2026-07-28 "Discovery"). They are the same
//! for all callers, and may name tools that a caller does not see.

use super::changes::{Changes, quoted};
use base::json::tree::Node;
use mcp::message::{MessageError, refuse_look_alike_members, refuse_non_object};

const INSTRUCTIONS: &str = "instructions";

/// Replaces a server's instructions. An empty text removes them. Changes only messages with the server's
/// capabilities.
///
/// # Errors
///
/// The message could be read in different ways.
pub(super) fn replace(
    text: &str,
    message: &Node,
    changes: &mut Changes,
) -> Result<(), MessageError> {
    refuse_non_object(message)?;
    refuse_look_alike_members(message, &["result"])?;
    let Some(result) = message.member("result") else {
        return Ok(());
    };
    refuse_look_alike_members(result, &["capabilities", INSTRUCTIONS])?;
    if result.member("capabilities").is_none() {
        return Ok(());
    }
    let mut members = result.members().iter();
    match members.find(|member| member.key == INSTRUCTIONS) {
        Some(member) if text.is_empty() => changes.remove(member),
        Some(member) => changes.set_json(&member.node, quoted(text)),
        None if text.is_empty() => {}
        None => {
            // The member `capabilities` follows.
            let member = format!("\"{INSTRUCTIONS}\":{},", quoted(text));
            changes
                .edits()
                .insert(result.span.start.saturating_add(1), member);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced_in(text: &str, body: &str) -> Result<Option<Vec<u8>>, MessageError> {
        let message = Node::read(body.as_bytes(), 16)?;
        let mut changes = Changes::default();
        replace(text, &message, &mut changes)?;
        Ok(changes.apply(body.as_bytes()))
    }

    fn replaced(text: &str, result: &str) -> Option<String> {
        let body = format!(r#"{{"id":1,"result":{result}}}"#);
        replaced_in(text, &body)
            .unwrap()
            .map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn b37_a_server_says_what_the_policy_says() {
        for (text, result, expected) in [
            (
                "a \"b\"",
                r#"{"instructions":"x" , "capabilities":{}}"#,
                r#"{"instructions":"a \"b\"" , "capabilities":{}}"#,
            ),
            (
                "",
                r#"{"instructions":"x" , "capabilities":{}}"#,
                r#"{"capabilities":{}}"#,
            ),
            (
                "",
                r#"{"capabilities":{}, "instructions":["x"],"a":1}"#,
                r#"{"capabilities":{},"a":1}"#,
            ),
            (
                "a",
                r#"{"capabilities":{}}"#,
                r#"{"instructions":"a","capabilities":{}}"#,
            ),
        ] {
            let expected = format!(r#"{{"id":1,"result":{expected}}}"#);
            assert_eq!(replaced(text, result), Some(expected), "{result}");
        }
    }

    #[test]
    fn other_answers_stay_as_they_are() {
        for result in [r#"{"instructions":"x"}"#, "{}", "[]", "1"] {
            assert_eq!(replaced("a", result), None);
        }
        assert_eq!(replaced("", r#"{"capabilities":{}}"#), None);
        for body in [
            r#"{"result":{"capabilities":{},"Instructions":"x"}}"#,
            r#"{"Result":{"capabilities":{},"instructions":"x"}}"#,
            r#"{"result":{"capabilities":{},"instructions":"x","instructions":"y"}}"#,
            r#"[{"result":{"capabilities":{},"instructions":"x"}}]"#,
        ] {
            assert!(replaced_in("a", body).is_err(), "{body}");
        }
    }
}
