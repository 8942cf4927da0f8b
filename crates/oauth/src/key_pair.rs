//! Private keys that sign: EdDSA, ES256 and RSA. In the module they sign only assertions of the filter's own
//! clients ([`crate::client::ClientKey`]).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::{ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike};
use p256::ecdsa::Signature as P256Signature;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Map, Value};
use superboring::bn::BigNum;
use superboring::pkey::{PKey, Private};
use superboring::rsa::{Padding, Rsa};
use superboring::{hash::MessageDigest, sign::Signer as RsaSigner};
use thiserror::Error;

use crate::Algorithm;

/// The sizes of RSA keys, in bits. Larger keys need seconds for a signature.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// A private key for EdDSA, ES256 or RSA.
#[derive(Debug)]
pub(crate) enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(ES256KeyPair),
    Rsa(Box<Rsa<Private>>),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyPairError {
    /// The text is no private key that can be used.
    #[error("no private key for EdDSA, ES256 or RSA (2048 to 4096 bits) in PEM (PKCS #8)")]
    Pem,
    /// The object is no private key that can be used.
    #[error(
        "no private JWK for EdDSA (Ed25519), ES256 (P-256) or RSA (2048 to 4096 bits, with `p`, `q`, `dp`, `dq` \
         and `qi`)"
    )]
    Jwk,
    /// The cryptography crate reports an error.
    #[error("the key cannot sign")]
    Signature,
}

impl KeyPair {
    /// Reads a key from PEM (PKCS #8).
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyPairError> {
        if let Ok(pair) = Ed25519KeyPair::from_pem(pem) {
            Ok(Self::Ed25519(pair))
        } else if let Ok(pair) = ES256KeyPair::from_pem(pem) {
            Ok(Self::P256(pair))
        } else {
            let key = Rsa::private_key_from_pem(pem.as_bytes()).ok();
            let key = key.and_then(Self::of_rsa);
            key.ok_or(KeyPairError::Pem)
        }
    }

    /// An RSA key of a size that is safe, and that does not hold up the worker.
    fn of_rsa(key: Rsa<Private>) -> Option<Self> {
        let is_consistent = key.check_key().unwrap_or(false);
        let is_sound = RSA_BITS.contains(&key.bits()) && is_consistent;
        is_sound.then(|| Self::Rsa(Box::new(key)))
    }

    /// Reads a private JWK (RFC 7518 section 6, RFC 8037 section 2). Its public part must belong to the private
    /// part.
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyPairError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let value = text(name).and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
            value.ok_or(KeyPairError::Jwk)
        };
        match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => {
                let both = [bytes("d")?, bytes("x")?].concat();
                let pair = Ed25519KeyPair::from_bytes(&both).map_err(|_| KeyPairError::Jwk)?;
                Ok(Self::Ed25519(pair))
            }
            (Some("EC"), Some("P-256")) => {
                let pair = ES256KeyPair::from_bytes(&bytes("d")?).map_err(|_| KeyPairError::Jwk)?;
                let own: Option<Value> = serde_json::from_str(&pair.public_key().to_jwk()).ok();
                let is_own =
                    |name: &str| own.as_ref().and_then(|own| own.get(name)) == jwk.get(name);
                match is_own("x") && is_own("y") {
                    true => Ok(Self::P256(pair)),
                    false => Err(KeyPairError::Jwk),
                }
            }
            (Some("RSA"), _) => {
                let number =
                    |name: &str| BigNum::from_slice(&bytes(name)?).map_err(|_| KeyPairError::Jwk);
                let key = Rsa::from_private_components(
                    number("n")?,
                    number("e")?,
                    number("d")?,
                    number("p")?,
                    number("q")?,
                    number("dp")?,
                    number("dq")?,
                    number("qi")?,
                );
                let key = key.ok().and_then(Self::of_rsa);
                key.ok_or(KeyPairError::Jwk)
            }
            _ => Err(KeyPairError::Jwk),
        }
    }

    /// The algorithm the key signs with, unless an RSA key signs with PSS.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDSA,
            Self::P256(_) => Algorithm::ES256,
            Self::Rsa(_) => Algorithm::RS256,
        }
    }

    /// A JWT of a header and claims. With [`Algorithm::PS256`] an RSA key signs with PSS.
    ///
    /// # Errors
    ///
    /// The cryptography crate reports an error.
    pub(crate) fn jwt(
        &self,
        algorithm: Algorithm,
        header: &str,
        claims: &str,
    ) -> Result<String, KeyPairError> {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let text = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let signature = self.signature(algorithm, text.as_bytes());
        Ok(format!("{text}.{}", encode(&signature?)))
    }

    fn signature(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, KeyPairError> {
        match self {
            Self::Ed25519(pair) => Ok(pair.key_pair().as_ref().sk.sign(text, None).to_vec()),
            Self::P256(pair) => {
                let signature: Result<P256Signature, _> = pair.key_pair().as_ref().try_sign(text);
                let signature = signature.map_err(|_| KeyPairError::Signature)?;
                Ok(signature.to_bytes().to_vec())
            }
            Self::Rsa(key) => {
                let padding = match algorithm {
                    Algorithm::PS256 => Padding::PKCS1_PSS,
                    _ => Padding::PKCS1,
                };
                let sign = || {
                    let key = PKey::from_rsa((**key).clone())?;
                    let mut signer = RsaSigner::new(MessageDigest::sha256(), &key)?;
                    signer.set_rsa_padding(padding)?;
                    signer.update(text)?;
                    signer.sign_to_vec()
                };
                sign().map_err(|_| KeyPairError::Signature)
            }
        }
    }
}
