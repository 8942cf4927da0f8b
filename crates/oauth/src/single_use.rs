//! Names of tokens and proofs for calls that may use each of them once.

use base::hex;

use super::bearer::BearerToken;
use super::dpop::{Proof, ProofError};
use super::verifier::{VerifiedBy, VerifiedToken};
use base::time::UnixTime;

/// A token or proof that may be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleUse {
    /// Its name. Everything equivalent has the same name.
    pub name: String,
    /// When it is no longer accepted.
    pub until: UnixTime,
}

impl SingleUse {
    /// Names a token. A signed token is named by its signed part: another valid signature of the same
    /// header and claims does not make another token.
    pub fn of_token(token: &BearerToken<'_>, verified: &VerifiedToken) -> Self {
        let text = match verified.verified_by() {
            VerifiedBy::Signature(_) => signed(token.secret()),
            VerifiedBy::Introspection => token.secret(),
        };
        let name = hmac_sha256::Hash::hash(text.as_bytes());
        Self {
            name: format!("token {}", hex::encode(&name)),
            until: verified.usable_until(),
        }
    }

    /// Names a proof by its key and its `jti` (RFC 9449 section 11.1).
    ///
    /// # Errors
    ///
    /// The token is not bound to a key.
    pub fn of_proof(proof: &Proof<'_>, verified: &VerifiedToken) -> Result<Self, ProofError> {
        let key = verified.bound_to().ok_or(ProofError::Binding)?;
        Ok(Self {
            name: format!("proof {}", hex::encode(&proof.unique_id(key))),
            until: proof.usable_until(),
        })
    }
}

/// The signed part of a JWT.
fn signed(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(signed, _)| signed)
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn b44_tokens_with_one_signed_part_are_one_token() {
        assert_eq!(signed("header.claims.one"), signed("header.claims.two"));
        assert_ne!(signed("header.claims.one"), signed("header.others.one"));
    }
}
