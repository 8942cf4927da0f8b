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
            client_secret_env: None,
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
