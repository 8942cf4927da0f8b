//! What a server may ask of a client, and the tools that ask in the middle of a call, as
//! versions before 2026-07-28 do.

use rmcp::{ErrorData, Peer, RoleServer, model::*};
use serde_json::{Value, json};

use crate::{
    content::arguments,
    tools::{Definition, text},
};

pub const TOOLS: &[Definition] = &[
    Definition::with("test_sampling", "Asks the client's model", || {
        takes("prompt")
    }),
    Definition::with("test_elicitation", "Asks the user for a name", || {
        takes("message")
    }),
    Definition::plain(
        "test_elicitation_sep1034_defaults",
        "Asks with defaults of every type",
    ),
    Definition::plain(
        "test_elicitation_sep1330_enums",
        "Asks with every kind of choice",
    ),
];

fn takes(argument: &str) -> Value {
    json!({"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]})
}

pub async fn call(
    request: &CallToolRequestParams,
    client: &ClientCapabilities,
    peer: &Peer<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let arguments = arguments(request);
    let question = match request.name.as_ref() {
        "test_sampling" => sampling(arguments["prompt"].as_str().unwrap_or_default(), 100),
        "test_elicitation" => {
            let user = json!({"username": {"type": "string"}, "email": {"type": "string"}});
            form(arguments["message"].as_str().unwrap_or_default(), user)
        }
        "test_elicitation_sep1034_defaults" => form("Everything has a default", defaults()),
        _ => form("Choose", choices()),
    };
    if !may_be_asked(client, &question) {
        let method = &question["method"];
        let refusal = ContentBlock::text(format!("The client does not support {method}"));
        return Ok(CallToolResult::error(vec![refusal]).into());
    }
    Ok(text(summary(&ask(peer, question).await?)))
}

/// The answer of the client's model, or what its user chose.
fn summary(answer: &Value) -> String {
    match answer["action"].as_str() {
        None => format!("LLM response: {}", answer["content"]["text"]),
        Some(action) => {
            format!(
                "Elicitation completed: action={action}, content={}",
                answer["content"]
            )
        }
    }
}

async fn ask(peer: &Peer<RoleServer>, question: Value) -> Result<Value, ErrorData> {
    let request = serde_json::from_value(question).map_err(internal)?;
    let answer = peer.send_request(request).await.map_err(internal)?;
    serde_json::to_value(answer).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// Whether the client said that it can answer this.
pub fn may_be_asked(client: &ClientCapabilities, question: &Value) -> bool {
    match question["method"].as_str() {
        Some("elicitation/create") => client.elicitation.is_some(),
        Some("sampling/createMessage") => client.sampling.is_some(),
        Some("roots/list") => client.roots.is_some(),
        _ => false,
    }
}

/// Asks the user to fill in a form, all of it.
pub fn form(message: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    json!({
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    })
}

/// Asks the client's model.
pub fn sampling(prompt: &str, max_tokens: u32) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({
        "method": "sampling/createMessage",
        "params": {"messages": [message], "maxTokens": max_tokens},
    })
}

/// Asks for the directories that the client works in.
pub fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

fn defaults() -> Value {
    json!({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    })
}

fn choices() -> Value {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    json!({
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    })
}
