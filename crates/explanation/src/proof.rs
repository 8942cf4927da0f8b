//! A proof of possession for claims that are bound to a key (RFC 9449 section 4.2).
//!
//! The key of the claims is not known here. So they are bound to a new key, and are verified like all bound
//! tokens.

use base::time::UnixTime;
use oauth::signing::SigningKey;
use oauth::{Algorithm, ProofRules};
use serde_json::{Map, Value, json};

use crate::error::ExplainError;

/// The caller's key.
pub(crate) struct Prover(SigningKey);

impl Prover {
    /// Binds the claims to a key, if the policy requires bound tokens or the claims are bound. Other
    /// bindings stay, and are refused.
    pub(crate) fn of(
        rules: &ProofRules,
        claims: &mut Map<String, Value>,
    ) -> Result<Option<Self>, ExplainError> {
        let is_key = |cnf: &Value| {
            let members = cnf.as_object();
            members
                .is_some_and(|cnf| cnf.len() == 1 && cnf.get("jkt").is_some_and(Value::is_string))
        };
        if !claims.get("cnf").map_or(rules.required, is_key) {
            return Ok(None);
        }
        let key = SigningKey::generate(Algorithm::EdDSA)?;
        claims.insert("cnf".to_owned(), json!({"jkt": key.thumbprint()}));
        Ok(Some(Self(key)))
    }

    /// The proof for a request with this method, URL and token.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &str,
        token: &str,
        now: UnixTime,
    ) -> Result<String, ExplainError> {
        Ok(self.0.proof("explain", (method, url), token, now)?)
    }
}
