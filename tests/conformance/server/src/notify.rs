//! Tools that send notifications before their answer.

use std::time::Duration;

use rmcp::{ErrorData, RoleServer, model::*, service::RequestContext};
use serde_json::json;

use crate::tools::{Definition, text};

const PAUSE: Duration = Duration::from_millis(50);

pub const TOOLS: &[Definition] = &[
    Definition::plain("test_tool_with_logging", "Logs three messages"),
    Definition::plain(
        "test_logging_tool",
        "Logs a message if the request asks for messages",
    ),
    Definition::plain("test_tool_with_progress", "Reports progress three times"),
];

pub async fn call(
    name: &str,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    match name {
        "test_tool_with_logging" => {
            for message in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ] {
                log(context, LoggingLevel::Info, message).await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
        "test_logging_tool" => {
            if let Some(level) = context.meta.log_level() {
                log(context, level, "Tool execution started").await?;
            }
        }
        _ => {
            for progress in [0.0, 50.0, 100.0] {
                report(context, progress).await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(text("done"))
}

async fn log(
    context: &RequestContext<RoleServer>,
    level: LoggingLevel,
    message: &str,
) -> Result<(), ErrorData> {
    let message = LoggingMessageNotificationParam::new(level, json!(message));
    context
        .peer
        .notify_logging_message(message)
        .await
        .map_err(undelivered)
}

async fn report(context: &RequestContext<RoleServer>, progress: f64) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else {
        return Ok(());
    };
    let progress = ProgressNotificationParam::new(token, progress).with_total(100.0);
    context
        .peer
        .notify_progress(progress)
        .await
        .map_err(undelivered)
}

fn undelivered(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
