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
fn the_record_names_the_credential() {
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

#[test]
fn a6_cookies_of_the_pages_do_not_reach_the_server() {
    let server_gets = |lines: &[&str]| {
        let request = call("crm.get", "{}");
        let with = |request: Request, line: &&str| request.with("cookie", line);
        let request = lines.iter().fold(request, with);
        let outcome = send(&policy(json!({})), &request);
        let cookies = outcome.server_header("cookie").map(str::to_owned);
        cookies.unwrap_or_default()
    };
    for lines in [
        &["__Host-mcp-auth=a"][..],
        &["__Host-mcp-auth=a; __Host-mcp-auth-flow=b"],
        &["__Host-mcp-auth=a", "__Host-mcp-auth-flow=b"],
        &[
            "__HOST-MCP-AUTH=a",
            " __Host-mcp-auth-flow = b",
            "__Host-mcp-auth",
        ],
        &["a=1; __Host-mcp-auth=a", "b=2"],
    ] {
        let got = server_gets(lines);
        assert!(
            !got.to_ascii_lowercase().contains("mcp-auth"),
            "{lines:?}: {got}"
        );
    }
}

#[test]
fn s20_a_challenge_or_redirect_of_the_server_does_not_reach_the_client() {
    const FOREIGN: &str = "Bearer resource_metadata=\"https://evil.example/meta\"";
    let requests = [
        call("crm.get", "{}"),
        super::modern_call("crm.get", "{}"),
        Request::method("GET"),
        Request::method("DELETE"),
    ];
    for (status, name, value, reason) in [
        ("401", "www-authenticate", FOREIGN, "upstream_challenged"),
        ("403", "www-authenticate", FOREIGN, "upstream_challenged"),
        ("407", "proxy-authenticate", "Basic", "upstream_challenged"),
        (
            "301",
            "location",
            "http://10.0.0.7/mcp/",
            "upstream_redirected",
        ),
        (
            "302",
            "location",
            "https://evil.example/",
            "upstream_redirected",
        ),
        ("303", "location", "/mcp/", "upstream_redirected"),
        ("307", "location", "/mcp/", "upstream_redirected"),
        ("308", "location", "/mcp/", "upstream_redirected"),
        ("300", "location", "/mcp/", "upstream_redirected"),
    ] {
        for body in ["x"] {
            for request in &requests {
                let request = request
                    .clone()
                    .answered(&[(":status", status), (name, value)], body);
                let outcome = send(&super::default(), &request);
                assert_eq!(
                    outcome.client_header(":status"),
                    Some("502"),
                    "{status} {name}"
                );
                for header in ["www-authenticate", "proxy-authenticate", "location"] {
                    assert_eq!(outcome.client_header(header), None);
                }
                assert_eq!(outcome.record.decision.reason, reason);
                assert!(outcome.record.decision.next_action.is_some());
            }
        }
    }
}

#[test]
fn s20_other_answers_lose_headers_that_lead_elsewhere() {
    for status in ["200", "404", "500"] {
        for name in [
            "location",
            "refresh",
            "proxy-authenticate",
            "authentication-info",
        ] {
            let request = call("crm.get", "{}").answered(&[(":status", status), (name, "x")], "");
            let outcome = send(&super::default(), &request);
            assert_eq!(outcome.client_header(":status"), Some(status));
            assert_eq!(outcome.client_header(name), None, "{status}");
        }
    }
}

#[test]
fn s20_with_the_clients_own_token_the_server_may_challenge() {
    let passing = policy(json!({"upstream": {"authorization": "pass"}}));
    for (status, name) in [("401", "www-authenticate"), ("307", "location")] {
        let request = call("crm.get", "{}").answered(&[(":status", status), (name, "x")], "");
        let outcome = send(&passing, &request);
        assert_eq!(outcome.client_header(":status"), Some(status));
        assert_eq!(outcome.client_header(name), Some("x"));
    }
}

#[test]
fn s20_a_challenge_inside_a_result_does_not_reach_the_client() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"_meta":{"mcp/www_authenticate":["Bearer x"],"a":1}}}"#;
    let json = [(":status", "200"), ("content-type", "application/json")];
    let request = call("crm.get", "{}").answered(&json, body);
    let shown = send(&super::default(), &request).client_body();
    assert_eq!(
        shown,
        body.replace(r#""mcp/www_authenticate":["Bearer x"],"#, "")
    );
    let passing = policy(json!({"upstream": {"authorization": "pass"}}));
    assert_eq!(send(&passing, &request).client_body(), body);
}
