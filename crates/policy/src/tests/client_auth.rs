//! How the filter's clients authenticate, how accounts are named, and which sign-ins are needed.

use serde_json::{Value, json};

use super::connections::connecting;
use super::{edited, errors};
use crate::Policy;
use oauth::client::{ClientAuth, SecretMethod};

fn auth(changes: &Value) -> Result<ClientAuth, Vec<String>> {
    let mut policy = connecting();
    let notes = policy["connections"]["notes"].as_object_mut().unwrap();
    notes.remove("client_secret_env");
    for (name, value) in changes.as_object().unwrap() {
        notes.insert(name.clone(), value.clone());
    }
    match Policy::parse(policy.to_string().as_bytes()) {
        Ok(policy) => Ok(policy
            .connection("notes")
            .unwrap()
            .oauth()
            .unwrap()
            .server
            .auth()
            .clone()),
        Err(_) => Err(errors(&policy.to_string())),
    }
}

fn secret(method: SecretMethod) -> ClientAuth {
    ClientAuth::Secret {
        env: "S".into(),
        method,
    }
}

fn key(audience: &str) -> ClientAuth {
    ClientAuth::Key {
        env: "K".into(),
        audience: audience.into(),
    }
}

#[test]
fn a_client_authenticates_as_its_keys_say() {
    for (changes, expected) in [
        (json!({}), ClientAuth::Public),
        (json!({"client_auth": "none"}), ClientAuth::Public),
        (
            json!({"client_secret_env": "S"}),
            secret(SecretMethod::Basic),
        ),
        (
            json!({"client_secret_env": "S", "client_auth": "basic"}),
            secret(SecretMethod::Basic),
        ),
        (
            json!({"client_secret_env": "S", "client_auth": "post"}),
            secret(SecretMethod::Post),
        ),
        (
            json!({"client_key_env": "K"}),
            key("https://notes.example.com"),
        ),
        (
            json!({"client_key_env": "K", "client_auth": "private_key_jwt", "assertion_audience": "https://t"}),
            key("https://t"),
        ),
    ] {
        assert_eq!(auth(&changes), Ok(expected), "{changes}");
    }
    for (changes, expected) in [
        (
            json!({"client_secret_env": "S", "client_key_env": "K"}),
            "client_key_env: does not go with `client_secret_env`",
        ),
        (
            json!({"client_auth": "basic"}),
            "client_secret_env: found none, and `client_auth` needs it",
        ),
        (
            json!({"client_auth": "post"}),
            "client_secret_env: found none, and `client_auth` needs it",
        ),
        (
            json!({"client_auth": "private_key_jwt"}),
            "client_key_env: found none, and `client_auth` needs it",
        ),
        (
            json!({"client_auth": "private_key_jwt", "client_key_env": "K", "client_secret_env": "S"}),
            "client_secret_env: does not go with this `client_auth`",
        ),
        (
            json!({"client_auth": "none", "client_secret_env": "S"}),
            "client_secret_env: does not go with this `client_auth`",
        ),
        (
            json!({"client_auth": "none", "client_key_env": "K"}),
            "client_key_env: goes with `client_auth: private_key_jwt`",
        ),
        (
            json!({"client_auth": "post", "client_secret_env": "S", "client_key_env": "K"}),
            "client_key_env: goes with `client_auth: private_key_jwt`",
        ),
        (
            json!({"assertion_audience": "https://t"}),
            "assertion_audience: goes with `client_key_env`",
        ),
        (
            json!({"client_key_env": "K", "assertion_audience": ""}),
            "assertion_audience: found none, expected the name of the server",
        ),
        (
            json!({"client_key_env": "K", "client_id": "metadata"}),
            "client_key_env: does not go with `client_id: metadata`: the document names no key",
        ),
    ] {
        let expected = format!("connections.notes.{expected}");
        assert_eq!(auth(&changes), Err(vec![expected]), "{changes}");
    }
}

#[test]
fn an_account_has_one_source() {
    let path = "/connections/notes/account";
    for (account, expected) in [
        (
            json!({"id_token": "email"}),
            "id_token: the connection's `scopes` need `openid`: without it there is no ID token",
        ),
        (
            json!({"id_token": "email", "userinfo": "email"}),
            "userinfo: does not go with `id_token`",
        ),
        (
            json!({"userinfo": "email"}),
            "userinfo: goes with `discover`; without it, write the endpoint as `cluster`, `path` and `field`",
        ),
        (
            json!({"cluster": "notes", "path": "/me"}),
            "field: found none, expected one, or `id_token` or `userinfo`",
        ),
        (
            json!({"cluster": "notes", "path": "/me", "field": "email", "method": "GET", "body": {}}),
            "body: goes with `method: POST`",
        ),
        (
            json!({"cluster": "notes", "path": "/me", "field": "email", "body": "x".repeat(5000)}),
            "body: expected at most 4096 bytes",
        ),
    ] {
        let policy = edited(connecting(), path, account.clone());
        let expected = format!("connections.notes.account.{expected}");
        assert_eq!(errors(&policy.to_string()), [expected], "{account}");
    }
    let mut policy = connecting();
    policy["connections"]["notes"]["scopes"] = json!(["openid"]);
    policy["connections"]["notes"]["account"] = json!({"id_token": "email", "field": "x"});
    let expected = "connections.notes.account.field: does not go with `id_token`";
    assert_eq!(errors(&policy.to_string()), [expected]);
}

#[test]
fn the_needs_of_a_sign_in_are_checked() {
    for (pointer, value, expected) in [
        (
            "/issuers/0/sign_in/max_age",
            json!("59s"),
            "issuers[0].sign_in.max_age: expected 1m to 90d",
        ),
        (
            "/issuers/0/sign_in/max_age",
            json!("91d"),
            "issuers[0].sign_in.max_age: expected 1m to 90d",
        ),
        (
            "/issuers/0/sign_in/acr",
            json!(["a b"]),
            "issuers[0].sign_in.acr: expected values without spaces, and none that is empty",
        ),
        (
            "/connections/notes/sign_in",
            json!({"acr": [""]}),
            "connections.notes.sign_in.acr: expected values without spaces, and none that is empty",
        ),
        (
            "/connections/notes/sign_in",
            json!({"max_age": "1s"}),
            "connections.notes.sign_in.max_age: expected 1m to 90d",
        ),
    ] {
        let policy = edited(connecting(), pointer, value);
        assert_eq!(errors(&policy.to_string()), [expected], "{pointer}");
    }
}
