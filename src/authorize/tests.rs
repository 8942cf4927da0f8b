//! Who may: each rule by itself, and all of them against a plain reading of the policy.

mod conditions;
mod lists;
mod owners;
mod reference;
mod roles;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;

fn policy(rules: &Value) -> Policy {
    let mut document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"organization": "org", "roles": "roles"},
        }],
    });
    for (key, value) in rules.as_object().unwrap() {
        document[key] = value.clone();
    }
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn identity(roles: &[&str], scopes: &[&str]) -> Identity {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Identity {
        user: Some("u1".into()),
        organization: Some("acme".into()),
        roles: owned(roles),
        scopes: owned(scopes),
        ..Identity::default()
    }
}

fn call(policy: &Policy, roles: &[&str], target: Target<'_>) -> Result<Vec<Evidence>, Denial> {
    let identity = identity(roles, &[]);
    let caller = Principal {
        identity: &identity,
        ceiling: None,
        token_age: None,
    };
    authorize(policy, caller, target, Some(b"{}"))
}

fn call_with(
    policy: &Policy,
    scopes: &[&str],
    token_age: Option<u64>,
    arguments: &str,
) -> Result<Vec<Evidence>, Denial> {
    let identity = identity(&["r"], scopes);
    let caller = Principal {
        identity: &identity,
        ceiling: None,
        token_age: token_age.map(Duration::from_secs),
    };
    authorize(
        policy,
        caller,
        Target::Tool("crm.refund"),
        Some(arguments.as_bytes()),
    )
}

/// A policy whose role `r` may call every tool, with these conditions.
fn conditions(tools: Value) -> Policy {
    policy(&json!({"roles": {"r": {"tools": ["*"]}}, "tools": tools}))
}

fn denied(role: &str, pattern: &str) -> Result<Vec<Evidence>, Denial> {
    Err(Denial::Denied {
        rule: format!("roles.{role}.deny"),
        pattern: pattern.into(),
    })
}

fn not_true(rule: &str) -> Result<Vec<Evidence>, Denial> {
    let error = ConditionError::NotTrue;
    Err(Denial::Condition {
        rule: rule.into(),
        error,
        message: None,
    })
}

fn lacks(needed: &[&str]) -> Result<Vec<Evidence>, Denial> {
    let needed = needed.iter().map(|scope| (*scope).to_owned()).collect();
    Err(Denial::Scope { needed })
}
