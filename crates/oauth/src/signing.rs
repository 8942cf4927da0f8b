//! Keys that sign tokens of any content: for tests and the command line; never in the module.
//!
//! The filter signs only assertions of its own clients ([`crate::client::ClientKey`]). The feature `signing`
//! adds this module.
//!
//! ```
//! use mcp_auth_oauth::{Algorithm, signing::SigningKey};
//! use serde_json::json;
//!
//! let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("k1");
//! assert_eq!(key.key_set()["keys"][0]["kid"], "k1");
//! let token = key.sign(&json!({"typ": "at+jwt"}), &json!({"sub": "u1"}))?;
//! assert_eq!(token.split('.').count(), 3);
//! # Ok::<(), mcp_auth_oauth::signing::SigningError>(())
//! ```

use base::secret::Secret;
use base::time::UnixTime;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::{ES256KeyPair, Ed25519KeyPair, RS256KeyPair, RSAKeyPairLike};
use serde_json::{Value, json};
use superboring::pkey::Private;
use superboring::rsa::Rsa;
use thiserror::Error;

use crate::Algorithm;
use crate::key_pair::KeyPair;

const RSA_BITS: usize = 2048;

/// A private key, for EdDSA, ES256 or RS256.
#[derive(Debug)]
pub struct SigningKey {
    pair: KeyPair,
    key_id: Option<String>,
}

/// Why a key cannot be generated, or cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SigningError {
    /// No keys are generated for this algorithm.
    #[error("no keys are generated for {}", .0.name())]
    Unsupported(Algorithm),
    /// The text is no private key that can be used.
    #[error("no private key for EdDSA, ES256 or RS256 in PEM (PKCS #8)")]
    NotAKey,
    /// The cryptography crate reports an error.
    #[error("cannot sign: {0}")]
    Crypto(String),
}

impl SigningKey {
    /// Generates a key.
    ///
    /// # Errors
    ///
    /// The algorithm is another one than EdDSA, ES256 and RS256, or the system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::EdDSA => KeyPair::Ed25519(Ed25519KeyPair::generate()),
            Algorithm::ES256 => KeyPair::P256(ES256KeyPair::generate()),
            Algorithm::RS256 => {
                let pair = RS256KeyPair::generate(RSA_BITS).map_err(crypto)?;
                KeyPair::Rsa(Box::new(pair.key_pair().as_ref().clone()))
            }
            other => return Err(SigningError::Unsupported(other)),
        };
        Ok(Self { pair, key_id: None })
    }

    /// Reads a key from PEM (PKCS #8).
    ///
    /// # Errors
    ///
    /// It is no private key for EdDSA, ES256 or RS256.
    pub fn from_pem(pem: &str) -> Result<Self, SigningError> {
        let pair = KeyPair::from_pem(pem).map_err(|_| SigningError::NotAKey)?;
        Ok(Self { pair, key_id: None })
    }

    /// The private key as PEM (PKCS #8).
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub fn to_pem(&self) -> Result<Secret, SigningError> {
        let pem = match &self.pair {
            KeyPair::Ed25519(pair) => Ok(pair.to_pem()),
            KeyPair::P256(pair) => pair.to_pem(),
            KeyPair::Rsa(key) => rsa(key).and_then(|pair| pair.to_pem()),
        };
        pem.map(Secret::new).map_err(crypto)
    }

    /// Names the key: `kid` in its JWK and in the headers of what it signs.
    #[must_use]
    pub fn with_key_id(mut self, key_id: &str) -> Self {
        self.key_id = Some(key_id.to_owned());
        self
    }

    /// The algorithm the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.pair.algorithm()
    }

    /// The public key as a JWK (RFC 7517).
    pub fn jwk(&self) -> Value {
        let jwk = match &self.pair {
            KeyPair::Ed25519(pair) => pair.public_key().to_jwk(),
            KeyPair::P256(pair) => pair.public_key().to_jwk(),
            KeyPair::Rsa(key) => rsa(key)
                .map(|pair| pair.public_key().to_jwk())
                .unwrap_or_default(),
        };
        let mut jwk: Value = serde_json::from_str(&jwk).unwrap_or_default();
        if let (Some(members), Some(key_id)) = (jwk.as_object_mut(), &self.key_id) {
            members.insert("kid".to_owned(), json!(key_id));
        }
        jwk
    }

    /// A key set that holds this key only.
    pub fn key_set(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    /// The RFC 7638 thumbprint of the public key: `cnf.jkt` of a token bound to it.
    pub fn thumbprint(&self) -> String {
        match &self.pair {
            KeyPair::Ed25519(pair) => pair.public_key().jwk_thumbprint(),
            KeyPair::P256(pair) => pair.public_key().jwk_thumbprint(),
            KeyPair::Rsa(key) => {
                let thumbprint = rsa(key).map(|pair| pair.public_key().jwk_thumbprint());
                thumbprint.unwrap_or_default()
            }
        }
    }

    /// Signs claims as a JWT. The header has `alg`, `typ: JWT` and the key's `kid`; the members of
    /// `header` are added and replace these, and `null` removes one.
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, SigningError> {
        let mut all = json!({"alg": self.algorithm().name(), "typ": "JWT"});
        if let Some(all) = all.as_object_mut() {
            let key_id = self.key_id.iter().map(|id| ("kid".to_owned(), json!(id)));
            all.extend(key_id);
            all.extend(header.as_object().cloned().unwrap_or_default());
            all.retain(|_, value| !value.is_null());
        }
        self.sign_text(&all.to_string(), &claims.to_string())
    }

    /// Signs a header and claims that are JSON already, or are broken on purpose.
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub fn sign_text(&self, header: &str, claims: &str) -> Result<String, SigningError> {
        self.pair
            .jwt(self.algorithm(), header, claims)
            .map_err(crypto)
    }

    /// Makes a DPoP proof with this `jti` for one request that sends `token` (RFC 9449 section 4.2).
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub fn proof(
        &self,
        id: &str,
        (method, url): (&str, &str),
        token: &str,
        issued: UnixTime,
    ) -> Result<String, SigningError> {
        let ath = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::Hash::hash(token.as_bytes()));
        let claims = json!({
            "jti": id, "htm": method, "htu": url, "iat": issued.as_secs(), "ath": ath,
        });
        self.sign(&json!({"typ": "dpop+jwt", "jwk": self.jwk()}), &claims)
    }
}

/// An RSA key with the functions of jwt-simple.
fn rsa(key: &Rsa<Private>) -> Result<RS256KeyPair, jwt_simple::Error> {
    RS256KeyPair::from_der(&key.private_key_to_der()?)
}

fn crypto(error: impl std::fmt::Display) -> SigningError {
    SigningError::Crypto(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_the_pem_that_it_is_written_to() {
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let read = SigningKey::from_pem(key.to_pem().unwrap().reveal()).unwrap();
            assert_eq!((read.algorithm(), read.jwk()), (algorithm, key.jwk()));
        }
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        for text in ["", "no key", public] {
            assert_eq!(
                SigningKey::from_pem(text).err(),
                Some(SigningError::NotAKey)
            );
        }
    }
}
