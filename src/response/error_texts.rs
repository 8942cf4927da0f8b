//! What the server says when something goes wrong, and of itself, as the caller may read it. "Unknown
//! tool, did you mean crm.purge?" names what its lists do not show.

mod names;

use memchr::memmem;

use self::names::{Names, TooMany};
use super::results::embedded::{Inside, look};
use super::results::mask::{STARS, quoted};
use super::results::new_keys::NewKeys;
use crate::authorize::Principal;
use base::json::JsonError;
use base::json::edits::Edits;
use base::json::tree::{Child, Node, Value};
use policy::{Policy, ServerErrors};

/// In the place of the texts of a tool's error.
const TOOL_ERROR: &str = "The tool could not do this.";

/// Errors whose `data` clients act on: supported versions, missing capabilities (MCP 2026-07-28
/// "Error Codes"), and pages to open (2025-11-25 "URL Elicitation Required").
const DATA_NEEDED: [&str; 3] = ["-32022", "-32021", "-32042"];

/// What of a block of content says something.
const NO_TEXTS: [&str; 5] = ["type", "mimeType", "uri", "data", "blob"];

/// A message of the server, with texts that are the caller's to read.
#[derive(Debug, Default)]
pub struct Shown {
    /// The message, if anything of it changed.
    pub body: Option<Vec<u8>>,
    /// How many names were hidden.
    pub names: usize,
    /// How many errors lost their text.
    pub withheld: usize,
}

/// Whether a message may have such texts: others need not be parsed for them.
pub fn may_have_texts(body: &[u8]) -> bool {
    let keys: [&[u8]; 3] = [b"\"error\"", b"\"instructions\"", b"\"statusMessage\""];
    // Many servers write `"isError":false` into every result.
    let is_true = |at: usize| {
        let behind = body.get(at.saturating_add(IS_ERROR.len())..);
        let value = behind.and_then(|behind| behind.trim_ascii_start().strip_prefix(b":"));
        value.is_some_and(|value| value.trim_ascii_start().starts_with(b"t"))
    };
    keys.iter().any(|key| memmem::find(body, key).is_some())
        || memmem::find_iter(body, IS_ERROR).any(is_true)
}

const IS_ERROR: &[u8] = b"\"isError\"";

/// Hides in a message's error texts, and in its `instructions`, what the policy says.
///
/// # Errors
///
/// The message is not strict JSON.
pub fn hide(
    policy: &Policy,
    caller: Principal<'_>,
    body: &[u8],
    max_depth: usize,
) -> Result<Shown, JsonError> {
    let message = Node::read(body, max_depth)?;
    let mut texts = Texts {
        body,
        max_depth,
        withhold: policy.errors == ServerErrors::Withhold,
        presents: policy.instructions.is_none(),
        names: Names::new(policy, caller),
        withheld: 0,
        edits: Edits::default(),
    };
    texts.message(&message);
    Ok(Shown {
        body: texts.edits.apply(body),
        names: texts.names.hidden,
        withheld: texts.withheld,
    })
}

struct Texts<'p> {
    body: &'p [u8],
    max_depth: usize,
    withhold: bool,
    /// Whether `instructions` are the server's.
    presents: bool,
    names: Names<'p>,
    withheld: usize,
    edits: Edits,
}

impl<'p> Texts<'p> {
    fn message(&mut self, message: &Node) {
        for Child { key, node, .. } in message.members() {
            match key.as_str() {
                "error" => self.error(node),
                "result" | "params" => self.outcome(node),
                _ => {}
            }
        }
    }

    /// A result, or what is told of a task, in which there may be another one.
    fn outcome(&mut self, outcome: &Node) {
        let is = |key: &str, value: &[u8]| {
            let node = outcome.member(key);
            node.is_some_and(|node| self.body.get(node.span.clone()) == Some(value))
        };
        let (is_error, has_failed) = (is("isError", b"true"), is("status", b"\"failed\""));
        // Only such a result tells capabilities. What the policy says stays.
        let presents = self.presents && outcome.member("capabilities").is_some();
        if is_error {
            self.withheld = self.withheld.saturating_add(usize::from(self.withhold));
        }
        for child in outcome.members() {
            let node = &child.node;
            match child.key.as_str() {
                "content" if is_error && self.withhold => self.replace(node, &tool_error()),
                "structuredContent" if is_error && self.withhold => {
                    self.edits.remove(child.element.cut(0));
                }
                "content" if is_error => self.content(node),
                "structuredContent" if is_error => self.texts(node),
                "statusMessage" if has_failed && self.withhold => {
                    self.replace(node, &quoted(TOOL_ERROR));
                }
                "statusMessage" => self.texts(node),
                "instructions" if presents => self.texts(node),
                "error" => self.error(node),
                "result" | "task" => self.outcome(node),
                _ => {}
            }
        }
    }

    /// A JSON-RPC error. Anything else in its place is an error's text as well.
    fn error(&mut self, error: &Node) {
        if !self.withhold || matches!(error.value, Value::Null) {
            let changed = self.changed(error);
            return match changed {
                Ok(edits) => self.edits.append(edits),
                Err(TooMany) => {
                    let code = self.code(error);
                    let code = if code.is_empty() { "-32603" } else { code };
                    let message = quoted(standard_message(code));
                    let error_now = format!("{{\"code\":{code},\"message\":{message}}}");
                    self.replace(error, &error_now);
                }
            };
        }
        self.withheld = self.withheld.saturating_add(1);
        let code = self.code(error);
        if error.members().is_empty() {
            return self.replace(error, &quoted(standard_message(code)));
        }
        for child in error.members() {
            match child.key.as_str() {
                "code" => {}
                "message" => self.replace(&child.node, &quoted(standard_message(code))),
                "data" if !DATA_NEEDED.contains(&code) => {
                    self.edits.remove(child.element.cut(0));
                }
                _ => self.texts(&child.node),
            }
        }
    }

    /// The code of an error, as written; empty if it is no number.
    fn code(&self, error: &Node) -> &'p str {
        let code = error.member("code").map(|code| code.span.clone());
        let code = code.and_then(|code| str::from_utf8(self.body.get(code)?).ok());
        code.filter(|code| code.parse::<f64>().is_ok())
            .unwrap_or_default()
    }

    /// The content of a tool's error: one block, or a list of them.
    fn content(&mut self, content: &Node) {
        match &content.value {
            Value::Array(blocks) => blocks.iter().for_each(|block| self.content(&block.node)),
            Value::Object(members) => {
                for member in members {
                    match &member.node.value {
                        _ if NO_TEXTS.contains(&member.key.as_str()) => {}
                        Value::Object(_) | Value::Array(_) => self.content(&member.node),
                        _ => self.texts(&member.node),
                    }
                }
            }
            _ => self.texts(content),
        }
    }

    /// Every text and every key in a value. One with too many is emptied.
    fn texts(&mut self, node: &Node) {
        match (self.changed(node), &node.value) {
            (Ok(edits), _) => self.edits.append(edits),
            (Err(TooMany), Value::Object(_)) => self.replace(node, "{}"),
            (Err(TooMany), Value::Array(_)) => self.replace(node, "[]"),
            (Err(TooMany), _) => self.replace(node, &quoted(STARS)),
        }
    }

    fn changed(&mut self, node: &Node) -> Result<Edits, TooMany> {
        let mut edits = Edits::default();
        self.value(node, self.max_depth, &mut edits)?;
        Ok(edits)
    }

    fn value(&mut self, node: &Node, max_depth: usize, edits: &mut Edits) -> Result<(), TooMany> {
        if let Value::Text(text) = &node.value
            && let Some(changed) = self.text(text, max_depth)?
        {
            edits.replace(node.span.clone(), quoted(&changed));
        }
        let mut keys = NewKeys::new(node.members());
        for (index, child) in node.children().iter().enumerate() {
            if let Some(changed) = self.names.hide(&child.key)? {
                keys.rename(index, &changed, edits);
            }
            self.value(&child.node, max_depth, edits)?;
        }
        Ok(())
    }

    /// A text, which may be JSON once more. Each one inside another is read less deep, so that it
    /// ends.
    fn text(&mut self, text: &str, max_depth: usize) -> Result<Option<String>, TooMany> {
        let Inside::Json(inner) = look(text, max_depth) else {
            return self.names.hide(text);
        };
        let mut edits = Edits::default();
        self.value(&inner, max_depth.saturating_sub(1), &mut edits)?;
        let changed = edits.apply(text.as_bytes());
        Ok(changed.and_then(|changed| String::from_utf8(changed).ok()))
    }

    fn replace(&mut self, node: &Node, with: &str) {
        self.edits.replace(node.span.clone(), with);
    }
}

fn tool_error() -> String {
    serde_json::json!([{"type": "text", "text": TOOL_ERROR}]).to_string()
}

/// What JSON-RPC 2.0 ("Error object") and MCP call the error with this code.
fn standard_message(code: &str) -> &'static str {
    match code {
        "-32700" => "Parse error",
        "-32600" => "Invalid Request",
        "-32601" => "Method not found",
        "-32602" => "Invalid params",
        "-32603" => "Internal error",
        "-32002" => "Resource not found",
        "-32020" => "Header mismatch",
        "-32021" => "Missing required client capability",
        "-32022" => "Unsupported protocol version",
        "-32042" => "URL elicitation required",
        _ => "Server error",
    }
}

#[cfg(test)]
mod tests;
