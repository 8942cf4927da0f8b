//! Key sets (RFC 7517 section 5).

mod public_key;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use self::public_key::PublicKey;
use super::algorithm::Algorithm;
use super::host_check::{HostCheck, HostKey};
use super::issuer::TENANT_PLACEHOLDER;

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
    /// The issuer that the key is for, where one key set has keys of several (Microsoft Entra).
    issuer: Option<String>,
    algorithm: Algorithm,
    public: PublicKey,
    /// The key as the host reads it, if the host can check its signatures.
    host: Option<HostKey>,
    /// The cost of a check with this key in the module, in microseconds.
    check_us: u32,
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
    issuer: Option<String>,
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
            let Ok(KeyHead { kid, issuer, n }) = serde_json::from_str(jwk.get()) else {
                continue;
            };
            for &algorithm in algorithms {
                if let Some(public) = PublicKey::of_jwk(jwk.get(), algorithm) {
                    keys.push(VerificationKey {
                        id: kid.clone(),
                        issuer: issuer.clone(),
                        algorithm,
                        host: public.der().and_then(|der| HostKey::of(algorithm, der)),
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

    /// Checks the signature of a token in compact form. `tenant` is the one that the token's issuer names, if
    /// the policy has tenants. `host` checks what it can.
    pub fn verify(
        &self,
        token: &str,
        algorithm: Algorithm,
        key_id: Option<&str>,
        tenant: Option<&str>,
        host: Option<HostCheck>,
    ) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else {
            return false;
        };
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        self.candidates(algorithm, key_id)
            .filter(|key| tenant.is_none_or(|tenant| key.is_for(tenant)))
            .take(MAX_KEYS_TRIED)
            .any(|key| key.has_signed(signed.as_bytes(), &signature, host))
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

impl VerificationKey {
    /// Whether the key made the signature of a text.
    fn has_signed(&self, text: &[u8], signature: &[u8], host: Option<HostCheck>) -> bool {
        let by_host = || self.host.as_ref()?.has_signed(text, signature, host?);
        by_host().unwrap_or_else(|| self.public.has_signed(text, signature))
    }

    /// Whether the key may sign for a tenant. Keys of all tenants have a placeholder in place of one.
    fn is_for(&self, tenant: &str) -> bool {
        self.issuer.as_deref().is_none_or(|issuer| {
            issuer.contains(TENANT_PLACEHOLDER) || issuer.split('/').any(|part| part == tenant)
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

#[cfg(test)]
mod tests;
