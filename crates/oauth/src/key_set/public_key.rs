//! Public keys, and the check of a signature.
//!
//! jwt-simple reads the keys. It checks no signature of a token whose `sub` is a number, so the functions that
//! it calls are called here. All claims are checked by `verifier/access_token.rs`.

use jwt_simple::prelude::*;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use superboring::pkey::PKey;
use superboring::sign::Verifier as RsaVerifier;

use crate::algorithm::Algorithm;

/// A public key for one algorithm.
#[derive(Debug)]
pub(super) enum PublicKey {
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

impl PublicKey {
    /// Reads a JWK (RFC 7517). `None`: it is no key for the algorithm.
    pub(super) fn of_jwk(jwk: &str, algorithm: Algorithm) -> Option<Self> {
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

    /// The key as SubjectPublicKeyInfo in DER (RFC 5280 section 4.1), if hosts check its signatures.
    pub(super) fn der(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rs256(key) => key.public_key().to_der().ok(),
            Self::Rs384(key) => key.public_key().to_der().ok(),
            Self::Rs512(key) => key.public_key().to_der().ok(),
            Self::Es256(key) => key.public_key().to_der().ok(),
            Self::Es384(key) => key.public_key().to_der().ok(),
            Self::Ps256(_) | Self::Ps384(_) | Self::Ps512(_) | Self::EdDsa(_) => None,
        }
    }

    /// Whether the key made the signature of a text.
    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => rsa(key, text, signature),
            Self::Rs384(key) => rsa(key, text, signature),
            Self::Rs512(key) => rsa(key, text, signature),
            Self::Ps256(key) => rsa(key, text, signature),
            Self::Ps384(key) => rsa(key, text, signature),
            Self::Ps512(key) => rsa(key, text, signature),
            Self::Es256(key) => {
                let hash = hmac_sha256::Hash::hash(text);
                let signature = p256::ecdsa::Signature::from_slice(signature);
                let key = key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok())
            }
            Self::Es384(key) => {
                let hash = hmac_sha512::sha384::Hash::hash(text);
                let signature = p384::ecdsa::Signature::from_slice(signature);
                let key = key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok())
            }
            Self::EdDsa(key) => {
                let signature = ed25519_compact::Signature::from_slice(signature);
                let key = key.public_key().as_ref();
                signature.is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
        }
    }
}

fn rsa<K: RSAPublicKeyLike>(key: &K, text: &[u8], signature: &[u8]) -> bool {
    let check = || {
        let public = PKey::from_rsa(key.public_key().as_ref().clone())?;
        let mut verifier = RsaVerifier::new(K::hash(), &public)?;
        verifier.set_rsa_padding(key.padding_scheme())?;
        verifier.update(text)?;
        verifier.verify(signature)
    };
    check().unwrap_or(false)
}
