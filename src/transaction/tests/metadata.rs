//! The metadata document: where it is, and what it says.

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Request};
use super::{policy, send};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn get(path: &str) -> Request {
    Request::method("GET").without("authorization").path(path)
}

/// The document of a policy with these changes.
fn document(changes: Value) -> Value {
    let outcome = send(&policy(changes), &get(WELL_KNOWN));
    assert_eq!(outcome.record.decision.reason, "metadata_published");
    let reply = outcome.reply.unwrap();
    assert_eq!(reply.status, 200);
    let open = ("access-control-allow-origin", "*".to_owned());
    assert!(reply.headers.contains(&open));
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn it_needs_no_token_and_says_only_what_there_is_to_say() {
    assert_eq!(
        document(json!({})),
        json!({
            "resource": "https://crm.example.com/mcp",
            "authorization_servers": ["https://login.example.com"],
            "bearer_methods_supported": ["header"],
        })
    );
}

#[test]
fn it_names_the_scopes_to_begin_with() {
    let scopes = |changes| document(changes)["scopes_supported"].clone();
    // `crm.refund` needs `crm:write`, which is asked for when it is called.
    assert_eq!(scopes(json!({"scopes": ["crm:read"]})), json!(["crm:read"]));
    assert_eq!(
        scopes(json!({"scopes": ["crm:read"], "metadata": {"scopes_supported": ["a", "b"]}})),
        json!(["a", "b"])
    );
    assert_eq!(
        scopes(json!({"scopes": ["crm:read"], "metadata": {"scopes_supported": []}})),
        Value::Null
    );
}

#[test]
fn it_says_what_the_policy_adds() {
    let added = json!({
        "resource_name": "CRM",
        "resource_documentation": "https://crm.example.com/docs?mcp#auth",
        "resource_policy_uri": "https://crm.example.com/privacy",
        "resource_tos_uri": "https://crm.example.com/terms",
    });
    let found = document(json!({"metadata": added}));
    for (name, value) in added.as_object().unwrap() {
        assert_eq!(found[name], *value);
    }
}

#[test]
fn it_is_where_a_client_looks_for_it() {
    let behind_a_prefix = json!({"resource": "https://a.example/x/mcp", "path": "/mcp"});
    let with_slash = json!({"resource": "https://a.example/mcp/"});
    let root = json!({"resource": "https://a.example"});
    for (changes, suffixes) in [
        (json!({}), &["", "/mcp"][..]),
        (behind_a_prefix, &["", "/x/mcp", "/mcp"]),
        (with_slash, &["", "/mcp", "/mcp/"]),
        (root, &["", "/"]),
    ] {
        let policy = policy(changes);
        let all = [
            "", "/", "/mcp", "/mcp/", "/x/mcp", "/x/mcp/", "/mcp?a=b", "?a=b", "x",
        ];
        for suffix in all {
            for method in ["GET", "HEAD"] {
                let mut request = get(&format!("{WELL_KNOWN}{suffix}"));
                request.headers[0].1 = method.as_bytes().to_vec();
                let outcome = FakeProxy::new(&policy).send(&request, &[], false);
                let expected = if suffixes.contains(&suffix) { 200 } else { 404 };
                assert_eq!(outcome.reply.unwrap().status, expected, "{suffix}");
            }
        }
        let advertised = policy.metadata_url();
        let (_, suffix) = advertised.split_once(WELL_KNOWN).unwrap();
        let path = format!("{WELL_KNOWN}{suffix}");
        assert!(policy.is_metadata_path(&path), "{advertised}");
    }
}

#[test]
fn it_is_only_read() {
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let mut request = get(WELL_KNOWN);
        request.headers[0].1 = method.as_bytes().to_vec();
        let outcome = FakeProxy::new(&policy(json!({}))).send(&request, &[], false);
        assert_eq!(outcome.refusal(), (404, -32600, "not_found"), "{method}");
    }
}
