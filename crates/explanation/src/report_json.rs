//! An explained decision as JSON, for programs.

use base::http::HttpRequest;
use mcp::headers::HeaderEdit;
use mcp_auth_filter::step::End;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::explained_request::ExplainedRequest;
use crate::given_token::{SignatureCheck, TokenFacts};
use crate::value_changes::changes;

impl ExplainedRequest {
    /// The explanation as JSON. Bodies are strings: exactly what is sent.
    pub fn to_json(&self) -> Value {
        let end = match &self.end {
            End::Reply(reply) => json!({"answer": {
                "status": reply.status,
                "headers": reply.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
                "body": String::from_utf8_lossy(&reply.body),
            }}),
            End::Forward(forward) => json!({"forward": {
                "headers": forward.headers.iter().map(edit).collect::<Vec<_>>(),
                "body": forward.body.as_deref().map(String::from_utf8_lossy),
                "changes": forward.body.as_deref().map(|body| changes(&self.body, body)),
            }}),
        };
        let mut all = json!({
            "claims_verified": self.token.as_ref().is_some_and(|token| token.signature == SignatureCheck::Verifies),
        "token": self.token.as_ref().map(TokenFacts::json),
            "claims_filled_in": self.filled_in,
            "questions": self.questions.iter().map(question_json).collect::<Vec<_>>(),
            "record": serde_json::to_value(&self.record).unwrap_or_default(),
        });
        if let (Value::Object(all), Value::Object(end)) = (&mut all, end) {
            all.extend(end);
            let answer = self.answer.as_ref().map(received_json);
            all.extend(answer.map(|answer| ("received".to_owned(), answer)));
            if !self.lookups.is_empty() {
                all.insert("lookups".to_owned(), json!(self.lookups));
            }
        }
        all
    }
}

/// A question to a decision point, without its credential.
fn question_json(call: &HttpRequest) -> Value {
    json!({"cluster": call.cluster, "path": call.path(), "body": String::from_utf8_lossy(&call.body)})
}

fn received_json(answer: &Answer) -> Value {
    json!({
        "headers": answer.headers.iter().map(edit).collect::<Vec<_>>(),
        "body": String::from_utf8_lossy(&answer.received),
        "changes": changes(&answer.sent, &answer.received),
    })
}

fn edit(edit: &HeaderEdit) -> Value {
    match edit {
        HeaderEdit::Remove(name) => json!({"remove": name}),
        HeaderEdit::Set(name, value) => json!({"set": name, "value": value}),
    }
}
