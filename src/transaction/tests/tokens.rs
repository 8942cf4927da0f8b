//! Tokens signed with a key of the test's own.

use std::sync::LazyLock;

use oauth::Algorithm;
use oauth::signing::SigningKey;
use serde_json::{Value, json};

use super::NOW;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    key.with_key_id("k1")
});

pub(super) fn key_set() -> Value {
    KEY.key_set()
}

/// A token of a support agent at acme, with changes; a claim set to null is left out.
pub(super) fn token(changes: Value) -> String {
    let mut claims = json!({
        "iss": "https://login.example.com",
        "sub": "u1",
        "aud": "https://crm.example.com/mcp",
        "iat": NOW - 10,
        "exp": NOW + 290,
        "org_id": "acme",
        "roles": ["support"],
        "scope": "crm:read",
    });
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    KEY.sign(&json!({}), &claims).unwrap()
}
