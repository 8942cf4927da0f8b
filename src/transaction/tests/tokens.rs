//! Tokens signed with a key of the test's own.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Value, json};

use super::NOW;

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(Ed25519KeyPair::generate);

pub(super) fn key_set() -> Value {
    let x = BASE64_URL_SAFE_NO_PAD.encode(KEY.public_key().to_bytes());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "alg": "EdDSA", "use": "sig", "x": x}]})
}

/// A token of a support agent at acme, with changes; a claim set to null is left out.
pub(super) fn token(changes: Value) -> String {
    let mut claims = json!({
        "org_id": "acme",
        "roles": ["support"],
        "scope": "crm:read",
    });
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    let subject = claims["sub"].take();
    let expires = claims["exp"].take().as_u64().unwrap_or(NOW + 290);
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let mut claims = Claims::with_custom_claims(claims, Duration::from_mins(5))
        .with_issuer("https://login.example.com")
        .with_subject(subject.as_str().unwrap_or("u1"))
        .with_audience("https://crm.example.com/mcp");
    claims.issued_at = Some(Duration::from_secs(NOW - 10));
    claims.expires_at = Some(Duration::from_secs(expires));
    claims.invalid_before = None;
    KEY.clone().with_key_id("k1").sign(claims).unwrap()
}
