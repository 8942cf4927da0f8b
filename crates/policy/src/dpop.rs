//! The policy's rules for proofs of possession.

use std::time::Duration;

use super::document::{AuthorizationDocument, Document, Dpop};
use super::error::{Errors, PolicyError};
use oauth::{ProofRules, ProofUrl};

const WINDOW: Duration = Duration::from_secs(300);
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(600);

/// The rules for proofs. `None`: bound tokens are refused.
pub(super) fn compile_dpop(document: &Document, errors: &mut Errors) -> Option<ProofRules> {
    let window = document.dpop_window.map(|window| window.0);
    if document.dpop == Dpop::Refused {
        if window.is_some() {
            let message = "goes with `dpop: accepted` or `dpop: required`";
            errors.push(PolicyError::new("dpop_window", message));
        }
        return None;
    }
    if window.is_some_and(|window| !WINDOWS.contains(&window)) {
        errors.push(PolicyError::new("dpop_window", "expected 1s to 10m"));
    }
    if document.upstream.authorization == AuthorizationDocument::Pass {
        errors.push(PolicyError::new(
            "upstream.authorization",
            "found `pass` with `dpop`: the server could not use a token whose proof ends here",
        ));
    }
    let Some(url) = ProofUrl::of(&document.resource) else {
        let message = "found a `resource` that no proof can name; expected one of visible ASCII";
        errors.push(PolicyError::new("dpop", message));
        return None;
    };
    Some(ProofRules {
        required: document.dpop == Dpop::Required,
        url,
        window: window.unwrap_or(WINDOW),
    })
}
