//! An MCP server with every fixture that the official conformance suite asks a server for.
//!
//! `conformance-server` listens on a free port of the loopback interface and prints it. With
//! `--believe-body` it does not compare the headers that mirror the body, as servers do that
//! leave this to what is in front of them.

#![expect(
    deprecated,
    reason = "the suite tests logging and sampling, which MCP 2026-07-28 deprecates"
)]

mod ask;
mod believe_body;
mod content;
mod customers;
mod fixtures;
mod input_required;
mod notify;
mod prompts;
mod reconnect;
mod resources;
mod subscriptions;
mod tasks;
mod tools;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};

use crate::fixtures::Fixtures;

/// What clients are told to wait before they reconnect; the suite waits that long too.
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let believe_body = std::env::args().any(|argument| argument == "--believe-body");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    axum::serve(listener, router(believe_body)).await
}

fn router(believe_body: bool) -> Router {
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.sse_retry = Some(RECONNECT_AFTER);
    let sessions = Arc::new(sessions);
    let fixtures = Fixtures::new(sessions.clone(), believe_body);
    let service = StreamableHttpService::new(
        move || Ok(fixtures.clone()),
        sessions,
        StreamableHttpServerConfig::default(),
    );
    let router = Router::new().route_service("/mcp", service);
    if believe_body {
        router.layer(middleware::from_fn(believe_body::rewrite_headers))
    } else {
        router
    }
}
