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
        user: "u1".into(),
        organization: Some("acme".into()),
        roles: owned(roles),
        scopes: owned(scopes),
    }
}

fn call(policy: &Policy, roles: &[&str], target: Target<'_>) -> Result<Vec<Evidence>, Denial> {
    let identity = identity(roles, &[]);
    let caller = Caller {
        identity: &identity,
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
    let caller = Caller {
        identity: &identity,
        token_age,
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
    })
}

fn lacks(needed: &[&str]) -> Result<Vec<Evidence>, Denial> {
    let needed = needed.iter().map(|scope| (*scope).to_owned()).collect();
    Err(Denial::Scope { needed })
}

// === roles ===

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
fn the_role_of_everybody_allows_and_denies() {
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
    let caller = Caller {
        identity: &identity,
        token_age: None,
    };
    let read = |uri| authorize(&policy, caller, Target::Resource(uri), None);
    assert_eq!(
        read("crm://acme/secrets"),
        denied("r", "crm://{organization}/secret*")
    );
    assert!(read("crm://acme/public").is_ok());
}

// === scopes and age ===

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
    let too_old = Err(Denial::TooOld { max_age: 300 });
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

// === conditions ===

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
        .map(|evidence| evidence.source)
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
fn what_nobody_can_cure_is_said_first() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["*"], "deny": ["crm.purge"]}},
        "tools": {"*": {"scopes": ["s"], "max_token_age": "1s", "when": "args.ok"}},
    }));
    let decide = |role, tool, scopes: &[&str], arguments: &str| {
        let identity = identity(&[role], scopes);
        let caller = Caller {
            identity: &identity,
            token_age: Some(2),
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
        Err(Denial::TooOld { max_age: 1 })
    );
}

// === lists ===

#[test]
fn b26_a_list_shows_what_a_call_could_be_allowed_or_cured_and_nothing_else() {
    let policy = policy(&json!({
        "roles": {"r": {"tools": ["crm.*"], "deny": ["crm.purge"]}},
        "tools": {
            "crm.scope": {"scopes": ["s"]},
            "crm.age": {"max_token_age": "1s"},
            "crm.when": {"when": "args.amount <= 100"},
            "crm.never": {"when": "false"},
        },
    }));
    for (tool, visible) in [
        ("crm.get", true),
        ("crm.scope", true),
        ("crm.age", true),
        ("crm.when", true),
        ("crm.never", true),
        ("crm.purge", false),
        ("other", false),
    ] {
        let identity = identity(&["r"], &[]);
        let caller = Caller {
            identity: &identity,
            token_age: None,
        };
        assert_eq!(
            may_see(&policy, caller, Target::of_item(List::Tools, tool)),
            visible,
            "{tool}"
        );
    }
}

// === the reference ===

/// What the policy file says, read as plainly as can be.
#[derive(Debug, Clone)]
struct Rules {
    roles: BTreeMap<String, RoleRules>,
    scopes: Vec<String>,
    tools: BTreeMap<String, ToolRules>,
}

#[derive(Debug, Clone)]
struct RoleRules {
    extends: Vec<String>,
    tools: Vec<String>,
    deny: Vec<String>,
}

#[derive(Debug, Clone)]
struct ToolRules {
    scopes: Vec<String>,
    max_token_age: Option<u64>,
    /// `args.n <= most`.
    most: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    Denied,
    NoRole,
    Condition,
    Scopes(Vec<String>),
    TooOld(u64),
}

impl Rules {
    fn document(&self) -> Value {
        let roles = self.roles.iter().map(|(name, role)| {
            let rules = json!({"extends": role.extends, "tools": role.tools, "deny": role.deny});
            (name.clone(), rules)
        });
        let tools = self.tools.iter().map(|(name, tool)| {
            let mut rules = json!({"scopes": tool.scopes});
            if let Some(age) = tool.max_token_age {
                rules["max_token_age"] = json!(format!("{age}s"));
            }
            if let Some(most) = tool.most {
                rules["when"] = json!(format!("args.n <= {most}"));
            }
            (name.clone(), rules)
        });
        json!({
            "roles": roles.collect::<serde_json::Map<_, _>>(),
            "scopes": self.scopes,
            "tools": tools.collect::<serde_json::Map<_, _>>(),
        })
    }

    fn any(&self, role: &str, test: &dyn Fn(&RoleRules) -> bool) -> bool {
        self.roles.get(role).is_some_and(|rules| {
            test(rules)
                || rules
                    .extends
                    .iter()
                    .any(|extended| self.any(extended, test))
        })
    }

    /// `n` is the argument, if the arguments are known.
    fn answer(&self, identity: &Identity, age: Option<u64>, tool: &str, n: Option<i64>) -> Answer {
        let mut roles = identity.roles.clone();
        roles.push("*".to_owned());
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, tool));
        if roles
            .iter()
            .any(|role| self.any(role, &|rules| matches(&rules.deny)))
        {
            return Answer::Denied;
        }
        if !roles
            .iter()
            .any(|role| self.any(role, &|rules| matches(&rules.tools)))
        {
            return Answer::NoRole;
        }
        let tools: Vec<&ToolRules> = self
            .tools
            .iter()
            .filter(|(pattern, _)| glob(pattern, tool))
            .map(|(_, rules)| rules)
            .collect();
        if let Some(n) = n
            && tools
                .iter()
                .any(|tool| tool.most.is_some_and(|most| n > most))
        {
            return Answer::Condition;
        }
        let mut needed = self.scopes.clone();
        needed.extend(tools.iter().flat_map(|tool| tool.scopes.clone()));
        needed.sort();
        needed.dedup();
        if needed.iter().any(|scope| !identity.scopes.contains(scope)) {
            return Answer::Scopes(needed);
        }
        match tools.iter().filter_map(|tool| tool.max_token_age).min() {
            Some(most) if age.is_none_or(|age| age > most) => Answer::TooOld(most),
            _ => Answer::Yes,
        }
    }
}

fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => name.is_empty(),
        Some(("*", rest)) => (0..=name.len())
            .filter_map(|taken| name.get(taken..))
            .any(|name| glob(rest, name)),
        Some((letter, rest)) => name
            .strip_prefix(letter)
            .is_some_and(|name| glob(rest, name)),
    }
}

fn answer(decision: Result<Vec<Evidence>, Denial>) -> Answer {
    match decision {
        Ok(_) => Answer::Yes,
        Err(Denial::Denied { .. }) => Answer::Denied,
        Err(Denial::NoRole) => Answer::NoRole,
        Err(Denial::Condition { .. }) => Answer::Condition,
        Err(Denial::Scope { mut needed }) => {
            needed.sort();
            Answer::Scopes(needed)
        }
        Err(Denial::TooOld { max_age }) => Answer::TooOld(max_age),
        Err(Denial::OddUri) => panic!("a tool has no URI"),
    }
}

const ROLES: [&str; 4] = ["*", "r1", "r2", "r3"];

fn names(of: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    subsequence(of, 0..=most).prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn patterns(most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[ab*]{1,3}", 0..=most)
}

/// Roles extend only those before them, so there is no ring.
fn role(index: usize) -> impl Strategy<Value = RoleRules> {
    let deny = prop_oneof![3 => Just(Vec::new()), 1 => patterns(1)];
    (names(&ROLES[..index], index), patterns(2), deny).prop_map(|(extends, tools, deny)| {
        RoleRules {
            extends,
            tools,
            deny,
        }
    })
}

fn tool() -> impl Strategy<Value = ToolRules> {
    let age = proptest::option::of(0..3_u64);
    let most = proptest::option::of(0..3_i64);
    (names(&["s", "t"], 1), age, most).prop_map(|(scopes, max_token_age, most)| ToolRules {
        scopes,
        max_token_age,
        most,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let roles = (role(0), role(1), role(2), role(3)).prop_map(|(one, two, three, four)| {
        let names = ROLES.iter().map(|name| (*name).to_owned());
        names.zip([one, two, three, four]).collect()
    });
    let tools = proptest::collection::btree_map("[ab*]{1,3}", tool(), 0..3);
    (roles, names(&["s", "u"], 1), tools).prop_map(|(roles, scopes, tools)| Rules {
        roles,
        scopes,
        tools,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decision_is_what_the_policy_file_says(
        rules in rules(),
        roles in names(&["r1", "r2", "r3", "ghost"], 3),
        scopes in names(&["s", "t", "u"], 3),
        tools in proptest::collection::vec("[ab*]{0,3}", 6),
        age in proptest::option::of(0..4_u64),
        n in 0..4_i64,
    ) {
        let policy = policy(&rules.document());
        let mut identity = identity(&[], &[]);
        identity.roles = roles;
        identity.scopes = scopes;
        let caller = Caller { identity: &identity, token_age: age };
        let arguments = json!({"n": n}).to_string();
        for tool in &tools {
            let target = Target::Tool(tool);
            let called = authorize(&policy, caller, target, Some(arguments.as_bytes()));
            prop_assert_eq!(answer(called), rules.answer(&identity, age, tool, Some(n)));
            let listed = rules.answer(&identity, age, tool, None);
            let visible = !matches!(listed, Answer::Denied | Answer::NoRole);
            prop_assert_eq!(may_see(&policy, caller, target), visible);
        }
    }

    #[test]
    fn another_role_takes_away_only_by_a_denial(
        rules in rules(),
        more in select(&ROLES[1..]),
        tool in "[ab]{0,3}",
    ) {
        let policy = policy(&rules.document());
        let sees = |roles: &[&str]| {
            let identity = identity(roles, &[]);
            let caller = Caller { identity: &identity, token_age: None };
            let denied = matches!(
                authorize(&policy, caller, Target::Tool(&tool), None),
                Err(Denial::Denied { .. })
            );
            (may_see(&policy, caller, Target::Tool(&tool)), denied)
        };
        let (seen, denied) = sees(&["r1"]);
        let (seen_by_both, denied_to_both) = sees(&["r1", more]);
        prop_assert!(!seen || seen_by_both || denied_to_both);
        prop_assert!(!denied || denied_to_both);
    }
}
