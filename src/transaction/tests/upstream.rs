//! Whose credential the server gets.

use std::rc::Rc;

use serde_json::json;

use super::fake_proxy::Request;
use super::{call, policy, send};
use policy::Policy;

fn with_static() -> Rc<Policy> {
    policy(json!({
        "upstream": {"authorization": "static", "credential_env": "CRM_TOKEN"},
        "anonymous": {"tools": ["docs.*"]},
    }))
}

#[test]
fn b23_the_servers_credential_stands_in_the_clients_place() {
    let request = call("crm.get", "{}").with("proxy-authorization", "Bearer other");
    let outcome = send(&with_static(), &request);
    assert_eq!(
        outcome.server_header("authorization"),
        Some("Bearer s3cret")
    );
    assert_eq!(outcome.server_header("proxy-authorization"), None);
    assert_eq!(outcome.record.upstream_credential, Some("static"));
    assert!(!outcome.record.to_json().contains("s3cret"));
    let get = send(&with_static(), &Request::method("GET"));
    assert_eq!(get.server_header("authorization"), Some("Bearer s3cret"));
    let nobody = call("docs.find", "{}").without("authorization");
    let outcome = send(&with_static(), &nobody);
    assert_eq!(
        outcome.server_header("authorization"),
        Some("Bearer s3cret")
    );
    assert_eq!(outcome.record.identified_by, Some("anonymous"));
}

#[test]
fn a_refused_request_takes_no_credential_anywhere() {
    let outcome = send(&with_static(), &call("crm.purge", "{}"));
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.upstream_credential, None);
}

#[test]
fn the_record_says_whose_credential_it_was() {
    let passing = policy(json!({"upstream": {"authorization": "pass"}}));
    let outcome = send(&passing, &call("crm.get", "{}"));
    assert!(outcome.server_header("authorization").is_some());
    assert_eq!(outcome.record.upstream_credential, Some("passed"));
    let removed = send(&super::default(), &call("crm.get", "{}"));
    assert_eq!(removed.record.upstream_credential, Some("none"));
}

#[test]
fn observing_changes_no_credential() {
    let observing = policy(json!({
        "mode": "observe",
        "upstream": {"authorization": "static", "credential_env": "CRM_TOKEN"},
    }));
    for tool in ["crm.get", "crm.purge"] {
        let outcome = send(&observing, &call(tool, "{}"));
        let sent = outcome.server_header("authorization").unwrap();
        assert!(!sent.contains("s3cret"));
        assert_eq!(outcome.record.upstream_credential, Some("passed"), "{tool}");
    }
}
