//! Asking a user something before a call passes, in the answer to the call itself: nothing is stored,
//! and no connection is kept.

use std::fmt;

use serde_json::{Value, json};

use crate::mcp::json::tree::Node;
use crate::rewrite::splice::Edits;

/// How the filter's own question is called among those of a result (MCP 2026-07-28 "Multi Round-Trip
/// Requests").
const OWN: &str = "mcp-auth-filter";
/// The parameters that answer a question.
const ANSWER: [&str; 2] = ["requestState", "inputResponses"];

/// A question to the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Elicitation {
    /// What the user reads.
    pub message: String,
    /// What comes back with the answer, sealed.
    pub state: String,
}

/// What the user answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Yes.
    Accept,
    /// No, or nothing.
    Decline,
}

impl Elicitation {
    /// The result that asks for a yes or no (MCP 2026-07-28 "Elicitation").
    pub fn result(&self) -> Value {
        let schema = json!({"type": "object", "properties": {}});
        let params = json!({"mode": "form", "message": self.message, "requestedSchema": schema});
        let request = json!({"method": "elicitation/create", "params": params});
        json!({
            "resultType": "input_required",
            "inputRequests": {OWN: request},
            "requestState": self.state,
        })
    }
}

/// Without the text: arguments are in it.
impl fmt::Debug for Elicitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Elicitation")
    }
}

/// What a request answers to the filter's own question.
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

/// The request without the answer: the server asked nothing.
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
    fn the_rest_of_a_request_stays_byte_for_byte() {
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
    fn only_yes_is_yes() {
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
