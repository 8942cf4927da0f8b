//! Issuers that are asked about tokens.

use super::*;

#[track_caller]
fn refuses(pointer: &str, value: Value, expected: &str) {
    let found = errors(&edited(introspecting(), pointer, value).to_string());
    assert_eq!(found, [expected], "{pointer}");
}

#[test]
fn an_issuer_has_keys_or_is_asked() {
    refuses(
        "/issuers/0/introspection",
        json!(null),
        "issuers[0]: expected either `jwks` or `introspection`",
    );
    refuses(
        "/issuers/0/jwks",
        json!({"cluster": "login", "path": "/keys"}),
        "issuers[0]: expected either `jwks` or `introspection`",
    );
}

#[test]
fn what_is_checked_of_signatures_goes_with_keys() {
    for (key, value) in [("algorithms", json!(["ES256"])), ("types", json!(["JWT"]))] {
        refuses(
            &format!("/issuers/0/{key}"),
            value,
            &format!(
                "issuers[0].{key}: goes with `jwks`: with `introspection` the issuer checks it"
            ),
        );
    }
}

#[test]
fn mistakes_are_named() {
    let at = |key: &str| format!("/issuers/0/introspection/{key}");
    let none = "found none, expected";
    for (key, value, message) in [
        (
            "cluster",
            json!(""),
            format!("{none} the name of an Envoy cluster"),
        ),
        (
            "path",
            json!("https://evil.example/introspect"),
            "found `https://evil.example/introspect`, expected a path that starts with `/`".into(),
        ),
        ("client_id", json!(""), format!("{none} a client id")),
        (
            "client_secret_env",
            json!(""),
            format!("{none} the name of an environment variable"),
        ),
        ("cache", json!("0s"), "expected 1s to 10m".into()),
        ("cache", json!("999ms"), "expected 1s to 10m".into()),
        ("cache", json!("11m"), "expected 1s to 10m".into()),
    ] {
        let expected = format!("issuers[0].introspection.{key}: {message}");
        refuses(&at(key), value, &expected);
    }
    refuses(
        "/issuers/0/issuer",
        json!("login"),
        "issuers[0].introspection.authority: found none, expected the host to call: there is no URL to take it from",
    );
    refuses(
        "/issuers/0/introspection",
        json!(["login"]),
        "issuers[0].introspection: found a list, expected a mapping",
    );
}

#[test]
fn a_secret_is_not_written_into_the_policy() {
    let policy = edited(
        introspecting(),
        "/issuers/0/introspection/client_secret",
        json!("s3cret"),
    );
    refuse_at(
        "issuers[0].introspection.client_secret",
        &[
            "unknown key `client_secret`",
            "did you mean `client_secret_env`?",
        ],
        &policy,
    );
}

#[test]
fn one_issuer_is_asked_about_tokens_that_name_none() {
    let mut policy = introspecting();
    let mut second = policy["issuers"][0].clone();
    second["issuer"] = json!("https://other.example.com");
    let keys =
        json!({"issuer": "https://keys.example.com", "jwks": {"cluster": "keys", "path": "/"}});
    policy["issuers"] = json!([policy["issuers"][0], keys]);
    assert_eq!(parse(&policy).issuers.len(), 2);
    policy["issuers"] = json!([policy["issuers"][0], keys, second]);
    refuse_at(
        "issuers[2].introspection",
        &["nothing in an opaque token says which"],
        &policy,
    );
}
