//! The decision about one target.

use std::cell::OnceCell;

use super::grounds::{Grounds, Permission};
use super::{
    Denial, Principal, Target, for_anonymous, granted, known_roles, needed_scopes, operations,
    owners, sign_in, to_owned,
};
use crate::decision::Evidence;
use oauth::Identity;
use policy::{ConditionRefusal, Operation, Policy, Role, is_plain_uri};

/// Decides about targets for one caller. The roles of the caller are looked up once, for all targets.
#[derive(Debug)]
pub struct Decider<'p> {
    policy: &'p Policy,
    caller: Principal<'p>,
    roles: OnceCell<Vec<(&'p str, &'p Role)>>,
    ceiling_roles: OnceCell<Vec<(&'p str, &'p Role)>>,
}

impl<'p> Decider<'p> {
    /// Decides for this caller.
    pub fn new(policy: &'p Policy, caller: Principal<'p>) -> Self {
        Self {
            policy,
            caller,
            roles: OnceCell::new(),
            ceiling_roles: OnceCell::new(),
        }
    }

    /// Decides, as [`super::authorize`].
    ///
    /// # Errors
    ///
    /// The first denial.
    pub fn authorize(
        &self,
        target: Target<'_>,
        arguments: Option<&[u8]>,
    ) -> Result<Vec<Evidence>, Denial> {
        self.decide(target, arguments).map(Grounds::evidence)
    }

    /// Whether a list may show an item: a call of it is allowed, or the caller can cure its denial.
    pub fn may_see(&self, target: Target<'_>) -> bool {
        match self.decide(target, None) {
            Ok(_) | Err(Denial::Scope { .. } | Denial::TooOld { .. }) => true,
            // Anonymous callers do not see resources and prompts that need a sign-in. They see tools, so that a
            // client can offer the sign-in.
            Err(Denial::SignIn { .. }) => matches!(target, Target::Tool(_)),
            Err(_) => false,
        }
    }

    fn decide(&self, target: Target<'_>, arguments: Option<&[u8]>) -> Result<Grounds<'p>, Denial> {
        let Principal {
            identity, ceiling, ..
        } = self.caller;
        let grounds = self.decide_as(identity, &self.roles, target, arguments)?;
        if let Some(ceiling) = ceiling {
            self.decide_as(ceiling, &self.ceiling_roles, target, arguments)?;
        }
        Ok(grounds)
    }

    /// Decides for one identity of the caller.
    fn decide_as(
        &self,
        identity: &'p Identity,
        roles: &OnceCell<Vec<(&'p str, &'p Role)>>,
        target: Target<'_>,
        arguments: Option<&[u8]>,
    ) -> Result<Grounds<'p>, Denial> {
        let policy = self.policy;
        let mut grounds = Grounds::default();
        // A signed-in caller may use everything that an anonymous caller may use.
        let by_anybody = target == Target::Server && policy.anonymous.is_some()
            || target != Target::Server && for_anonymous(policy, identity, target).is_some();
        if target != Target::Server {
            let roles = roles.get_or_init(|| known_roles(policy, identity));
            grounds.allowed = Some(allowed(policy, identity, roles, target)?);
            owners::has_own_parameters(policy, identity, target)?;
            owners::owned(policy, identity, target)?;
        }
        let operations = operations(policy, identity, target);
        if let Some(arguments) = arguments {
            grounds.conditions = conditions(&operations, identity, target, arguments)?;
        }
        let max_age = operations
            .iter()
            .filter_map(|operation| operation.max_token_age)
            .min();
        let needed = needed_scopes(policy, &operations, by_anybody);
        let needs_token = operations.iter().any(|operation| operation.needs_token());
        if identity.is_anonymous() && (needs_token || !needed.is_empty()) {
            return Err(sign_in(policy, identity, target));
        }
        match has_scopes(policy, identity, &needed) {
            Some(found) => grounds.scopes = found,
            None => {
                let needed = to_owned(&needed);
                return Err(Denial::Scope { needed });
            }
        }
        if let Some(max_age) = max_age {
            if self.caller.token_age.is_none_or(|age| age > max_age) {
                let scopes = to_owned(&needed);
                return Err(Denial::TooOld { max_age, scopes });
            }
            grounds.max_age = Some(max_age);
        }
        Ok(grounds)
    }
}

/// The rules of the operations' conditions, which all hold.
fn conditions(
    operations: &[&Operation],
    identity: &Identity,
    target: Target<'_>,
    arguments: &[u8],
) -> Result<Vec<String>, Denial> {
    let mut hold = Vec::new();
    for operation in operations {
        let Some(condition) = &operation.when else {
            continue;
        };
        let section = if matches!(target, Target::Tool(_)) {
            "tools"
        } else {
            "prompts"
        };
        let rule = format!("{section}.{}.when", operation.pattern.written());
        match condition.check(arguments, identity, target.name()) {
            Ok(()) => hold.push(rule),
            Err(ConditionRefusal::Misspelled(error)) => {
                return Err(Denial::Misspelled { rule, error });
            }
            Err(ConditionRefusal::Condition(error)) => {
                let message = operation.message.clone();
                return Err(Denial::Condition {
                    rule,
                    error,
                    message,
                });
            }
        }
    }
    Ok(hold)
}

/// The needed scopes and those of the caller that satisfy them. `None`: a scope is missing.
fn has_scopes<'p>(
    policy: &Policy,
    identity: &'p Identity,
    needed: &[&'p str],
) -> Option<Vec<(&'p str, &'p str)>> {
    let satisfying = |needed| {
        policy
            .scope_hierarchy
            .satisfying(needed, &identity.scopes)
            .map(|own| (needed, own))
    };
    needed.iter().map(|needed| satisfying(*needed)).collect()
}

/// The permission for a target. Anonymous callers have the role `anonymous`.
fn allowed<'p>(
    policy: &'p Policy,
    identity: &Identity,
    roles: &[(&'p str, &'p Role)],
    target: Target<'_>,
) -> Result<Permission<'p>, Denial> {
    if matches!(target, Target::Resource(uri) if !is_plain_uri(uri)) {
        return Err(Denial::OddUri);
    }
    let everybodys = match identity.is_anonymous() {
        true => policy.roles.get("*"),
        false => None,
    };
    let mut denials = roles
        .iter()
        .map(|(_, role)| *role)
        .chain(everybodys)
        .flat_map(|role| role.deny.matching(target.name(), identity));
    if let Some(grant) = denials.next() {
        let rule = format!("roles.{}.deny", grant.role);
        let pattern = grant.pattern.written().to_owned();
        return Err(Denial::Denied { rule, pattern });
    }
    for (name, role) in roles {
        if let Some(grant) = granted(role, identity, target) {
            return Ok(Permission::ToRole(name, grant));
        }
    }
    if let Some(grant) = for_anonymous(policy, identity, target) {
        return Ok(Permission::ToAnybody(grant));
    }
    if identity.is_anonymous() {
        return Err(sign_in(policy, identity, target));
    }
    Err(Denial::NoRole)
}
