use serde_json::json;

use super::*;

const ISSUER: &str = "https://notes.example.com";
const DOCUMENT: &str = "https://crm.example.com/.mcp-auth/client.json";

/// A discovery with clusters for these origins besides the issuer's.
fn discovery(more: &[(&str, &str)]) -> Discovery {
    let origins = [(ISSUER, "notes")].into_iter().chain(more.iter().copied());
    let origin = |(url, cluster): (&str, &str)| (Url::parse(url).unwrap().origin(), cluster.into());
    Discovery {
        origins: origins.map(origin).collect(),
        resource: None,
        client_id: None,
        auth: ClientAuth::Public,
        chooses_method: true,
    }
}

/// The metadata of an authorization server.
fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.notes.example/authorize?tenant=1",
        "token_endpoint": "https://notes.example.com/oauth/token",
        "revocation_endpoint": "https://notes.example.com/oauth/revoke",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}

type Read = Result<(DiscoveredServer, ClientIdSource), DiscoveryError>;

fn read(discovery: &Discovery, metadata: &Value) -> Read {
    let body = metadata.to_string();
    read_metadata((ISSUER, discovery), DOCUMENT, body.as_bytes())
}

/// The result where the metadata has another value, or none (`null`), of a member.
fn with(name: &str, value: Value) -> Read {
    let mut metadata = metadata();
    metadata[name] = value;
    read(&discovery(&[]), &metadata)
}

#[test]
fn endpoints_are_those_of_the_metadata_on_the_clusters_of_the_discovery() {
    let discovery = discovery(&[("https://auth.example.com:8443", "notes_auth")]);
    let mut metadata = metadata();
    metadata["revocation_endpoint"] = json!("https://auth.example.com:8443/revoke?tenant=1");
    let (found, source) = read(&discovery, &metadata).unwrap();
    assert_eq!(source, ClientIdSource::Known);
    let server = AuthorizationServer::Discovered(discovery);
    let client = server.client(Some(&found)).unwrap().into_owned();
    let endpoint = |cluster: &str, path: &str, authority: &str| Endpoint {
        cluster: cluster.into(),
        path: path.into(),
        authority: authority.into(),
    };
    let expected = Client {
        authorize: "https://login.notes.example/authorize?tenant=1".into(),
        token: TokenClient {
            endpoint: endpoint("notes", "/oauth/token", "notes.example.com"),
            client_id: DOCUMENT.into(),
            auth: ClientAuth::Public,
        },
        revoke: Some(endpoint(
            "notes_auth",
            "/revoke?tenant=1",
            "auth.example.com:8443",
        )),
    };
    assert_eq!(client, expected);
}

#[test]
fn b41_an_origin_without_a_cluster_is_not_called() {
    let with_auth = discovery(&[("https://auth.example.com", "other")]);
    let mut metadata = metadata();
    metadata["token_endpoint"] = json!("https://auth.example.com/token");
    let (found, _) = read(&with_auth, &metadata).unwrap();
    let of = |discovery: Discovery| {
        let server = AuthorizationServer::Discovered(discovery);
        server.client(Some(&found)).map(Cow::into_owned)
    };
    assert!(of(with_auth).is_some());
    assert_eq!(of(discovery(&[])), None);
    // Without discovered endpoints there is no client.
    let server = AuthorizationServer::Discovered(discovery(&[]));
    assert_eq!(server.client(None), None);
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
    let found = read(&discovery(&[]), &registers);
    let name = "registration_endpoint";
    assert_eq!(found, Err(DiscoveryError::Host(name)));
    // One that is not used does no harm.
    assert!(with(name, json!("https://evil.example/register")).is_ok());
}

#[test]
fn endpoints_are_https_urls_and_no_more() {
    let long = format!("https://notes.example.com/{}", "x".repeat(MAX_TEXT_BYTES));
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
fn http_is_for_the_local_host() {
    const LOCAL: &str = "http://localhost:9000";
    let discovery = discovery(&[(LOCAL, "local")]);
    let mut metadata = metadata();
    metadata["issuer"] = json!(LOCAL);
    for (name, path) in [("token", "token"), ("revocation", "revoke")] {
        metadata[format!("{name}_endpoint")] = json!(format!("{LOCAL}/{path}"));
    }
    let body = metadata.to_string();
    let (found, _) = read_metadata((LOCAL, &discovery), DOCUMENT, body.as_bytes()).unwrap();
    assert_eq!(found.token, "http://localhost:9000/token");
}

#[test]
fn a_server_without_a_needed_capability_is_refused() {
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
fn metadata_says_whether_iss_must_be_present() {
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
fn a_given_client_id_is_used() {
    let mut discovery = discovery(&[]);
    discovery.client_id = Some("mcp".into());
    let secret = |method| ClientAuth::Secret {
        env: "NOTES_SECRET".into(),
        method,
    };
    discovery.auth = secret(SecretMethod::Basic);
    let mut metadata = metadata();
    metadata["registration_endpoint"] = json!("https://notes.example.com/register");
    // A client with a secret need not be a public one.
    metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
    let (found, source) = read(&discovery, &metadata).unwrap();
    let known = (false, ClientIdSource::Known);
    assert_eq!((found.has_client_id(), source), known);
    let server = AuthorizationServer::Discovered(discovery);
    let client = server.client(Some(&found)).unwrap();
    assert_eq!(client.token.client_id, "mcp");
    assert_eq!(client.token.auth, secret(SecretMethod::Basic));
}

#[test]
fn the_metadata_chooses_how_a_secret_is_sent() {
    let secret = |method| ClientAuth::Secret {
        env: "NOTES_SECRET".into(),
        method,
    };
    let key = ClientAuth::Key {
        env: "NOTES_KEY".into(),
        audience: ISSUER.into(),
    };
    let (basic, post) = (secret(SecretMethod::Basic), secret(SecretMethod::Post));
    let refused = Err(DiscoveryError::ClientAuth);
    let only_jwt = json!(["private_key_jwt"]);
    let only_post = json!(["client_secret_post", "none"]);
    let both = json!(["client_secret_post", "client_secret_basic"]);
    for (auth, chooses, methods, expected) in [
        (&basic, true, &both, Ok(&basic)),
        (&basic, true, &only_post, Ok(&post)),
        (&basic, true, &only_jwt, refused),
        (&basic, true, &Value::Null, Ok(&basic)),
        (&basic, false, &only_post, refused),
        (&post, false, &only_post, Ok(&post)),
        (&post, false, &both, Ok(&post)),
        (&key, false, &only_jwt, Ok(&key)),
        (&key, false, &both, refused),
        (&key, false, &Value::Null, Ok(&key)),
    ] {
        let mut discovery = discovery(&[]);
        discovery.client_id = Some("mcp".into());
        discovery.auth = auth.clone();
        discovery.chooses_method = chooses;
        let mut metadata = metadata();
        metadata["token_endpoint_auth_methods_supported"] = methods.clone();
        let found = read(&discovery, &metadata);
        let server = AuthorizationServer::Discovered(discovery);
        let found = found.map(|(found, _)| server.client(Some(&found)).unwrap().token.auth.clone());
        assert_eq!(found, expected.cloned(), "{auth:?} {methods}");
    }
}

#[test]
fn a_document_on_the_local_host_is_no_client_id() {
    let discovery = discovery(&[]);
    let read = |metadata: &Value| {
        let document = "http://localhost:8000/.mcp-auth/client.json";
        let body = metadata.to_string();
        read_metadata((ISSUER, &discovery), document, body.as_bytes())
    };
    let mut metadata = metadata();
    assert_eq!(read(&metadata), Err(DiscoveryError::NoClientId));
    metadata["registration_endpoint"] = json!("https://notes.example.com/register?x=1");
    let (found, source) = read(&metadata).unwrap();
    assert!(!found.has_client_id());
    let ClientIdSource::Register(endpoint) = source else {
        panic!("{source:?}");
    };
    assert_eq!(endpoint.path, "/register?x=1");
}

#[test]
fn metadata_is_one_strict_object_of_bounded_size() {
    let discovery = discovery(&[]);
    let text = metadata().to_string();
    let read =
        |text: &str| read_metadata((ISSUER, &discovery), DOCUMENT, text.as_bytes()).map(drop);
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
fn metadata_is_looked_for_at_these_paths() {
    let paths = |issuer: &str| metadata_paths(&Url::parse(issuer).unwrap());
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
fn b42_a_resource_that_does_not_name_the_issuer_is_refused() {
    let expected = (Some("https://api.notes.example/v1"), ISSUER);
    let check = |status: u16, body: &Value| {
        let body = body.to_string().into_bytes();
        check_resource(expected, Some(&HttpResponse::json(status, body)))
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
    let none = check_resource(expected, None);
    assert_eq!(none, Err(DiscoveryError::Unavailable));
}
