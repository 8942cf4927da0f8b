//! What a caller receives of a result, for each kind of rule and each place in a message.

mod columns;
mod everywhere;
mod many;
mod maps;
mod prose;

use serde_json::{Value, json};

use super::places::AnswerTo;
use super::{NotTheCallers, rules};
use crate::authorize::Target;
use crate::response::changes::Changes;
use base::json::tree::Node;
use oauth::Identity;
use policy::{Policy, ResultRule};

fn policy(results: Value) -> Policy {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key: Value = serde_json::from_str(key).unwrap();
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"inline": {"keys": [key]}},
            "identity": {"organization": "org", "roles": "roles"},
        }],
        "audit": {"key_env": "KEY"},
        "results": results,
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn identity(roles: &[&str]) -> Identity {
    Identity {
        user: Some("u1".into()),
        organization: Some("acme".into()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Identity::default()
    }
}

/// A message after rules.
struct RuledMessage {
    body: Option<Vec<u8>>,
    dropped: usize,
    redacted: Vec<String>,
}

fn judge(
    rules: &[&ResultRule],
    identity: &Identity,
    key: Option<&str>,
    message: &str,
) -> Result<RuledMessage, NotTheCallers> {
    let tree = Node::read(message.as_bytes(), 64).unwrap();
    let mut changes = Changes::default();
    let judged = super::judge(
        rules,
        identity,
        key,
        &tree,
        AnswerTo::Call,
        64,
        &mut changes,
    )?;
    Ok(RuledMessage {
        body: changes.apply(message.as_bytes()),
        dropped: judged.dropped,
        redacted: judged.redacted,
    })
}

fn judged(results: Value, message: &Value) -> Result<RuledMessage, NotTheCallers> {
    let policy = policy(results);
    let identity = identity(&["support"]);
    let rules = rules(&policy, &identity, None, Some(Target::Tool("crm.get")));
    judge(&rules, &identity, Some("key"), &message.to_string())
}

/// A message after the rules.
fn after(results: Value, message: Value) -> Value {
    match judged(results, &message).unwrap().body {
        Some(body) => serde_json::from_slice(&body).unwrap(),
        None => message,
    }
}

/// A tool's result with structured content, after the rules.
fn structured(results: Value, content: Value) -> Result<Value, NotTheCallers> {
    let message = json!({"result": {"structuredContent": content}});
    let judged = judged(results, &message)?;
    let after = judged
        .body
        .map_or(message, |body| serde_json::from_slice(&body).unwrap());
    Ok(after["result"]["structuredContent"].clone())
}

fn owner(changes: Value) -> Value {
    let mut owner = json!({"field": "organization_id", "is": "organization"});
    for (key, value) in changes.as_object().unwrap() {
        owner[key] = value.clone();
    }
    json!([{"tools": ["*"], "owner": owner}])
}

#[test]
fn objects_of_other_owners_are_removed() {
    let own = |name: &str| json!({"organization_id": "acme", "name": name});
    let foreign = |name: &str| json!({"organizationId": "globex", "name": name});
    for (content, expected) in [
        (
            json!([own("a"), foreign("b"), own("c")]),
            json!([own("a"), own("c")]),
        ),
        (json!([foreign("b")]), json!([])),
        (
            json!({"items": [foreign("b"), own("a")], "next": "x"}),
            json!({"items": [own("a")], "next": "x"}),
        ),
        // An object that holds another organization's is not the caller's.
        (
            json!([{"organization_id": "acme", "author": foreign("x")}, own("a")]),
            json!([own("a")]),
        ),
        // What stands inside the caller's own is the caller's.
        (
            json!({"organization_id": "acme", "contacts": [{"name": "x"}]}),
            json!({"organization_id": "acme", "contacts": [{"name": "x"}]}),
        ),
        (
            json!([{"organization_id": "acme", "lines": [foreign("x"), {"n": 1}]}]),
            json!([{"organization_id": "acme", "lines": [{"n": 1}]}]),
        ),
        (
            json!({"a": {"b": [[own("a")], [foreign("b")]]}}),
            json!({"a": {"b": [[own("a")], []]}}),
        ),
        (
            json!({"items": [], "total": 0, "next": null}),
            json!({"items": [], "total": 0, "next": null}),
        ),
        (
            json!([{"organization_id": ["acme"]}]),
            json!([{"organization_id": ["acme"]}]),
        ),
    ] {
        assert_eq!(
            structured(owner(json!({})), content.clone()).unwrap(),
            expected,
            "{content}"
        );
    }
    for content in [
        foreign("a"),
        json!({"customer": foreign("a")}),
        json!({"name": "nobody's"}),
        json!([{"name": "nobody's"}]),
        json!([own("a"), {"name": "nobody's"}]),
        json!({"total": 3}),
        json!({"organization_id": null}),
        json!({"organization_id": ["acme", "globex"]}),
        json!({"organization_id": "Acme"}),
        json!({"organization_id": {"id": "acme"}}),
        json!("acme and globex"),
    ] {
        let refused = structured(owner(json!({})), content.clone());
        if content.is_string() {
            assert_eq!(refused.unwrap(), "[withheld]");
        } else {
            assert!(refused.is_err(), "{content}");
        }
    }
}

#[test]
fn words_of_other_owners_do_not_match_parts_of_the_callers_words() {
    let own = json!({"organization_id": "acme", "state": "inactive", "note": "was active-ish, not Smith"});
    let foreign = json!({"organization_id": "globex", "state": "active", "name": "Smith"});
    let left = structured(owner(json!({})), json!([own, foreign])).unwrap();
    assert_eq!(left[0]["state"], "inactive");
    assert_eq!(left[0]["note"], "was ***-ish, not ***");
}

#[test]
fn a_rule_says_what_happens_otherwise() {
    let list = json!([{"organization_id": "acme"}, {"organization_id": "globex"}, {"n": 1}]);
    assert!(
        structured(
            owner(json!({"otherwise": "refuse", "missing": "keep"})),
            list.clone()
        )
        .is_err()
    );
    let kept = structured(owner(json!({"missing": "keep"})), list.clone()).unwrap();
    assert_eq!(kept, json!([{"organization_id": "acme"}, {"n": 1}]));
    let dropped = structured(owner(json!({"missing": "drop"})), list).unwrap();
    assert_eq!(dropped, json!([{"organization_id": "acme"}]));
    let anything = json!({"name": "nobody's"});
    assert_eq!(
        structured(owner(json!({"missing": "keep"})), anything.clone()).unwrap(),
        anything
    );
    assert!(structured(owner(json!({"missing": "drop"})), anything).is_err());
}

#[test]
fn a_list_may_be_written_as_one_block_for_each_item() {
    let block = |organization: &str| {
        let text = json!({"organization_id": organization, "n": 1}).to_string();
        json!({"type": "text", "text": text})
    };
    let own = block("acme");
    let list = |blocks: &[&str]| blocks.iter().map(|name| block(name)).collect::<Vec<_>>();
    let content = |message: Value| after(owner(json!({})), message)["result"]["content"].clone();
    let mixed = list(&["globex", "acme", "initech"]);
    assert_eq!(content(json!({"result": {"content": mixed}})), json!([own]));
    let structured = json!({"result": [{"organization_id": "globex"}]});
    let message =
        json!({"result": {"content": list(&["globex"]), "structuredContent": structured}});
    assert_eq!(content(message), json!([]));
    // Nothing in it is the caller's.
    for blocks in [list(&["globex"]), list(&["globex", "initech"])] {
        assert!(judged(owner(json!({})), &json!({"result": {"content": blocks}})).is_err());
    }
    let strict = owner(json!({"otherwise": "refuse"}));
    assert!(
        judged(
            strict,
            &json!({"result": {"content": list(&["globex", "acme"])}})
        )
        .is_err()
    );
}

#[test]
fn totals_follow() {
    let rules = owner(json!({"totals": ["total", "page.count"]}));
    let content = json!({
        "total": 7, "page": {"count": 2, "size": 9}, "label": "total",
        "items": [{"organization_id": "acme"}, {"organization_id": "globex"}],
    });
    let after = structured(rules, content).unwrap();
    assert_eq!(
        (&after["total"], &after["page"]["size"]),
        (&json!(6), &json!(9))
    );
    let message = json!({"result": {
        "structuredContent": [{"organization_id": "globex"}, {"organization_id": "x"}],
        "content": [{"type": "text", "text": "[{\"organization_id\":\"globex\"},{\"organization_id\":\"x\"}]"}],
    }});
    assert_eq!(judged(owner(json!({})), &message).unwrap().dropped, 2);
}

#[test]
fn the_owner_may_be_the_user_and_the_field_a_path() {
    let rules = json!([{"tools": ["*"], "owner": {"field": "owner.id", "is": "user"}}]);
    let content = json!([{"owner": {"id": "u1"}, "id": 7}, {"owner": {"id": "u2"}, "id": 8}]);
    let after = structured(rules, content).unwrap();
    assert_eq!(after, json!([{"owner": {"id": "u1"}, "id": 7}]));
}

#[test]
fn fields_are_hidden_in_the_way_the_rule_says() {
    let content = || {
        json!({
            "name": "Ann", "SSN": "123-45-6789", "age": 41,
            "card": {"number": "4111111111111111", "cvc": 737, "valid": true, "tags": ["gold", null]},
            "notes": [{"ssn": "x", "text": "t"}],
        })
    };
    let with = |with: &str| json!([{"tools": ["*"], "redact": ["ssn", "card.*"], "with": with, "text": "keep"}]);
    assert_eq!(
        structured(with("mask"), content()).unwrap(),
        json!({
            "name": "Ann", "SSN": "***", "age": 41,
            "card": {"number": "***", "cvc": 0, "valid": false, "tags": ["***", null]},
            "notes": [{"ssn": "***", "text": "t"}],
        })
    );
    assert_eq!(
        structured(with("remove"), content()).unwrap(),
        json!({"name": "Ann", "age": 41, "card": {}, "notes": [{"text": "t"}]})
    );
    let last4 = structured(with("last4"), content()).unwrap();
    assert_eq!(
        (&last4["SSN"], &last4["card"]["number"]),
        (&json!("***6789"), &json!("***1111"))
    );
    assert_eq!(last4["notes"][0]["ssn"], "***");
    let hash = structured(with("hash"), content()).unwrap();
    let again = structured(with("hash"), content()).unwrap();
    assert_eq!(hash, again);
    assert_eq!(hash["SSN"].as_str().unwrap().len(), 16);
    assert_ne!(hash["SSN"], hash["card"]["number"]);
}

#[test]
fn a_role_may_see_everything_and_other_tools_are_left_alone() {
    let policy = policy(json!([
        {"tools": ["crm.*"], "redact": ["ssn"], "unless_role": ["billing"]},
        {"prompts": ["p"], "resources": ["crm://{organization}/*"], "detect": ["email"]},
    ]));
    let count = |roles: &[&str], target| rules(&policy, &identity(roles), None, target).len();
    assert_eq!(count(&["support"], Some(Target::Tool("crm.get"))), 1);
    assert_eq!(count(&["billing"], Some(Target::Tool("crm.get"))), 0);
    assert_eq!(count(&["support"], Some(Target::Tool("docs.get"))), 0);
    assert_eq!(count(&["support"], Some(Target::Prompt("p"))), 1);
    assert_eq!(
        count(&["support"], Some(Target::Resource("crm://acme/1"))),
        1
    );
    // Of these it cannot be told whose answer comes.
    assert_eq!(count(&["support"], Some(Target::Server)), 2);
    assert_eq!(count(&["support"], None), 2);
}

#[test]
fn b10_b34_data_without_a_rule_stays_byte_for_byte() {
    let policy = policy(json!([{"tools": ["*"], "redact": ["ssn"], "text": "keep"}]));
    let identity = identity(&[]);
    let rules = rules(&policy, &identity, None, Some(Target::Tool("x")));
    let text = "{ \"result\" : {\"structuredContent\":{\"n\": 1.50 , \"big\":9223372036854775809,\"e\":[ ],\"ssn\" : \"1\",\"u\":\"\\u0041\"}}}";
    let judged = judge(&rules, &identity, None, text).unwrap();
    let expected = text.replace("\"ssn\" : \"1\"", "\"ssn\" : \"***\"");
    assert_eq!(String::from_utf8(judged.body.unwrap()).unwrap(), expected);
    assert_eq!(judged.redacted, ["ssn"]);
    let untouched = text.replace("ssn", "sum");
    assert_eq!(
        judge(&rules, &identity, None, &untouched).unwrap().body,
        None
    );
}
