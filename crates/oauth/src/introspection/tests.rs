use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

fn introspector(client_id: &str, secret: &str) -> Introspector {
    let (env, method) = ("SECRET".into(), SecretMethod::Basic);
    introspector_with(client_id, secret, ClientAuth::Secret { env, method })
}

fn introspector_with(client_id: &str, secret: &str, auth: ClientAuth) -> Introspector {
    let endpoint = Introspection {
        client: TokenClient {
            endpoint: base::http::Endpoint {
                cluster: "login".into(),
                path: "/introspect".into(),
                authority: "login.example.com".into(),
            },
            client_id: client_id.into(),
            auth,
        },
        cache: Duration::from_secs(60),
    };
    Introspector::new(endpoint, secret).unwrap()
}

fn call_for(token: &str, introspector: &mut Introspector) -> HttpRequest {
    let header = format!("Bearer {token}");
    let token = BearerToken::of_header(&header).unwrap();
    introspector
        .ask(&token, ClientNetwork::UNKNOWN, UnixTime::from_secs(0))
        .unwrap();
    called(introspector.start(&token.digest()))
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> &'c str {
    let mut found = call.headers.iter().filter(|(other, _)| *other == name);
    let (_, value) = found.next().unwrap();
    assert_eq!(found.next(), None);
    value
}

#[test]
fn the_call_is_what_rfc_7662_asks_for() {
    let call = call_for("2YotnFZFEjr1zCsicMWpAA", &mut introspector("mcp", "secret"));
    assert_eq!(call.cluster, "login");
    assert_eq!(header(&call, ":method"), "POST");
    assert_eq!(header(&call, ":path"), "/introspect");
    assert_eq!(header(&call, ":authority"), "login.example.com");
    let form = "application/x-www-form-urlencoded";
    assert_eq!(header(&call, "content-type"), form);
    assert_eq!(header(&call, "authorization"), "Basic bWNwOnNlY3JldA==");
    assert_eq!(
        call.body,
        b"token=2YotnFZFEjr1zCsicMWpAA&token_type_hint=access_token"
    );
}

#[test]
fn b41_a_token_adds_no_parameter_of_its_own() {
    let call = call_for("a+b/c==~", &mut introspector("mcp", "secret"));
    assert_eq!(
        call.body,
        b"token=a%2Bb%2Fc%3D%3D%7E&token_type_hint=access_token"
    );
    for odd in ["a&client_id=x", "a b", "a%26b", "a\r\nb"] {
        assert!(BearerToken::of_header(&format!("Bearer {odd}")).is_none());
    }
}

#[test]
fn credentials_are_form_encoded_before_basic() {
    let call = call_for("t", &mut introspector("a:b c", "p%\u{e4}+&"));
    let expected = BASE64_STANDARD.encode("a%3Ab+c:p%25%C3%A4%2B%26");
    assert_eq!(header(&call, "authorization"), format!("Basic {expected}"));
}

#[test]
fn b45_neither_token_nor_secret_can_be_printed() {
    let mut introspector = introspector("mcp", "top-secret");
    let call = call_for("the-token", &mut introspector);
    let printed = format!("{introspector:?} {call:?}");
    for secret in ["top-secret", "the-token", "bWNw", "Basic b"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("login"), "{printed}");
}

#[test]
fn an_answer_is_one_json_object_that_says_yes_or_no() {
    for document in [
        "",
        "<html>",
        "[]",
        "null",
        "\"active\"",
        r#"{"active":true,"active":true}"#,
        r#"{"active":false,"\u0061ctive":true}"#,
        r#"{"active":true,"cnf":{"jkt":"a","jkt":"b"}}"#,
        r#"{"active":true} {}"#,
        r#"{"active":true"#,
    ] {
        assert_eq!(
            read(document.as_bytes()).err(),
            Some(IntrospectionError::Format),
            "{document}"
        );
    }
    for document in [
        "{}",
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":null}"#,
        r#"{"Active":true}"#,
        r#"{"active":[true]}"#,
    ] {
        assert_eq!(
            read(document.as_bytes()).err(),
            Some(IntrospectionError::Active),
            "{document}"
        );
    }
    let huge = format!(r#"{{"active":true,"x":"{}"}}"#, "y".repeat(70_000));
    assert_eq!(
        read(huge.as_bytes()).err(),
        Some(IntrospectionError::TooLarge)
    );
    assert!(matches!(
        read(br#"{"active":true}"#),
        Ok(IntrospectionResponse::Active(_))
    ));
    assert!(matches!(
        read(br#"{"active":false}"#),
        Ok(IntrospectionResponse::Inactive)
    ));
}

fn called(start: FetchStart) -> HttpRequest {
    match start {
        FetchStart::Call(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_issuer_is_asked_with_every_kind_of_credentials() {
    let env = || "SECRET".to_owned();
    let body = |call: HttpRequest| {
        assert!(
            !call
                .headers
                .iter()
                .any(|(name, _)| *name == "authorization")
        );
        String::from_utf8(call.body).unwrap()
    };
    let (env_of_post, method) = (env(), SecretMethod::Post);
    let post = ClientAuth::Secret {
        env: env_of_post,
        method,
    };
    let call = call_for("t", &mut introspector_with("mcp", "s&1", post));
    let expected = "token=t&token_type_hint=access_token&client_id=mcp&client_secret=s%261";
    assert_eq!(body(call), expected);

    let pair = crate::signing::SigningKey::generate(crate::Algorithm::ES256).unwrap();
    let key = || ClientAuth::Key {
        env: env(),
        audience: "https://login.example.com".into(),
    };
    let pem = pair.to_pem().unwrap();
    let mut introspector = introspector_with("mcp", pem.reveal(), key());
    introspector.set_random(|| Some([7; 32]));
    let call = body(call_for("t", &mut introspector));
    assert!(
        call.contains("&client_id=mcp&client_assertion=ey"),
        "{call}"
    );
    // Without randomness the request has no credentials, so that the issuer refuses it.
    let call = body(call_for(
        "t",
        &mut introspector_with("mcp", pem.reveal(), key()),
    ));
    assert!(!call.contains("client_assertion"), "{call}");
}
