//! What a role may do, by the decision function of the filter.

use std::collections::BTreeSet;

use mcp_auth_filter::authorize::{Denial, Principal, Target, authorize, operations};
use oauth::Identity;
use policy::Policy;

/// The caller without a token, in tables.
pub(crate) const ANONYMOUS: &str = "(no token)";

/// What a caller with one role may do with a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Whether some request of the caller passes.
    pub(crate) is_allowed: bool,
    /// The rule that decides, and what is asked for beside the role.
    pub(crate) why: String,
}

impl Access {
    /// What a rule asks for beside the role.
    pub(crate) fn asks(&self) -> Option<&str> {
        self.why.split_once("; ").map(|(_, asks)| asks)
    }

    /// Whether a rule asks for something beside the role.
    pub(crate) fn is_conditional(&self) -> bool {
        self.is_allowed && self.asks().is_some()
    }
}

/// The callers of a policy: each role, all signed-in callers, and those without a token.
pub(crate) fn roles(policy: &Policy) -> Vec<String> {
    if let Some(local) = &policy.local {
        let mut roles = local.roles.clone();
        roles.push("*".to_owned());
        return roles;
    }
    let mut roles: Vec<String> = policy
        .roles
        .keys()
        .filter(|role| *role != "*")
        .cloned()
        .collect();
    roles.sort_unstable();
    roles.push("*".to_owned());
    if policy.anonymous.is_some() {
        roles.push(ANONYMOUS.to_owned());
    }
    roles
}

/// What callers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// Tools.
    Tool,
    /// Prompts.
    Prompt,
    /// Resources.
    Resource,
}

impl TargetKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 3] = [Self::Tool, Self::Prompt, Self::Resource];

    /// The kind, as a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }

    /// The target with this name.
    pub(crate) fn target(self, name: &str) -> Target<'_> {
        match self {
            Self::Tool => Target::Tool(name),
            Self::Prompt => Target::Prompt(name),
            Self::Resource => Target::Resource(name),
        }
    }
}

/// The names and patterns of a kind in a policy.
pub(crate) fn named(policy: &Policy, kind: TargetKind) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for role in policy.roles.values().chain(&policy.anonymous) {
        let grants = match kind {
            TargetKind::Tool => &role.tools,
            TargetKind::Prompt => &role.prompts,
            TargetKind::Resource => &role.resources,
        };
        names.extend(
            grants
                .iter()
                .map(|grant| grant.pattern.written().to_owned()),
        );
        // A denial does not say which kind it is for; resources have URIs.
        let is_uri = kind == TargetKind::Resource;
        let denied = role.deny.iter().map(|grant| grant.pattern.written());
        let denied = denied.filter(|name| name.contains("://") == is_uri);
        names.extend(denied.map(str::to_owned));
    }
    let operations = match kind {
        TargetKind::Tool => policy.tools.iter(),
        TargetKind::Prompt => policy.prompts.iter(),
        TargetKind::Resource => [].iter(),
    };
    names.extend(operations.map(|operation| operation.pattern.written().to_owned()));
    names
}

/// What a caller with this role may do with a target. The caller has all scopes, a new token, a user and an
/// organization, so that only the role decides; what a rule asks for beside is named.
pub(crate) fn access(policy: &Policy, role: &str, target: Target<'_>) -> Access {
    let mut identity = match role {
        ANONYMOUS => Identity::anonymous().clone(),
        _ => Identity {
            user: Some("someone".to_owned()),
            organization: Some("theirs".to_owned()),
            ..Identity::default()
        },
    };
    if !matches!(role, "*" | ANONYMOUS) {
        identity.roles.push(role.to_owned());
    }
    let needs = needs(policy, &identity, target);
    if role != ANONYMOUS {
        identity.scopes = scopes(policy);
    }
    let caller = Principal {
        identity: &identity,
        ceiling: None,
        token_age: Some(std::time::Duration::ZERO),
    };
    match authorize(policy, caller, target, None) {
        Ok(evidence) => {
            let by_role = |source: &str| source.starts_with("roles.") || source == "anonymous";
            let rule = evidence.iter().find(|evidence| by_role(&evidence.source));
            let rule = rule.map(|evidence| format!("{}: {}", evidence.source, evidence.summary));
            let mut why = rule.into_iter().collect::<Vec<_>>();
            why.extend(needs);
            Access {
                is_allowed: true,
                why: why.join("; "),
            }
        }
        Err(denial) => Access {
            is_allowed: false,
            why: denied(&denial),
        },
    }
}

/// What a caller with these roles may do with a target, as [`access`].
pub(crate) fn of_roles(policy: &Policy, roles: &[&str], target: Target<'_>) -> Access {
    let all: Vec<Access> = roles
        .iter()
        .chain(&["*"])
        .map(|role| access(policy, role, target))
        .collect();
    let denied = all.iter().find(|access| access.why.ends_with("denies it"));
    let allowed = all.iter().find(|access| access.is_allowed);
    let decides = denied.or(allowed).or(all.first());
    decides
        .cloned()
        .unwrap_or_else(|| access(policy, "*", target))
}

/// All scopes that the policy names.
fn scopes(policy: &Policy) -> Vec<String> {
    let operations = policy.tools.iter().chain(&policy.prompts);
    let scopes = operations.flat_map(|operation| &operation.scopes);
    scopes.chain(&policy.scopes).cloned().collect()
}

/// What the rules for a target ask for beside a role.
fn needs(policy: &Policy, identity: &Identity, target: Target<'_>) -> Vec<String> {
    let mut needs = Vec::new();
    let mut scopes: Vec<&str> = policy.scopes.iter().map(String::as_str).collect();
    let operations = operations(policy, identity, target);
    for operation in &operations {
        scopes.extend(operation.scopes.iter().map(String::as_str));
        let age = operation.max_token_age;
        needs.extend(age.map(|age| format!("signed in at most {} s ago", age.as_secs())));
        needs.extend(
            operation
                .when
                .as_ref()
                .map(|when| format!("if {}", when.written())),
        );
        needs.extend(
            operation
                .confirm
                .then(|| "the user confirms each call".to_owned()),
        );
        needs.extend(operation.approval.as_ref().map(|rule| {
            let role = &rule.role;
            format!("another person with the role `{role}` approves each call")
        }));
        needs.extend(
            operation
                .single_use
                .then(|| "one call for each token".to_owned()),
        );
    }
    let decide = policy.decide_for(&operations);
    needs.extend(decide.map(|decide| format!("if {} allows it", decide.point.name())));
    if !scopes.is_empty() {
        needs.insert(0, format!("with scope {}", scopes.join(" ")));
    }
    needs
}

fn denied(denial: &Denial) -> String {
    match denial {
        Denial::Denied { rule, pattern } => format!("{rule}: `{pattern}` denies it"),
        Denial::NoRole => "no role allows it".to_owned(),
        Denial::SignIn { .. } => "needs a sign-in".to_owned(),
        Denial::NotOwned { rule, .. } => format!("{rule}: depends on the owner"),
        Denial::ForeignParameter { name } => format!("`{name}` in the URI is another's"),
        Denial::OddUri => "servers could read the URI in different ways".to_owned(),
        Denial::Scope { needed } => format!("needs scope {}", needed.join(" ")),
        Denial::TooOld { max_age, .. } => {
            format!("needs a sign-in at most {} s ago", max_age.as_secs())
        }
        // The others depend on the arguments of a request.
        _ => "depends on the request".to_owned(),
    }
}
