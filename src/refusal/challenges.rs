//! `WWW-Authenticate`: the way for a client to cure a refusal, for each way to send a token.

use super::Refusal;
use crate::reasons::{Challenge, Seen};
use oauth::{PROOF_ALGORITHMS, TokenError};
use policy::Policy;

/// The challenges of a refusal, one for each way to send a token (RFC 9449 section 7). Some clients read
/// only the first one and know only `Bearer`.
pub(super) fn challenges(policy: &Policy, refusal: &Refusal) -> Vec<String> {
    let Some(parameters) = parameters(policy, refusal) else {
        return Vec::new();
    };
    let Some(proofs) = &policy.dpop else {
        return vec![format!("Bearer {parameters}")];
    };
    let algorithms = proof_algorithms().join(" ");
    let dpop = format!("DPoP {parameters}, algs=\"{algorithms}\"");
    if proofs.required {
        return vec![dpop];
    }
    let bearer = match refusal {
        // A bearer token needs no proof.
        Refusal::Token(refused) if matches!(refused.error, TokenError::Proof(_)) => {
            where_to_sign_in(policy)
        }
        _ => parameters,
    };
    vec![format!("Bearer {bearer}"), dpop]
}

/// The algorithms that are accepted for proofs.
pub fn proof_algorithms() -> Vec<&'static str> {
    PROOF_ALGORITHMS.iter().map(|name| name.name()).collect()
}

/// The parameters of a challenge (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC
/// 9728 section 5.1).
fn parameters(policy: &Policy, refusal: &Refusal) -> Option<String> {
    let metadata = metadata(policy);
    let row = refusal.reason().row();
    let Seen::Challenge(_, challenge) = row.outcome.seen else {
        return None;
    };
    let other_token = |error: &str| {
        let sign_in = where_to_sign_in(policy);
        format!(
            "error=\"{error}\", error_description=\"{}\", {sign_in}",
            row.code
        )
    };
    Some(match challenge {
        Challenge::SignIn => where_to_sign_in(policy),
        Challenge::InvalidToken => other_token("invalid_token"),
        Challenge::InvalidProof => other_token("invalid_dpop_proof"),
        Challenge::InsufficientScope => format!(
            "error=\"insufficient_scope\"{}, {metadata}{}",
            scope(refusal.scopes()),
            described(refusal),
        ),
        Challenge::OfferedSignIn => format!(
            "{metadata}, error=\"insufficient_scope\", error_description=\"Sign in to continue\"{}",
            scope(refusal.scopes())
        ),
        // Without scopes a client would request all scopes of the metadata.
        Challenge::NewerSignIn => format!(
            "error=\"insufficient_user_authentication\", {}{}, {metadata}{}",
            refusal.fill("max_age=\"{max_age}\""),
            scope(refusal.scopes()),
            described(refusal),
        ),
    })
}

/// The URL of the metadata, and the scopes to request first.
fn where_to_sign_in(policy: &Policy) -> String {
    format!("{}{}", metadata(policy), scope(&policy.scopes))
}

fn metadata(policy: &Policy) -> String {
    format!("resource_metadata=\"{}\"", policy.metadata_url())
}

fn scope(scopes: &[String]) -> String {
    match scopes {
        [] => String::new(),
        scopes => format!(", scope=\"{}\"", scopes.join(" ")),
    }
}

/// `error_description`. It has only words of the policy, which have no quotes.
fn described(refusal: &Refusal) -> String {
    format!(", error_description=\"{}\"", refusal.summary())
}
