//! The type of a token in responses of authorization servers (RFC 6749 section 7.1).

use serde_json::Value;

/// Names that servers give to bearer tokens beside `Bearer`: Apigee (`BearerToken`), Slack (`bot`, `user`), and
/// older versions of Ory Hydra (`access_token`). All of them accept the token as a bearer token.
const BEARER_NAMES: [&str; 5] = ["bearer", "bearertoken", "bot", "user", "access_token"];

/// Whether a `token_type` is that of a bearer token. Some servers leave it out: no token needs a proof that was
/// not requested. All other types are refused, such as `DPoP`, `mac` and `N_A`.
pub(crate) fn is_bearer(kind: Option<&Value>) -> bool {
    match kind {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) => {
            let name = name.trim();
            name.is_empty() || BEARER_NAMES.iter().any(|it| name.eq_ignore_ascii_case(it))
        }
        Some(_) => false,
    }
}
