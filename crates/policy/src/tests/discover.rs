//! Connections whose authorization server is asked for its endpoints.

use url::Url;

use super::connections::{connecting, notes};
use super::*;
use base::http::Endpoint;
use oauth::client::{AuthorizationServer, Discovery};

/// A policy with a connection that says whom to ask.
fn discovering() -> Value {
    let mut policy = connecting();
    policy["connections"]["notes"] = json!({
        "issuer": "https://notes.example.com/tenant",
        "discover": {
            "cluster": "notes",
            "hosts": {"auth.example.com:8443": "notes_auth"},
            "resource": {"cluster": "notes_api"},
        },
        "resource": "https://api.notes.example:444/",
        "account": {"cluster": "notes_api", "path": "/me", "field": "email"},
    });
    policy
}

fn discover(policy: &Policy) -> &Discovery {
    match &policy.connection("notes").unwrap().oauth().unwrap().server {
        AuthorizationServer::Discovered(discover) => discover,
        AuthorizationServer::Written(client) => panic!("{client:?}"),
    }
}

fn place(cluster: &str, path: &str, authority: &str) -> Endpoint {
    Endpoint {
        cluster: cluster.into(),
        path: path.into(),
        authority: authority.into(),
    }
}

#[test]
fn the_issuers_own_host_and_those_named_besides_are_called() {
    let policy = parse(&discovering());
    let called = |url: &str| discover(&policy).endpoint(&Url::parse(url).unwrap());
    for (url, expected) in [
        (
            "https://notes.example.com/t?a=b",
            place("notes", "/t?a=b", "notes.example.com"),
        ),
        (
            "https://notes.example.com:443/t#x",
            place("notes", "/t", "notes.example.com"),
        ),
        (
            "https://auth.example.com:8443/",
            place("notes_auth", "/", "auth.example.com:8443"),
        ),
    ] {
        assert_eq!(called(url), Some(expected), "{url}");
    }
    for url in [
        "http://notes.example.com/t",
        "https://notes.example.com:8443/t",
        "https://auth.example.com/",
        "https://sub.notes.example.com/",
        "https://api.notes.example:444/",
        "data:text/plain,x",
    ] {
        assert_eq!(called(url), None, "B41 {url}");
    }
}

#[test]
fn a_resource_has_its_metadata_at_a_place_of_its_own() {
    let of = |resource: &str| {
        let policy = edited(
            discovering(),
            "/connections/notes/resource",
            json!(resource),
        );
        discover(&parse(&policy)).resource.clone().unwrap()
    };
    for (resource, path) in [
        ("https://api.notes.example:444", ""),
        ("https://api.notes.example:444/", ""),
        ("https://api.notes.example:444/v1/mcp", "/v1/mcp"),
        ("https://api.notes.example:444/v1?a=b", "/v1?a=b"),
    ] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let expected = place("notes_api", &path, "api.notes.example:444");
        assert_eq!(of(resource), expected);
    }
}

#[test]
fn the_account_is_asked_for_at_the_issuers_host_unless_said_otherwise() {
    let policy = parse(&discovering());
    let account = policy
        .connection("notes")
        .unwrap()
        .oauth()
        .unwrap()
        .account
        .as_ref();
    let expected = place("notes_api", "/me", "notes.example.com");
    let Some(AccountSource::Asked { endpoint, .. }) = account else {
        panic!("{account:?}");
    };
    assert_eq!(*endpoint, expected);
}

#[test]
fn a_document_is_published_wherever_it_may_be_asked_for() {
    let client_id = "/connections/notes/client_id";
    for (policy, expected) in [
        (connecting(), false),
        (discovering(), true),
        (edited(discovering(), client_id, json!("mcp")), false),
        (edited(discovering(), client_id, json!("metadata")), true),
        (edited(connecting(), client_id, json!("metadata")), true),
        (
            edited(
                connecting(),
                "/issuers/0/sign_in/client_id",
                json!("metadata"),
            ),
            true,
        ),
    ] {
        assert_eq!(parse(&policy).publishes_document(), expected);
    }
}

#[test]
fn mistakes_are_named() {
    let at = "connections.notes";
    let instead = "does not go with `discover`, which asks for it";
    let host = "expected a host such as auth.example.com, with its port if it has one";
    let cluster = "found none, expected the name of an Envoy cluster";
    let resource = "asks for the metadata of the connection's `resource`:";
    let endpoint = json!({"cluster": "notes", "path": "/x"});
    for (key, value, expected) in [
        (
            "authorize",
            json!("https://notes.example.com/a"),
            format!("{at}.authorize: {instead}"),
        ),
        ("token", endpoint.clone(), format!("{at}.token: {instead}")),
        ("revoke", endpoint, format!("{at}.revoke: {instead}")),
        (
            "client_secret_env",
            json!("SECRET"),
            format!(
                "{at}.client_secret_env: goes with `client_id`: what this filter finds out itself has \
                 no secret"
            ),
        ),
        (
            "client_id",
            json!(""),
            format!("{at}.client_id: found none, expected a client id"),
        ),
        (
            "issuer",
            json!("https://notes.example.com/?a=b"),
            format!(
                "{at}.issuer: expected a URL without query, fragment and user (RFC 8414 section 2)"
            ),
        ),
        (
            "discover/cluster",
            json!(""),
            format!("{at}.discover.cluster: {cluster}"),
        ),
        (
            "discover/hosts",
            json!({"https://auth.example.com": "x"}),
            format!("{at}.discover.hosts.https://auth.example.com: {host}"),
        ),
        (
            "discover/hosts",
            json!({"auth.example.com/x": "x"}),
            format!("{at}.discover.hosts.auth.example.com/x: {host}"),
        ),
        (
            "discover/hosts",
            json!({"": "x"}),
            format!("{at}.discover.hosts.: {host}"),
        ),
        (
            "discover/hosts",
            json!({"auth.example.com": ""}),
            format!("{at}.discover.hosts.auth.example.com: {cluster}"),
        ),
        (
            "discover/resource/cluster",
            json!(""),
            format!("{at}.discover.resource.cluster: {cluster}"),
        ),
        (
            "resource",
            Value::Null,
            format!("{at}.discover.resource: {resource} there is none"),
        ),
        (
            "resource",
            json!("http://api.notes.example"),
            format!(
                "{at}.discover.resource: {resource} expected https (http is for localhost only)"
            ),
        ),
        (
            "resource",
            json!("https://api.notes.example#x"),
            format!(
                "{at}.discover.resource: {resource} expected a URL without fragment (RFC 8707 section 2)"
            ),
        ),
        (
            "discover",
            json!(["notes"]),
            format!("{at}.discover: found a list, expected a mapping"),
        ),
    ] {
        let policy = edited(discovering(), &format!("/connections/notes/{key}"), value);
        assert_eq!(errors(&policy.to_string()), [expected]);
    }
}

#[test]
fn what_is_not_discovered_is_written() {
    for key in ["authorize", "token", "client_id"] {
        let mut notes = notes();
        notes.as_object_mut().unwrap().remove(key);
        let policy = edited(connecting(), "/connections/notes", notes);
        let expected = format!("connections.notes.{key}: found none, expected one, or `discover`");
        assert_eq!(errors(&policy.to_string()), [expected]);
    }
}

#[test]
fn a_document_holds_no_secret() {
    let policy = edited(
        discovering(),
        "/connections/notes/client_id",
        json!("metadata"),
    );
    let policy = edited(
        policy,
        "/connections/notes/client_secret_env",
        json!("SECRET"),
    );
    let expected = "connections.notes.client_secret_env: does not go with `client_id: metadata`: a \
                    document holds no secret";
    assert_eq!(errors(&policy.to_string()), [expected]);
}
