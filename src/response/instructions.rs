//! What a server tells models about itself (MCP "Initialization", 2026-07-28 "Discovery"): it is the
//! same for every caller, and so may name what a caller is not shown.

use base::json::edits::Edits;
use base::json::{Element, Kind, Reader, Span};
use mcp::message::{MessageError, refuse_look_alike};

const INSTRUCTIONS: &str = "instructions";

/// Puts a text in the place of a server's instructions; an empty one takes them out. `None` if the
/// message is not one in which a server presents itself, or says that already.
///
/// # Errors
///
/// The message is not strict JSON, or could be read in more than one way.
pub fn replace(text: &str, body: &[u8], max_depth: usize) -> Result<Option<Vec<u8>>, MessageError> {
    let mut reader = Reader::new(body, max_depth);
    if reader.kind()? == Kind::Array {
        return Err(MessageError::Batch);
    }
    let mut presented = None;
    reader.object(|reader, member| {
        refuse_look_alike(&member.key, &["result"])?;
        if member.key.value == "result" && reader.kind()? == Kind::Object {
            presented = Presented::read(reader)?;
        } else {
            reader.skip()?;
        }
        Ok::<(), MessageError>(())
    })?;
    reader.end()?;
    Ok(presented.and_then(|presented| presented.saying(text).apply(body)))
}

/// A result in which a server presents itself.
struct Presented {
    start: usize,
    /// The instructions, and their value.
    instructions: Option<(Element, Span)>,
}

impl Presented {
    /// Only such a result tells capabilities.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, MessageError> {
        let start = reader.position();
        let mut instructions: Option<(Element, Span)> = None;
        let mut is_presented = false;
        reader.object(|reader, member| {
            refuse_look_alike(&member.key, &["capabilities", INSTRUCTIONS])?;
            if let (Some((element, _)), Some(comma)) = (&mut instructions, member.comma) {
                element.behind.get_or_insert(comma.saturating_add(1));
            }
            let value = reader.skip()?;
            is_presented |= member.key.value == "capabilities";
            if member.key.value == INSTRUCTIONS {
                let mut element = Element::of_member(&member);
                element.span.end = value.end;
                instructions = Some((element, value));
            }
            Ok::<(), MessageError>(())
        })?;
        Ok(is_presented.then_some(Self {
            start,
            instructions,
        }))
    }

    fn saying(self, text: &str) -> Edits {
        let mut edits = Edits::default();
        let quoted = serde_json::Value::from(text).to_string();
        match self.instructions {
            Some((element, _)) if text.is_empty() => edits.remove(element.cut(0)),
            Some((_, value)) => edits.replace(value, quoted),
            None if text.is_empty() => {}
            None => {
                // There are capabilities behind it.
                let member = format!("\"{INSTRUCTIONS}\":{quoted},");
                edits.insert(self.start.saturating_add(1), member);
            }
        }
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, result: &str) -> Option<String> {
        let body = format!(r#"{{"id":1,"result":{result}}}"#);
        let replaced = replace(text, body.as_bytes(), 16).unwrap();
        replaced.map(|body| String::from_utf8(body).unwrap())
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
                r#"{ "capabilities":{}}"#,
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
            assert!(replace("a", body.as_bytes(), 16).is_err(), "{body}");
        }
    }
}
