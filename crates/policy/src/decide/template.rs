//! The body of a question in another language than AuthZEN, as a template.

use std::borrow::Cow;

use base::json::tree::{Node, Value as NodeValue};
use serde_json::Value;
use thiserror::Error;

/// The members of an AuthZEN question.
const ROOTS: [&str; 4] = ["subject", "action", "resource", "context"];
/// The maximum nesting of a template.
const MAX_DEPTH: usize = 16;

/// A JSON text with places for values of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionTemplate(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    /// A part of the text.
    Fixed(String),
    /// A whole value. A missing one is `null`.
    Whole(Vec<String>),
    /// A part of a string.
    Inside(Vec<String>),
}

/// A value that is a part of a string is missing, or is not a text, a number or a boolean.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` has no single value")]
pub struct Unfilled(pub String);

impl QuestionTemplate {
    /// Compiles a template.
    pub(super) fn compile(body: &Value) -> Result<Self, String> {
        if !body.is_object() {
            return Err("expected a JSON object".to_owned());
        }
        let mut template = Self(Vec::new());
        template.add(body, MAX_DEPTH)?;
        Ok(template)
    }

    /// Fills in the values of an AuthZEN question, which is `text`.
    ///
    /// # Errors
    ///
    /// A value is missing that is a part of a string.
    pub fn fill(&self, question: &Node, text: &[u8]) -> Result<Vec<u8>, Unfilled> {
        let mut filled = Vec::new();
        for segment in &self.0 {
            match segment {
                TemplatePart::Fixed(fixed) => filled.extend_from_slice(fixed.as_bytes()),
                TemplatePart::Whole(path) => {
                    let value = find(question, path).and_then(|node| text.get(node.span.clone()));
                    filled.extend_from_slice(value.unwrap_or(b"null"));
                }
                TemplatePart::Inside(path) => {
                    let value = find(question, path).and_then(part);
                    let value = value.ok_or_else(|| Unfilled(path.join(".")))?;
                    filled.extend_from_slice(escaped(&value).as_bytes());
                }
            }
        }
        Ok(filled)
    }

    fn add(&mut self, value: &Value, left: usize) -> Result<(), String> {
        let left = left.checked_sub(1).ok_or("nested too deeply")?;
        match value {
            Value::String(text) => self.add_string(text)?,
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.fixed(if index == 0 { "[" } else { "," });
                    self.add(item, left)?;
                }
                self.fixed(if items.is_empty() { "[]" } else { "]" });
            }
            Value::Object(members) => {
                for (index, (key, value)) in members.iter().enumerate() {
                    self.fixed(if index == 0 { "{" } else { "," });
                    self.fixed(&format!("{}:", Value::from(key.as_str())));
                    self.add(value, left)?;
                }
                self.fixed(if members.is_empty() { "{}" } else { "}" });
            }
            // A google.protobuf.Struct has no integers.
            Value::Number(number) => {
                let integer = number.as_f64().filter(|number| number.fract() == 0.0);
                let integer = integer.filter(|number| number.abs() < 9.0e15);
                match integer {
                    Some(integer) => self.fixed(&format!("{integer:.0}")),
                    None => self.fixed(&number.to_string()),
                }
            }
            Value::Null | Value::Bool(_) => self.fixed(&value.to_string()),
        }
        Ok(())
    }

    fn add_string(&mut self, text: &str) -> Result<(), String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((path, behind)) = after.split_once('}') else {
                return Err(format!("`{text}`: `{{` without `}}`"));
            };
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            let is_known = steps
                .first()
                .is_some_and(|root| ROOTS.contains(&root.as_str()));
            if !is_known || steps.iter().any(String::is_empty) {
                let known = ROOTS.join("`, `");
                return Err(format!(
                    "`{{{path}}}`: expected a path that starts with `{known}`"
                ));
            }
            pieces.push((before, steps));
            rest = behind;
        }
        match (pieces.as_slice(), rest) {
            ([("", path)], "") => self.0.push(TemplatePart::Whole(path.clone())),
            _ => {
                self.fixed("\"");
                for (before, path) in pieces {
                    self.fixed(&escaped(before));
                    self.0.push(TemplatePart::Inside(path));
                }
                self.fixed(&escaped(rest));
                self.fixed("\"");
            }
        }
        Ok(())
    }

    fn fixed(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(TemplatePart::Fixed(fixed)) => fixed.push_str(text),
            _ => self.0.push(TemplatePart::Fixed(text.to_owned())),
        }
    }
}

fn find<'n>(question: &'n Node, path: &[String]) -> Option<&'n Node> {
    let mut steps = path.iter();
    steps.try_fold(question, |node, step| node.member(step))
}

/// A value as a part of a string.
fn part(node: &Node) -> Option<Cow<'_, str>> {
    match &node.value {
        NodeValue::Text(text) => Some(Cow::Borrowed(text)),
        NodeValue::Number(number) => Some(Cow::Borrowed(number)),
        NodeValue::Bool(value) => Some(Cow::Owned(value.to_string())),
        NodeValue::Null | NodeValue::Array(_) | NodeValue::Object(_) => None,
    }
}

/// A text as the content of a JSON string, without quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted.len().saturating_sub(1);
    quoted.get(1..inner).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUESTION: &str = r#"{"subject":{"id":"a\"b","properties":{"roles":["x","y"]}},"context":{"arguments":{"amount":1.50}}}"#;

    fn fill(body: &Value) -> Result<String, Unfilled> {
        let question = Node::read(QUESTION.as_bytes(), 16).unwrap();
        let template = QuestionTemplate::compile(body).unwrap();
        let filled = template.fill(&question, QUESTION.as_bytes())?;
        Ok(String::from_utf8(filled).unwrap())
    }

    #[test]
    fn values_stay_as_they_are_written() {
        for (body, expected) in [
            (json!({"a": "{context.arguments.amount}"}), r#"{"a":1.50}"#),
            (
                json!({"a": "{subject.properties.roles}"}),
                r#"{"a":["x","y"]}"#,
            ),
            (json!({"a": "{subject.id}"}), r#"{"a":"a\"b"}"#),
            (json!({"a": "u:{subject.id}!"}), r#"{"a":"u:a\"b!"}"#),
            (json!({"a": "{context.none}"}), r#"{"a":null}"#),
            (
                json!({"a": [1.0, 2.5, true, null, {}, []]}),
                r#"{"a":[1,2.5,true,null,{},[]]}"#,
            ),
        ] {
            assert_eq!(fill(&body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn a_part_of_a_string_must_be_there() {
        for path in ["context.none", "subject.properties.roles", "subject.id.x"] {
            let filled = fill(&json!({"a": format!("x{{{path}}}")}));
            assert_eq!(filled, Err(Unfilled(path.to_owned())));
        }
    }

    #[test]
    fn wrong_templates_are_refused() {
        for body in [
            json!("{subject.id}"),
            json!({"a": "{user.id}"}),
            json!({"a": "{subject"}),
            json!({"a": "{}"}),
            json!({"a": "{subject..id}"}),
        ] {
            assert!(QuestionTemplate::compile(&body).is_err(), "{body}");
        }
    }
}
