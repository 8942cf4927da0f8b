//! Arguments and URIs that name their owner inside a longer text.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, modern_call, policy, send};
use policy::Policy;

fn owned() -> Rc<Policy> {
    let owner = json!({"owner": {"is": "organization", "at": "^acct-([^-]+)-"}});
    policy(json!({
        "arguments": {"account_ref": owner, "organization_id": {"set": "organization"}},
        "tools": {
            "crm.any": {"arguments": {"account_ref": "keep"}},
            "crm.mine": {"arguments": {"ref": {"owner": {"is": "user", "at": "^user:(.*)$"}}}},
        },
        "roles": {"support": {"tools": ["crm.*"], "prompts": ["*"], "resources": ["crm://*"]}},
        "resources": {"crm://*": {"owner": {"is": "organization", "at": "^crm://([^/]+)/"}}},
    }))
}

fn refused(request: &Request) -> (String, String) {
    let outcome = send(&owned(), request);
    let (status, code, reason) = outcome.refusal();
    assert_eq!(
        (status, code),
        (
            200,
            if reason == "resource_not_owned" {
                -32002
            } else {
                -32602
            }
        )
    );
    let evidence = &outcome.record.decision.evidence;
    if reason == "argument_not_owned" {
        assert!(!outcome.record.to_json().contains("globex"));
    }
    (
        reason.to_owned(),
        evidence.last().unwrap().summary.to_string(),
    )
}

#[test]
fn b28_an_argument_that_names_the_caller_passes_as_it_came() {
    for arguments in [
        r#"{"account_ref" : "acct-acme-7"}"#,
        r#"{"accountRef":"acct-ac\u006de-7","q":1}"#,
        r#"{"a":{"ACCOUNT-REF":["acct-acme-7", "acct-acme-8"]}}"#,
        r#"{"a":[{"b":{"account ref":"acct-acme-7"}}]}"#,
    ] {
        let request = call("crm.get", arguments);
        assert_eq!(send(&owned(), &request).server_body(), request.body);
        let request = modern_call("crm.get", arguments);
        assert_eq!(send(&owned(), &request).server_body(), request.body);
    }
    let other = r#"{"account_ref":"acct-globex-7"}"#;
    assert!(send(&owned(), &call("crm.any", other)).server.is_some());
    assert!(
        send(&owned(), &call("crm.mine", r#"{"ref":"user:u1"}"#))
            .server
            .is_some()
    );
    assert!(
        send(&owned(), &call("crm.get", r#"{"ref":"user:u2"}"#))
            .server
            .is_some()
    );
}

#[test]
fn b28_an_argument_that_does_not_is_refused_and_says_why() {
    const ANOTHER: &str = "argument `account_ref` names another owner than the caller";
    const NOBODY: &str = "argument `account_ref` names no owner where the policy expects one";
    for (arguments, expected) in [
        (r#"{"account_ref":"acct-globex-7"}"#, ANOTHER),
        (r#"{"accountRef":"acct-globex-7"}"#, ANOTHER),
        (r#"{"account_\uff52ef":"acct-globex-7"}"#, ANOTHER),
        (r#"{"a":[{"b":{"account ref":"acct-globex-7"}}]}"#, ANOTHER),
        (
            r#"{"account_ref":["acct-acme-7","acct-globex-7"]}"#,
            ANOTHER,
        ),
        (r#"{"account_ref":"acct-Acme-7"}"#, ANOTHER),
        (r#"{"account_ref":"globex"}"#, NOBODY),
        (r#"{"account_ref":""}"#, NOBODY),
        (r#"{"account_ref":[]}"#, NOBODY),
        (r#"{"account_ref":[["acct-acme-7"]]}"#, NOBODY),
        (r#"{"account_ref":{"x":"acct-acme-7"}}"#, NOBODY),
        (r#"{"account_ref":null}"#, NOBODY),
        (r#"{"account_ref":7}"#, NOBODY),
    ] {
        let (reason, summary) = refused(&call("crm.get", arguments));
        assert_eq!(
            (reason.as_str(), summary.as_str()),
            ("argument_not_owned", expected),
            "{arguments}"
        );
    }
    let in_string = r#"{"q":"{\"account_ref\":\"acct-acme-7\"}"}"#;
    assert_eq!(refused(&call("crm.get", in_string)).0, "argument_in_string");
}

#[test]
fn a_caller_without_the_value_names_no_owner() {
    let request = call("crm.get", r#"{"account_ref":"acct-acme-7"}"#);
    let (reason, summary) = refused(&request.token(json!({"org_id": null})));
    assert_eq!(reason, "argument_owner_unknown");
    assert!(summary.contains("the token does not have"), "{summary}");
}

fn asks(method: &str, params: Value) -> Request {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    Request::post(&body.to_string())
}

fn read(method: &str, uri: &str) -> Request {
    asks(method, json!({ "uri": uri }))
}

#[test]
fn b28_a_resource_that_names_another_owner_is_refused() {
    for method in [
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
    ] {
        assert!(
            send(&owned(), &read(method, "crm://acme/x"))
                .server
                .is_some()
        );
        for uri in ["crm://globex/x", "crm://globex"] {
            assert_eq!(
                refused(&read(method, uri)).0,
                "resource_not_owned",
                "{method} {uri}"
            );
        }
        let refusal = send(&owned(), &read(method, "crm://acme/../globex/x")).refusal();
        assert_eq!(refusal.2, "uri_ambiguous");
    }
}

fn completion(uri: &str, name: &str, context: Value) -> Request {
    let mut params = json!({
        "ref": {"type": "ref/resource", "uri": uri},
        "argument": {"name": name, "value": "a"},
    });
    if !context.is_null() {
        params["context"] = context;
    }
    asks("completion/complete", params)
}

#[test]
fn b17_completions_are_judged_by_what_was_filled_in() {
    const TEMPLATE: &str = "crm://{org_ref}/customers/{id}";
    let own = json!({"arguments": {"org_ref": "acme"}});
    let passes = |uri: &str, name: &str, context: &Value| {
        let request = completion(uri, name, context.clone());
        send(&owned(), &request).server.is_some()
    };
    assert!(passes(TEMPLATE, "id", &own));
    assert!(passes("crm://acme/customers/{id}", "id", &Value::Null));
    // Set from the token before the server reads it, so that is what is judged.
    let organization = json!({"arguments": {"organization_id": "globex"}});
    assert!(passes("crm://{organization_id}/{id}", "id", &organization));
    for (name, context) in [
        ("id", Value::Null),
        ("id", json!({"arguments": {"org_ref": "globex"}})),
        ("id", json!({"arguments": {"Org_Ref": "acme"}})),
        ("id", json!({"Arguments": {"org_ref": "acme"}})),
        (
            "id",
            json!({"arguments": {"org_ref": "acme", "orgRef": "globex"}}),
        ),
        ("id", json!({"arguments": {"org_ref": ["acme"]}})),
        ("org_ref", own),
    ] {
        let (reason, _) = refused(&completion(TEMPLATE, name, context.clone()));
        assert_eq!(reason, "resource_not_owned", "{name} {context}");
    }
    let fixed = completion("crm://globex/{id}", "id", Value::Null);
    assert_eq!(refused(&fixed).0, "resource_not_owned");
}

fn listed(member: &str, items: Value) -> Outcome {
    let method = match member {
        "resources" => "resources/list",
        _ => "resources/templates/list",
    };
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": { member: items }}).to_string();
    let json = &[(":status", "200"), ("content-type", "application/json")];
    send(&owned(), &asks(method, json!({})).answered(json, &body))
}

#[test]
fn b26_lists_show_what_names_the_caller() {
    let resources =
        json!([{"uri": "crm://globex/1"}, {"uri": "crm://acme/1"}, {"uri": "crm://acme"}]);
    let outcome = listed("resources", resources);
    assert_eq!(outcome.record.hidden_items, Some(2));
    assert!(
        outcome
            .client_body()
            .contains(r#"[{"uri":"crm://acme/1"}]"#)
    );
    let templates =
        json!([{"uriTemplate": "crm://globex/{id}"}, {"uriTemplate": "crm://{org}/{id}"}]);
    let outcome = listed("resourceTemplates", templates);
    assert!(
        outcome
            .client_body()
            .contains(r#"[{"uriTemplate":"crm://{org}/{id}"}]"#)
    );
}
