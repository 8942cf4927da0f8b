//! Who is calling without a token, as whom somebody may act, and who may act for others.

use super::*;
use oauth::Delegation;

/// A policy for one's own machine.
fn local() -> Value {
    let policy = with("/issuers", Value::Null);
    let policy = edited(
        policy,
        "/local",
        json!({"user": "dev", "roles": ["manager"]}),
    );
    edited(
        policy,
        "/roles",
        json!({"support": {"tools": ["a"]}, "manager": {"extends": ["support"]}}),
    )
}

/// A policy with a lower role and a test user.
fn viewing() -> Value {
    let policy = edited(local(), "/view_as", json!({"header": "x-view-as"}));
    let users = json!({"test-1": {"organization": "acme-test", "roles": ["support"]}});
    let policy = edited(policy, "/view_as/users", users);
    edited(
        policy,
        "/roles/manager/view_as",
        json!({"roles": ["support"], "users": ["test-1"]}),
    )
}

#[test]
fn a_local_caller_is_as_written() {
    let policy = parse(&local());
    let caller = policy.local.unwrap();
    assert_eq!(caller.user.as_deref(), Some("dev"));
    assert_eq!(caller.roles, ["manager"]);
    assert_eq!(parse(&short()).local, None);
    assert!(warnings(&local()).is_empty());
}

#[test]
fn callers_come_from_issuers_or_from_local() {
    let both = edited(local(), "/issuers", short()["issuers"].clone());
    refuse_at("local", &["found with `issuers`"], &both);
    let none = edited(local(), "/local", Value::Null);
    refuse_at("issuers", &["or `local`"], &none);
}

#[test]
fn what_is_about_tokens_does_not_go_with_local() {
    for (pointer, value, path) in [
        ("/dpop", json!("accepted"), "dpop"),
        ("/anonymous", json!({"tools": ["a"]}), "anonymous"),
        (
            "/upstream",
            json!({"authorization": "pass"}),
            "upstream.authorization",
        ),
        (
            "/tools",
            json!({"a": {"max_token_age": "5m"}}),
            "tools.a.max_token_age",
        ),
    ] {
        refuse_at(path, &["needs `issuers`"], &edited(local(), pointer, value));
    }
    for (pointer, value, path) in [
        ("/scopes", json!(["crm:read"]), "scopes"),
        (
            "/tools",
            json!({"a": {"scopes": ["crm:read"]}}),
            "tools.a.scopes",
        ),
    ] {
        let policy = edited(local(), pointer, value);
        refuse_at(path, &["not among `local.scopes`"], &policy);
        let policy = edited(policy, "/scope_includes", json!({"admin": ["crm:read"]}));
        parse(&edited(policy, "/local/scopes", json!(["admin"])));
    }
    let set = edited(
        local(),
        "/arguments",
        json!({"org": {"set": "organization"}}),
    );
    refuse_at("arguments.org", &["identity.organization"], &set);
    parse(&edited(set, "/local/organization", json!("acme")));
}

#[test]
fn a_local_caller_has_a_user() {
    for (pointer, value, path, word) in [
        ("/local/user", json!(""), "local.user", "expected a name"),
        (
            "/local/user",
            json!("a\nb"),
            "local.user",
            "expected a name",
        ),
        (
            "/local/organization",
            json!(" a"),
            "local.organization",
            "expected a name",
        ),
        (
            "/local/roles",
            json!(["managr"]),
            "local.roles[0]",
            "did you mean `manager`?",
        ),
        (
            "/local/roles",
            json!(["*"]),
            "local.roles[0]",
            "every caller has",
        ),
    ] {
        refuse_at(path, &[word], &edited(local(), pointer, value));
    }
}

#[test]
fn views_are_inherited() {
    let policy = edited(
        viewing(),
        "/roles/director",
        json!({"extends": ["manager"]}),
    );
    let policy = parse(&policy);
    for role in ["manager", "director"] {
        assert_eq!(policy.roles[role].view_as.roles, ["support"], "{role}");
        assert_eq!(policy.roles[role].view_as.users, ["test-1"], "{role}");
    }
    assert!(policy.roles["support"].view_as.roles.is_empty());
}

#[test]
fn a_view_is_never_of_more_than_the_role_has() {
    let support = |view: Value| edited(viewing(), "/roles/support/view_as", view);
    let path = "roles.support.view_as";
    let higher = support(json!({"roles": ["manager"]}));
    let message = "`manager` is not lower: `support` does not extend it";
    refuse_at(&format!("{path}.roles[0]"), &[message], &higher);
    let policy = support(json!({"users": ["test-1"]}));
    parse(&policy);
    let policy = edited(
        policy,
        "/view_as/users/test-1/roles",
        json!(["support", "manager"]),
    );
    refuse_at(
        &format!("{path}.users[0]"),
        &["`test-1` is not lower: it has `manager`"],
        &policy,
    );
    let beside = edited(viewing(), "/roles/billing", json!({"tools": ["b"]}));
    let beside = edited(beside, "/roles/manager/view_as/roles", json!(["billing"]));
    refuse_at("roles.manager.view_as.roles[0]", &["is not lower"], &beside);
}

#[test]
fn views_are_of_what_there_is() {
    for (pointer, value, path, word) in [
        (
            "/roles/manager/view_as/roles",
            json!(["suport"]),
            "roles.manager.view_as.roles[0]",
            "did you mean `support`?",
        ),
        (
            "/roles/manager/view_as/users",
            json!(["test-2"]),
            "roles.manager.view_as.users[0]",
            "unknown test user `test-2`; did you mean `test-1`?",
        ),
        (
            "/view_as/users/test-1/roles",
            json!(["nobody"]),
            "view_as.users.test-1.roles[0]",
            "unknown role",
        ),
        (
            "/view_as/users/test-1/organization",
            json!(""),
            "view_as.users.test-1.organization",
            "expected a name",
        ),
        (
            "/view_as/header",
            json!("authorization"),
            "view_as.header",
            "expected a header name",
        ),
        (
            "/view_as/header",
            json!("x-mcp-user"),
            "view_as.header",
            "a name of its own",
        ),
        (
            "/view_as/header",
            Value::Null,
            "roles.manager.view_as",
            "nobody can ask for it",
        ),
    ] {
        refuse_at(path, &[word], &edited(viewing(), pointer, value));
    }
}

#[test]
fn a_static_credential_has_a_variable_and_a_scheme() {
    let upstream = |value: Value| with("/upstream", value);
    let good = parse(&upstream(
        json!({"authorization": "static", "credential_env": "CRM_TOKEN"}),
    ));
    let Authorization::Static(credential) = good.upstream.authorization else {
        panic!()
    };
    assert_eq!(
        (&*credential.env, &*credential.scheme),
        ("CRM_TOKEN", "Bearer")
    );
    for (value, path, word) in [
        (
            json!({"authorization": "static"}),
            "upstream.credential_env",
            "environment variable",
        ),
        (
            json!({"authorization": "static", "credential_env": ""}),
            "upstream.credential_env",
            "environment variable",
        ),
        (
            json!({"authorization": "static", "credential_env": "A", "scheme": "a b"}),
            "upstream.scheme",
            "such as Bearer",
        ),
        (
            json!({"authorization": "pass", "credential_env": "A"}),
            "upstream.credential_env",
            "goes with `authorization: static`",
        ),
        (
            json!({"scheme": "Basic"}),
            "upstream.scheme",
            "goes with `authorization: static`",
        ),
    ] {
        refuse_at(path, &[word], &upstream(value));
    }
}

#[test]
fn delegation_is_the_issuers_matter() {
    let delegation = |policy: &Value| parse(policy).issuers.remove(0).delegation;
    assert_eq!(delegation(&short()), Delegation::default());
    let refused = with("/issuers/0/delegation", json!("refused"));
    assert_eq!(delegation(&refused), Delegation::Refused);
    let required = with("/issuers/0/delegation", json!("required"));
    let required = edited(required, "/issuers/0/actors", json!(["agent-1"]));
    assert_eq!(
        delegation(&required),
        Delegation::Accepted {
            actors: Some(vec!["agent-1".into()]),
            required: true,
        }
    );
    let path = "issuers[0].actors";
    let odd = edited(refused, "/issuers/0/actors", json!(["agent-1"]));
    refuse_at(path, &["goes with `delegation: accepted`"], &odd);
    for (actors, word) in [(json!([]), "found none"), (json!([""]), "an empty one")] {
        refuse_at(path, &[word], &with("/issuers/0/actors", actors));
    }
}

#[test]
fn a4_a_test_users_credentials_have_to_be_in_the_policy() {
    let users = |user: Value| {
        with(
            "/view_as",
            json!({"header": "x-view-as", "users": {"t": user}}),
        )
    };
    parse(&users(json!({})));
    let refused = |user: Value| errors(&users(user).to_string());
    let [error] = &*refused(json!({"connections": ["nots"]})) else {
        panic!()
    };
    assert!(
        error.starts_with("view_as.users.t.connections[0]: "),
        "{error}"
    );
    assert_eq!(
        refused(json!({"own_token": true})),
        ["view_as.users.t.own_token: goes with `upstream.authorization: pass` or `exchange`"]
    );
}

#[test]
fn a4_a_warning_names_test_users_that_can_call_nothing() {
    let policy = with("/upstream", json!({"authorization": "pass"}));
    let users = json!({"a": {}, "b": {"own_token": true}});
    let policy = edited(
        policy,
        "/view_as",
        json!({"header": "x-view-as", "users": users}),
    );
    let found = warnings(&policy);
    let about = found
        .iter()
        .filter(|warning| warning.starts_with("view_as."));
    let about: Vec<_> = about.collect();
    assert_eq!(about.len(), 1, "{found:?}");
    assert!(about[0].starts_with("view_as.users.a: "));
}
