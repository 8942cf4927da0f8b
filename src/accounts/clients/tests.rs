use serde_json::json;

use super::*;
use oauth::Algorithm;
use oauth::signing::SigningKey;

fn policy() -> Policy {
    let connection = |name: &str, auth: (&str, &str)| {
        json!({
            "issuer": format!("https://{name}.example.com"),
            "authorize": format!("https://{name}.example.com/authorize"),
            "token": {"cluster": name, "path": "/token"},
            "client_id": "mcp", auth.0: auth.1,
        })
    };
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "seal": {"key_env": "SEAL"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "pages", "client_secret_env": "LOGIN_SECRET", "client_auth": "post",
            },
        }],
        "connections": {
            "files": connection("files", ("client_secret_env", "FILES_SECRET")),
            "notes": connection("notes", ("client_key_env", "NOTES_KEY")),
        },
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn pem() -> String {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    key.to_pem().unwrap().reveal().to_owned()
}

fn clients(key: Option<&str>) -> Result<Clients, PolicyError> {
    Clients::of(&policy(), &|name| match name {
        "NOTES_KEY" => key.map(str::to_owned),
        _ => Some("s&1".to_owned()),
    })
}

#[test]
fn each_client_has_its_own_kind_of_credentials() {
    static COUNT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    let random = Random(|| Some([COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed); 32]));
    let (policy, pem) = (policy(), pem());
    let (without, now) = (
        clients(Some(&pem)).unwrap(),
        UnixTime::from_secs(1_900_000_000),
    );
    let with = without.clone().with_random(random);
    let of = |clients: &Clients, name: &str| {
        let server = policy
            .connection(name)
            .unwrap()
            .oauth()
            .unwrap()
            .server
            .client(None)
            .unwrap();
        clients.credentials(&server.token, now)
    };
    let header = Secret::basic("mcp", "s&1");
    assert_eq!(of(&with, "files"), Some(ClientCredentials::Header(header)));
    let sign_in = policy.sign_ins[0].as_ref().unwrap();
    let form = ClientCredentials::Form(Secret::new("s&1".into()));
    assert_eq!(with.credentials(&sign_in.client.token, now), Some(form));
    // Each request has an assertion of its own.
    let (first, second) = (of(&with, "notes"), of(&with, "notes"));
    assert!(matches!(first, Some(ClientCredentials::Assertion(_))));
    assert_ne!(first, second);
    // Without randomness there is none.
    assert_eq!(of(&without, "notes"), None);
    assert!(!format!("{with:?} {first:?}").contains("s&1"));
}

#[test]
fn wrong_keys_are_refused_at_load_with_their_path() {
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    for (key, expected) in [
        (None, "the VM's environment has no variable `NOTES_KEY`"),
        (Some(""), "the VM's environment has no variable `NOTES_KEY`"),
        (Some("s3cret"), "no private key"),
        (Some(public), "no private key"),
        (Some(r#"{"kty":"oct","k":"AQAB"}"#), "no private JWK"),
    ] {
        let error = clients(key).unwrap_err().to_string();
        let expected = format!("connections.notes.client_key_env: {expected}");
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            !error.contains("s3cret") && !error.contains("AQAB"),
            "{error}"
        );
    }
}
