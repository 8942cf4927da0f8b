//! The definitions of the filter's own tools, as models and clients read them.

use policy::OwnTool;
use serde_json::{Value, json};

/// The tool in a list (MCP 2025-06-18 and later, "Tools"). Earlier clients ignore the members that they do
/// not know.
pub fn definition(tool: OwnTool) -> Value {
    let (title, description) = texts_of(tool);
    let ends = tool == OwnTool::Disconnect;
    json!({
        "name": tool.name(),
        "title": title,
        "description": description,
        "inputSchema": input(tool),
        "outputSchema": output(tool),
        "annotations": {
            "title": title,
            "readOnlyHint": !ends,
            "destructiveHint": ends,
            "idempotentHint": true,
            "openWorldHint": ends,
        },
    })
}

fn texts_of(tool: OwnTool) -> (&'static str, &'static str) {
    match tool {
        OwnTool::Connections => (
            "Connected accounts",
            "Lists the user's own accounts that tools here work with: whether each is connected, \
                 its name, the start and end of the connection, and the tools that need it.",
        ),
        OwnTool::Disconnect => (
            "Disconnect an account",
            "Disconnects one of the user's accounts in this conversation. Tools that need it ask \
                 the user to connect it again.",
        ),
        OwnTool::Switch => (
            "Choose an account",
            "Returns a link on which the user chooses the account that tools here work with, or connects \
                 another one. Give the link to the user: only the user can choose.",
        ),
        OwnTool::WhoAmI => (
            "Who am I",
            "Shows the signed-in user: user, organization, roles, scopes, how the user is \
                 identified, and the role or test user that the user acts as.",
        ),
    }
}

fn input(tool: OwnTool) -> Value {
    match tool {
        OwnTool::Disconnect | OwnTool::Switch => {
            let name = described("string", "Its name in auth_connections.");
            object(&json!({"connection": name}), &["connection"])
        }
        OwnTool::Connections | OwnTool::WhoAmI => object(&json!({}), &[]),
    }
}

fn output(tool: OwnTool) -> Value {
    match tool {
        OwnTool::Connections => {
            let connections = json!({"type": "array", "items": connection()});
            object(&json!({"connections": connections}), &["connections"])
        }
        OwnTool::Disconnect => {
            let revoked = json!({
                "type": "string",
                "enum": ["confirmed", "failed", "not_offered"],
                "description": "What the resource said to ending its token.",
            });
            let members = json!({
                "connection": {"type": "string"},
                "disconnected": described("boolean", "False if it was not connected."),
                "revoked": revoked,
            });
            object(&members, &["connection", "disconnected"])
        }
        OwnTool::Switch => {
            let members = json!({
                "connection": {"type": "string"},
                "url": described("string", "The page on which the user chooses."),
                "account": described("string", "The account that is used now."),
                "others": texts(),
            });
            object(&members, &["connection", "url", "others"])
        }
        OwnTool::WhoAmI => caller(),
    }
}

fn connection() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    let mut missing = texts();
    set(
        &mut missing,
        "description",
        json!("Scopes that the user did not allow."),
    );
    let members = json!({
        "name": {"type": "string"},
        "title": {"type": "string"},
        "connected": {"type": "boolean"},
        "account": described("string", "The account, as the resource names it."),
        "since": time,
        "until": time,
        "missing_scopes": missing,
        "tools": texts(),
    });
    object(&members, &["name", "title", "connected", "tools"])
}

fn caller() -> Value {
    let acting_as = json!({
        "view": described("string", "`role:` or `user:` and a name."),
        "user": {"type": "string"},
        "organization": {"type": "string"},
        "roles": texts(),
    });
    let members = json!({
        "user": {"type": "string"},
        "organization": {"type": "string"},
        "roles": texts(),
        "scopes": texts(),
        "identified_by": {"type": "string", "enum": ["token", "dpop", "local"]},
        "token_age_s": described("integer", "Seconds since the sign-in."),
        "acting_as": object(&acting_as, &["view", "roles"]),
    });
    object(&members, &["roles", "scopes", "identified_by"])
}

/// Sets a member of a JSON object.
pub fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn object(properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        set(&mut schema, "required", json!(required));
    }
    schema
}

fn described(kind: &str, description: &str) -> Value {
    json!({"type": kind, "description": description})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}
