//! Checks of signatures by the host. A proxy has a library that checks them faster than WebAssembly.
//!
//! A host is used only if it is right about known signatures. Without it, this crate checks.

mod known_signatures;

use std::borrow::Cow;

use crate::Algorithm;

pub use self::known_signatures::is_reliable;

/// A signature for the host to check: RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) or ECDSA.
#[derive(Debug, Clone, Copy)]
pub struct HostSignature<'a> {
    /// The hash function: `sha256`, `sha384` or `sha512`.
    pub hash: &'static str,
    /// The public key: a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1).
    pub key: &'a [u8],
    /// The text that is signed.
    pub text: &'a [u8],
    /// The signature. One of ECDSA is an ECDSA-Sig-Value in DER (RFC 3279 section 2.2.3).
    pub signature: &'a [u8],
}

/// Checks a signature: whether it is good. `None`: the host cannot tell.
pub type HostCheck = fn(&HostSignature<'_>) -> Option<bool>;

/// A key as hosts read it.
#[derive(Debug)]
pub(crate) struct HostKey {
    algorithm: Algorithm,
    hash: &'static str,
    der: Vec<u8>,
}

impl HostKey {
    /// The key for an algorithm that hosts check. `der`: a SubjectPublicKeyInfo.
    pub(crate) fn of(algorithm: Algorithm, der: Vec<u8>) -> Option<Self> {
        let hash = match algorithm {
            Algorithm::RS256 | Algorithm::ES256 => "sha256",
            Algorithm::RS384 | Algorithm::ES384 => "sha384",
            Algorithm::RS512 => "sha512",
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 | Algorithm::EdDSA => {
                return None;
            }
        };
        Some(Self {
            algorithm,
            hash,
            der,
        })
    }

    /// Whether the key made the signature of a text. `None`: the host cannot tell.
    pub(crate) fn has_signed(
        &self,
        text: &[u8],
        signature: &[u8],
        check: HostCheck,
    ) -> Option<bool> {
        check(&HostSignature {
            hash: self.hash,
            key: &self.der,
            text,
            signature: &self.as_host_reads(signature)?,
        })
    }

    /// A JWS has the two numbers of an ECDSA signature one after the other (RFC 7518 section 3.4).
    fn as_host_reads<'a>(&self, signature: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        Some(match self.algorithm {
            Algorithm::ES256 => {
                let read = p256::ecdsa::Signature::from_slice(signature).ok()?;
                Cow::Owned(read.to_der().as_bytes().to_vec())
            }
            Algorithm::ES384 => {
                let read = p384::ecdsa::Signature::from_slice(signature).ok()?;
                Cow::Owned(read.to_der().as_bytes().to_vec())
            }
            _ => Cow::Borrowed(signature),
        })
    }
}

#[cfg(test)]
mod tests;
