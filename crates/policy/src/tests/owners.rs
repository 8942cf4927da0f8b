//! Texts that name their owner.

use super::*;

/// A policy with an organization, and this at a place.
fn owned(pointer: &str, value: Value) -> Value {
    let policy = with(
        "/issuers/0/identity",
        json!({"organization": "org", "roles": "roles"}),
    );
    let policy = edited(
        policy,
        "/roles",
        json!({"a": {"tools": ["*"], "resources": ["crm://*"]}}),
    );
    edited(policy, pointer, value)
}

#[test]
fn an_owner_is_written_the_same_everywhere() {
    let owner = json!({"owner": {"is": "organization", "at": "^acct-([^-]+)-"}});
    let policy = parse(&owned("/arguments", json!({ "account_ref": owner })));
    let rule = policy.argument_rule(policy.names.find("accountref").unwrap(), &[]);
    let ArgumentRule::Owner(found) = rule else {
        panic!("{rule:?}")
    };
    assert_eq!(found.written(), "^acct-([^-]+)-");
    assert_eq!(found.is, IdentityField::Organization);
    let policy = parse(&owned(
        "/tools",
        json!({"x": {"arguments": {"ref": owner}}}),
    ));
    assert!(matches!(
        policy.tools[0].arguments[0].2,
        ArgumentRule::Owner(_)
    ));
    let policy = parse(&owned("/resources", json!({"crm://*": owner})));
    assert_eq!(policy.resources[0].pattern.written(), "crm://*");
    assert_eq!(policy.resources[0].owner.as_ref(), Some(found));
}

#[test]
fn mistakes_have_the_path_of_the_expression() {
    let argument = |owner: Value| owned("/arguments", json!({"ref": {"owner": owner}}));
    let resource = |owner: Value| owned("/resources", json!({"crm://*": {"owner": owner}}));
    let bad = |at: &str| json!({"is": "user", "at": at});
    for (at, words) in [
        ("^a(", "not a regular expression"),
        ("^a(?=b)", "not a regular expression"),
        ("^a", "found 0 groups, expected one"),
        ("^(a)(b)", "found 2 groups, expected one"),
        (&format!("^({})", "a".repeat(254)), "expected at most 256"),
    ] {
        refuse_at("arguments.ref.owner.at", &[words], &argument(bad(at)));
        refuse_at("resources.crm://*.owner.at", &[words], &resource(bad(at)));
        let tool = json!({"x": {"arguments": {"ref": {"owner": bad(at)}}}});
        let path = "tools.x.arguments.ref.owner.at";
        refuse_at(path, &[words], &owned("/tools", tool));
    }
    let is = json!({"is": "tenant", "at": "^(a)"});
    refuse_at("arguments.ref.owner.is", &["`tenant`"], &argument(is));
    let key = json!({"is": "user", "att": "^(a)"});
    let words = &["unknown key `att`", "did you mean `at`?"];
    refuse_at("resources.crm://*.owner.att", words, &resource(key));
    let list = &["found a list, expected a mapping"];
    refuse_at(
        "arguments.ref.owner",
        list,
        &argument(json!(["user", "^(a)"])),
    );

    for uri in ["crm://{organization}/*", "crm://x}"] {
        let rule = json!({ uri: {"owner": bad("^(a)")} });
        refuse_at(
            &format!("resources.{uri}"),
            &["expected a URI"],
            &owned("/resources", rule),
        );
    }
    let spaced = json!({" x": {"owner": bad("^(a)")}});
    refuse_at(
        "resources. x",
        &["without spaces"],
        &owned("/resources", spaced),
    );
}

#[test]
fn an_organization_has_to_be_known() {
    let owner = json!({"owner": {"is": "organization", "at": "^(a)"}});
    let words = &["`organization` needs `identity.organization` at every issuer"];
    let policy = with("/arguments", json!({ "ref": owner }));
    refuse_at("arguments.ref.owner.is", words, &policy);
    let policy = with("/resources", json!({ "x": owner }));
    refuse_at("resources.x.owner.is", words, &policy);
}

#[test]
fn warnings_name_expressions_that_may_overlook_an_owner() {
    let owner = |at: &str| json!({"owner": {"is": "user", "at": at}});
    let policy = owned(
        "/arguments",
        json!({"b": owner("b-([^-]+)\\^"), "a": owner("a-(.+)")}),
    );
    let policy = edited(
        policy,
        "/tools",
        json!({"x": {"arguments": {"c": owner("(c)"), "d": owner("^(d)")}}}),
    );
    let policy = edited(
        policy,
        "/resources",
        json!({"crm://a/*": owner("\\A(x)"), "hr://*": owner("//(.*)/")}),
    );
    let adrift = ": without `^` it also matches in the middle of a text, and what stands before is not judged";
    assert_eq!(
        warnings(&policy),
        [
            "resources.hr://*: no role allows it: nobody may read it".to_owned(),
            format!("arguments.a.owner.at{adrift}"),
            format!("arguments.b.owner.at{adrift}"),
            format!("tools.x.arguments.c.owner.at{adrift}"),
            format!("resources.hr://*.owner.at{adrift}"),
        ]
    );
}
