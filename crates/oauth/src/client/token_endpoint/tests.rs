use super::*;
use crate::client::{ClientAuth, SecretMethod};
use base::http::Endpoint;

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
            auth: ClientAuth::Secret {
                env: "NOTES_SECRET".into(),
                method: SecretMethod::Basic,
            },
        },
        revoke: Some(endpoint("/revoke")),
    }
}

fn credentials() -> ClientCredentials {
    ClientCredentials::Header(Secret::basic("mcp", "s 1"))
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

#[test]
fn a_secret_or_an_assertion_stands_in_the_form() {
    let of = |credentials: &ClientCredentials| {
        let call = token_request(&client().token, Some(credentials), CODE);
        assert_eq!(header(&call, "authorization"), None);
        body(&call).split_once("&client").unwrap().1.to_owned()
    };
    let post = ClientCredentials::Form(Secret::new("s 1&x".into()));
    assert_eq!(of(&post), "_id=mcp&client_secret=s+1%26x");
    let assertion = ClientCredentials::Assertion(Secret::new("a.b.c".into()));
    assert_eq!(
        of(&assertion),
        "_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_id=mcp&client_assertion=a.b.c"
    );
    let token = Secret::new("at".into());
    let call = revocation_request(&client(), Some(&post), RevokedToken::Access(&token)).unwrap();
    assert!(body(&call).ends_with("&client_id=mcp&client_secret=s+1%26x"));
}
