//! All tools: what is listed, and which module answers a call.

use rmcp::{ErrorData, RoleServer, model::*, service::RequestContext};
use serde_json::{Value, json};

use crate::{
    ask, content, customers, fixtures::Fixtures, input_required, notify, reconnect, subscriptions,
    tasks,
};

/// A tool as it is listed.
pub struct Definition {
    pub name: &'static str,
    pub description: &'static str,
    pub schema: fn() -> Value,
}

impl Definition {
    /// A tool without arguments.
    pub const fn plain(name: &'static str, description: &'static str) -> Self {
        let schema = || json!({"type": "object", "properties": {}});
        Self {
            name,
            description,
            schema,
        }
    }

    /// A tool with arguments.
    pub const fn with(
        name: &'static str,
        description: &'static str,
        schema: fn() -> Value,
    ) -> Self {
        Self {
            name,
            description,
            schema,
        }
    }

    fn listed(&self) -> Tool {
        let schema = (self.schema)();
        let schema = schema.as_object().cloned().unwrap_or_default();
        Tool::new(self.name, self.description, schema)
    }
}

/// Every tool.
pub fn list() -> Vec<Tool> {
    [
        content::TOOLS,
        customers::TOOLS,
        notify::TOOLS,
        ask::TOOLS,
        reconnect::TOOLS,
        subscriptions::TOOLS,
        input_required::TOOLS,
        tasks::TOOLS,
    ]
    .into_iter()
    .flatten()
    .map(Definition::listed)
    .collect()
}

/// The answer of the module whose tool it is.
pub async fn call(
    fixtures: &Fixtures,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let name = request.name.as_ref();
    let client = context.client_capabilities().unwrap_or_default();
    let is_one_of = |tools: &[Definition]| tools.iter().any(|tool| tool.name == name);
    if is_one_of(content::TOOLS) {
        content::call(&request)
    } else if is_one_of(customers::TOOLS) {
        Ok(customers::call())
    } else if is_one_of(notify::TOOLS) {
        notify::call(name, &context).await
    } else if is_one_of(ask::TOOLS) {
        ask::call(&request, &client, &context.peer).await
    } else if is_one_of(reconnect::TOOLS) {
        reconnect::call(&fixtures.sessions, &context).await
    } else if is_one_of(subscriptions::TOOLS) {
        subscriptions::call(&fixtures.changes, name)
    } else if is_one_of(input_required::TOOLS) {
        input_required::call(&fixtures.seal, &request, &client)
    } else if is_one_of(tasks::TOOLS) {
        tasks::call(&fixtures.tasks, &request, &client).await
    } else {
        Err(ErrorData::invalid_params(
            format!("Unknown tool: {name}"),
            None,
        ))
    }
}

/// A finished call with one text.
pub fn text(text: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text.into())]).into()
}
