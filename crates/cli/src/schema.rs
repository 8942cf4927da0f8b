//! `mcp-auth schema`: the JSON Schema of a policy. `docs/policy.schema.json` holds the same.

use policy::document::Document;
use serde_json::{Map, Value, json};

use crate::{CommandOutput, Failure};

pub(crate) fn run() -> Result<CommandOutput, Failure> {
    let schema = serde_json::to_string_pretty(&schema()).map_err(|error| {
        Failure::usage(
            format!("cannot write the schema: {error}"),
            "report this as a bug",
        )
    })?;
    Ok(CommandOutput {
        stdout: schema + "\n",
        ..CommandOutput::default()
    })
}

/// One policy, or several under `policies`. The schema uses a condition, so that editors show the errors of
/// the right form.
fn schema() -> Value {
    let mut policy = schemars::schema_for!(Document);
    let dialect = policy.remove("$schema");
    let definitions = policy.remove("$defs");
    policy.remove("title");
    let mut definitions = match definitions {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    definitions.insert("Policy".to_owned(), policy.to_value());
    definitions.insert("Policies".to_owned(), several());
    json!({
        "$schema": dialect,
        "title": "Policy of mcp-auth-filter",
        "type": "object",
        "if": {"required": ["policies"]},
        "then": {"$ref": "#/$defs/Policies"},
        "else": {"$ref": "#/$defs/Policy"},
        "$defs": definitions,
    })
}

fn several() -> Value {
    json!({
        "description": "Policies of several MCP servers behind one listener. Each is chosen by the \
                        path of a request, or where several have that, by its host.",
        "type": "object",
        "properties": {
            "policies": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Policy"}},
        },
        "required": ["policies"],
        "additionalProperties": false,
    })
}
