//! A proof of possession for claims that are bound to a key (RFC 9449 section 4.2).
//!
//! Whose key the claims were bound to cannot be proven here, so they are bound to one that was made
//! a moment ago, and take the way every bound token takes.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike};
use oauth::ProofRules;
use serde_json::{Map, Value, json};

/// The caller's key.
pub(crate) struct Prover(Ed25519KeyPair);

impl Prover {
    /// Binds the claims to a key, where the policy wants a bound token or these claims are one.
    /// What they cannot be bound to stays as it is, and is refused.
    pub(crate) fn of(rules: &ProofRules, claims: &mut Map<String, Value>) -> Option<Self> {
        let is_key = |cnf: &Value| {
            let members = cnf.as_object();
            members
                .is_some_and(|cnf| cnf.len() == 1 && cnf.get("jkt").is_some_and(Value::is_string))
        };
        if !claims.get("cnf").map_or(rules.required, is_key) {
            return None;
        }
        let key = Ed25519KeyPair::generate();
        let confirmation = json!({"jkt": key.public_key().jwk_thumbprint()});
        claims.insert("cnf".to_owned(), confirmation);
        Some(Self(key))
    }

    /// The proof for a request with this method, URL and token.
    pub(crate) fn proof(&self, method: &str, url: &str, token: &str, now: u64) -> String {
        let jwk: Value = serde_json::from_str(&self.0.public_key().to_jwk()).unwrap_or_default();
        let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
        let ath = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(token.as_bytes()));
        let claims = json!({"jti": "explain", "htm": method, "htu": url, "iat": now, "ath": ath});
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.0.key_pair().as_ref().sk.sign(&text, None);
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(&signature[..]))
    }
}
