//! Claims in which a policy reads a given identity.

use oauth::{ClaimForm, ClaimPaths, ClaimSource, Identity};
use serde_json::{Map, Value, json};

/// The claims from which the rules of an issuer read this identity. Parts of the identity for
/// which the issuer has no rule are left out.
pub(crate) fn of_identity(identity: &Identity, paths: &ClaimPaths) -> Map<String, Value> {
    let mut claims = Map::new();
    let list = |values: &[String]| values.to_vec();
    let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
    let parts = [
        (Some(&paths.user), one(&identity.user), Plain::Text),
        (
            paths.organization.as_ref(),
            one(&identity.organization),
            Plain::Text,
        ),
        (paths.roles.as_ref(), list(&identity.roles), Plain::List),
        (Some(&paths.scopes), list(&identity.scopes), Plain::Scopes),
    ];
    for (source, values, plain) in parts {
        if let Some(source) = source.filter(|_| !values.is_empty()) {
            set(&mut claims, source, in_form(&source.form, &values, plain));
        }
    }
    claims
}

/// How values are written that have no form of their own.
#[derive(Debug, Clone, Copy)]
enum Plain {
    /// As one text.
    Text,
    /// As a list.
    List,
    /// As a text with spaces between them (RFC 6749 section 3.3).
    Scopes,
}

/// Values in the form in which the policy reads them.
fn in_form(form: &ClaimForm, values: &[String], plain: Plain) -> Value {
    match form {
        ClaimForm::Plain => match plain {
            Plain::Text => json!(values.join(" ")),
            Plain::List => json!(values),
            Plain::Scopes => json!(values.join(" ")),
        },
        ClaimForm::Separated(separator) => json!(values.join(separator)),
        ClaimForm::Member(member) => {
            let of_value = |value: &String| json!({member.as_str(): value});
            Value::Array(values.iter().map(of_value).collect())
        }
        ClaimForm::Keys => {
            let of_value = |value: &String| (value.clone(), json!({}));
            Value::Object(values.iter().map(of_value).collect())
        }
    }
}

/// Puts a value where a source reads it first.
fn set(claims: &mut Map<String, Value>, source: &ClaimSource, value: Value) {
    if let Some(path) = source.paths.first() {
        set_at(claims, path.steps(), value);
    }
}

/// Puts a value at a path.
pub(crate) fn set_at(claims: &mut Map<String, Value>, steps: &[String], value: Value) {
    let nested = steps.iter().rev();
    let nested = nested.fold(value, |value, step| json!({step.as_str(): value}));
    if let Value::Object(nested) = nested {
        add(claims, nested);
    }
}

/// Adds claims to others, inside of objects too.
pub(crate) fn add(claims: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        merge(claims.entry(name).or_insert(Value::Null), value);
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => add(into, from),
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(identity: &Value) -> ClaimPaths {
        let source = |key: &str| {
            let written = identity.get(key)?;
            Some(serde_json::from_value::<ClaimSource>(written.clone()).unwrap())
        };
        ClaimPaths {
            user: source("user").unwrap_or_else(|| ClaimSource::claim("sub")),
            organization: source("organization"),
            roles: source("roles"),
            scopes: source("scopes").unwrap_or_else(|| ClaimSource::claim("scope")),
            conversation: None,
            view_as: None,
        }
    }

    #[test]
    fn the_claims_are_read_as_the_identity_they_are_made_of() {
        let identity = Identity {
            user: Some("dana".to_owned()),
            organization: Some("org-acme".to_owned()),
            roles: vec!["manager".to_owned(), "support".to_owned()],
            scopes: vec!["crm:read".to_owned(), "crm:write".to_owned()],
            actors: Vec::new(),
        };
        for written in [
            json!({"organization": "org_id", "roles": "realm_access.roles"}),
            json!({"user": "a.b.c", "organization": "a.b.d", "roles": ["https://x.example/roles"], "scopes": "scp"}),
            json!({"organization": {"claims": ["org"], "keys": true}, "roles": {"claims": ["r"], "separator": ","}}),
            json!({"user": {"claims": ["u", "sub"]}, "organization": {"claims": ["o"], "member": "id"},
                   "roles": {"claims": [["resource_access", "crm", "roles"], "groups"], "member": "key"}}),
            json!({"organization": "org", "roles": {"claims": ["urn:roles"], "keys": true},
                   "scopes": {"claims": ["scopes"], "separator": ";"}}),
        ] {
            let paths = paths(&written);
            let claims = of_identity(&identity, &paths);
            let mut read = Identity::of_claims(&claims, &paths).unwrap();
            read.roles.sort_unstable();
            assert_eq!(read, identity, "{claims:?}");
        }
    }

    #[test]
    fn parts_without_a_rule_are_left_out() {
        let identity = Identity {
            user: Some("dana".to_owned()),
            organization: Some("org-acme".to_owned()),
            ..Identity::default()
        };
        let claims = of_identity(&identity, &paths(&json!({})));
        assert_eq!(Value::Object(claims), json!({"sub": "dana"}));
    }
}
