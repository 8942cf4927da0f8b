//! Scopes, age, conditions.

use super::*;

#[test]
fn a_scope_that_includes_another_satisfies_it() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["*"]}},
        "scopes": ["crm:read"],
        "scope_includes": {"crm:admin": ["crm:write"], "crm:write": ["crm:read"]},
        "tools": {"crm.refund": {"scopes": ["crm:write", "refund"]}},
    }));
    let has = |scopes: &[&str]| {
        let found = call_with(&policy, scopes, None, "{}");
        found.map(|evidence| evidence.last().unwrap().summary.clone())
    };
    assert_eq!(
        has(&["refund", "crm:admin"]).as_deref(),
        Ok("has scope crm:read (by crm:admin) crm:write (by crm:admin) refund")
    );
    assert_eq!(
        has(&["refund", "crm:write", "crm:read"]).as_deref(),
        Ok("has scope crm:read crm:write refund")
    );
    // What is missing is named with everything that is needed, in the order it is written.
    for scopes in [
        &["crm:admin"][..],
        &["refund", "crm:read"],
        &["refund"],
        &[],
    ] {
        let evidence = call_with(&policy, scopes, None, "{}");
        assert_eq!(evidence, lacks(&["crm:read", "crm:write", "refund"]));
    }
}

#[test]
fn a_scope_is_asked_for_only_where_it_would_help() {
    let policy = conditions(json!({
        "crm.refund": {"scopes": ["crm:write"], "max_token_age": "5m", "when": "args.amount <= 100"},
    }));
    let refuse = |amount: &str| call_with(&policy, &[], Some(10_000), amount);
    assert_eq!(refuse(r#"{"amount":5}"#), lacks(&["crm:write"]));
    assert_eq!(
        refuse(r#"{"amount":500}"#),
        not_true("tools.crm.refund.when")
    );
    let nobodys = call(&policy, &["other"], Target::Tool("crm.refund"));
    assert_eq!(nobodys, Err(Denial::NoRole));
}

#[test]
fn every_needed_scope_is_named_when_one_lacks() {
    let mut document = json!({"roles": {"r": {"tools": ["*"]}}, "scopes": ["mcp"]});
    document["tools"] = json!({
        "crm.refund": {"scopes": ["crm:write", "crm:refund"]},
        "crm.*": {"scopes": ["crm:read"]},
        "other": {"scopes": ["other"]},
    });
    let policy = policy(&document);
    let all = ["mcp", "crm:write", "crm:refund", "crm:read"];
    assert_eq!(call_with(&policy, &[], None, "{}"), lacks(&all));
    for index in 0..all.len() {
        let mut held = all.to_vec();
        held[index] = "CRM:WRITE";
        assert_eq!(call_with(&policy, &held, None, "{}"), lacks(&all));
    }
    let evidence = call_with(&policy, &all, None, "{}").unwrap();
    let summary = "has scope mcp crm:write crm:refund crm:read";
    assert_eq!(evidence.last(), Some(&Evidence::new("token", summary)));
}

#[test]
fn b08_scopes_are_whole_words() {
    let policy = conditions(json!({"crm.refund": {"scopes": ["crm:write"]}}));
    for held in [
        "crm",
        "crm:write:all",
        "crm:writ",
        "crm:read crm:write",
        "*",
        "",
    ] {
        assert_eq!(
            call_with(&policy, &[held], None, "{}"),
            lacks(&["crm:write"]),
            "{held}"
        );
    }
}

#[test]
fn scopes_of_the_whole_policy_are_needed_for_the_server_and_resources_too() {
    let policy = policy(&json!({"scopes": ["mcp"], "roles": {"r": {"resources": ["x"]}}}));
    assert_eq!(call(&policy, &["r"], Target::Server), lacks(&["mcp"]));
    assert_eq!(
        call(&policy, &["r"], Target::Resource("x")),
        lacks(&["mcp"])
    );
}

#[test]
fn the_youngest_age_any_condition_asks_for_counts() {
    let policy = conditions(json!({
        "crm.refund": {"max_token_age": "10m"}, "crm.*": {"max_token_age": "5m"}, "*": {},
    }));
    let too_old = Err(Denial::TooOld {
        max_age: Duration::from_secs(300),
        scopes: vec![],
    });
    for (age, allowed) in [
        (Some(0), true),
        (Some(300), true),
        (Some(301), false),
        (Some(u64::MAX), false),
        (None, false),
    ] {
        let decision = call_with(&policy, &[], age, "{}");
        assert_eq!(decision.is_ok(), allowed, "{age:?}");
        assert!(allowed || decision == too_old);
    }
}

#[test]
fn every_pattern_a_call_falls_under_has_to_hold() {
    let policy = conditions(json!({
        "crm.refund": {"when": "args.amount <= 100"},
        "crm.*": {"when": "args.reason != ''"},
        "*.refund": {"when": "call.name == 'crm.refund'"},
        "crm.delete": {"when": "false"},
    }));
    let check = |arguments| call_with(&policy, &[], None, arguments);
    let sources: Vec<String> = check(r#"{"amount":100,"reason":"x"}"#)
        .unwrap()
        .into_iter()
        .map(|evidence| evidence.source.into_owned())
        .collect();
    assert_eq!(
        sources,
        [
            "roles.r",
            "tools.crm.refund.when",
            "tools.*.refund.when",
            "tools.crm.*.when"
        ]
    );
    assert_eq!(
        check(r#"{"amount":101,"reason":"x"}"#),
        not_true("tools.crm.refund.when")
    );
    assert_eq!(
        check(r#"{"amount":100,"reason":""}"#),
        not_true("tools.crm.*.when")
    );
    assert_eq!(
        check(r#"{"amount":101,"reason":""}"#),
        not_true("tools.crm.refund.when")
    );
}

#[test]
fn b16_a_condition_that_cannot_be_evaluated_refuses() {
    let policy = conditions(json!({"crm.refund": {"when": "args.amount <= 100"}}));
    for arguments in [
        "{}",
        r#"{"amount":"1"}"#,
        r#"{"amount":null}"#,
        r#"{"amount":[1]}"#,
        "[]",
        "null",
        "",
        "{",
    ] {
        let expected = Err(Denial::Condition {
            rule: "tools.crm.refund.when".into(),
            error: ConditionError::Evaluation,
            message: None,
        });
        assert_eq!(
            call_with(&policy, &[], None, arguments),
            expected,
            "{arguments}"
        );
    }
}

#[test]
fn conditions_are_about_the_tools_they_name_only() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}},
        "tools": {"x": {"when": "false", "scopes": ["s"], "max_token_age": "1s"}},
    }));
    assert_eq!(
        call(&policy, &["r"], Target::Tool("x")),
        not_true("tools.x.when")
    );
    for target in [
        Target::Tool("y"),
        Target::Prompt("x"),
        Target::Resource("x"),
        Target::Server,
    ] {
        assert!(call(&policy, &["r"], target).is_ok(), "{target:?}");
    }
}

#[test]
fn conditions_of_prompts_apply_to_prompts() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["*"], "prompts": ["*"]}},
        "prompts": {"x": {"when": "false"}, "y": {"scopes": ["s"]}},
    }));
    assert!(call(&policy, &["r"], Target::Tool("x")).is_ok());
    let denial = call(&policy, &["r"], Target::Prompt("x")).unwrap_err();
    assert!(
        matches!(&denial, Denial::Condition { rule, .. } if rule == "prompts.x.when"),
        "{denial:?}"
    );
    assert_eq!(call(&policy, &["r"], Target::Prompt("y")), lacks(&["s"]));
}

#[test]
fn a_denial_that_the_caller_cannot_cure_comes_first() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["*"], "deny": ["crm.purge"]}},
        "tools": {"*": {"scopes": ["s"], "max_token_age": "1s", "when": "args.ok"}},
    }));
    let decide = |role, tool, scopes: &[&str], arguments: &str| {
        let identity = identity(&[role], scopes);
        let caller = Principal {
            identity: &identity,
            ceiling: None,
            token_age: Some(Duration::from_secs(2)),
        };
        authorize(
            &policy,
            caller,
            Target::Tool(tool),
            Some(arguments.as_bytes()),
        )
    };
    let (bad, good) = (r#"{"ok":false}"#, r#"{"ok":true}"#);
    assert_eq!(decide("other", "crm.purge", &[], bad), Err(Denial::NoRole));
    assert_eq!(decide("r", "crm.purge", &[], bad), denied("r", "crm.purge"));
    assert_eq!(decide("r", "crm.get", &[], bad), not_true("tools.*.when"));
    assert_eq!(decide("r", "crm.get", &[], good), lacks(&["s"]));
    assert_eq!(
        decide("r", "crm.get", &["s"], good),
        Err(Denial::TooOld {
            max_age: Duration::from_secs(1),
            scopes: vec!["s".to_owned()],
        })
    );
}
