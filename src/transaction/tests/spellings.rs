//! Arguments that are added are spelled as the server's schema does.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Request, Store};
use super::{call, policy};
use crate::response::spellings::Spellings;
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

fn adding() -> Rc<Policy> {
    policy(json!({
        "tools": {"crm.*": {"arguments": {"organization_id": {"set": "organization"}, "user_id": {"set": "user"}}}},
        "prompts": {"crm.*": {"arguments": {"organization_id": {"set": "organization"}}}},
    }))
}

fn tool(properties: &[&str]) -> Value {
    let named = properties
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})));
    let named: serde_json::Map<String, Value> = named.collect();
    json!({"name": "crm.get", "inputSchema": {"type": "object", "properties": named, "required": properties}})
}

fn list(tool: &Value) -> Request {
    let answer = json!({"jsonrpc": "2.0", "id": 1 << 30, "result": {"tools": [tool]}});
    let request = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    request.answered(JSON, &answer.to_string())
}

/// The shown properties, and the arguments that the server receives if the client sends these.
fn listed_and_called(properties: &[&str], arguments: &str) -> (Vec<String>, Value) {
    let (store, known) = (Store::default(), Spellings::default());
    let proxy = || FakeProxy::new(&adding()).with_store(&store);
    let outcome = proxy()
        .that_knows(&known)
        .send(&list(&tool(properties)), &[], false);
    let shown: Value = serde_json::from_str(&outcome.client_body()).unwrap();
    let shown = &shown["result"]["tools"][0]["inputSchema"]["properties"];
    let shown = shown.as_object().unwrap().keys().cloned().collect();
    let received = |proxy: FakeProxy| {
        let outcome = proxy.send(&call("crm.get", arguments), &[], false);
        let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
        body["params"]["arguments"].clone()
    };
    let here = received(proxy().that_knows(&known));
    assert_eq!(here, received(proxy()), "in another worker");
    (shown, here)
}

#[test]
fn r12_the_schemas_spelling_is_added() {
    for (properties, sent, received) in [
        (
            &["organizationId", "q"][..],
            r#"{"q":"x"}"#,
            json!({"q": "x", "organizationId": "acme", "user_id": "u1"}),
        ),
        (
            &["organization_id"],
            "{}",
            json!({"organization_id": "acme", "user_id": "u1"}),
        ),
        (
            &["OrganizationID", "userId"],
            "{}",
            json!({"OrganizationID": "acme", "userId": "u1"}),
        ),
        (
            &["organizationId"],
            r#"{"organizationId":"globex"}"#,
            json!({"organizationId": "acme", "user_id": "u1"}),
        ),
        (
            &["organizationId"],
            r#"{"organization_id":"globex"}"#,
            json!({"organizationId": "acme", "user_id": "u1"}),
        ),
        (
            &["organizationId", "organization_id"],
            "null",
            json!({"organizationId": "acme", "organization_id": "acme", "user_id": "u1"}),
        ),
        (
            &["q"],
            "{}",
            json!({"organization_id": "acme", "user_id": "u1"}),
        ),
    ] {
        let (shown, arguments) = listed_and_called(properties, sent);
        assert_eq!(arguments, received, "{properties:?}");
        let is_data = |name: &&&str| **name == "q";
        let expected: Vec<&str> = properties.iter().filter(is_data).copied().collect();
        assert_eq!(shown, expected);
    }
}

#[test]
fn r12_only_what_is_added_is_hidden() {
    // Too long to be remembered, so the client sends it.
    let long = format!("organization{}id", "_".repeat(200));
    let (shown, _) = listed_and_called(&[&long, "user_id"], "{}");
    assert_eq!(shown, [long]);
}

#[test]
fn r12_a_server_may_change_its_spelling() {
    let (store, known) = (Store::default(), Spellings::default());
    for spelling in ["organizationId", "organization_id", "orgANIZATION_id"] {
        let proxy = || FakeProxy::new(&adding()).with_store(&store);
        proxy()
            .that_knows(&known)
            .send(&list(&tool(&[spelling])), &[], false);
        for proxy in [proxy(), proxy().that_knows(&known)] {
            let outcome = proxy.send(&call("crm.get", "{}"), &[], false);
            let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
            assert_eq!(body["params"]["arguments"][spelling], "acme");
        }
    }
}

#[test]
fn r12_prompts_are_spelled_as_listed() {
    let known = Spellings::default();
    let answer = json!({"jsonrpc": "2.0", "id": 1 << 30, "result": {"prompts": [
        {"name": "crm.review", "arguments": [{"name": "organizationId", "required": true}]},
    ]}});
    let list = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#);
    let list = list.answered(JSON, &answer.to_string());
    FakeProxy::new(&adding())
        .that_knows(&known)
        .send(&list, &[], false);
    let get = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.review"}}"#;
    let outcome =
        FakeProxy::new(&adding())
            .that_knows(&known)
            .send(&Request::post(get), &[], false);
    let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    assert_eq!(
        body["params"]["arguments"],
        json!({"organizationId": "acme"})
    );
}
