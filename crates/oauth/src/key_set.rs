//! Key sets (RFC 7517 section 5).

use jwt_simple::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::algorithm::Algorithm;

/// The number of keys that are read. No issuer has more.
const MAX_KEYS: usize = 64;
/// The number of keys to try for a token without `kid`.
const MAX_KEYS_TRIED: usize = 4;
/// The cost of a check with an RSA key of 2048 bits in the module, in microseconds.
const RSA_2048_CHECK_US: u32 = 700;
const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// Public keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    digest: [u8; 32],
}

#[derive(Debug)]
struct VerificationKey {
    id: Option<String>,
    algorithm: Algorithm,
    public: PublicKey,
    /// The cost of a check with this key in the module, in microseconds.
    check_us: u32,
}

#[derive(Debug)]
enum PublicKey {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Ps256(PS256PublicKey),
    Ps384(PS384PublicKey),
    Ps512(PS512PublicKey),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
    EdDsa(Ed25519PublicKey),
}

/// Why a document is not a usable key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// It has no key for any of the issuer's algorithms.
    #[error("no usable key in it")]
    Empty,
    /// Not `{"keys": [...]}`.
    #[error("not a JSON Web Key Set")]
    Format,
    /// The document is larger than this crate reads.
    #[error("larger than 256 KiB")]
    TooLarge,
}

#[derive(serde::Deserialize)]
struct KeySetDocument<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct KeyHead {
    kid: Option<String>,
    /// The modulus of an RSA key.
    #[serde(default)]
    n: Value,
}

impl KeySet {
    /// Reads a key set and keeps the keys for `algorithms`. Skips other keys, keys for encryption and
    /// malformed keys.
    ///
    /// # Errors
    ///
    /// The document is no key set, or has no usable key.
    pub fn parse(document: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let digest = hmac_sha256::Hash::hash(document);
        let document: KeySetDocument<'_> =
            serde_json::from_slice(document).map_err(|_| KeySetError::Format)?;
        let mut keys = Vec::new();
        for jwk in document.keys.iter().take(MAX_KEYS) {
            let Ok(KeyHead { kid, n }) = serde_json::from_str(jwk.get()) else {
                continue;
            };
            for &algorithm in algorithms {
                if let Some(public) = PublicKey::of_jwk(jwk.get(), algorithm) {
                    let id = kid.clone();
                    keys.push(VerificationKey {
                        id,
                        algorithm,
                        public,
                        check_us: check_us(algorithm, n.as_str().unwrap_or_default()),
                    });
                }
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self { keys, digest })
    }

    /// The SHA-256 of the document.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Whether a key matches a token's `alg` and `kid`.
    pub fn knows(&self, algorithm: Algorithm, key_id: Option<&str>) -> bool {
        self.candidates(algorithm, key_id).next().is_some()
    }

    /// Whether several keys could have signed a token without `kid`.
    pub(super) fn needs_key_id(&self, algorithm: Algorithm) -> bool {
        self.candidates(algorithm, None).nth(1).is_some()
    }

    /// Checks a token's signature, and again its times by `options`.
    pub(super) fn verify(
        &self,
        token: &str,
        algorithm: Algorithm,
        key_id: Option<&str>,
        options: &VerificationOptions,
    ) -> bool {
        self.candidates(algorithm, key_id)
            .take(MAX_KEYS_TRIED)
            .any(|key| key.public.verify(token, options.clone()))
    }

    /// The cost of such a check in the module, in microseconds.
    pub(super) fn check_us(&self, algorithm: Algorithm, key_id: Option<&str>) -> u32 {
        self.candidates(algorithm, key_id)
            .take(MAX_KEYS_TRIED)
            .fold(0, |sum, key| key.check_us.saturating_add(sum))
    }

    fn candidates(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> impl Iterator<Item = &VerificationKey> {
        self.keys.iter().filter(move |key| {
            key.algorithm == algorithm && (key_id.is_none() || key.id.as_deref() == key_id)
        })
    }
}

/// The cost of a check in the module, in microseconds (docs/performance.md). `modulus`: of an RSA key, in
/// base64url. The cost grows with the square of its length.
fn check_us(algorithm: Algorithm, modulus: &str) -> u32 {
    match algorithm {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => rsa_check_us(modulus),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => rsa_check_us(modulus),
        Algorithm::EdDSA => 300,
        Algorithm::ES256 => 500,
        Algorithm::ES384 => 2_000,
    }
}

fn rsa_check_us(modulus: &str) -> u32 {
    let digits = u32::try_from(modulus.len()).unwrap_or(u32::MAX);
    let share_of_2048_bits = digits.saturating_mul(100) / 342;
    share_of_2048_bits
        .saturating_mul(share_of_2048_bits)
        .saturating_mul(RSA_2048_CHECK_US / 100)
        / 100
}

impl PublicKey {
    fn of_jwk(jwk: &str, algorithm: Algorithm) -> Option<Self> {
        let key = match algorithm {
            Algorithm::RS256 => Self::Rs256(RS256PublicKey::from_jwk(jwk).ok()?),
            Algorithm::RS384 => Self::Rs384(RS384PublicKey::from_jwk(jwk).ok()?),
            Algorithm::RS512 => Self::Rs512(RS512PublicKey::from_jwk(jwk).ok()?),
            Algorithm::PS256 => Self::Ps256(PS256PublicKey::from_jwk(jwk).ok()?),
            Algorithm::PS384 => Self::Ps384(PS384PublicKey::from_jwk(jwk).ok()?),
            Algorithm::PS512 => Self::Ps512(PS512PublicKey::from_jwk(jwk).ok()?),
            Algorithm::ES256 => Self::Es256(ES256PublicKey::from_jwk(jwk).ok()?),
            Algorithm::ES384 => Self::Es384(ES384PublicKey::from_jwk(jwk).ok()?),
            Algorithm::EdDSA => Self::EdDsa(Ed25519PublicKey::from_jwk(jwk).ok()?),
        };
        Some(key)
    }

    fn verify(&self, token: &str, options: VerificationOptions) -> bool {
        type Claims = NoCustomClaims;
        let options = Some(options);
        match self {
            Self::Rs256(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Rs384(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Rs512(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Ps256(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Ps384(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Ps512(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Es256(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::Es384(key) => key.verify_token::<Claims>(token, options).is_ok(),
            Self::EdDsa(key) => key.verify_token::<Claims>(token, options).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
