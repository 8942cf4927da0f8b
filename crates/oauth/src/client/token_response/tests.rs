use super::*;

const NOW: u64 = 1_900_000_000;

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
        r#"{"access_token":"at","token_type":"DPoP"}"#,
        r#"{"access_token":"at","access_token":"other","token_type":"bearer"}"#,
        r#"{"access_token":"","token_type":"bearer"}"#,
        r#"{"access_token":"a\r\nx-admin: 1","token_type":"bearer"}"#,
        r#"{"access_token":"a b","token_type":"bearer"}"#,
        r#"{"access_token":1,"token_type":"bearer"}"#,
        r#"{"access_token":"at","token_type":"mac"}"#,
        r#"{"access_token":"at","token_type":"N_A"}"#,
        r#"{"access_token":"at","token_type":"pop"}"#,
        r#"{"access_token":"at","token_type":["bearer"]}"#,
        r#"{"access_token":"at","token_type":"Bearer DPoP"}"#,
        r#"{"access_token":"at","expires_in":"1e3"}"#,
        r#"{"access_token":"at","expires_in":"inf"}"#,
        r#"{"access_token":"at","expires_in":"0x10"}"#,
        r#"{"access_token":"at","expires_in":"1-2"}"#,
        r#"{"access_token":"at","expires_in":true}"#,
        r#"{"access_token":"at","expires_in":[300]}"#,
        r#"{"access_token":"at","scope":7}"#,
        r#"{"access_token":"at","scope":["a",7]}"#,
        r#"{"authed_user":{"access_token":"at","token_type":"DPoP"}}"#,
        r#"{"authed_user":"at"}"#,
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

#[test]
fn lifetimes_are_read_in_every_form_that_servers_write() {
    let long = MAX_LIFETIME.as_secs();
    for (written, expected) in [
        ("300", Some(300)),
        ("300.0", Some(300)),
        ("299.9", Some(299)),
        ("3e2", Some(300)),
        (r#""300""#, Some(300)),
        (r#"" 300 ""#, Some(300)),
        (r#""299.9""#, Some(299)),
        // No end that is known.
        ("null", None),
        (r#""""#, None),
        ("0", None),
        ("0.5", None),
        ("-1", None),
        (r#""0""#, None),
        (r#""-1""#, None),
        // A date, or a number without sense.
        ("1900000300", Some(long)),
        ("18446744073709551616", Some(long)),
        ("1e300", Some(long)),
        (r#""99999999999999999999999""#, Some(long)),
    ] {
        let body =
            format!(r#"{{"access_token":"at","token_type":"bearer","expires_in":{written}}}"#);
        let expires = read(200, &body).unwrap().expires;
        let expected = expected.map(|lasts| UnixTime::from_secs(NOW + lasts));
        assert_eq!(expires, expected, "{written}");
    }
}

#[test]
fn the_responses_of_known_servers_are_read() {
    for (name, body, (token, refresh, scope)) in [
        (
            "Slack, a user's token",
            r#"{"ok":true,"app_id":"A","access_token":"xoxp-1","token_type":"user","id_token":"x.y.z",
                "authed_user":{"id":"U","scope":"chat:write,users:read"},"team":{"id":"T"}}"#,
            ("xoxp-1", None, Some("chat:write,users:read")),
        ),
        (
            "Slack, an app's token",
            r#"{"ok":true,"access_token":"xoxb-1","token_type":"bot","scope":"commands",
                "authed_user":{"id":"U","scope":"chat:write","access_token":"xoxp-1","token_type":"user"}}"#,
            ("xoxb-1", None, Some("commands")),
        ),
        (
            "Slack, only a user's token",
            r#"{"ok":true,"authed_user":{"id":"U","scope":"chat:write","access_token":"xoxp-1",
                "token_type":"user","refresh_token":"xoxe-1","expires_in":43200}}"#,
            ("xoxp-1", Some("xoxe-1"), Some("chat:write")),
        ),
        (
            "GitHub",
            r#"{"access_token":"ghu_1","expires_in":28800,"refresh_token":"ghr_1",
                "refresh_token_expires_in":15897600,"scope":"","token_type":"bearer"}"#,
            ("ghu_1", Some("ghr_1"), None),
        ),
        (
            "Apigee",
            r#"{"access_token":"at","token_type":"BearerToken","expires_in":"1799","refresh_token":"rt",
                "refresh_token_expires_in":"0","scope":"READ","issued_at":"1411600000000"}"#,
            ("at", Some("rt"), Some("READ")),
        ),
        (
            "Shopify, without a type",
            r#"{"access_token":"shpat_1","scope":"write_orders,read_customers"}"#,
            ("shpat_1", None, Some("write_orders,read_customers")),
        ),
        (
            "Twitch, with a list",
            r#"{"access_token":"at","expires_in":14124,"refresh_token":"rt","scope":["a:b","c"],
                "token_type":"bearer"}"#,
            ("at", Some("rt"), Some("a:b c")),
        ),
        (
            "Microsoft Entra v1",
            r#"{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","expires_on":"1900003599",
                "not_before":"1900000000","resource":"r","access_token":"at","refresh_token":"rt"}"#,
            ("at", Some("rt"), None),
        ),
        (
            "no error, and no refresh token",
            r#"{"access_token":"at","token_type":"Bearer ","error":null,"refresh_token":"","id_token":null}"#,
            ("at", None, None),
        ),
    ] {
        let tokens = read(200, body);
        let tokens = tokens.unwrap_or_else(|error| panic!("{name}: {error}"));
        let refresh_token = tokens.refresh_token.as_ref().map(Secret::reveal);
        assert_eq!(tokens.access_token.reveal(), token, "{name}");
        assert_eq!(
            (refresh_token, tokens.scope.as_deref()),
            (refresh, scope),
            "{name}"
        );
    }
    assert!(read(201, r#"{"access_token":"at"}"#).is_ok());
}

#[test]
fn error_codes_of_github_and_slack_are_known() {
    for (body, error) in [
        (
            r#"{"error":"incorrect_client_credentials"}"#,
            TokenAnswerError::UnknownClient,
        ),
        (
            r#"{"error":"redirect_uri_mismatch"}"#,
            TokenAnswerError::Client,
        ),
        (
            r#"{"ok":false,"error":"invalid_code"}"#,
            TokenAnswerError::TokenGrant,
        ),
        (
            r#"{"ok":false,"error":"bad_client_secret"}"#,
            TokenAnswerError::UnknownClient,
        ),
        (
            r#"{"ok":false,"access_token":"at"}"#,
            TokenAnswerError::Client,
        ),
        (
            r#"{"error":{"message":"m"},"access_token":"at"}"#,
            TokenAnswerError::Client,
        ),
        (r#"{"error":"server_error"}"#, TokenAnswerError::Unavailable),
    ] {
        assert_eq!(read(200, body), Err(error), "{body}");
    }
}

#[test]
fn scopes_that_were_not_granted_are_found() {
    let requested = ["a", "b:c", "openid", "offline_access"].map(str::to_owned);
    for (granted, missing) in [
        (None, vec![]),
        (Some(""), vec![]),
        (Some("a b:c"), vec![]),
        (Some("b:c,a"), vec![]),
        (Some("a"), vec!["b:c"]),
        (Some("A b:c"), vec!["a"]),
        (Some("ab:c"), vec!["a", "b:c"]),
    ] {
        assert_eq!(missing_scopes(&requested, granted), missing, "{granted:?}");
    }
    assert!(missing_scopes(&["a,b".to_owned()], Some("a,b")).is_empty());
}
