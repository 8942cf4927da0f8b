//! The decision against the policy file, read as plainly as can be.

use super::*;

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
enum ReferenceDecision {
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
    fn answer(
        &self,
        identity: &Identity,
        age: Option<u64>,
        tool: &str,
        n: Option<i64>,
    ) -> ReferenceDecision {
        let mut roles = identity.roles.clone();
        roles.push("*".to_owned());
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, tool));
        if roles
            .iter()
            .any(|role| self.any(role, &|rules| matches(&rules.deny)))
        {
            return ReferenceDecision::Denied;
        }
        if !roles
            .iter()
            .any(|role| self.any(role, &|rules| matches(&rules.tools)))
        {
            return ReferenceDecision::NoRole;
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
            return ReferenceDecision::Condition;
        }
        let mut needed = self.scopes.clone();
        needed.extend(tools.iter().flat_map(|tool| tool.scopes.clone()));
        needed.sort();
        needed.dedup();
        if needed.iter().any(|scope| !identity.scopes.contains(scope)) {
            return ReferenceDecision::Scopes(needed);
        }
        match tools.iter().filter_map(|tool| tool.max_token_age).min() {
            Some(most) if age.is_none_or(|age| age > most) => ReferenceDecision::TooOld(most),
            _ => ReferenceDecision::Yes,
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

fn answer(decision: Result<Vec<Evidence>, Denial>) -> ReferenceDecision {
    match decision {
        Ok(_) => ReferenceDecision::Yes,
        Err(Denial::Denied { .. }) => ReferenceDecision::Denied,
        Err(Denial::NoRole) => ReferenceDecision::NoRole,
        Err(Denial::Condition { .. } | Denial::Misspelled { .. }) => ReferenceDecision::Condition,
        Err(Denial::Scope { mut needed }) => {
            needed.sort();
            ReferenceDecision::Scopes(needed)
        }
        Err(Denial::TooOld { max_age, .. }) => ReferenceDecision::TooOld(max_age.as_secs()),
        Err(Denial::ForeignParameter { .. } | Denial::NotOwned { .. } | Denial::OddUri) => {
            panic!("a tool has no URI")
        }
        Err(Denial::SignIn { .. }) => panic!("the caller signed in"),
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
        let caller = Principal { identity: &identity, ceiling: None, token_age: age.map(Duration::from_secs) };
        let arguments = json!({"n": n}).to_string();
        let decider = Decider::new(&policy, caller);
        for tool in &tools {
            let target = Target::Tool(tool);
            let called = authorize(&policy, caller, target, Some(arguments.as_bytes()));
            prop_assert_eq!(&decider.authorize(target, Some(arguments.as_bytes())), &called);
            prop_assert_eq!(answer(called), rules.answer(&identity, age, tool, Some(n)));
            let listed = rules.answer(&identity, age, tool, None);
            let visible = !matches!(listed, ReferenceDecision::Denied | ReferenceDecision::NoRole);
            prop_assert_eq!(may_see(&policy, caller, target), visible);
            prop_assert_eq!(decider.may_see(target), visible);
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
            let caller = Principal { identity: &identity, ceiling: None, token_age: None };
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
