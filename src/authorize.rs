//! The decision function: may this caller use this target? It serves calls, items of lists, the command
//! line and observe mode.

mod decider;
mod grounds;
mod owners;
mod view;

pub use self::decider::Decider;
pub use self::owners::may_complete;
pub use self::view::View;
use std::time::Duration;

use crate::decision::Evidence;
use mcp::method::List;
use oauth::Identity;
use policy::{ConditionError, Grant, Misspelled, NotOwned, Operation, PatternList, Policy, Role};

/// The target of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The server itself: `initialize`, a list, a ping.
    Server,
    /// A tool.
    Tool(&'a str),
    /// A prompt.
    Prompt(&'a str),
    /// A resource, by URI.
    Resource(&'a str),
    /// Resources, by URI template.
    ResourceTemplate(&'a str),
}

/// The caller, as decisions see it.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// The identity that the caller acts with.
    pub identity: &'a Identity,
    /// The caller with its own roles, if it acts with another identity. The decision must allow this
    /// identity too.
    pub ceiling: Option<&'a Identity>,
    /// The time since the sign-in, or since the token was issued.
    pub token_age: Option<Duration>,
}

/// Why a target is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A condition does not hold.
    Condition {
        /// The rule, as a path in the policy.
        rule: String,
        /// The reason.
        error: ConditionError,
        /// The policy's text for the model.
        message: Option<String>,
    },
    /// The arguments may not be those that a condition judges.
    Misspelled {
        /// Where the condition is written.
        rule: String,
        /// The reason.
        error: Misspelled,
    },
    /// A parameter of the URI names another user or organization, or has a name that is refused.
    ForeignParameter {
        /// The name, as the policy spells it.
        name: String,
    },
    /// A rule denies it.
    Denied {
        /// The rule, as a path in the policy.
        rule: String,
        /// The pattern that denies it.
        pattern: String,
    },
    /// No role allows it.
    NoRole,
    /// A resource belongs to another owner, or its owner is unknown.
    NotOwned {
        /// The rule, as a path in the policy.
        rule: String,
        /// The reason.
        error: NotOwned,
    },
    /// Servers could read the URI in different ways.
    OddUri,
    /// The caller is anonymous, and a sign-in is needed.
    SignIn {
        /// The scopes to sign in with.
        scopes: Vec<String>,
    },
    /// The token lacks a scope.
    Scope {
        /// All scopes that are needed.
        needed: Vec<String>,
    },
    /// The caller signed in too long ago.
    TooOld {
        /// The maximum age of the sign-in.
        max_age: Duration,
        /// The scopes to sign in with.
        scopes: Vec<String>,
    },
}

impl<'a> Target<'a> {
    /// An item of a list.
    pub fn of_item(list: List, name: &'a str) -> Self {
        match list {
            List::Tools => Self::Tool(name),
            List::Prompts => Self::Prompt(name),
            List::Resources => Self::Resource(name),
            List::ResourceTemplates => Self::ResourceTemplate(name),
        }
    }

    /// The name or URI.
    pub fn name(self) -> &'a str {
        match self {
            Self::Server => "",
            Self::Tool(name)
            | Self::Prompt(name)
            | Self::Resource(name)
            | Self::ResourceTemplate(name) => name,
        }
    }

    /// The permissions of a role that could allow it.
    fn grants(self, role: &Role) -> Option<&PatternList<Grant>> {
        match self {
            Self::Server => None,
            Self::Tool(_) => Some(&role.tools),
            Self::Prompt(_) => Some(&role.prompts),
            Self::Resource(_) | Self::ResourceTemplate(_) => Some(&role.resources),
        }
    }
}

/// The operations whose pattern matches a target, the most specific first.
pub fn operations<'p>(
    policy: &'p Policy,
    identity: &Identity,
    target: Target<'_>,
) -> Vec<&'p Operation> {
    let (operations, name) = match target {
        Target::Tool(name) => (&policy.tools, name),
        Target::Prompt(name) => (&policy.prompts, name),
        Target::Server | Target::Resource(_) | Target::ResourceTemplate(_) => return Vec::new(),
    };
    operations.matching(name, identity).collect()
}

/// Decides. `arguments` start with the object that the server will read, which was read strictly. Without them, as for
/// an item of a list, conditions on arguments are not evaluated.
///
/// # Errors
///
/// The first denial. A denial that the caller can cure comes after all others.
pub fn authorize(
    policy: &Policy,
    caller: Principal<'_>,
    target: Target<'_>,
    arguments: Option<&[u8]>,
) -> Result<Vec<Evidence>, Denial> {
    Decider::new(policy, caller).authorize(target, arguments)
}

/// Whether a list may show an item: a call of it is allowed, or the caller can cure its denial.
pub fn may_see(policy: &Policy, caller: Principal<'_>, target: Target<'_>) -> bool {
    Decider::new(policy, caller).may_see(target)
}

/// The scopes that a sign-in for a target needs: those of the policy and of the target's operations.
pub fn scopes_of(policy: &Policy, identity: &Identity, target: Target<'_>) -> Vec<String> {
    let operations = operations(policy, identity, target);
    to_owned(&needed_scopes(policy, &operations, false))
}

/// Whether anonymous callers may use a target.
pub fn is_for_anonymous(policy: &Policy, identity: &Identity, target: Target<'_>) -> bool {
    let operations = operations(policy, identity, target);
    let asks_for_more =
        |operation: &&Operation| !operation.scopes.is_empty() || operation.needs_token();
    for_anonymous(policy, identity, target).is_some() && !operations.iter().any(asks_for_more)
}

/// Whether a role allows a target and does not deny it.
pub fn is_for_a_role(policy: &Policy, identity: &Identity, target: Target<'_>) -> bool {
    let denied = |role: &Role| {
        let mut denials = role.deny.matching(target.name(), identity);
        denials.next().is_some()
    };
    let allows = |role: &Role| granted(role, identity, target).is_some() && !denied(role);
    let by_everybodys = policy.roles.get("*").is_some_and(denied);
    !by_everybodys && policy.roles.values().any(allows)
}

/// The caller's roles that the policy knows, and `*`, the role of all signed-in callers.
pub fn known_roles<'p>(policy: &'p Policy, identity: &Identity) -> Vec<(&'p str, &'p Role)> {
    let everybodys = !identity.is_anonymous();
    // A policy may have many more roles than a caller.
    let everybodys = everybodys.then_some("*").into_iter();
    let names = identity.roles.iter().map(String::as_str).chain(everybodys);
    let mut roles: Vec<_> = names
        .filter_map(|name| policy.roles.get_key_value(name))
        .map(|(name, role)| (name.as_str(), role))
        .collect();
    roles.sort_unstable_by_key(|(name, _)| *name);
    roles.dedup_by_key(|(name, _)| *name);
    roles
}

/// The denial for an anonymous caller. A tool that no role allows does not exist.
fn sign_in(policy: &Policy, identity: &Identity, target: Target<'_>) -> Denial {
    let exists = is_for_a_role(policy, identity, target)
        || for_anonymous(policy, identity, target).is_some();
    if matches!(target, Target::Tool(_)) && !exists {
        return Denial::NoRole;
    }
    Denial::SignIn {
        scopes: scopes_of(policy, identity, target),
    }
}

fn for_anonymous<'p>(
    policy: &'p Policy,
    identity: &Identity,
    target: Target<'_>,
) -> Option<&'p Grant> {
    let target = match target {
        // All URIs of the template must match, so its braces are matched too: completions would reveal the
        // others.
        Target::ResourceTemplate(template) => Target::Resource(template),
        target => target,
    };
    granted(policy.anonymous.as_ref()?, identity, target)
}

fn granted<'p>(role: &'p Role, identity: &Identity, target: Target<'_>) -> Option<&'p Grant> {
    let grants = target.grants(role)?;
    match target {
        Target::ResourceTemplate(template) => {
            let covers = |grant: &&Grant| grant.pattern.may_cover_template(template, identity);
            grants.iter().find(covers)
        }
        _ => grants.matching(target.name(), identity).next(),
    }
}

/// The scopes of the operations, and those of the policy unless anonymous callers may use the target.
fn needed_scopes<'p>(
    policy: &'p Policy,
    operations: &[&'p Operation],
    by_anybody: bool,
) -> Vec<&'p str> {
    let general = policy.scopes.iter().filter(|_| !by_anybody);
    let of_operations = operations.iter().flat_map(|operation| &operation.scopes);
    let mut needed: Vec<&str> = Vec::new();
    for scope in general.chain(of_operations) {
        if !needed.contains(&scope.as_str()) {
            needed.push(scope);
        }
    }
    needed
}

fn to_owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

#[cfg(test)]
mod tests;
