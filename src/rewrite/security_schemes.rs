//! Says of each listed tool whether it needs a sign-in, as ChatGPT reads it (OpenAI Apps SDK
//! "Authentication"): in `securitySchemes`, and once more in `_meta` for clients that drop members
//! they do not know.

use serde_json::{Value, json};

use super::splice::Edits;
use crate::authorize::{Target, is_for_a_role, is_for_anybody, scopes_of};
use crate::identity::Identity;
use crate::mcp::json::{Kind, Reader, Span};
use crate::mcp::message::MessageError;
use crate::policy::Policy;

const SCHEMES: &str = "securitySchemes";

/// Adds the security schemes to a tool of a list, in place of those the server may have written.
///
/// # Errors
///
/// The tool is not strict JSON.
pub fn add(
    policy: &Policy,
    name: &str,
    body: &[u8],
    tool: &Span,
    edits: &mut Edits,
) -> Result<(), MessageError> {
    let schemes = schemes(policy, name).to_string();
    let found = Found::read(body.get(tool.clone()).unwrap_or_default())?;
    let in_body = |at: usize| at.saturating_add(tool.start);
    let span = |span: Span| in_body(span.start)..in_body(span.end);
    let mut added = String::new();
    match found.schemes {
        Some(written) => edits.replace(span(written), schemes.as_str()),
        None => added.push_str(&format!("\"{SCHEMES}\":{schemes},")),
    }
    match found.meta {
        Meta::Absent => added.push_str(&format!("\"_meta\":{{\"{SCHEMES}\":{schemes}}},")),
        Meta::Other(written) => {
            edits.replace(span(written), format!("{{\"{SCHEMES}\":{schemes}}}"));
        }
        Meta::Schemes(written) => edits.replace(span(written), schemes),
        Meta::Object { start, members } => {
            let comma = if members { "," } else { "" };
            let at = in_body(start).saturating_add(1);
            edits.insert(at, format!("\"{SCHEMES}\":{schemes}{comma}"));
        }
    }
    if !added.is_empty() {
        // A tool has a name, so there is a member behind.
        edits.insert(in_body(1), added);
    }
    Ok(())
}

fn schemes(policy: &Policy, name: &str) -> Value {
    let (nobody, tool) = (Identity::anonymous(), Target::Tool(name));
    let open = is_for_anybody(policy, nobody, tool);
    let mut schemes = Vec::new();
    if open {
        schemes.push(json!({"type": "noauth"}));
    }
    if !open || is_for_a_role(policy, nobody, tool) {
        let scopes = scopes_of(policy, nobody, tool);
        schemes.push(json!({"type": "oauth2", "scopes": scopes}));
    }
    Value::Array(schemes)
}

/// What a tool already says.
struct Found {
    schemes: Option<Span>,
    meta: Meta,
}

enum Meta {
    Absent,
    /// Not an object.
    Other(Span),
    /// An object without schemes.
    Object {
        start: usize,
        members: bool,
    },
    /// An object with schemes, here.
    Schemes(Span),
}

impl Found {
    fn read(tool: &[u8]) -> Result<Self, MessageError> {
        let mut found = Self {
            schemes: None,
            meta: Meta::Absent,
        };
        // The tool was read strictly already, so nothing in it is too deep.
        let mut reader = Reader::new(tool, usize::MAX);
        reader.object(|reader, member| {
            match &*member.key.value {
                SCHEMES => found.schemes = Some(reader.skip()?),
                "_meta" => found.meta = Meta::read(reader)?,
                _ => {
                    reader.skip()?;
                }
            }
            Ok::<(), MessageError>(())
        })?;
        Ok(found)
    }
}

impl Meta {
    fn read(reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        if reader.kind()? != Kind::Object {
            return Ok(Self::Other(reader.skip()?));
        }
        let start = reader.position();
        let (mut members, mut schemes) = (false, None);
        reader.object(|reader, member| {
            members = true;
            let value = reader.skip()?;
            if member.key.value == SCHEMES {
                schemes = Some(value);
            }
            Ok::<(), MessageError>(())
        })?;
        Ok(schemes.map_or(Self::Object { start, members }, Self::Schemes))
    }
}
