use serde_json::json;

use super::*;
use crate::pages::fake_world::{discovering, metadata, policy};
use policy::Server;

fn discover(policy: &Policy) -> &Discover {
    match &policy.connection("notes").unwrap().server {
        Server::Discovered(discover) => discover,
        Server::Written(client) => panic!("{client:?}"),
    }
}

fn read(policy: &Policy, metadata: &Value) -> Result<(Discovered, ClientIdSource), DiscoveryError> {
    let server = ("https://notes.example.com", discover(policy));
    read_server(policy, server, metadata.to_string().as_bytes())
}

/// What is found where the metadata says something else, or nothing (`null`), of a member.
fn with(name: &str, value: Value) -> Result<(Discovered, ClientIdSource), DiscoveryError> {
    let mut metadata = metadata();
    metadata[name] = value;
    read(&policy(&discovering()), &metadata)
}

#[test]
fn endpoints_are_those_of_the_metadata_on_the_clusters_of_the_policy() {
    let mut written = discovering();
    written["connections"]["notes"]["discover"]["hosts"] =
        json!({"auth.example.com:8443": "notes_auth"});
    let policy = policy(&written);
    let mut metadata = metadata();
    metadata["revocation_endpoint"] = json!("https://auth.example.com:8443/revoke?tenant=1");
    let (found, way) = read(&policy, &metadata).unwrap();
    assert_eq!(way, ClientIdSource::Known);
    let connection = policy.connection("notes").unwrap();
    let client = client(connection, Some(&found)).unwrap().into_owned();
    let place = |cluster: &str, path: &str, authority: &str| Endpoint {
        cluster: cluster.into(),
        path: path.into(),
        authority: authority.into(),
    };
    let expected = Client {
        authorize: "https://login.notes.example/authorize?tenant=1".into(),
        token: place("notes", "/oauth/token", "notes.example.com"),
        revoke: Some(place(
            "notes_auth",
            "/revoke?tenant=1",
            "auth.example.com:8443",
        )),
        client_id: "https://crm.example.com/.mcp-auth/client.json".into(),
        client_secret_env: None,
    };
    assert_eq!(client, expected);
}

#[test]
fn b41_a_host_that_the_policy_has_no_more_is_not_called() {
    let mut written = discovering();
    written["connections"]["notes"]["discover"]["hosts"] = json!({"auth.example.com": "other"});
    let mut metadata = metadata();
    metadata["token_endpoint"] = json!("https://auth.example.com/token");
    let (found, _) = read(&policy(&written), &metadata).unwrap();
    let of = |written: &Value| {
        let policy = policy(written);
        let connection = policy.connection("notes").unwrap();
        client(connection, Some(&found)).map(Cow::into_owned)
    };
    assert!(of(&written).is_some());
    assert_eq!(of(&discovering()), None);
    // What nothing was found out about cannot be used either.
    let policy = policy(&discovering());
    assert_eq!(client(policy.connection("notes").unwrap(), None), None);
}

#[test]
fn b42_metadata_of_another_issuer() {
    for issuer in [
        json!("https://evil.example"),
        json!("https://notes.example.com/"),
        json!("https://NOTES.example.com"),
        json!("https://notes.example.com:443"),
        json!(["https://notes.example.com"]),
        Value::Null,
    ] {
        let found = with("issuer", issuer.clone());
        assert_eq!(found, Err(DiscoveryError::Issuer), "{issuer}");
    }
}

#[test]
fn b41_endpoints_on_hosts_that_the_policy_does_not_have() {
    for name in ["token_endpoint", "revocation_endpoint"] {
        for url in [
            "https://evil.example/token",
            "https://notes.example.com.evil.example/token",
            "https://notes.example.com:8443/token",
            "https://169.254.169.254/latest",
            "http://localhost/token",
        ] {
            let found = with(name, json!(url));
            assert_eq!(found, Err(DiscoveryError::Host(name)), "{url}");
        }
    }
    let mut registers = metadata();
    registers["client_id_metadata_document_supported"] = json!(false);
    registers["registration_endpoint"] = json!("https://evil.example/register");
    let found = read(&policy(&discovering()), &registers);
    let name = "registration_endpoint";
    assert_eq!(found, Err(DiscoveryError::Host(name)));
    // One that is not used does no harm.
    assert!(with(name, json!("https://evil.example/register")).is_ok());
}

#[test]
fn endpoints_are_https_urls_and_no_more() {
    let long = format!("https://notes.example.com/{}", "x".repeat(MAX_TEXT));
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
    ] {
        for url in [
            "http://notes.example.com/x",
            "https://notes.example.com/x#y",
            "https://user@notes.example.com/x",
            "https://:secret@notes.example.com/x",
            "javascript:alert(1)",
            "/x",
            "",
            long.as_str(),
        ] {
            let found = with(name, json!(url));
            assert_eq!(found, Err(DiscoveryError::Endpoint(name)), "{name} {url}");
        }
        let found = with(name, json!(1));
        assert_eq!(found, Err(DiscoveryError::Endpoint(name)));
    }
    for name in ["authorization_endpoint", "token_endpoint"] {
        let found = with(name, Value::Null);
        assert_eq!(found, Err(DiscoveryError::Endpoint(name)));
    }
    let (found, _) = with("revocation_endpoint", Value::Null).unwrap();
    assert_eq!(found.revoke, None);
}

#[test]
fn http_is_for_this_machine() {
    let mut written = discovering();
    written["connections"]["notes"]["issuer"] = json!("http://localhost:9000");
    let policy = policy(&written);
    let mut metadata = metadata();
    metadata["issuer"] = json!("http://localhost:9000");
    for (name, path) in [("token", "token"), ("revocation", "revoke")] {
        metadata[format!("{name}_endpoint")] = json!(format!("http://localhost:9000/{path}"));
    }
    let server = ("http://localhost:9000", discover(&policy));
    let (found, _) = read_server(&policy, server, metadata.to_string().as_bytes()).unwrap();
    assert_eq!(found.token, "http://localhost:9000/token");
}

#[test]
fn what_it_has_to_be_able_to_do() {
    for (name, value, error) in [
        (
            "code_challenge_methods_supported",
            Value::Null,
            DiscoveryError::Pkce,
        ),
        (
            "code_challenge_methods_supported",
            json!(["plain"]),
            DiscoveryError::Pkce,
        ),
        (
            "code_challenge_methods_supported",
            json!("S256"),
            DiscoveryError::Format,
        ),
        (
            "response_types_supported",
            json!(["token", "code id_token"]),
            DiscoveryError::ResponseType,
        ),
        (
            "response_types_supported",
            json!(["code", 1]),
            DiscoveryError::Format,
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!(["client_secret_basic"]),
            DiscoveryError::PublicClient,
        ),
        (
            "client_id_metadata_document_supported",
            json!(false),
            DiscoveryError::NoClientId,
        ),
        (
            "client_id_metadata_document_supported",
            json!("true"),
            DiscoveryError::NoClientId,
        ),
    ] {
        assert_eq!(with(name, value.clone()), Err(error), "{name} {value}");
    }
    for (name, value) in [
        ("response_types_supported", Value::Null),
        ("response_types_supported", json!(["code"])),
        ("token_endpoint_auth_methods_supported", Value::Null),
        ("token_endpoint_auth_methods_supported", json!(["none"])),
    ] {
        assert!(with(name, value.clone()).is_ok(), "{name} {value}");
    }
}

#[test]
fn it_says_whether_iss_has_to_be_there() {
    let name = "authorization_response_iss_parameter_supported";
    for (value, expected) in [
        (json!(true), true),
        (json!(false), false),
        (Value::Null, false),
    ] {
        assert_eq!(with(name, value).unwrap().0.iss, expected);
    }
}

#[test]
fn the_policys_client_id_wins() {
    let mut written = discovering();
    written["connections"]["notes"]["client_id"] = json!("mcp");
    written["connections"]["notes"]["client_secret_env"] = json!("NOTES_SECRET");
    let policy = policy(&written);
    let mut metadata = metadata();
    metadata["registration_endpoint"] = json!("https://notes.example.com/register");
    // A client with a secret need not be a public one.
    metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
    let (found, way) = read(&policy, &metadata).unwrap();
    assert_eq!((found.has_client_id(), way), (false, ClientIdSource::Known));
    let client = client(policy.connection("notes").unwrap(), Some(&found)).unwrap();
    assert_eq!(client.client_id, "mcp");
    assert_eq!(client.client_secret_env.as_deref(), Some("NOTES_SECRET"));
}

#[test]
fn a_document_that_cannot_be_fetched_is_no_client_id() {
    let mut written = discovering();
    written["resource"] = json!("http://localhost:8000/mcp");
    let policy = policy(&written);
    let mut metadata = metadata();
    assert_eq!(read(&policy, &metadata), Err(DiscoveryError::NoClientId));
    metadata["registration_endpoint"] = json!("https://notes.example.com/register?x=1");
    let (found, way) = read(&policy, &metadata).unwrap();
    assert!(!found.has_client_id());
    let ClientIdSource::Register(place) = way else {
        panic!("{way:?}");
    };
    assert_eq!(place.path, "/register?x=1");
}

#[test]
fn metadata_is_one_strict_object_of_bounded_size() {
    let policy = policy(&discovering());
    let server = ("https://notes.example.com", discover(&policy));
    let text = metadata().to_string();
    let read = |text: &str| read_server(&policy, server, text.as_bytes()).map(drop);
    assert_eq!(read(&text), Ok(()));
    let twice = text.replacen('{', "{\"issuer\":\"https://evil.example\",", 1);
    let escaped = text.replacen('{', "{\"\\u0069ssuer\":\"https://evil.example\",", 1);
    let long = text.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(64 * 1024)), 1);
    for text in [
        twice.as_str(),
        &escaped,
        &long,
        &format!("[{text}]"),
        &format!("{text}{{}}"),
        "",
    ] {
        assert_eq!(read(text), Err(DiscoveryError::Format));
    }
}

#[test]
fn where_metadata_is_looked_for() {
    let paths = |issuer: &str| server_paths(&Url::parse(issuer).unwrap());
    for issuer in ["https://notes.example.com", "https://notes.example.com/"] {
        assert_eq!(
            paths(issuer),
            [
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration"
            ]
        );
    }
    for issuer in ["https://a.example/t/1", "https://a.example/t/1/"] {
        assert_eq!(
            paths(issuer),
            [
                "/.well-known/oauth-authorization-server/t/1",
                "/.well-known/openid-configuration/t/1",
                "/t/1/.well-known/openid-configuration"
            ]
        );
    }
}

#[test]
fn b42_a_resource_names_the_policys_issuer_or_nothing_is_connected() {
    let mut written = discovering();
    written["connections"]["notes"]["resource"] = json!("https://api.notes.example/v1");
    let policy = policy(&written);
    let connection = policy.connection("notes").unwrap();
    let check = |status: u16, body: &Value| {
        let body = body.to_string().into_bytes();
        check_resource(connection, Some(&HttpResponse { status, body }))
    };
    let said = |resource: &str, issuers: Value| json!({"resource": resource, "authorization_servers": issuers});
    let (own, issuer) = ("https://api.notes.example/v1", "https://notes.example.com");
    assert_eq!(check(200, &said(own, json!([issuer]))), Ok(()));
    let several = json!(["https://evil.example", issuer]);
    assert_eq!(check(200, &said(own, several)), Ok(()));
    for (status, body, error) in [
        (
            200,
            said(own, json!(["https://evil.example"])),
            DiscoveryError::ResourceIssuer,
        ),
        (
            200,
            said(own, json!(["https://notes.example.com/"])),
            DiscoveryError::ResourceIssuer,
        ),
        (200, said(own, json!([])), DiscoveryError::ResourceIssuer),
        (
            200,
            json!({"resource": own}),
            DiscoveryError::ResourceIssuer,
        ),
        (
            200,
            said(own, json!(issuer)),
            DiscoveryError::ResourceFormat,
        ),
        (
            200,
            said("https://api.notes.example", json!([issuer])),
            DiscoveryError::ResourceName,
        ),
        (
            200,
            json!({"authorization_servers": [issuer]}),
            DiscoveryError::ResourceName,
        ),
        (200, json!([]), DiscoveryError::ResourceFormat),
        (404, json!({}), DiscoveryError::ResourceFormat),
        (503, said(own, json!([issuer])), DiscoveryError::Unavailable),
    ] {
        assert_eq!(check(status, &body), Err(error), "{status} {body}");
    }
    let none = check_resource(connection, None);
    assert_eq!(none, Err(DiscoveryError::Unavailable));
}
