//! Makes the mirrored headers say what the body says, so that nothing behind can tell a mismatch.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

const LARGEST_BODY: usize = 1 << 20;

/// A layer before the MCP service.
pub async fn rewrite_headers(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    mirror(&body, &mut parts.headers);
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn mirror(body: &Bytes, headers: &mut HeaderMap) {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    set(headers, "mcp-method", &message["method"]);
    let params = &message["params"];
    let names = ["name", "uri", "taskId"].map(|key| &params[key]);
    let name = names.into_iter().find(|name| name.is_string());
    set(headers, "mcp-name", name.unwrap_or(&Value::Null));
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &Value) {
    headers.remove(name);
    if let Some(value) = value
        .as_str()
        .and_then(|text| HeaderValue::from_str(text).ok())
    {
        headers.insert(name, value);
    }
}
