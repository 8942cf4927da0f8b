use super::*;
use base::http::Endpoint;

const NOW: u64 = 1_900_000_000;

fn client() -> Client {
    let endpoint = |path: &str| Endpoint {
        cluster: "notes".into(),
        path: path.into(),
        authority: "notes.example.com".into(),
    };
    Client {
        authorize: "https://notes.example.com/authorize".into(),
        token: TokenClient {
            endpoint: endpoint("/token"),
            client_id: "mcp".into(),
            client_secret_env: Some("NOTES_SECRET".into()),
        },
        revoke: Some(endpoint("/revoke")),
    }
}

fn credentials() -> Secret {
    Secret::basic("mcp", "s 1")
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> Option<&'c str> {
    let mut headers = call.headers.iter();
    headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
}

fn body(call: &HttpRequest) -> &str {
    std::str::from_utf8(&call.body).unwrap()
}

const CODE: TokenGrant<'static> = TokenGrant::Code {
    code: "c+1&x=y",
    verifier: "v",
    redirect_uri: "https://crm.example.com/.mcp-auth/callback/notes",
    resource: Some("https://api.notes.example.com"),
};

#[test]
fn a_code_goes_to_the_named_cluster_with_the_clients_secret() {
    let call = token_request(&client().token, Some(&credentials()), CODE);
    assert_eq!(call.cluster, "notes");
    assert_eq!(header(&call, ":method"), Some("POST"));
    assert_eq!(header(&call, ":path"), Some("/token"));
    assert_eq!(header(&call, ":authority"), Some("notes.example.com"));
    // `mcp` and the secret `s 1`, form-urlencoded.
    assert_eq!(header(&call, "authorization"), Some("Basic bWNwOnMrMQ=="));
    assert_eq!(
        body(&call),
        "grant_type=authorization_code&code=c%2B1%26x%3Dy\
         &redirect_uri=https%3A%2F%2Fcrm.example.com%2F.mcp-auth%2Fcallback%2Fnotes\
         &code_verifier=v&resource=https%3A%2F%2Fapi.notes.example.com"
    );
}

#[test]
fn a_public_client_sends_its_id_in_the_form() {
    let call = token_request(&client().token, None, CODE);
    assert_eq!(header(&call, "authorization"), None);
    assert!(body(&call).ends_with("&client_id=mcp"));
    assert_eq!(format!("{CODE:?}"), "TokenGrant");
}

#[test]
fn tokens_are_refreshed_and_revoked_by_their_client() {
    let (token, credentials) = (Secret::new("rt/1".into()), credentials());
    let grant = TokenGrant::Refresh {
        refresh_token: &token,
        resource: None,
    };
    let call = token_request(&client().token, Some(&credentials), grant);
    assert_eq!(body(&call), "grant_type=refresh_token&refresh_token=rt%2F1");
    let revoke = |client: &Client, token: RevokedToken<'_>| {
        revocation_request(client, Some(&credentials), token)
    };
    let call = revoke(&client(), RevokedToken::Refresh(&token)).unwrap();
    assert_eq!(header(&call, ":path"), Some("/revoke"));
    assert_eq!(body(&call), "token=rt%2F1&token_type_hint=refresh_token");
    assert!(header(&call, "authorization").is_some());
    let mut silent = client();
    silent.revoke = None;
    assert_eq!(revoke(&silent, RevokedToken::Access(&token)), None);
}

fn read(status: u16, body: &str) -> Result<Tokens, TokenAnswerError> {
    let body = body.as_bytes().to_vec();
    read_tokens(
        Some(&HttpResponse::json(status, body)),
        UnixTime::from_secs(NOW),
    )
}

#[test]
fn the_tokens_of_a_response_are_read() {
    let tokens = read(
        200,
        r#"{"access_token":"at","token_type":"Bearer","expires_in":300,"refresh_token":"rt",
            "scope":"a b","id_token":"x.y.z","session_state":"1"}"#,
    );
    let secret = |text: &str| Secret::new(text.to_owned());
    let expected = Tokens {
        access_token: secret("at"),
        refresh_token: Some(secret("rt")),
        expires: Some(UnixTime::from_secs(NOW + 300)),
        scope: Some("a b".into()),
        id_token: Some(secret("x.y.z")),
    };
    assert_eq!(tokens, Ok(expected));
    let least = read(200, r#"{"access_token":"at","token_type":"bearer"}"#).unwrap();
    assert_eq!((least.refresh_token, least.expires), (None, None));
}

#[test]
fn b42_a_response_without_a_plain_bearer_token_is_refused() {
    for body in [
        "",
        "[]",
        "access_token=at&token_type=bearer",
        r#"{"access_token":"at"}"#,
        r#"{"access_token":"at","token_type":"DPoP"}"#,
        r#"{"access_token":"at","access_token":"other","token_type":"bearer"}"#,
        r#"{"access_token":"","token_type":"bearer"}"#,
        r#"{"access_token":"a\r\nx-admin: 1","token_type":"bearer"}"#,
        r#"{"access_token":"a b","token_type":"bearer"}"#,
        r#"{"access_token":1,"token_type":"bearer"}"#,
        r#"{"access_token":"at","token_type":"bearer","expires_in":-1}"#,
        r#"{"access_token":"at","token_type":"bearer","expires_in":"soon"}"#,
        r#"{"access_token":"at","token_type":"bearer","refresh_token":7}"#,
        r#"{"access_token":"at","token_type":"bearer"} x"#,
    ] {
        assert_eq!(read(200, body), Err(TokenAnswerError::Format), "{body}");
    }
    let long = format!(
        r#"{{"access_token":"{}","token_type":"bearer"}}"#,
        "a".repeat(20_000)
    );
    assert_eq!(read(200, &long), Err(TokenAnswerError::Format));
}

#[test]
fn error_codes_say_whether_the_client_or_the_grant_is_refused() {
    for (status, body, error) in [
        (
            400,
            r#"{"error":"invalid_grant"}"#,
            TokenAnswerError::TokenGrant,
        ),
        (
            200,
            r#"{"error":"bad_verification_code"}"#,
            TokenAnswerError::TokenGrant,
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            TokenAnswerError::UnknownClient,
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            TokenAnswerError::UnknownClient,
        ),
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            TokenAnswerError::Client,
        ),
        (400, "no JSON", TokenAnswerError::Client),
        (
            500,
            r#"{"access_token":"at","token_type":"bearer"}"#,
            TokenAnswerError::Unavailable,
        ),
        (302, "", TokenAnswerError::Unavailable),
        (503, "", TokenAnswerError::Unavailable),
    ] {
        assert_eq!(read(status, body), Err(error), "{status} {body}");
    }
    assert_eq!(
        read_tokens(None, UnixTime::from_secs(NOW)),
        Err(TokenAnswerError::Unavailable)
    );
}
