//! `confirm: {by: ...}` and `max_result`.

use super::*;

fn approving(confirm: Value) -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "seal": {"key_env": "KEY"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"roles": "roles"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "pages",
            },
        }],
        "roles": {
            "support": {"tools": ["crm.*"]},
            "manager": {"tools": ["crm.*"]},
            "owner": {"extends": ["manager"]},
        },
        "tools": {"crm.refund": {"confirm": confirm}},
    })
}

fn refused(document: &Value) -> Vec<String> {
    errors(&document.to_string())
}

#[test]
fn confirm_is_a_boolean_or_names_other_people() {
    let read = |confirm: Value| Policy::parse(approving(confirm).to_string().as_bytes()).unwrap();
    for (confirm, by_user) in [(json!(true), true), (json!(false), false)] {
        let policy = read(confirm);
        assert_eq!(
            (policy.tools[0].confirm, policy.has_approvals()),
            (by_user, false)
        );
    }
    let policy = read(json!({"by": {"role": "manager"}}));
    let rule = policy.approvals().next().unwrap();
    assert_eq!(rule.roles, ["manager", "owner"]);
    assert_eq!((rule.valid_for.as_secs(), &rule.webhook), (3600, &None));
    assert!(!policy.tools[0].confirm && policy.tools[0].needs_token() && policy.has_pages());
    let roles = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.into()).collect() };
    assert!(policy.may_approve(&roles(&["owner"]), "manager"));
    assert!(!policy.may_approve(&roles(&["owner"]), "owner"));
    assert!(!policy.may_approve(&roles(&["support", "Manager"]), "manager"));
    assert_eq!(
        policy.approving_roles(&roles(&["x", "owner", "support"])),
        ["owner"]
    );
    let notify = json!({"cluster": "hooks", "path": "/new", "key_env": "HOOK"});
    let policy = read(json!({"by": {"role": "manager"}, "valid_for": "1d", "notify": notify}));
    let webhook = policy.approvals().next().unwrap().webhook.clone().unwrap();
    assert_eq!(
        (&*webhook.endpoint.authority, &*webhook.key_env),
        ("hooks", "HOOK")
    );
}

#[test]
fn mistakes_of_approvals_are_named() {
    let at = "tools.crm.refund.confirm";
    for (confirm, expected) in [
        (
            json!("manager"),
            "found string \"manager\", expected true, false, or a mapping with `by`".to_owned(),
        ),
        (
            json!(["manager"]),
            "found a list, expected true, false, or a mapping with `by`".to_owned(),
        ),
    ] {
        assert_eq!(refused(&approving(confirm)), [format!("{at}: {expected}")]);
    }
    for (confirm, key, expected) in [
        (json!({}), "", "missing key `by`"),
        (json!({"by": {}}), ".by", "missing key `role`"),
        (
            json!({"by": {"role": "manger"}}),
            ".by.role",
            "did you mean `manager`?",
        ),
        (
            json!({"by": {"role": "*"}}),
            ".by.role",
            "found `*`, which every caller has",
        ),
        (
            json!({"by": {"role": "manager"}, "valid_for": "9m"}),
            ".valid_for",
            "expected 10m to 1d",
        ),
        (
            json!({"by": {"role": "manager"}, "valid_for": "25h"}),
            ".valid_for",
            "expected 10m to 1d",
        ),
        (
            json!({"by": {"role": "manager"}, "valid": "1h"}),
            ".valid",
            "unknown key `valid`",
        ),
        (
            json!({"by": {"role": "manager"}, "notify": {"cluster": "h", "path": "new", "key_env": "K"}}),
            ".notify.path",
            "expected a path that starts with `/`",
        ),
        (
            json!({"by": {"role": "manager"}, "notify": {"cluster": "h", "path": "/new"}}),
            ".notify",
            "missing key `key_env`",
        ),
    ] {
        let found = refused(&approving(confirm.clone()));
        let start = format!("{at}{key}: ");
        assert!(
            found.len() == 1 && found[0].starts_with(&start) && found[0].contains(expected),
            "{confirm}: {found:?}"
        );
    }
}

#[test]
fn approvals_need_a_key_a_sign_in_and_roles() {
    let by = json!({"by": {"role": "manager"}});
    type Change = fn(&mut Value);
    let changes: [(&str, Change, &str); 6] = [
        (
            "seal",
            |it| {
                it.as_object_mut().unwrap().remove("seal");
            },
            "tools.crm.refund.confirm: needs `seal`",
        ),
        (
            "sign_in",
            |it| {
                it["issuers"][0].as_object_mut().unwrap().remove("sign_in");
            },
            "issuers[0].sign_in: ",
        ),
        (
            "roles",
            |it| {
                it["issuers"][0]["identity"] = json!({});
            },
            "issuers[0].identity.roles: ",
        ),
        ("hold", |it| it["hold"] = json!("buffer_filter"), "hold: "),
        (
            "local",
            |it| {
                it.as_object_mut().unwrap().remove("issuers");
                it["local"] = json!({"user": "me", "roles": ["support"]});
            },
            "local: ",
        ),
        (
            "prompts",
            |it| {
                it["prompts"] = json!({"crm.brief": {"confirm": {"by": {"role": "manager"}}}});
            },
            "prompts.crm.brief.confirm: ",
        ),
    ];
    for (what, change, expected) in changes {
        let mut document = approving(by.clone());
        change(&mut document);
        let found = refused(&document);
        assert!(
            found.iter().any(|error| error.starts_with(expected)),
            "{what}: {found:?}"
        );
    }
}

#[test]
fn the_most_specific_rule_with_other_people_counts() {
    let mut document = approving(json!({"by": {"role": "owner"}}));
    document["tools"]["crm.*"] = json!({"confirm": {"by": {"role": "manager"}}});
    document["tools"]["crm.refund.*"] = json!({"confirm": true});
    let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    let roles = |tool: &str| {
        let matching: Vec<&Operation> = policy
            .tools
            .iter()
            .filter(|each| each.pattern.matches(tool, Identity::anonymous()))
            .collect();
        approval_for(&matching).map(|rule| rule.role.clone())
    };
    assert_eq!(roles("crm.refund").as_deref(), Some("owner"));
    assert_eq!(roles("crm.other").as_deref(), Some("manager"));
    assert_eq!(roles("crm.refund.all").as_deref(), Some("manager"));
    assert_eq!(roles("hr.list"), None);
}

#[test]
fn the_size_limit_of_a_result_has_a_minimum() {
    let mut document = approving(json!(false));
    document["tools"]["crm.export"] = json!({"max_result": 100});
    document["prompts"] = json!({"crm.brief": {"max_result": "1023B"}});
    document["resources"] = json!({"crm://a/*": {"max_result": 0}, "crm://b/*": {}});
    let found = refused(&document);
    for expected in [
        "tools.crm.export.max_result: found 100 bytes, expected at least 1024",
        "prompts.crm.brief.max_result: found 1023 bytes, expected at least 1024",
        "resources.crm://a/*.max_result: found 0 bytes, expected at least 1024",
        "resources.crm://b/*: expected `owner` or `max_result`",
    ] {
        assert!(
            found.iter().any(|error| error == expected),
            "{expected}: {found:?}"
        );
    }
    document["tools"]["crm.export"] = json!({"max_result": "64KiB"});
    document["prompts"] = json!({"crm.brief": {"max_result": "2KiB"}});
    document["resources"] = json!({"crm://a/*": {"max_result": "4KiB"}});
    let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    assert_eq!(policy.smallest_max_result, Some(2048));
    let none = Policy::parse(approving(json!(false)).to_string().as_bytes()).unwrap();
    assert_eq!(none.smallest_max_result, None);
}
