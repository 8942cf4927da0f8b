//! The policy file: what it means, what is wrong with it, what can hardly be meant.

mod accounts;
mod approvals;
mod at_once;
mod callers;
mod client_auth;
mod connections;
mod decide;
mod defaults;
mod discover;
mod dpop;
mod form;
mod identity;
mod introspection;

mod lookups;
mod meaning;
mod owners;
mod patterns;
mod pins;
mod policies;
mod scopes;
mod seal;
mod token_exchange;
mod warnings;
mod wrong_values;

use serde_json::{Value, json};

use super::*;
use mcp::argument_names::fold;
use oauth::{
    Algorithm, Identity, Introspection, KeyFetch, KeySource, ProofUrl, Signatures, TokenCheck,
    TokenType,
};

fn short() -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
        }],
    })
}

/// The short policy, with an issuer that is asked about tokens.
fn introspecting() -> Value {
    let issuer = json!({
        "issuer": "https://login.example.com",
        "introspection": {
            "cluster": "login",
            "path": "/introspect",
            "client_id": "mcp",
            "client_secret_env": "MCP_SECRET",
        },
    });
    with("/issuers", json!([issuer]))
}

/// The short policy with `value` at a JSON pointer; `null` takes out what is there.
fn with(pointer: &str, value: Value) -> Value {
    edited(short(), pointer, value)
}

fn edited(mut policy: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let steps = parent.split('/').skip(1);
    let parent = steps.fold(&mut policy, |at, key| match key.parse::<usize>() {
        Ok(index) => &mut at[index],
        Err(_) => &mut at[key],
    });
    if let Ok(index) = key.parse::<usize>() {
        parent[index] = value;
        return policy;
    }
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else {
        parent[key] = value;
    }
    policy
}

fn parse(policy: &Value) -> Policy {
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

fn errors(policy: &str) -> Vec<String> {
    let errors = Policy::parse(policy.as_bytes()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

fn warnings(policy: &Value) -> Vec<String> {
    let warnings = parse(policy).warnings();
    warnings.iter().map(ToString::to_string).collect()
}

/// Each edit of the short policy leads to exactly this error.
#[track_caller]
fn refuse(table: Vec<(&str, Value, &str)>) {
    for (pointer, value, expected) in table {
        let found = errors(&with(pointer, value.clone()).to_string());
        assert_eq!(found, [expected], "{pointer} = {value}");
    }
}

/// Each edit is an error at this path, whose message has these words.
#[track_caller]
fn refuse_at(path: &str, words: &[&str], policy: &Value) {
    let found = errors(&policy.to_string());
    let [error] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(error.starts_with(&format!("{path}: ")), "{error}");
    for word in words {
        assert!(error.contains(word), "{error} has no {word}");
    }
}
