//! The private key of a client, which signs assertions that authenticate it (`private_key_jwt`, RFC 7523
//! section 2.2).

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::token_response::object;
use crate::Algorithm;
use crate::key_pair::{KeyPair, KeyPairError};
use base::secret::Secret;
use base::time::UnixTime;

/// How long an assertion is valid. The server's clock may be behind by this time.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(120);
/// Thumbprints of certificates, by which some servers find the key (RFC 7515 sections 4.1.7 and 4.1.8).
const THUMBPRINTS: [&str; 2] = ["x5t", "x5t#S256"];

/// The private key of a client.
#[derive(Debug)]
pub struct ClientKey {
    pair: KeyPair,
    algorithm: Algorithm,
    /// The header of its assertions.
    header: String,
}

/// Why a text is no key of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClientKeyError {
    /// `alg` of the JWK is not an algorithm of the key.
    #[error("`alg` of the key is not EdDSA, ES256, RS256 or PS256, or does not fit its type")]
    Algorithm,
    /// It is no private key that can be used.
    #[error("{0}")]
    Key(#[from] KeyPairError),
    /// A text of the JWK is malformed.
    #[error("`kid`, `x5t` and `x5t#S256` of the key must be texts")]
    Header,
    /// The JWK is for another use.
    #[error("the key is not for signatures (`use` or `key_ops`)")]
    Use,
}

impl ClientKey {
    /// Reads a private key: a PEM (PKCS #8), or a JWK. An RSA key signs with RS256, unless its JWK has
    /// `"alg": "PS256"`. `kid` and certificate thumbprints of a JWK stand in the header of assertions.
    ///
    /// # Errors
    ///
    /// The text is no private key that can be used.
    pub fn read(text: &str) -> Result<Self, ClientKeyError> {
        let text = text.trim();
        if !text.starts_with('{') {
            // Environment variables of one line have `\n` in place of line ends.
            let pair = KeyPair::from_pem(&text.replace("\\n", "\n"))?;
            return Self::of(pair, &Map::new());
        }
        let jwk = object(text.as_bytes()).ok_or(KeyPairError::Jwk)?;
        let signs = |operations: &Value| {
            let mut operations = operations.as_array().into_iter().flatten();
            operations.any(|operation| operation == "sign")
        };
        if jwk.get("use").is_some_and(|it| it != "sig")
            || jwk.get("key_ops").is_some_and(|it| !signs(it))
        {
            return Err(ClientKeyError::Use);
        }
        Self::of(KeyPair::from_jwk(&jwk)?, &jwk)
    }

    fn of(pair: KeyPair, jwk: &Map<String, Value>) -> Result<Self, ClientKeyError> {
        let own = pair.algorithm();
        let algorithm = match jwk.get("alg") {
            None => own,
            Some(name) => {
                let named = name.as_str().and_then(Algorithm::named);
                match named.ok_or(ClientKeyError::Algorithm)? {
                    Algorithm::PS256 if own == Algorithm::RS256 => Algorithm::PS256,
                    named if named == own => own,
                    _ => return Err(ClientKeyError::Algorithm),
                }
            }
        };
        let mut header = json!({"alg": algorithm.name(), "typ": "JWT"});
        for name in ["kid"].into_iter().chain(THUMBPRINTS) {
            match (jwk.get(name), header.as_object_mut()) {
                (None, _) => {}
                (Some(Value::String(text)), Some(header)) => {
                    header.insert(name.to_owned(), json!(text));
                }
                _ => return Err(ClientKeyError::Header),
            }
        }
        Ok(Self {
            pair,
            algorithm,
            header: header.to_string(),
        })
    }

    /// An assertion for one request (RFC 7523 section 3). `id` must not repeat.
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        id: &[u8; 32],
        now: UnixTime,
    ) -> Result<Secret, ClientKeyError> {
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": BASE64_URL_SAFE_NO_PAD.encode(id),
            "iat": now.as_secs(),
            "exp": now.saturating_add(ASSERTION_LIFETIME).as_secs(),
        });
        let jwt = self
            .pair
            .jwt(self.algorithm, &self.header, &claims.to_string())?;
        Ok(Secret::new(jwt))
    }
}

#[cfg(test)]
mod tests;
