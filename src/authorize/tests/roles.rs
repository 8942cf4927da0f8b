//! Roles, denials, wildcards.

use super::*;

#[test]
fn nothing_is_allowed_that_no_role_allows() {
    let policy = policy(&json!({"roles": {"r": {"tools": ["crm.get"]}}}));
    let targets = [
        Target::Tool("crm.purge"),
        Target::Tool("CRM.get"),
        Target::Tool("crm.get "),
        Target::Tool(""),
        Target::Prompt("crm.get"),
        Target::Resource("crm.get"),
        Target::ResourceTemplate("crm.get"),
    ];
    for target in targets {
        assert_eq!(
            call(&policy, &["r"], target),
            Err(Denial::NoRole),
            "{target:?}"
        );
    }
    for roles in [&[][..], &["R"], &["r "], &["other"], &["r,s"], &["*"]] {
        assert_eq!(
            call(&policy, roles, Target::Tool("crm.get")),
            Err(Denial::NoRole),
            "{roles:?}"
        );
    }
    assert!(call(&policy, &["r"], Target::Tool("crm.get")).is_ok());
}

#[test]
fn the_server_itself_needs_no_role() {
    let policy = policy(&json!({}));
    assert_eq!(call(&policy, &[], Target::Server), Ok(Vec::new()));
}

#[test]
fn evidence_names_the_role_in_which_the_permission_is_written() {
    let policy = policy(&json!({"roles": {
        "support": {"tools": ["crm.get"]},
        "lead": {"extends": ["support"], "tools": ["crm.close"]},
        "manager": {"extends": ["lead"]},
    }}));
    for (role, tool, source, summary) in [
        ("support", "crm.get", "roles.support", "`crm.get` allows it"),
        (
            "lead",
            "crm.get",
            "roles.support",
            "`crm.get` allows it, extended by `lead`",
        ),
        (
            "manager",
            "crm.get",
            "roles.support",
            "`crm.get` allows it, extended by `manager`",
        ),
        (
            "manager",
            "crm.close",
            "roles.lead",
            "`crm.close` allows it, extended by `manager`",
        ),
    ] {
        let evidence = call(&policy, &[role], Target::Tool(tool)).unwrap();
        assert_eq!(evidence, [Evidence::new(source, summary)]);
    }
    assert_eq!(
        call(&policy, &["support"], Target::Tool("crm.close")),
        Err(Denial::NoRole)
    );
}

#[test]
fn a_denial_wins_over_every_role_and_through_extends() {
    let policy = policy(&json!({"roles": {
        "*": {"tools": ["ping"]},
        "all": {"tools": ["*"]},
        "careful": {"tools": ["*"], "deny": ["crm.purge", "crm.admin*"]},
        "lead": {"extends": ["careful"], "tools": ["crm.purge"]},
        "nobody": {"deny": ["*"]},
    }}));
    let purge = Target::Tool("crm.purge");
    assert!(call(&policy, &["all"], purge).is_ok());
    assert_eq!(
        call(&policy, &["careful"], purge),
        denied("careful", "crm.purge")
    );
    assert_eq!(
        call(&policy, &["lead"], purge),
        denied("careful", "crm.purge")
    );
    assert_eq!(
        call(&policy, &["all", "lead"], purge),
        denied("careful", "crm.purge")
    );
    let admin = Target::Tool("crm.admin.reset");
    assert_eq!(
        call(&policy, &["lead"], admin),
        denied("careful", "crm.admin*")
    );
    for target in [
        purge,
        Target::Tool("ping"),
        Target::Prompt("x"),
        Target::Resource("crm://x"),
    ] {
        assert_eq!(
            call(&policy, &["all", "nobody"], target),
            denied("nobody", "*")
        );
    }
}

#[test]
fn the_role_of_all_callers_allows_and_denies() {
    let policy = policy(&json!({"roles": {
        "*": {"tools": ["ping"], "deny": ["crm.purge"]},
        "all": {"tools": ["*"]},
    }}));
    assert!(call(&policy, &[], Target::Tool("ping")).is_ok());
    assert!(call(&policy, &["unknown"], Target::Tool("ping")).is_ok());
    assert_eq!(
        call(&policy, &[], Target::Tool("crm.get")),
        Err(Denial::NoRole)
    );
    assert_eq!(
        call(&policy, &["all"], Target::Tool("crm.purge")),
        denied("*", "crm.purge")
    );
}

#[test]
fn the_star_is_a_wildcard_in_rules_and_a_character_in_names() {
    let policy = policy(&json!({"roles": {"r": {"tools": ["crm.*", "a*c"]}}}));
    for (tool, allowed) in [
        ("crm.get", true),
        ("crm.", true),
        ("crm.*", true),
        ("crm", false),
        ("*", false),
        ("xcrm.get", false),
        ("abc", true),
        ("ac", true),
        ("abcd", false),
    ] {
        assert_eq!(
            call(&policy, &["r"], Target::Tool(tool)).is_ok(),
            allowed,
            "{tool}"
        );
    }
}

#[test]
fn tools_prompts_and_resources_are_apart() {
    let policy = policy(&json!({"roles": {
        "t": {"tools": ["x"]}, "p": {"prompts": ["x"]}, "r": {"resources": ["x"]},
    }}));
    let targets = [
        ("t", Target::Tool("x")),
        ("p", Target::Prompt("x")),
        ("r", Target::Resource("x")),
    ];
    for (role, _) in targets {
        for (owner, target) in targets {
            assert_eq!(
                call(&policy, &[role], target).is_ok(),
                role == owner,
                "{role} {target:?}"
            );
        }
    }
}

#[test]
fn b28_resources_are_the_callers_own_and_plain() {
    let policy = policy(&json!({"roles": {"r": {
        "resources": ["crm://{organization}/*"], "deny": ["crm://{organization}/secret*"],
    }}}));
    for (uri, expected) in [
        ("crm://acme/customers/1", None),
        ("crm://globex/customers/1", Some(Denial::NoRole)),
        ("crm://acme/../globex/customers", Some(Denial::OddUri)),
        ("crm://acme/%2e%2e/globex", Some(Denial::OddUri)),
        (
            "crm://acme/secrets",
            denied("r", "crm://{organization}/secret*").err(),
        ),
        ("crm://acme/%73ecrets", Some(Denial::OddUri)),
    ] {
        assert_eq!(
            call(&policy, &["r"], Target::Resource(uri)).err(),
            expected,
            "{uri}"
        );
    }
    let template = |template| call(&policy, &["r"], Target::ResourceTemplate(template)).is_ok();
    assert!(template("crm://{org}/customers/{id}"));
    assert!(!template("crm://globex/customers/{id}"));
}

#[test]
fn b16_a_denial_holds_for_a_caller_without_an_organization() {
    let policy = policy(&json!({"roles": {"r": {
        "resources": ["crm://*"], "deny": ["crm://{organization}/secret*"],
    }}}));
    let mut identity = identity(&["r"], &[]);
    identity.organization = None;
    let caller = Principal {
        identity: &identity,
        ceiling: None,
        token_age: None,
    };
    let read = |uri| authorize(&policy, caller, Target::Resource(uri), None);
    assert_eq!(
        read("crm://acme/secrets"),
        denied("r", "crm://{organization}/secret*")
    );
    assert!(read("crm://acme/public").is_ok());
}
