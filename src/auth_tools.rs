//! The filter's own tools: who is calling, and what they have connected. What models and clients read
//! of them is here, what they do in [`crate::exchange`].

use serde_json::{Value, json};

/// A tool that this filter answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthTool {
    /// Lists the caller's connections.
    Connections,
    /// Ends one of them.
    Disconnect,
    /// Says who is calling.
    WhoAmI,
}

impl AuthTool {
    /// All of them, as lists show them.
    pub const ALL: [Self; 3] = [Self::WhoAmI, Self::Connections, Self::Disconnect];

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "auth.connections",
            Self::Disconnect => "auth.disconnect",
            Self::WhoAmI => "auth.whoami",
        }
    }

    /// The tool as a list shows it (MCP 2025-06-18 and later "Tools"; earlier clients skip what they
    /// do not know).
    pub fn definition(self) -> Value {
        let (title, description) = self.texts();
        let ends = self == Self::Disconnect;
        json!({
            "name": self.name(),
            "title": title,
            "description": description,
            "inputSchema": self.input(),
            "outputSchema": self.output(),
            "annotations": {
                "title": title,
                "readOnlyHint": !ends,
                "destructiveHint": ends,
                "idempotentHint": true,
                "openWorldHint": ends,
            },
        })
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Connections => (
                "Connected accounts",
                "Lists the accounts of the user's own that tools here work with: whether each is \
                 connected, as whom, since and until when, and which tools need it.",
            ),
            Self::Disconnect => (
                "Disconnect an account",
                "Disconnects one of the user's accounts in this conversation. Tools that need it ask \
                 the user to connect it again.",
            ),
            Self::WhoAmI => (
                "Who am I",
                "Says as whom the user is signed in here: user, organization, roles, scopes, how that \
                 is known, and as whom it acts.",
            ),
        }
    }

    fn input(self) -> Value {
        match self {
            Self::Disconnect => {
                let name = described("string", "Its name in auth.connections.");
                object(&json!({"connection": name}), &["connection"])
            }
            Self::Connections | Self::WhoAmI => object(&json!({}), &[]),
        }
    }

    fn output(self) -> Value {
        match self {
            Self::Connections => {
                let connections = json!({"type": "array", "items": connection()});
                object(&json!({"connections": connections}), &["connections"])
            }
            Self::Disconnect => {
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
            Self::WhoAmI => caller(),
        }
    }
}

fn connection() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    let members = json!({
        "name": {"type": "string"},
        "title": {"type": "string"},
        "connected": {"type": "boolean"},
        "account": described("string", "The account, as the resource names it."),
        "since": time,
        "until": time,
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

/// Sets a member of an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
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
