//! Texts of the server's errors, and its `instructions`, as the caller may read them. "Unknown tool, did
//! you mean crm.purge?" names a tool that the caller's lists do not show.

mod names;

use memchr::memmem;

use self::names::{ErrorTextNames, TooMany};
use super::changes::{Changes, Held, quoted};
use super::results::mask::STARS;
use super::results::new_keys::NewKeys;
use crate::authorize::Principal;
use crate::limits::MAX_DEPTH;
use base::json::quotes_before;
use base::json::tree::{Child, Node, Value};
use base::needle::Needle;
use mcp::argument_names::fold;
use policy::{Policy, ServerErrors};

/// Replaces the texts of a tool's error.
const TOOL_ERROR: &str = "The tool could not do this.";

/// Errors whose `data` clients act on: supported versions, missing capabilities (MCP 2026-07-28
/// "Error Codes"), and pages to open (2025-11-25 "URL Elicitation Required").
const DATA_NEEDED: [&str; 3] = ["-32022", "-32021", "-32042"];

/// Members of a content block that hold no text.
const NO_TEXTS: [&str; 5] = ["type", "mimeType", "uri", "data", "blob"];

/// The hidden parts of the texts of a message.
#[derive(Debug, Default)]
pub(super) struct HiddenNames {
    /// The number of hidden names.
    pub(super) names: usize,
    /// The number of errors whose text was withheld.
    pub(super) withheld: usize,
}

/// Whether a message may have such texts. Other messages are not parsed for them.
pub(super) fn may_have_texts(body: &[u8]) -> bool {
    static JSONRPC: Needle = Needle::new("\"jsonrpc\"");
    let is_message = body.trim_ascii_start().starts_with(b"{");
    if !is_message || !JSONRPC.is_in(body) || has_escaped_letter(body) {
        return true;
    }
    let may_be_true = |at: usize, key: &[u8]| {
        let behind = body.get(at.saturating_add(key.len())..);
        let value = behind.and_then(|behind| behind.trim_ascii_start().strip_prefix(b":"));
        // Many servers write `"isError":false` into every result.
        value.is_some_and(|value| !value.trim_ascii_start().starts_with(b"f"))
    };
    // One pass for all keys: no other one has these letters behind its quote.
    quotes_before(body, *b"eis").any(|at| {
        let rest = body.get(at..).unwrap_or_default();
        match rest.get(1) {
            Some(b'e' | b'E') => ERROR.iter().any(|key| rest.starts_with(key)),
            Some(b's') => rest.starts_with(STATUS_MESSAGE),
            _ => {
                let mut keys = IS_ERROR.iter();
                rest.starts_with(INSTRUCTIONS)
                    || keys.any(|key| rest.starts_with(key) && may_be_true(at, key))
            }
        }
    })
}

// Keys of texts, also in the spelling of some servers.
const ERROR: [&[u8]; 3] = [b"\"error\"", b"\"Error\"", b"\"ERROR\""];
const INSTRUCTIONS: &[u8] = b"\"instructions\"";
const STATUS_MESSAGE: &[u8] = b"\"statusMessage\"";
const IS_ERROR: [&[u8]; 3] = [b"\"isError\"", b"\"IsError\"", b"\"is_error\""];

/// Whether an ASCII letter is escaped. Libraries do not do that, and it could be a letter of a key.
pub(super) fn has_escaped_letter(body: &[u8]) -> bool {
    const ESCAPE: &[u8] = b"\\u00";
    // One byte is found faster than several.
    if memchr::memchr(b'\\', body).is_none() {
        return false;
    }
    memmem::find_iter(body, ESCAPE).any(|at| {
        let digit = body.get(at.saturating_add(ESCAPE.len()));
        digit.is_some_and(|digit| (b'4'..=b'7').contains(digit))
    })
}

/// Hides the names that the policy hides in the error texts of a message and in its `instructions`.
/// `failed`: the status is an error, so the whole message is error text.
pub(super) fn hide<'p>(
    policy: &'p Policy,
    caller: Principal<'p>,
    message: &Node,
    failed: bool,
    changes: &'p mut Changes,
) -> HiddenNames {
    let mut texts = Texts {
        max_depth: MAX_DEPTH,
        withhold: policy.errors == ServerErrors::Withhold,
        presents: policy.instructions.is_none(),
        failed,
        names: ErrorTextNames::new(policy, caller),
        withheld: 0,
        changes,
    };
    if is_rpc(message) {
        texts.message(message);
    } else {
        texts.other(message);
    }
    HiddenNames {
        names: texts.names.hidden,
        withheld: texts.withheld,
    }
}

/// Hides names in an error that is not JSON. `None`: it cannot be searched.
pub(super) fn hide_in_words(
    policy: &Policy,
    caller: Principal<'_>,
    words: &str,
) -> Option<(Option<String>, HiddenNames)> {
    let mut names = ErrorTextNames::new(policy, caller);
    let changed = names.hide(words).ok()?;
    let hidden = HiddenNames {
        names: names.hidden,
        withheld: 0,
    };
    Some((changed, hidden))
}

/// Whether this is a JSON-RPC message without other members.
fn is_rpc(message: &Node) -> bool {
    const KEYS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
    let members = message.members();
    let has = |key: &str| message.member(key).is_some();
    (has("result") || has("error") || has("method"))
        && members.iter().all(|member| KEYS.contains(&&*member.key))
}

struct Texts<'p> {
    max_depth: usize,
    withhold: bool,
    /// Whether the message may have the server's `instructions`.
    presents: bool,
    /// Whether the status is an error.
    failed: bool,
    names: ErrorTextNames<'p>,
    withheld: usize,
    changes: &'p mut Changes,
}

impl Texts<'_> {
    fn message(&mut self, message: &Node) {
        for Child { key, node, .. } in message.members() {
            match key.as_str() {
                "error" => self.error(node),
                "result" | "params" => self.outcome(node),
                _ => {}
            }
        }
    }

    /// A message that is not JSON-RPC: all of it is error text.
    fn other(&mut self, message: &Node) {
        if !self.withhold {
            return self.texts(message);
        }
        self.withheld = self.withheld.saturating_add(1);
        let message_now = quoted(standard_message(""));
        let error = format!("{{\"error\":{{\"code\":-32603,\"message\":{message_now}}}}}");
        self.replace(message, &error);
    }

    /// A result, or the status of a task, which may hold another result.
    fn outcome(&mut self, outcome: &Node) {
        let is_error = self.failed || outcome.members().iter().any(is_true_error);
        let has_failed = outcome.member("status").and_then(Node::text) == Some("failed");
        // Only such a result has capabilities. Instructions of the policy stay.
        let presents = self.presents && outcome.member("capabilities").is_some();
        if is_error {
            self.withheld = self.withheld.saturating_add(usize::from(self.withhold));
        }
        for child in outcome.members() {
            let node = &child.node;
            match child.key.as_str() {
                "content" if is_error && self.withhold => self.replace(node, &tool_error()),
                "structuredContent" if is_error && self.withhold => {
                    self.changes.remove(child);
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
                _ if self.failed => self.texts(node),
                _ => {}
            }
        }
        if self.failed && outcome.members().is_empty() {
            self.texts(outcome);
        }
    }

    /// A JSON-RPC error. Another value in its place is error text too.
    fn error(&mut self, error: &Node) {
        if !self.withhold || matches!(error.value, Value::Null) {
            if let Err(TooMany) = self.value(error) {
                let code = code(error).unwrap_or("-32603");
                let message = quoted(standard_message(code));
                let error_now = format!("{{\"code\":{code},\"message\":{message}}}");
                self.replace(error, &error_now);
            }
            return;
        }
        self.withheld = self.withheld.saturating_add(1);
        let code = code(error).unwrap_or_default();
        if error.members().is_empty() {
            return self.replace(error, &quoted(standard_message(code)));
        }
        for child in error.members() {
            match child.key.as_str() {
                "code" => {}
                "message" => self.replace(&child.node, &quoted(standard_message(code))),
                "data" if !DATA_NEEDED.contains(&code) => {
                    self.changes.remove(child);
                }
                _ => self.texts(&child.node),
            }
        }
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

    /// All texts and keys in a value. If it has too many, it becomes empty.
    fn texts(&mut self, node: &Node) {
        if let Err(TooMany) = self.value(node) {
            let empty = match node.value {
                Value::Object(_) => "{}",
                Value::Array(_) => "[]",
                _ => &quoted(STARS),
            };
            self.replace(node, empty);
        }
    }

    fn value(&mut self, node: &Node) -> Result<(), TooMany> {
        hide_names(&mut self.names, node, self.max_depth, self.changes)
    }

    fn replace(&mut self, node: &Node, with: &str) {
        self.changes.set_json(node, with);
    }
}

/// Hides names in all texts and keys of a value. A text may hold JSON. Each nested text is read with a
/// lower depth limit, so the search ends.
fn hide_names(
    names: &mut ErrorTextNames<'_>,
    node: &Node,
    max_depth: usize,
    changes: &mut Changes,
) -> Result<(), TooMany> {
    match changes.open(node, max_depth) {
        Some(Held::Json(mut inner)) => {
            let max_depth = max_depth.saturating_sub(1);
            let outcome = hide_names(names, &inner.node, max_depth, &mut inner.changes);
            changes.close(inner);
            outcome?;
        }
        Some(Held::Nearly(text) | Held::Words(text)) => {
            if let Some(changed) = names.hide(&text)? {
                changes.set_text(node, changed);
            }
        }
        None => {}
    }
    let mut keys = NewKeys::new(node.members());
    for child in node.children() {
        if changes.is_gone(&child.node) {
            continue;
        }
        if let Some(changed) = names.hide(&changes.key(child))? {
            keys.rename(child, changed, changes);
        }
        hide_names(names, &child.node, max_depth, changes)?;
    }
    Ok(())
}

/// Whether the member marks a result as an error, in any form that a client may accept.
fn is_true_error(member: &Child) -> bool {
    let says_error = fold(&member.key) == "iserror";
    says_error && !matches!(member.node.value, Value::Bool(false) | Value::Null)
}

/// The code of an error, as written.
fn code(error: &Node) -> Option<&str> {
    error.member("code")?.number()
}

fn tool_error() -> String {
    serde_json::json!([{"type": "text", "text": TOOL_ERROR}]).to_string()
}

/// The message of JSON-RPC 2.0 ("Error object") and MCP for this code.
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
