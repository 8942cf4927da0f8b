//! One key of a sealer.

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use hmac_sha256::{HKDF, HMAC};

use super::{MIN_SECRET_BYTES, ShortSecret};
use crate::hex;
use crate::store::StoreNames;

/// The length of a key's id, in hexadecimal digits.
pub(super) const ID_DIGITS: usize = 6;

/// A key, derived from a secret (RFC 5869). Each form of sealed ids has its own derived key, so that a sealed
/// id has no second text: without the id of its key it does not open.
pub struct SealKey {
    id: String,
    with_id: [u8; 64],
    without_id: [u8; 64],
}

/// The form of a sealed id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SealedForm {
    /// It begins with the id of its key.
    WithId,
    /// As versions before key ids made it.
    WithoutId,
}

impl SealKey {
    /// Derives a key from a secret.
    ///
    /// # Errors
    ///
    /// The secret is too short.
    pub fn new(secret: &str) -> Result<Self, ShortSecret> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(ShortSecret);
        }
        let extracted = HKDF::extract(b"", secret);
        let derived = |purpose: &[u8]| {
            let mut key = [0; 64];
            HKDF::expand(&mut key, extracted, purpose);
            key
        };
        let with_id = derived(b"mcp-auth-filter sealed values");
        let id = HMAC::mac(b"mcp-auth-filter key id", with_id);
        Ok(Self {
            id: hex::encode(&id).chars().take(ID_DIGITS).collect(),
            with_id,
            without_id: derived(b"mcp-auth-filter handles"),
        })
    }

    /// Its id, in sealed values, the log and metrics. It is not secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The names that a store gives to records, from the same secret.
    pub fn store_names(&self) -> StoreNames {
        StoreNames::new(HMAC::mac(b"mcp-auth-filter record names", self.without_id))
    }

    pub(super) fn encrypt(
        &self,
        form: SealedForm,
        associated: Vec<&[u8]>,
        plain: &[u8],
    ) -> Vec<u8> {
        let sealed = self.cipher(form).encrypt(associated, plain);
        sealed.unwrap_or_default()
    }

    pub(super) fn decrypt(
        &self,
        form: SealedForm,
        associated: Vec<&[u8]>,
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        self.cipher(form).decrypt(associated, sealed).ok()
    }

    fn cipher(&self, form: SealedForm) -> Aes256Siv {
        Aes256Siv::new(match form {
            SealedForm::WithId => (&self.with_id).into(),
            SealedForm::WithoutId => (&self.without_id).into(),
        })
    }
}

/// Without the key.
impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealKey({})", self.id)
    }
}
