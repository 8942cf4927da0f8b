use super::*;
use crate::pages::fake_world::{clients, connection};
use policy::Server;

const NOW: u64 = 1_900_000_000;

fn client() -> Client {
    match connection().server {
        Server::Written(client) => client,
        Server::Discovered(_) => panic!("it is written"),
    }
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> Option<&'c str> {
    let mut headers = call.headers.iter();
    headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
}

fn body(call: &HttpRequest) -> &str {
    std::str::from_utf8(&call.body).unwrap()
}

fn redeemed() -> Redeemed<'static> {
    Redeemed {
        code: "c+1&x=y",
        verifier: "v",
        redirect_uri: "https://crm.example.com/.mcp-auth/callback/notes",
        resource: Some("https://api.notes.example.com"),
    }
}

#[test]
fn a_code_goes_to_the_named_cluster_with_the_clients_secret() {
    let call = redeem(&client(), &clients(), redeemed());
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
fn a_public_client_says_who_it_is() {
    let mut client = client();
    client.client_secret_env = None;
    let call = redeem(&client, &clients(), redeemed());
    assert_eq!(header(&call, "authorization"), None);
    assert!(body(&call).ends_with("&client_id=mcp"));
}

#[test]
fn tokens_are_refreshed_and_revoked_by_their_client() {
    let token = Secret::new("rt/1".into());
    let call = refresh(&client(), &clients(), None, &token);
    assert_eq!(body(&call), "grant_type=refresh_token&refresh_token=rt%2F1");
    let call = revoke(&client(), &clients(), Revoked::Refresh(&token)).unwrap();
    assert_eq!(header(&call, ":path"), Some("/revoke"));
    assert_eq!(body(&call), "token=rt%2F1&token_type_hint=refresh_token");
    assert!(header(&call, "authorization").is_some());
    let mut silent = client();
    silent.revoke = None;
    assert_eq!(revoke(&silent, &clients(), Revoked::Access(&token)), None);
}

fn read(status: u16, body: &str) -> Result<Tokens, TokenAnswerError> {
    let body = body.as_bytes().to_vec();
    read_tokens(Some(&HttpResponse { status, body }), NOW)
}

#[test]
fn tokens_are_read() {
    let tokens = read(
        200,
        r#"{"access_token":"at","token_type":"Bearer","expires_in":300,"refresh_token":"rt",
            "scope":"a b","id_token":"x.y.z","session_state":"1"}"#,
    );
    let secret = |text: &str| Secret::new(text.to_owned());
    let expected = Tokens {
        access_token: secret("at"),
        refresh_token: Some(secret("rt")),
        expires: Some(NOW + 300),
        scope: Some("a b".into()),
        id_token: Some(secret("x.y.z")),
    };
    assert_eq!(tokens, Ok(expected));
    let least = read(200, r#"{"access_token":"at","token_type":"bearer"}"#).unwrap();
    assert_eq!((least.refresh_token, least.expires), (None, None));
}

#[test]
fn b42_what_is_not_plainly_an_answer_is_none() {
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
fn refusals_say_whose_turn_it_is() {
    for (status, body, error) in [
        (400, r#"{"error":"invalid_grant"}"#, TokenAnswerError::Grant),
        (
            200,
            r#"{"error":"bad_verification_code"}"#,
            TokenAnswerError::Grant,
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
    assert_eq!(read_tokens(None, NOW), Err(TokenAnswerError::Unavailable));
}
