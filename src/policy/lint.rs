//! What is allowed in a policy and can hardly be meant.

use super::error::PolicyError;
use super::{Operation, Policy, Role};

impl Policy {
    /// Rules that can never match, and conditions for what nobody may call.
    pub fn warnings(&self) -> Vec<PolicyError> {
        let mut warnings = Vec::new();
        if self.roles.is_empty() && self.anonymous.is_none() {
            warnings.push(PolicyError::new(
                "roles",
                "there are none: nobody may call anything",
            ));
        }
        let mut roles: Vec<_> = self.roles.iter().collect();
        roles.sort_unstable_by_key(|(name, _)| *name);
        for (name, role) in &roles {
            warn_denied(name, role, &mut warnings);
            let lacks_roles =
                |issuer: &&crate::identity::TrustedIssuer| issuer.claims.roles.is_none();
            let by_token = self.local.is_none();
            if by_token && *name != "*" && self.issuers.iter().all(|issuer| lacks_roles(&issuer)) {
                let message = "no issuer has `identity.roles`: nobody has this role";
                warnings.push(PolicyError::new(format!("roles.{name}"), message));
            }
        }
        let operations = [("tools", &self.tools), ("prompts", &self.prompts)];
        for (section, operations) in operations {
            for operation in operations {
                self.warn_unreachable(section, operation, &mut warnings);
            }
        }
        self.warn_unused_scopes(&mut warnings);
        warnings
    }

    fn warn_unreachable(
        &self,
        section: &str,
        operation: &Operation,
        warnings: &mut Vec<PolicyError>,
    ) {
        let reachable = self.roles.values().chain(&self.anonymous).any(|role| {
            let grants = if section == "tools" {
                &role.tools
            } else {
                &role.prompts
            };
            grants
                .iter()
                .any(|grant| grant.pattern.overlaps(&operation.pattern))
        });
        if !reachable {
            let path = format!("{section}.{}", operation.pattern.written());
            warnings.push(PolicyError::new(
                path,
                "no role allows it: nobody may call it",
            ));
        }
    }
}

fn warn_denied(name: &str, role: &Role, warnings: &mut Vec<PolicyError>) {
    let allowed = role
        .tools
        .iter()
        .chain(&role.prompts)
        .chain(&role.resources);
    for grant in allowed {
        let denied = |deny: &&super::Grant| grant.pattern.is_covered_by(&deny.pattern);
        if let Some(deny) = role.deny.iter().find(denied) {
            let message = format!(
                "`{}` can never match: `{}` denies it",
                grant.pattern.written(),
                deny.pattern.written()
            );
            warnings.push(PolicyError::new(format!("roles.{name}"), message));
        }
    }
}
