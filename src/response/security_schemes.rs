//! Adds `securitySchemes` to listed tools: whether the tool needs a sign-in, for ChatGPT (OpenAI Apps SDK
//! "Authentication"). `_meta` has them too, for clients that drop unknown members.

use serde_json::{Value as Json, json};

use crate::authorize::{Target, is_for_a_role, is_for_anonymous, scopes_of};
use crate::own_tools::set;
use base::json::edits::Edits;
use base::json::tree::{Node, Value};
use oauth::Identity;
use policy::Policy;

const SCHEMES: &str = "securitySchemes";

/// Adds the security schemes to a tool of a list, in place of the server's.
pub(super) fn add(policy: &Policy, name: &str, tool: &Node, edits: &mut Edits) {
    let schemes = schemes(policy, name).to_string();
    let member = format!("\"{SCHEMES}\":{schemes}");
    let inside = |node: &Node| node.span.start.saturating_add(1);
    let mut added = String::new();
    match tool.member(SCHEMES) {
        Some(written) => edits.replace(written.span.clone(), schemes.as_str()),
        None => added.push_str(&format!("{member},")),
    }
    let meta = tool.member("_meta");
    match (meta, meta.and_then(|meta| meta.member(SCHEMES))) {
        (_, Some(written)) => edits.replace(written.span.clone(), schemes),
        (Some(meta), None) if matches!(meta.value, Value::Object(_)) => {
            let comma = if meta.children().is_empty() { "" } else { "," };
            edits.insert(inside(meta), format!("{member}{comma}"));
        }
        (Some(meta), None) => edits.replace(meta.span.clone(), format!("{{{member}}}")),
        (None, None) => added.push_str(&format!("\"_meta\":{{{member}}},")),
    }
    if !added.is_empty() {
        // A tool has a name, so a member follows.
        edits.insert(inside(tool), added);
    }
}

/// Adds a security scheme to a tool.
pub(super) fn say(tool: &mut Json, scheme: &Json) {
    set(tool, SCHEMES, json!([scheme]));
    set(tool, "_meta", json!({SCHEMES: [scheme]}));
}

/// A sign-in with these scopes.
pub(super) fn signed_in(scopes: &[String]) -> Json {
    json!({"type": "oauth2", "scopes": scopes})
}

fn schemes(policy: &Policy, name: &str) -> Json {
    let (nobody, tool) = (Identity::anonymous(), Target::Tool(name));
    let open = is_for_anonymous(policy, nobody, tool);
    let mut schemes = Vec::new();
    if open {
        schemes.push(json!({"type": "noauth"}));
    }
    if !open || is_for_a_role(policy, nobody, tool) {
        schemes.push(signed_in(&scopes_of(policy, nobody, tool)));
    }
    Json::Array(schemes)
}
