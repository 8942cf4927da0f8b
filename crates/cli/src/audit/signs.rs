//! Reasons that honest callers do not cause by accident: signs of attacks.

use mcp_auth_filter::reasons::Reason;

/// The codes of these reasons.
const SIGNS: [&str; 34] = [
    "token_algorithm_not_accepted",
    "token_header_not_accepted",
    "token_issuer_untrusted",
    "token_signature_invalid",
    "token_audience_wrong",
    "token_type_wrong",
    "dpop_header_not_accepted",
    "dpop_algorithm_not_accepted",
    "dpop_signature_invalid",
    "dpop_key_wrong",
    "dpop_method_wrong",
    "dpop_url_wrong",
    "dpop_token_wrong",
    "dpop_replayed",
    "origin_not_allowed",
    "host_not_allowed",
    "not_local",
    "header_mismatch",
    "argument_not_owned",
    "argument_in_string",
    "argument_misspelled",
    "resource_not_owned",
    "result_not_owned",
    "uri_ambiguous",
    "uri_parameter_not_owned",
    "pin_broken",
    "view_as_not_allowed",
    "unknown_request_state",
    "other_user",
    "other_browser",
    "state_invalid",
    "state_used",
    "issuer_mismatch",
    "logout_token_invalid",
];

/// Whether a reason is a sign of an attack.
pub(super) fn is_sign(code: &str) -> bool {
    SIGNS.contains(&code)
}

/// The meaning of a reason of a refusal.
pub(super) fn meaning(code: &str) -> Option<&'static str> {
    let rows = Reason::ALL.iter().map(|reason| reason.row());
    let mut rows = rows.filter(|row| row.code == code);
    rows.next().map(|row| row.meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_a_reason() {
        for sign in SIGNS {
            assert!(meaning(sign).is_some(), "{sign}");
        }
    }
}
