mod keywords;
mod names;
mod random;

use serde_json::{Value, json};

use super::*;
use crate::authorize::{Target, operations};
use base::json::tree::Node;
use mcp::server_list::Listing;
use oauth::Identity;
use policy::Policy;

/// `user_id` and `org_id` are set for this tool, `role` is removed, `as_user` rejected; `team_id` is
/// set where it is sent, and `tenant_id` is data.
fn policy() -> Policy {
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"organization": "org_id"},
        }],
        "builtin_arguments": false,
        "arguments": {"role": "remove", "as_user": "reject", "team_id": {"set": "organization"}, "tenant_id": "remove"},
        "tools": {"t": {"arguments": {
            "user_id": {"set": "user"}, "org_id": {"set": "organization"}, "tenant_id": "keep",
        }}},
        "prompts": {"t": {"arguments": {"user_id": {"set": "user"}}}},
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn somebody() -> Identity {
    Identity {
        user: Some("u".to_owned()),
        ..Identity::anonymous().clone()
    }
}

/// A list with one item, as it is shown.
fn listed(policy: &Policy, identity: &Identity, kind: &str, item: &str) -> String {
    let body = format!(r#"{{"result":{{"{kind}":[{item}]}}}}"#);
    let message = Node::read(body.as_bytes(), 128).unwrap();
    let listing = Listing::of(&message).unwrap();
    let mut edits = Edits::default();
    for item in &listing.items {
        let target = Target::of_item(item.list, item.name);
        let operations = operations(policy, identity, target);
        let hidden = Hidden::new(policy, identity, operations);
        let arguments = Arguments::of(item, &hidden);
        arguments.hide(&hidden, body.as_bytes(), &mut edits);
    }
    let shown = edits.apply(body.as_bytes());
    String::from_utf8(shown.unwrap_or(body.into_bytes())).unwrap()
}

/// A tool's schema as it is shown.
fn shown(schema: &str) -> String {
    let item = |schema: &str| format!(r#"{{"name":"t","inputSchema":{schema},"x":[]}}"#);
    let whole = listed(&policy(), &somebody(), "tools", &item(schema));
    let (before, behind) = (
        r#"{"result":{"tools":[{"name":"t","inputSchema":"#,
        r#","x":[]}]}}"#,
    );
    let inside = whole.strip_prefix(before).unwrap();
    let shown = inside.strip_suffix(behind).unwrap().to_owned();
    serde_json::from_str::<Value>(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    let again = listed(&policy(), &somebody(), "tools", &item(&shown));
    assert_eq!(again, whole, "a second time changes nothing");
    shown
}

fn assert_shown(cases: &[(&str, &str)]) {
    for (schema, expected) in cases {
        assert_eq!(&shown(schema), expected, "{schema}");
    }
}
