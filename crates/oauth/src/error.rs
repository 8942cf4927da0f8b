//! Why a token is not accepted, and why a verifier cannot be made.

use thiserror::Error;

use super::client::ClientKeyError;
use super::dpop::ProofError;
use super::introspection::IntrospectionError;
use super::issuer::IssuerId;
use super::key_set::KeySetError;
use base::json::JsonError;

/// Why a token is not accepted. The texts are sent to the client and say nothing of the token's
/// content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// `act` names an actor that the policy does not.
    #[error("the token's actor is not accepted")]
    Actor,
    /// The policy does not accept this `alg` of this issuer.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// `aud` names another server.
    #[error("the token is for another audience")]
    Audience,
    /// Bound to a key by `cnf`, which a bearer token cannot prove (RFC 9449 section 7.1), or to
    /// something no request can prove here.
    #[error("the token is bound to a key and cannot be used as a bearer token")]
    Bound,
    /// The client, or all clients together, sent more tokens with invalid signatures than a worker checks
    /// in a second.
    #[error("too many tokens with invalid signatures were sent; try again in a second")]
    ChecksBusy,
    /// A claim that must be there is missing or has the wrong type.
    #[error("claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// The token has `act`, and the policy accepts no actors.
    #[error("the token is delegated, which is not accepted")]
    Delegated,
    /// Not three base64url parts.
    #[error("the token is not a JWT")]
    Encoding,
    /// `exp` is in the past.
    #[error("the token has expired")]
    Expired,
    /// A header parameter that would let a token choose its key, or that is not understood.
    #[error("the token's header has a parameter that is not accepted")]
    Header,
    /// The issuer says that the token is not active (RFC 7662 section 2.2).
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// More tokens wait for introspection than a worker asks about at a time.
    #[error("too many tokens wait for introspection by the issuer")]
    IntrospectionBusy,
    /// The issuer could not be asked, or gave no answer.
    #[error("the issuer cannot be asked about the token")]
    IntrospectionUnavailable,
    /// The issuer is not in the policy.
    #[error("the token's issuer is not trusted")]
    Issuer,
    /// Header or claims are not strict JSON.
    #[error("the token is not strict JSON: {0}")]
    Json(#[from] JsonError),
    /// No key of this issuer has the token's `kid` and algorithm.
    #[error("the token's key is not known")]
    Key,
    /// The token's key is not in the fetched key set, and the key set may not be fetched again yet.
    #[error("the issuer's key set is not current; try again in a moment")]
    KeySetNotCurrent,
    /// The token names no key, and several may have signed it.
    #[error("the token names no key (`kid`), and several keys of its issuer fit")]
    KeyUnnamed,
    /// The key set could not be fetched.
    #[error("the issuer's key set is not available")]
    KeysUnavailable,
    /// Valid for longer than the policy accepts.
    #[error("the token is valid for too long")]
    Lifetime,
    /// The token has no `act`, and the policy requires one.
    #[error("the token names no actor")]
    NotDelegated,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// The proof that comes with it is not accepted.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Sent as a bearer token, and the policy requires proofs.
    #[error("the token must be sent with a DPoP proof")]
    ProofRequired,
    /// The signature does not verify.
    #[error("the token's signature is not valid")]
    Signature,
    /// Larger than this crate reads.
    #[error("the token is too large")]
    TooLarge,
    /// Sent with a proof, and not bound to a key.
    #[error("the token is not bound to a key, so it must be sent without a proof")]
    Unbound,
    /// The token was used before, for a call that may use each token once.
    #[error("the token was used before; each such call needs a new token")]
    Used,
    /// An ID token, an assertion, a logout token or a proof.
    #[error("the token is not an access token")]
    Type,
}

impl TokenError {
    /// Whether the token could not be checked because its issuer cannot be reached. The caller cannot
    /// cure that.
    pub fn is_unavailable(self) -> bool {
        matches!(
            self,
            Self::ChecksBusy
                | Self::IntrospectionBusy
                | Self::IntrospectionUnavailable
                | Self::KeySetNotCurrent
                | Self::KeysUnavailable
        )
    }
}

/// Why a verifier cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetupError {
    /// The key set the policy has for an issuer is not usable.
    #[error("{1}")]
    Keys(IssuerId, KeySetError),
    /// The secret to ask an issuer with is missing.
    #[error(
        "the VM's environment has no variable `{1}`; set it under `vm_config.environment_variables`"
    )]
    Secret(IssuerId, String),
    /// The private key to ask an issuer with is missing.
    #[error(
        "the VM's environment has no variable `{1}`; set it under `vm_config.environment_variables`"
    )]
    NoClientKey(IssuerId, String),
    /// The private key to ask an issuer with is not usable.
    #[error("{1}")]
    ClientKey(IssuerId, ClientKeyError),
}

impl SetupError {
    /// Where in the policy the mistake is.
    pub fn path(&self) -> String {
        match self {
            Self::Keys(issuer, _) => format!("issuers[{}].jwks", issuer.0),
            Self::Secret(issuer, _) => {
                format!("issuers[{}].introspection.client_secret_env", issuer.0)
            }
            Self::NoClientKey(issuer, _) | Self::ClientKey(issuer, _) => {
                format!("issuers[{}].introspection.client_key_env", issuer.0)
            }
        }
    }
}

/// Why the answer of an issuer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FetchError {
    /// It is not an answer to an introspection request.
    #[error(transparent)]
    Answer(#[from] IntrospectionError),
    /// It is not a key set.
    #[error(transparent)]
    Keys(#[from] KeySetError),
}
