//! The key in a proof's header, and the signature check.

use ed25519_compact::Signature as Ed25519Signature;
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike,
};
use p256::ecdsa::Signature as P256Signature;
use p256::ecdsa::signature::Verifier;

use super::Thumbprint;
use crate::algorithm::Algorithm;

/// A public key for one of [`super::PROOF_ALGORITHMS`].
pub(super) enum ProofKey {
    Ed25519(Ed25519PublicKey),
    P256(ES256PublicKey),
}

impl ProofKey {
    /// Reads a public key. `None`: it has private members, duplicate members, or is not for this algorithm.
    pub(super) fn of_jwk(jwk: &str, algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::ES256 => ES256PublicKey::from_jwk(jwk).ok().map(Self::P256),
            Algorithm::EdDSA => Ed25519PublicKey::from_jwk(jwk).ok().map(Self::Ed25519),
            _ => None,
        }
    }

    /// The RFC 7638 thumbprint.
    pub(super) fn thumbprint(&self) -> Thumbprint {
        Thumbprint(match self {
            Self::Ed25519(key) => key.jwk_thumbprint(),
            Self::P256(key) => key.jwk_thumbprint(),
        })
    }

    /// Checks a JWS signature (RFC 7518 section 3.4, RFC 8037 section 3.1).
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => Ed25519Signature::from_slice(signature).is_ok_and(|signature| {
                let key = key.public_key().as_ref();
                key.verify(signed, &signature).is_ok()
            }),
            Self::P256(key) => P256Signature::from_slice(signature).is_ok_and(|signature| {
                key.public_key().as_ref().verify(signed, &signature).is_ok()
            }),
        }
    }
}
