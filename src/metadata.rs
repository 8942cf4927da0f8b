//! Protected resource metadata: clients read it to find the authorization server.

use serde_json::{Value, json};

use crate::refusal::proof_algorithms;
use base::http::Reply;
use policy::Policy;

/// The protected resource metadata document (RFC 9728 section 3.2).
pub fn metadata(policy: &Policy) -> Reply {
    let issuers: Vec<&str> = policy
        .issuers
        .iter()
        .map(|issuer| issuer.authorization_server.as_str())
        .collect();
    let mut document = json!({
        "resource": policy.resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    });
    if let Some(members) = document.as_object_mut() {
        let scopes = policy.scopes_supported();
        if !scopes.is_empty() {
            members.insert("scopes_supported".to_owned(), json!(scopes));
        }
        if let Ok(Value::Object(written)) = serde_json::to_value(&policy.metadata) {
            members.extend(written);
        }
    }
    if let (Some(proofs), Some(document)) = (&policy.dpop, document.as_object_mut()) {
        let names = proof_algorithms();
        document.insert("dpop_signing_alg_values_supported".to_owned(), json!(names));
        document.insert(
            "dpop_bound_access_tokens_required".to_owned(),
            json!(proofs.required),
        );
    }
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "max-age=300".to_owned()),
            // Public: clients in web pages read it before the sign-in.
            ("access-control-allow-origin", "*".to_owned()),
        ],
        body: document.to_string().into_bytes(),
    }
}
