//! Known deviations of clients, put right where the policy says so.

use serde_json::json;

use super::fake_proxy::Request;
use super::{default, modern_call, policy, send};

#[test]
fn an_accept_header_is_completed() {
    let policy = policy(json!({"compat": {"missing_accept": true}}));
    let both = Some("application/json, text/event-stream");
    for (accept, expected) in [
        (None, both),
        (Some("application/json"), both),
        (Some("*/*"), both),
        (
            Some("text/event-stream, Application/JSON"),
            Some("text/event-stream, Application/JSON"),
        ),
    ] {
        let request = super::call("crm.get", "{}").without("accept");
        let request = match accept {
            Some(accept) => request.with("accept", accept),
            None => request,
        };
        assert_eq!(send(&policy, &request).server_header("accept"), expected);
        assert_eq!(send(&default(), &request).server_header("accept"), accept);
    }
    let stream = Request::method("GET")
        .without("accept")
        .with("accept", "text/event-stream");
    assert_eq!(
        send(&policy, &stream).server_header("accept"),
        Some("text/event-stream")
    );
}

#[test]
fn b07_headers_of_2026_07_28_are_made_from_the_body() {
    let policy = policy(json!({"compat": {"missing_mcp_headers": true}}));
    let names = ["mcp-protocol-version", "mcp-method", "mcp-name"];
    for missing in [&names[..], &names[..1], &names[1..2], &names[2..]] {
        let complete = modern_call("crm.get", "{}");
        let request = missing
            .iter()
            .fold(complete, |request, name| request.without(name));
        assert_eq!(
            send(&default(), &request).refusal().1,
            -32020,
            "{missing:?}"
        );
        let outcome = send(&policy, &request);
        for (name, value) in names
            .into_iter()
            .zip(["2026-07-28", "tools/call", "crm.get"])
        {
            assert_eq!(outcome.server_header(name), Some(value), "{missing:?}");
        }
    }
    // What is there still has to agree.
    let lie = modern_call("crm.get", "{}")
        .without("mcp-protocol-version")
        .without("mcp-name")
        .with("mcp-name", "crm.search");
    assert_eq!(send(&policy, &lie).refusal().1, -32020);
    let older = modern_call("crm.get", "{}")
        .without("mcp-protocol-version")
        .with("mcp-protocol-version", "2025-11-25");
    assert_eq!(send(&policy, &older).refusal().1, -32020);
}
