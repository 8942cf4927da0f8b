//! Resources that name their owner.

use super::*;
use policy::NotOwned;

fn owners() -> Policy {
    policy(&json!({
        "roles": {"r": {"resources": ["crm://*", "docs://*"]}},
        "resources": {
            "crm://*": {"owner": {"is": "organization", "at": "^crm://([^/]+)/"}},
            "crm://*/users/*": {"owner": {"is": "user", "at": "/users/([^/]+)"}},
        },
    }))
}

fn not_owned(pattern: &str, error: NotOwned) -> Result<Vec<Evidence>, Denial> {
    let rule = format!("resources.{pattern}.owner");
    Err(Denial::NotOwned { rule, error })
}

#[test]
fn b28_a_uri_names_the_caller_by_every_rule_that_is_for_it() {
    let policy = owners();
    let read = |uri: &str| call(&policy, &["r"], Target::Resource(uri));
    for uri in [
        "crm://acme/customers/1",
        "crm://acme/",
        "crm://acme/users/u1",
        "docs://globex/x",
    ] {
        assert!(read(uri).is_ok(), "{uri}");
    }
    for (uri, pattern, error) in [
        ("crm://globex/customers/1", "crm://*", NotOwned::Another),
        ("crm://ACME/customers/1", "crm://*", NotOwned::Another),
        ("crm://acme@globex/x", "crm://*", NotOwned::Another),
        ("crm://acme:1/x", "crm://*", NotOwned::Another),
        ("crm://acme%20/x", "crm://*", NotOwned::Another),
        ("crm://acme?x=/", "crm://*", NotOwned::Another),
        ("crm://{organization}/x", "crm://*", NotOwned::Another),
        // The expression does not match: nobody can tell whose it is.
        ("crm://acme", "crm://*", NotOwned::Nobody),
        ("crm:///globex/x", "crm://*", NotOwned::Nobody),
        ("crm://acme/users/u2", "crm://*/users/*", NotOwned::Another),
        ("crm://acme/users/", "crm://*/users/*", NotOwned::Nobody),
    ] {
        assert_eq!(read(uri), not_owned(pattern, error), "{uri}");
    }
}

#[test]
fn b08_a_uri_with_two_readings_is_refused_before_its_owner_is_read() {
    let policy = owners();
    for uri in [
        "crm://acme/../globex/x",
        "crm://acm%65/x",
        "CRM://globex/x",
        "crm://acme%2Fglobex/x",
    ] {
        let refused = call(&policy, &["r"], Target::Resource(uri));
        assert_eq!(refused, Err(Denial::OddUri), "{uri}");
    }
}

#[test]
fn b26_templates_are_listed_if_some_uri_of_them_is_the_callers() {
    let policy = owners();
    for (template, listed) in [
        ("crm://{org}/customers/{id}", true),
        ("crm://acme/customers/{id}", true),
        ("crm://{org}/users/{user}", true),
        ("docs://{org}/{id}", true),
        ("crm://globex/customers/{id}", false),
        ("crm://{a}-{b}/customers/{id}", false),
        ("crm://{org}", false),
        ("{+uri}", false),
        ("crm://{org/x", false),
    ] {
        let (identity, token_age) = (identity(&["r"], &[]), None);
        let caller = Principal {
            ceiling: None,
            identity: &identity,
            token_age,
        };
        let target = Target::ResourceTemplate(template);
        assert_eq!(may_see(&policy, caller, target), listed, "{template}");
    }
}

#[test]
fn b17_completions_are_the_callers_own() {
    let policy = owners();
    let identity = identity(&["r"], &[]);
    let complete = |template: &str, org: Option<&'static str>| {
        let filled_in = |name: &str| org.filter(|_| name == "org");
        may_complete(&policy, &identity, template, filled_in).map(|()| Vec::new())
    };
    let template = "crm://{org}/customers/{id}";
    assert!(complete(template, Some("acme")).is_ok());
    assert!(complete("crm://acme/customers/{id}", None).is_ok());
    assert!(complete("docs://{org}/{id}", None).is_ok());
    for (template, org, error) in [
        (template, Some("globex"), NotOwned::Another),
        (template, Some("acme@x"), NotOwned::Another),
        (
            "crm://globex/customers/{id}",
            Some("acme"),
            NotOwned::Another,
        ),
        (template, None, NotOwned::Nobody),
        (
            "crm://{org:4}/customers/{id}",
            Some("acme"),
            NotOwned::Nobody,
        ),
    ] {
        assert_eq!(
            complete(template, org),
            not_owned("crm://*", error),
            "{template} {org:?}"
        );
    }
    for (template, org) in [
        ("crm://{+org}/x", "acme/../globex"),
        ("crm://{org}/x", "acme/x"),
        ("crm://{org/x", "acme"),
    ] {
        assert_eq!(
            complete(template, Some(org)),
            Err(Denial::OddUri),
            "{template}"
        );
    }
}

#[test]
fn a_caller_without_the_value_owns_nothing() {
    let policy = owners();
    let nobodys = Identity {
        organization: None,
        ..identity(&["r"], &[])
    };
    let caller = Principal {
        ceiling: None,
        identity: &nobodys,
        token_age: None,
    };
    let target = Target::Resource("crm://acme/x");
    let refused = authorize(&policy, caller, target, None);
    assert_eq!(refused, not_owned("crm://*", NotOwned::Unknown));
}

#[test]
fn an_anonymous_caller_is_asked_to_sign_in() {
    let policy = policy(&json!({
        "anonymous": {"resources": ["crm://*"]},
        "resources": {"crm://a/*": {"owner": {"is": "user", "at": "^crm://a/([^/]+)"}}},
    }));
    let caller = Principal {
        ceiling: None,
        identity: Identity::anonymous(),
        token_age: None,
    };
    let read = |uri: &str| authorize(&policy, caller, Target::Resource(uri), None);
    assert!(read("crm://b/1").is_ok());
    assert!(matches!(read("crm://a/u1"), Err(Denial::SignIn { .. })));
}
