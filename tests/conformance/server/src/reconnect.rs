//! A tool that closes its own answer's stream, so that the client has to come back for it.

use std::time::Duration;

use axum::http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, model::*, service::RequestContext,
    transport::streamable_http_server::session::local::LocalSessionManager,
};

use crate::tools::{Definition, text};

const WORK: Duration = Duration::from_millis(100);

/// More streams than a session of the suite opens. A tool is not told which is its own.
const STREAMS: u64 = 8;

pub const TOOLS: &[Definition] = &[Definition::plain(
    "test_reconnection",
    "Answers on the stream that is opened next",
)];

pub async fn call(
    sessions: &LocalSessionManager,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let parts = context.extensions.get::<Parts>();
    let id = parts.and_then(|parts| parts.headers.get("mcp-session-id"));
    if let Some(id) = id.and_then(|id| id.to_str().ok()) {
        close_streams(sessions, id).await;
    }
    tokio::time::sleep(WORK).await;
    Ok(text("The answer comes after the reconnection"))
}

async fn close_streams(sessions: &LocalSessionManager, id: &str) {
    let session = sessions.sessions.read().await.get(id).cloned();
    let Some(session) = session else {
        return;
    };
    for stream in 0..STREAMS {
        // One that is not there, or no longer, needs no closing.
        let _ = session.close_sse_stream(stream, None).await;
    }
}
