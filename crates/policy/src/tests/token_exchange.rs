//! What the caller's token is exchanged for.

use super::*;
use crate::Authorization;
use oauth::client::{SubjectTokenType, TokenExchange};

fn exchanging() -> Value {
    let mut policy = short();
    policy["upstream"] = json!({"authorization": "exchange", "exchange": {
        "cluster": "login", "path": "/token", "client_id": "mcp", "audience": "https://as.example.com",
    }});
    policy
}

fn exchange(policy: &Value) -> TokenExchange {
    match parse(policy).upstream.authorization {
        Authorization::Exchange(exchange) => *exchange,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(pointer: &str, value: Value, expected: &str) {
    let found = errors(&edited(exchanging(), pointer, value).to_string());
    assert!(
        found.iter().any(|error| error.starts_with(expected)),
        "{pointer}: {found:?}"
    );
}

#[test]
fn the_short_form_is_complete() {
    let found = exchange(&exchanging());
    assert_eq!(found.client.endpoint.authority, "login.example.com");
    assert_eq!(found.subject_token_type, SubjectTokenType::AccessToken);
    assert_eq!(found.id_jag, None);
    let second = json!({"cluster": "as", "path": "/token", "client_id": "mcp-as"});
    let found = exchange(&edited(exchanging(), "/upstream/exchange/id_jag", second));
    assert_eq!(found.id_jag.unwrap().endpoint.authority, "as.example.com");
}

#[test]
fn mistakes_are_named() {
    for (pointer, value, expected) in [
        (
            "/local",
            json!({"user": "me"}),
            "local: does not go with `upstream.exchange`",
        ),
        (
            "/dpop",
            json!("accepted"),
            "dpop: does not go with `upstream.exchange`",
        ),
        (
            "/dpop",
            json!("required"),
            "dpop: does not go with `upstream.exchange`",
        ),
        (
            "/hold",
            json!("buffer_filter"),
            "hold: `buffer_filter` does not go with `upstream.exchange`",
        ),
        (
            "/upstream/authorization",
            json!("remove"),
            "upstream.exchange: goes with `authorization: exchange`",
        ),
        (
            "/upstream/exchange",
            json!(null),
            "upstream.exchange: found none",
        ),
        (
            "/upstream/scheme",
            json!("Basic"),
            "upstream.scheme: goes with `authorization: static`",
        ),
        (
            "/upstream/exchange/cluster",
            json!(""),
            "upstream.exchange.cluster: found none",
        ),
        (
            "/upstream/exchange/path",
            json!("token"),
            "upstream.exchange.path: found `token`",
        ),
        (
            "/upstream/exchange/authority",
            json!(""),
            "upstream.exchange.authority: found none",
        ),
        (
            "/upstream/exchange/client_id",
            json!(""),
            "upstream.exchange.client_id: found none",
        ),
        (
            "/upstream/exchange/client_secret_env",
            json!(""),
            "upstream.exchange.client_secret_env: found none",
        ),
        (
            "/upstream/exchange/audience",
            json!(""),
            "upstream.exchange.audience: found none",
        ),
        (
            "/upstream/exchange/audience",
            json!(null),
            "upstream.exchange.audience: found none, and no",
        ),
        (
            "/upstream/exchange/resource",
            json!("crm"),
            "upstream.exchange.resource: found `crm`",
        ),
        (
            "/upstream/exchange/scopes",
            json!(["a b"]),
            "upstream.exchange.scopes[0]: found `a b`",
        ),
        (
            "/upstream/exchange/subject_token_type",
            json!("saml2"),
            "upstream.exchange.subject_token_type: ",
        ),
        (
            "/upstream/exchange/id_jag",
            json!({"cluster": "", "path": "/t", "client_id": "c"}),
            "upstream.exchange.id_jag.cluster: found none",
        ),
        (
            "/upstream/exchange/id_jag",
            json!({"cluster": "a", "path": "/t", "client_id": ""}),
            "upstream.exchange.id_jag.client_id: found none",
        ),
    ] {
        refuses(pointer, value, expected);
    }
    let second = json!({"cluster": "as", "path": "/token", "client_id": "mcp-as"});
    let mut unnamed = edited(exchanging(), "/upstream/exchange/id_jag", second);
    unnamed["upstream"]["exchange"]["audience"] = json!(null);
    unnamed["upstream"]["exchange"]["resource"] = json!("https://crm.internal/");
    let found = errors(&unnamed.to_string());
    assert!(
        found
            .iter()
            .any(|error| error.starts_with("upstream.exchange.audience: `id_jag` needs it")),
        "{found:?}"
    );
}
