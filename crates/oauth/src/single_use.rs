//! What authorizes a request, named so that it can be used up: the proof that comes with a token, or
//! else the token.

use super::bearer::BearerToken;
use super::dpop::{Proof, ProofError};
use super::verifier::{VerifiedToken, Vouched};

/// Something that may be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleUse {
    /// What it is called: the same for everything that is as good as it.
    pub name: String,
    /// When it is of no use any more, in Unix seconds.
    pub until: u64,
}

impl SingleUse {
    /// A token. One that was verified by its signature is named by what is signed: another valid
    /// signature of the same does not make it another token.
    pub fn of_token(token: &BearerToken<'_>, verified: &VerifiedToken) -> Self {
        let text = match verified.vouched() {
            Vouched::Signature(_) => signed(token.secret()),
            Vouched::Introspection => token.secret(),
        };
        let name = hmac_sha256::Hash::hash(text.as_bytes());
        Self {
            name: format!("token {name:02x?}"),
            until: verified.usable_until(),
        }
    }

    /// A proof, by its key and its `jti` (RFC 9449 section 11.1).
    ///
    /// # Errors
    ///
    /// The token is bound to no key.
    pub fn of_proof(proof: &Proof<'_>, verified: &VerifiedToken) -> Result<Self, ProofError> {
        let key = verified.bound_to().ok_or(ProofError::Binding)?;
        Ok(Self {
            name: format!("proof {:02x?}", proof.name(key)),
            until: proof.usable_until(),
        })
    }
}

/// What is signed of a JWT.
fn signed(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(signed, _)| signed)
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn b44_another_signature_makes_no_other_token() {
        assert_eq!(signed("header.claims.one"), signed("header.claims.two"));
        assert_ne!(signed("header.claims.one"), signed("header.others.one"));
    }
}
