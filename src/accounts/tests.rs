//! The pages, and what is kept, without I/O.

pub(super) mod agreeing;
mod attacks;
mod connecting;
mod discovering;
mod logout;
pub(super) mod world;

use serde_json::{Value, json};

use super::{Clients, Flow, Next, PageContext, Random};
use policy::{Connection, Policy};

/// A policy with one connection.
pub(super) fn document() -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "seal": {"key_env": "SEAL"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "mcp-pages",
            },
        }],
        "connections": {
            "notes": {
                "title": "Notes",
                "issuer": "https://notes.example.com",
                "authorize": "https://notes.example.com/authorize?tenant=1",
                "token": {"cluster": "notes", "path": "/token"},
                "revoke": {"cluster": "notes", "path": "/revoke"},
                "client_id": "mcp",
                "client_secret_env": "NOTES_SECRET",
                "scopes": ["notes.read", "offline_access"],
                "allows": ["Read your notes"],
                "lifetime": "10m",
            },
        },
        "tools": {"notes.*": {"connection": "notes"}},
    })
}

/// The same, with an authorization server that is asked.
pub(super) fn discovering() -> Value {
    let mut document = document();
    document["connections"]["notes"] = json!({
        "title": "Notes",
        "issuer": "https://notes.example.com",
        "discover": {"cluster": "notes"},
        "scopes": ["notes.read", "offline_access"],
        "lifetime": "10m",
    });
    document
}

/// What that server publishes.
pub(super) fn metadata() -> Value {
    json!({
        "issuer": "https://notes.example.com",
        "authorization_endpoint": "https://login.notes.example/authorize?tenant=1",
        "token_endpoint": "https://notes.example.com/oauth/token",
        "revocation_endpoint": "https://notes.example.com/oauth/revoke",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}

pub(super) fn policy(document: &Value) -> Policy {
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

pub(super) fn connection() -> Connection {
    policy(&document()).connection("notes").unwrap().clone()
}

pub(super) fn clients() -> Clients {
    let environment = |name: &str| (name == "NOTES_SECRET").then(|| "s 1".to_owned());
    Clients::of(&policy(&document()), &environment).unwrap()
}

#[test]
fn a_missing_secret_is_named() {
    for environment in [None, Some(String::new())] {
        let error = Clients::of(&policy(&document()), &|_| environment.clone()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "connections.notes.client_secret_env: the VM's environment has no variable \
             `NOTES_SECRET`; set it under `vm_config.environment_variables`"
        );
    }
}
