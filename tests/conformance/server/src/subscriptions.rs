//! Listening for changes of the lists, and the tools that announce one.

use rmcp::{ErrorData, model::*, service::SubscriptionContext};
use tokio::sync::broadcast;

use crate::tools::{Definition, text};

/// A list that is said to have changed.
#[derive(Clone, Copy)]
pub enum Change {
    Prompts,
    Tools,
}

pub type Changes = broadcast::Sender<Change>;

pub const TOOLS: &[Definition] = &[
    Definition::plain(
        "test_trigger_prompt_change",
        "Announces a change of the prompts",
    ),
    Definition::plain(
        "test_trigger_tool_change",
        "Announces a change of the tools",
    ),
];

pub fn changes() -> Changes {
    broadcast::channel(16).0
}

pub fn call(changes: &Changes, name: &str) -> Result<CallToolResponse, ErrorData> {
    let change = match name {
        "test_trigger_prompt_change" => Change::Prompts,
        _ => Change::Tools,
    };
    // There may be no subscriber.
    let listeners = changes.send(change).unwrap_or(0);
    Ok(text(format!("announced to {listeners}")))
}

/// Passes changes on until the client goes away.
pub async fn listen(changes: &Changes, subscription: SubscriptionContext) {
    let mut changes = changes.subscribe();
    loop {
        let change = tokio::select! {
            () = subscription.cancelled() => return,
            change = changes.recv() => change,
        };
        // The sink leaves out what the client did not subscribe to.
        let sent = match change {
            Ok(Change::Prompts) => subscription.sink().notify_prompt_list_changed().await,
            Ok(Change::Tools) => subscription.sink().notify_tool_list_changed().await,
            Err(_) => return,
        };
        drop(sent);
    }
}
