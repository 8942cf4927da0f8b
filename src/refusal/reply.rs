//! Refusals as replies: status, `WWW-Authenticate`, JSON-RPC error.

use base::http::Reply;
use serde_json::{Value, json};

use super::challenges::challenges;
use super::{OutsideRefusal, Refusal};
use crate::authorize::{Denial, Target};
use crate::consent::elicitation::{Asking, Elicitation};
use crate::reasons::Seen;
use mcp::headers::{HeaderMismatch, VERSIONS};
use mcp::message::params::TASKS_EXTENSION;
use mcp::method::Era;
use policy::{ConditionError, Policy, Refusals};

const INVALID_REQUEST: i64 = -32600;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;

/// The data of a request that its refusal depends on.
#[derive(Debug, Clone, Copy)]
pub struct RefusedRequest<'a> {
    /// The id as written, if there is one.
    pub id: Option<&'a [u8]>,
    /// The protocol era, as the headers state it.
    pub era: Era,
    /// The target of the request.
    pub target: Option<Target<'a>>,
    /// Whether it is the call of a tool, and not as a task.
    pub is_call: bool,
}

/// The answer to a refused request.
pub fn refuse(policy: &Policy, refusal: &Refusal, asked: RefusedRequest<'_>) -> Reply {
    if let (Refusal::Denied(Denial::SignIn { .. }), true, Some(id)) =
        (refusal, asked.is_call, asked.id)
    {
        return ask_to_sign_in(policy, refusal, id, asked.era);
    }
    if let (
        Refusal::Confirm(question)
        | Refusal::NotAccepted(_, question)
        | Refusal::NotConnected(_, question)
        | Refusal::RefusedAgain(_, question),
        Some(id),
    ) = (refusal, asked.id)
    {
        return ask_user(question, id, asked.era);
    }
    if let (Seen::FailedCall, true, Some(id)) =
        (refusal.reason().row().outcome.seen, asked.is_call, asked.id)
    {
        return fail_call(&text_for_model(refusal), id, asked.era);
    }
    let (status, code, text) = match answer(policy, refusal, asked) {
        // A notification has no answer, so clients read its status only.
        (200, code, text) if asked.id.is_none() => (400, code, text),
        answer => answer,
    };
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    for challenge in challenges(policy, refusal) {
        headers.push(("www-authenticate", challenge));
    }
    match status {
        405 => headers.push(("allow", "POST, GET, DELETE".to_owned())),
        503 => headers.push(("retry-after", "5".to_owned())),
        _ => {}
    }
    Reply {
        status,
        headers,
        body: error_body(asked.id, code, &text, data(refusal)),
    }
}

/// The JSON-RPC error in place of the proxy's own text. The proxy's status stays.
pub fn proxy_error(refusal: &Refusal, id: Option<&[u8]>) -> Vec<u8> {
    let code = match refusal.reason().row().outcome.seen {
        Seen::Error(_, code) => code,
        _ => INTERNAL_ERROR,
    };
    error_body(id, code, &refusal.summary(), None)
}

/// The result of a tool that needs a sign-in, for ChatGPT (OpenAI Apps SDK "Authentication").
fn ask_to_sign_in(policy: &Policy, refusal: &Refusal, id: &[u8], era: Era) -> Reply {
    let mut result = json!({
        "content": [{"type": "text", "text": "Sign in to use this tool."}],
        "isError": true,
        "_meta": {"mcp/www_authenticate": challenges(policy, refusal)},
    });
    if let (Era::Modern, Some(result)) = (era, result.as_object_mut()) {
        result.insert("resultType".to_owned(), json!("complete"));
    }
    self::result(id, &result)
}

/// The text for the model if a condition does not hold. The caller sees the tool in its list, so it is not
/// said to be unknown.
fn text_for_model(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::Denied(Denial::Condition {
            error: ConditionError::Budget,
            ..
        })
        | Refusal::ApprovalDenied
        | Refusal::ApprovalNeeded(_)
        | Refusal::ApprovalOrganization
        | Refusal::ApprovalsFull => return refusal.summary(),
        Refusal::Denied(Denial::Condition { message, .. }) => message.as_deref(),
        Refusal::Outside(OutsideRefusal::Denied(denial)) => denial.user.as_deref(),
        Refusal::Outside(_) => return refusal.summary(),
        _ => None,
    };
    let text = text.unwrap_or("The policy does not allow this call with these arguments.");
    text.to_owned()
}

/// The result of a call that failed. Models read it, and rarely read errors of the protocol (MCP 2025-11-25
/// "Error Handling").
fn fail_call(text: &str, id: &[u8], era: Era) -> Reply {
    result(id, &failed_result(text, era))
}

/// The result of a tool that says only that the call failed, and why.
pub fn failed_result(text: &str, era: Era) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": text}], "isError": true});
    if let (Era::Modern, Some(result)) = (era, result.as_object_mut()) {
        result.insert("resultType".to_owned(), json!("complete"));
    }
    result
}

/// A question to the user instead of the result.
fn ask_user(question: &Elicitation, id: &[u8], era: Era) -> Reply {
    match question.asking(era) {
        Asking::Result(value) => result(id, &value),
        Asking::Error(code, text, data) => ok(error_body(Some(id), code, &text, Some(data))),
    }
}

/// A JSON-RPC result.
pub fn result(id: &[u8], result: &Value) -> Reply {
    ok(message(Some(id), "result", result))
}

fn ok(body: Vec<u8>) -> Reply {
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ],
        body,
    }
}

/// A JSON-RPC error.
pub fn error_body(id: Option<&[u8]>, code: i64, text: &str, data: Option<Value>) -> Vec<u8> {
    let mut error = json!({"code": code, "message": text});
    if let (Some(data), Some(error)) = (data, error.as_object_mut()) {
        error.insert("data".to_owned(), data);
    }
    message(id, "error", &error)
}

/// A response. An unknown id is left out (MCP "JSON-RPC messages": `id?`).
fn message(id: Option<&[u8]>, member: &str, value: &Value) -> Vec<u8> {
    let id = id.map_or(Vec::new(), |id| [b"\"id\":", id, b","].concat());
    let start = b"{\"jsonrpc\":\"2.0\",";
    let value = format!("\"{member}\":{value}}}");
    [start, &*id, value.as_bytes()].concat()
}

/// Status, JSON-RPC code and message.
fn answer(policy: &Policy, refusal: &Refusal, asked: RefusedRequest<'_>) -> (u16, i64, String) {
    let (status, code) = match refusal.reason().row().outcome.seen {
        Seen::DoesNotExist => return does_not_exist(policy, asked),
        Seen::FailedCall => return (200, INVALID_PARAMS, text_for_model(refusal)),
        Seen::Error(status, code) => (status, code),
        Seen::ErrorByVersion(modern, _, code) if asked.era == Era::Modern => (modern, code),
        Seen::ErrorByVersion(_, legacy, code) => (legacy, code),
        Seen::Challenge(status, _) => (status, i64::from(status)),
        // A notification cannot be answered by a question.
        Seen::Question => (200, 403),
        Seen::Page(status) | Seen::Status(status) => (status, INVALID_REQUEST),
        Seen::Nothing => (400, INVALID_REQUEST),
    };
    (status, code, refusal.summary())
}

/// The error of a target that does not exist, unless the policy has `refusals: visible`.
fn does_not_exist(policy: &Policy, asked: RefusedRequest<'_>) -> (u16, i64, String) {
    if policy.refusals == Refusals::Visible {
        // Clients of earlier versions end the connection at an HTTP error.
        let status = if asked.era == Era::Legacy { 200 } else { 403 };
        return (status, 403, "the policy does not allow this".to_owned());
    }
    match asked.target {
        Some(Target::Tool(name)) => (200, -32602, format!("Unknown tool: {name}")),
        Some(Target::Prompt(name)) => (200, -32602, format!("Unknown prompt: {name}")),
        Some(Target::Resource(_) | Target::ResourceTemplate(_)) => {
            let code = if asked.era == Era::Legacy {
                -32002
            } else {
                -32602
            };
            (200, code, "Resource not found".to_owned())
        }
        Some(Target::Server) | None => (403, 403, "the policy does not allow this".to_owned()),
    }
}

fn data(refusal: &Refusal) -> Option<Value> {
    match refusal {
        Refusal::HeaderMismatch(HeaderMismatch::Version(requested)) => {
            let requested = crate::audit::name(requested);
            Some(json!({"supported": VERSIONS, "requested": requested}))
        }
        Refusal::MissingCapability => {
            let tasks = json!({"extensions": {TASKS_EXTENSION: {}}});
            Some(json!({"requiredCapabilities": tasks}))
        }
        Refusal::MissingElicitation => {
            Some(json!({"requiredCapabilities": {"elicitation": {"form": {}}}}))
        }
        _ => None,
    }
}
