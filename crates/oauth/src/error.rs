//! Why a token is not accepted, and why nothing can be said about tokens.

use thiserror::Error;

use super::dpop::ProofError;
use super::introspection::AnswerError;
use super::issuer::IssuerId;
use super::keys::KeySetError;
use base::json::JsonError;

/// Why a token is not accepted. The texts are sent to the client and say nothing of the token's
/// content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Somebody acts for the caller whom the policy does not name.
    #[error("the token's actor is not accepted")]
    Actor,
    /// `alg` is none this issuer may use.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Made for another server.
    #[error("the token is for another audience")]
    Audience,
    /// Bound to a key by `cnf`, which a bearer token cannot prove (RFC 9449 section 7.1), or to
    /// something no request can prove here.
    #[error("the token is bound to a key and cannot be used as a bearer token")]
    Bound,
    /// A claim that must be there is missing or has the wrong type.
    #[error("claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// Somebody acts for the caller, and nobody may.
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
    /// The issuer says it is not, or no longer, good (RFC 7662 section 2.2).
    #[error("the token is not active, says its issuer")]
    Inactive,
    /// More tokens wait to be asked about than an issuer is asked about at once.
    #[error("too many tokens wait for the issuer's word")]
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
    /// The key set could not be fetched.
    #[error("the issuer's key set is not available")]
    KeysUnavailable,
    /// Valid for longer than the policy accepts.
    #[error("the token is valid for too long")]
    Lifetime,
    /// Nobody acts for the caller, and somebody has to.
    #[error("the token names no actor")]
    NotDelegated,
    /// `nbf` or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// The proof that comes with it is not accepted.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Sent as a bearer token, where the policy wants proofs.
    #[error("the token must be sent with a DPoP proof")]
    ProofRequired,
    /// The signature does not verify.
    #[error("the token's signature is not valid")]
    Signature,
    /// Larger than any sensible token.
    #[error("the token is too large")]
    TooLarge,
    /// Sent with a proof, and not bound to a key.
    #[error("the token is not bound to a key, so no proof goes with it")]
    Unbound,
    /// It was used before, for a call that uses it up.
    #[error("the token was used before, and is good for one such call only")]
    Used,
    /// An ID token, an identity assertion, a proof: not an access token.
    #[error("the token is not an access token")]
    Type,
}

impl TokenError {
    /// The reason as the access log names it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Actor => "token_actor",
            Self::Algorithm => "token_algorithm",
            Self::Audience => "token_audience",
            Self::Bound => "token_bound",
            Self::Claim(_) => "token_claim",
            Self::Delegated => "token_delegated",
            Self::Encoding | Self::Json(_) => "token_malformed",
            Self::Expired => "token_expired",
            Self::Header => "token_header",
            Self::Inactive => "token_inactive",
            Self::IntrospectionBusy => "introspection_busy",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::Issuer => "token_issuer",
            Self::Key => "token_key",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Lifetime => "token_lifetime",
            Self::NotDelegated => "token_not_delegated",
            Self::NotYet => "token_not_yet_valid",
            Self::Proof(error) => error.reason(),
            Self::ProofRequired => "dpop_required",
            Self::Signature => "token_signature",
            Self::TooLarge => "token_too_large",
            Self::Unbound => "token_not_bound",
            Self::Used => "token_used",
            Self::Type => "token_type",
        }
    }

    /// Whether the token may be good, and only its issuer cannot be reached: not the caller's fault,
    /// and nothing it can cure.
    pub fn is_unavailable(self) -> bool {
        matches!(
            self,
            Self::IntrospectionBusy | Self::IntrospectionUnavailable | Self::KeysUnavailable
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
}

impl SetupError {
    /// Where in the policy the mistake is.
    pub fn path(&self) -> String {
        match self {
            Self::Keys(issuer, _) => format!("issuers[{}].jwks", issuer.0),
            Self::Secret(issuer, _) => {
                format!("issuers[{}].introspection.client_secret_env", issuer.0)
            }
        }
    }
}

/// Why what was fetched is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FetchError {
    /// It is no answer about a token.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// It is no key set.
    #[error(transparent)]
    Keys(#[from] KeySetError),
}
