//! The look-ups of a decision without a proxy: what the filter asks the server, and the answer to it.

use std::cell::RefCell;

use base::http::{HttpRequest, HttpResponse};
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;
use mcp_auth_filter::host::dry_run::{Nothing, Outside};
use serde_json::{Value, json};

/// A server that answers all look-ups in the same way, if an answer is known, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    answer: Option<Vec<u8>>,
    asked: RefCell<Vec<String>>,
    others: Nothing,
}

impl LookedUp {
    /// A server that answers look-ups with this: a JSON-RPC message, a result, or the record alone.
    pub(crate) fn new(answer: Option<Vec<u8>>) -> Self {
        Self {
            answer,
            ..Self::default()
        }
    }

    /// The messages of the look-ups.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.take()
    }
}

impl Outside for LookedUp {
    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        if !request.is_lookup() {
            return self.others.answer(request);
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let id = serde_json::from_str::<Value>(&body)
            .ok()?
            .get("id")?
            .clone();
        self.asked.borrow_mut().push(body);
        let answer = message(self.answer.as_ref()?, &id);
        Some(HttpResponse::json(200, answer))
    }

    fn store(&self, operation: &StoreOperation, now: UnixTime) -> Result<Stored, StoreError> {
        self.others.store(operation, now)
    }
}

/// Sets the id of an answer in JSON. Other answers do not change.
fn message(given: &[u8], id: &Value) -> Vec<u8> {
    const RESULT: [&str; 5] = [
        "content",
        "contents",
        "isError",
        "messages",
        "structuredContent",
    ];
    let Ok(mut value) = serde_json::from_slice::<Value>(given) else {
        return given.to_vec();
    };
    let has = |key: &str| value.get(key).is_some();
    if has("jsonrpc") {
        if let Some(object) = value.as_object_mut() {
            object.insert("id".to_owned(), id.clone());
        }
        return value.to_string().into_bytes();
    }
    let result = match RESULT.into_iter().any(has) {
        true => value,
        false => json!({"structuredContent": value}),
    };
    let message = json!({"jsonrpc": "2.0", "id": id, "result": result});
    message.to_string().into_bytes()
}
