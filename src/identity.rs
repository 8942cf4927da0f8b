//! Who is calling: from a token's bytes to the values the rest of the filter may trust.

mod algorithm;
mod bearer;
mod claims;
mod error;
mod issuer;
mod keys;
mod verifier;

pub use algorithm::{Algorithm, TokenType};
pub use bearer::BearerToken;
pub use claims::{ClaimPath, ClaimPaths, Identity};
pub use error::TokenError;
pub use issuer::{IssuerId, IssuerKeys, KeyFetch, KeySource, TrustedIssuer};
pub use keys::{KeySet, KeySetError};
pub use verifier::{Verification, VerifiedToken, Verifier};
