//! Questions to a user before a call passes. The question is the answer to the call, and the client sends
//! the call again with the user's answer. Nothing is stored, and the HTTP request does not wait.

use std::fmt;

use serde_json::{Value, json};

use base::hex;
use base::json::edits::Edits;
use base::json::tree::Node;
use mcp::method::Era;

/// The key of the filter's question among the input requests of a result (MCP 2026-07-28 "Multi Round-Trip
/// Requests").
const OWN: &str = "mcp-auth-filter";
/// The parameters with the answer to a question.
const ANSWER: [&str; 2] = ["requestState", "inputResponses"];

/// The JSON-RPC error code of a call that needs a page first (MCP 2025-11-25 "URL Elicitation Required
/// Error").
const URL_REQUIRED: i64 = -32042;
/// The same for requests of MCP 2026-07-28 that cannot be answered by a question. It is outside the codes of JSON-RPC.
const FORBIDDEN: i64 = 403;

/// A question to the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Elicitation {
    /// The text for the user.
    pub message: String,
    /// The page to open. Without a page the user answers in the client.
    pub url: Option<String>,
    /// The way to ask the client.
    pub how: How,
}

/// The ways to ask a client to ask its user.
#[derive(Clone, PartialEq, Eq)]
pub enum How {
    /// The call is sent again with the answer, and with this sealed state (MCP 2026-07-28 "Multi
    /// Round-Trip Requests").
    InputRequired(String),
    /// By an error. The client sends the request again later (MCP 2025-11-25 "URL Mode Elicitation").
    UrlRequired,
    /// In the result of the tool, for clients that support nothing else.
    Text,
}

/// Without the sealed state.
impl fmt::Debug for How {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::InputRequired(_) => "InputRequired",
            Self::UrlRequired => "UrlRequired",
            Self::Text => "Text",
        })
    }
}

/// A question, as the result or error of a JSON-RPC response.
#[derive(Debug, PartialEq, Eq)]
pub enum Asking {
    /// A result.
    Result(Value),
    /// An error: its code, message and data.
    Error(i64, String, Value),
}

/// The user's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Yes.
    Accept,
    /// No, or no answer.
    Decline,
}

impl Elicitation {
    /// The question for a client of this era.
    pub fn asking(&self, era: Era) -> Asking {
        match &self.how {
            How::InputRequired(state) => {
                let request = json!({"method": "elicitation/create", "params": self.params()});
                Asking::Result(json!({
                    "resultType": "input_required",
                    "inputRequests": {OWN: request},
                    "requestState": state,
                }))
            }
            // MCP 2026-07-28 "Error Codes": -32042 must not be sent.
            How::UrlRequired if era == Era::Modern => {
                Asking::Error(FORBIDDEN, self.text(), json!({"url": self.url}))
            }
            How::UrlRequired => {
                let url = self.url.as_deref().unwrap_or_default();
                let id = hex::encode(&hmac_sha256::Hash::hash(url.as_bytes()));
                let page = json!({
                    "mode": "url",
                    "message": self.message,
                    "url": url,
                    "elicitationId": id,
                });
                // Clients that do not open pages show the message of an error.
                Asking::Error(URL_REQUIRED, self.text(), json!({"elicitations": [page]}))
            }
            How::Text => {
                let content = json!([{"type": "text", "text": self.text()}]);
                Asking::Result(match era {
                    Era::Modern => {
                        json!({"content": content, "isError": true, "resultType": "complete"})
                    }
                    Era::Legacy => json!({"content": content, "isError": true}),
                })
            }
        }
    }

    fn params(&self) -> Value {
        match &self.url {
            Some(url) => json!({"mode": "url", "message": self.message, "url": url}),
            None => {
                let schema = json!({"type": "object", "properties": {}});
                json!({"mode": "form", "message": self.message, "requestedSchema": schema})
            }
        }
    }

    fn text(&self) -> String {
        match &self.url {
            Some(url) => format!("{} Open {url} and then try again.", self.message),
            None => self.message.clone(),
        }
    }
}

/// Without the text, which has arguments or a link for one user.
impl fmt::Debug for Elicitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Elicitation")
    }
}

/// The answer to the filter's question in a request.
pub fn action(message: &Node) -> Action {
    let answer = message
        .member("params")
        .and_then(|params| params.member("inputResponses"))
        .and_then(|answers| answers.member(OWN))
        .and_then(|answer| answer.member("action"))
        .and_then(Node::text);
    match answer {
        Some("accept") => Action::Accept,
        _ => Action::Decline,
    }
}

/// The request without the answer: the server does not get it.
pub fn without_answer(message: &Node, body: &[u8]) -> Option<Vec<u8>> {
    let mut edits = Edits::default();
    let params = message.member("params")?.members().iter();
    let answers = params.filter(|member| ANSWER.contains(&member.key.as_str()));
    for (cut_before, member) in answers.enumerate() {
        edits.remove(member.element.cut(cut_before));
    }
    edits.apply(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(body: &str) -> String {
        let message = Node::read(body.as_bytes(), 16).unwrap();
        let without = without_answer(&message, body.as_bytes());
        String::from_utf8(without.unwrap_or_else(|| body.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn only_the_answer_is_removed_from_a_request() {
        for (body, without) in [
            (
                r#"{"params":{"name":"x", "requestState":"s", "inputResponses":{}}}"#,
                r#"{"params":{"name":"x"}}"#,
            ),
            (
                r#"{"params":{"requestState":"s","inputResponses":{}, "name":"x"}}"#,
                r#"{"params":{"name":"x"}}"#,
            ),
            (
                r#"{"params":{"requestState":"s","name":"x","inputResponses":{}}}"#,
                r#"{"params":{"name":"x"}}"#,
            ),
            (r#"{"params":{"name":"x"}}"#, r#"{"params":{"name":"x"}}"#),
        ] {
            assert_eq!(params(body), without);
        }
    }

    #[test]
    fn every_answer_but_accept_is_a_no() {
        let answered = |answer: &str| {
            let body = format!(r#"{{"params":{{"inputResponses":{answer}}}}}"#);
            action(&Node::read(body.as_bytes(), 16).unwrap())
        };
        assert_eq!(
            answered(r#"{"mcp-auth-filter":{"action":"accept"}}"#),
            Action::Accept
        );
        for other in [
            "{}",
            r#"{"mcp-auth-filter":{"action":"decline"}}"#,
            r#"{"mcp-auth-filter":{"action":"cancel"}}"#,
            r#"{"mcp-auth-filter":{"action":["accept"]}}"#,
            r#"{"mcp-auth-filter":"accept"}"#,
            r#"{"other":{"action":"accept"}}"#,
        ] {
            assert_eq!(answered(other), Action::Decline, "{other}");
        }
    }
}
