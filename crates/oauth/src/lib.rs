#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod algorithm;
mod bearer;
mod claims;
pub mod client;
mod client_network;
mod delegation;
mod dpop;
mod error;
mod host_check;
mod introspection;
mod issuer;
mod key_pair;
mod key_set;
mod refused;
#[cfg(any(test, feature = "signing"))]
pub mod signing;
mod single_use;
mod token_type;
mod verifier;

/// Whether this build can sign tokens. The module for the proxy signs only assertions of its own clients.
pub const CAN_SIGN: bool = cfg!(feature = "signing");

pub use algorithm::{Algorithm, TokenType};
pub use bearer::{BearerToken, TokenDigest};
pub use claims::{ClaimForm, ClaimPath, ClaimPaths, ClaimSource, Identity, WrongForm};
pub use client_network::ClientNetwork;
pub use delegation::Delegation;
pub use dpop::{PROOF_ALGORITHMS, Proof, ProofError, ProofRules, ProofUrl};
pub use error::{FetchError, SetupError, TokenError};
pub use host_check::{HostCheck, HostSignature, is_reliable};
pub use introspection::{Introspection, IntrospectionError};
pub use issuer::{
    AcceptedClients, IssuerId, JwksCache, KeyFetch, KeySource, Signatures, TENANT_PLACEHOLDER,
    TokenCheck, TrustedIssuer,
};
pub use key_pair::KeyPairError;
pub use key_set::{KeySet, KeySetError};
pub use refused::{RefusedToken, TokenFinding};
pub use single_use::SingleUse;
pub use verifier::{
    FetchStart, IdVerification, LogoutVerification, PendingFetch, ReceivedIdToken, SignInAnswer,
    Verification, VerifiedBy, VerifiedIdToken, VerifiedLogout, VerifiedToken, Verifier,
};
