use super::*;
use crate::client::TokenClient;
use base::http::Endpoint;

/// The query of an authorization request to this endpoint.
fn query(authorize: &str, request: AuthorizationUrl<'_>) -> Vec<(String, String)> {
    let endpoint = Endpoint {
        cluster: "notes".into(),
        path: "/token".into(),
        authority: "notes.example.com".into(),
    };
    let client = Client {
        authorize: authorize.into(),
        token: TokenClient {
            endpoint,
            client_id: "mcp".into(),
            auth: crate::client::ClientAuth::Public,
        },
        revoke: None,
    };
    let url = Url::parse(&request.of(&client).unwrap()).unwrap();
    url.query_pairs().into_owned().collect()
}

const REQUEST: AuthorizationUrl<'static> = AuthorizationUrl {
    redirect_uri: "https://crm.example.com/.mcp-auth/callback/notes",
    scopes: &[],
    resource: None,
    state: "s",
    nonce: None,
    code_challenge: "c",
    max_age_s: None,
    acr: &[],
    prompt: None,
};

#[test]
fn the_prompt_is_sent_if_there_is_one() {
    for (prompt, expected) in [
        (None, None),
        (Some(Prompt::Login), Some("login")),
        (Some(Prompt::SelectAccount), Some("select_account")),
        (Some(Prompt::Consent), Some("consent")),
    ] {
        let query = query(
            "https://notes.example.com/authorize?tenant=1",
            AuthorizationUrl { prompt, ..REQUEST },
        );
        let found = query.iter().find(|(name, _)| name == "prompt");
        assert_eq!(found.map(|(_, value)| value.as_str()), expected);
        assert!(query.contains(&("tenant".into(), "1".into())));
    }
}

#[test]
fn the_needed_sign_in_is_requested() {
    let acr = ["mfa".to_owned(), "urn:high".to_owned()];
    let request = AuthorizationUrl {
        max_age_s: Some(300),
        acr: &acr,
        ..REQUEST
    };
    let found = query("https://notes.example.com/authorize", request);
    for pair in [("max_age", "300"), ("acr_values", "mfa urn:high")] {
        assert!(found.contains(&(pair.0.into(), pair.1.into())), "{found:?}");
    }
    let without = query("https://notes.example.com/authorize", REQUEST);
    let asks = |(name, _): &(String, String)| name == "max_age" || name == "acr_values";
    assert!(!without.iter().any(asks), "{without:?}");
}
