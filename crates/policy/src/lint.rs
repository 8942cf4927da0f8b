//! Warnings: rules that are valid and probably not intended.

use super::error::PolicyError;
use super::{ArgumentRule, Hold, NamedOwner, Operation, Pattern, Policy, Role};

/// Characters that have a meaning in patterns of other languages.
const OTHER_WILDCARDS: &[char] = &['?', '[', ']', '(', ')', '\\', '^', '$', '|', '+'];

impl Policy {
    /// Rules that can never match, and conditions for tools that no role allows.
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
            let lacks_roles = |issuer: &&oauth::TrustedIssuer| issuer.claims.roles.is_none();
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
        self.warn_other_wildcards(&mut warnings);
        self.warn_unknown_roles(&mut warnings);
        self.warn_split_urls(&mut warnings);
        self.warn_unasked(&mut warnings);
        self.warn_test_users(&mut warnings);
        self.warn_owners(&mut warnings);
        self.warn_unused_scopes(&mut warnings);
        self.warn_sessions(&mut warnings);
        warnings
    }

    /// Conversations that a claim names: earlier versions did not divide them by session.
    fn warn_sessions(&self, warnings: &mut Vec<PolicyError>) {
        if self.vault.is_silent_about_sessions && !self.connections.is_empty() {
            let message = "each session of the server is a conversation of its own, besides the claim; write \
                           `own` to keep that, or `shared` for the claim alone, as in earlier versions";
            warnings.push(PolicyError::new("vault.sessions", message));
        }
    }

    /// Patterns with characters that are special in other pattern languages, and that no name has.
    fn warn_other_wildcards(&self, warnings: &mut Vec<PolicyError>) {
        let mut found: Vec<(String, &Pattern)> = Vec::new();
        for (name, role) in &self.roles {
            let grants = role.tools.iter().chain(&role.prompts).chain(&role.deny);
            // A role has the grants of the roles that it extends.
            let own = grants.filter(|grant| grant.role == *name);
            found.extend(own.map(|grant| (format!("roles.{name}"), &grant.pattern)));
        }
        for (section, operations) in [("tools", &self.tools), ("prompts", &self.prompts)] {
            found.extend(operations.iter().map(|operation| {
                let pattern = &operation.pattern;
                (format!("{section}.{}", pattern.written()), pattern)
            }));
        }
        for (index, rule) in self.results.iter().enumerate() {
            let patterns = rule.tools.iter().chain(&rule.prompts);
            found.extend(patterns.map(|pattern| (format!("results[{index}]"), pattern)));
        }
        // URIs may have `?`. Names of tools and prompts have none of these.
        let is_special = |pattern: &Pattern| {
            let written = pattern.written();
            !written.contains("://") && written.contains(OTHER_WILDCARDS)
        };
        found.retain(|(_, pattern)| is_special(pattern));
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (path, pattern) in found {
            let message = format!(
                "`{}`: only `*` stands for other characters",
                pattern.written()
            );
            warnings.push(PolicyError::new(path, message));
        }
    }

    /// Roles of `unless_role` that are not in `roles`. Tokens may have them all the same.
    fn warn_unknown_roles(&self, warnings: &mut Vec<PolicyError>) {
        for (index, rule) in self.results.iter().enumerate() {
            for name in rule
                .unless_role
                .iter()
                .filter(|name| !self.roles.contains_key(*name))
            {
                let path = format!("results[{index}].unless_role");
                warnings.push(PolicyError::new(
                    path,
                    format!("`{name}` is not in `roles`"),
                ));
            }
        }
    }

    /// Claims whose names are URLs, which are split at their dots.
    fn warn_split_urls(&self, warnings: &mut Vec<PolicyError>) {
        for (index, issuer) in self.issuers.iter().enumerate() {
            let claims = &issuer.claims;
            let sources = [
                ("user", Some(&claims.user)),
                ("organization", claims.organization.as_ref()),
                ("roles", claims.roles.as_ref()),
                ("scopes", Some(&claims.scopes)),
            ];
            let sources = sources.into_iter().flat_map(|(key, source)| {
                let paths = source.into_iter().flat_map(|source| &source.paths);
                paths.map(move |path| (key, path))
            });
            let view_as = claims.view_as.iter().map(|path| ("view_as", path));
            for (key, path) in sources
                .chain(view_as)
                .filter(|(_, path)| path.is_split_url())
            {
                warnings.push(PolicyError::new(
                    format!("issuers[{index}].identity.{key}"),
                    format!(
                        "`{path}` is split at its dots; as one claim it is written `[\"{path}\"]`"
                    ),
                ));
            }
        }
    }

    /// Calls that need an agreement, without a page: many clients cannot ask their users.
    fn warn_unasked(&self, warnings: &mut Vec<PolicyError>) {
        let Some(tool) = self.tools.iter().find(|tool| tool.confirm) else {
            return;
        };
        let path = format!("tools.{}.confirm", tool.pattern.written());
        let mut warn = |message| warnings.push(PolicyError::new(path.as_str(), message));
        if self.hold == Hold::BufferFilter {
            warn(
                "with `hold: buffer_filter` there is no page to ask on: clients that have no form to ask \
                 in, as those before 2026-07-28, are refused"
                    .to_owned(),
            );
            return;
        }
        for (index, _) in self
            .sign_ins
            .iter()
            .enumerate()
            .filter(|(_, sign_in)| sign_in.is_none())
        {
            warn(format!(
                "without issuers[{index}].sign_in its callers cannot be asked on a page: clients that have \
                 no form to ask in, as those before 2026-07-28, are refused"
            ));
        }
    }

    /// Test users that cannot call any tool, because the server gets the caller's token.
    fn warn_test_users(&self, warnings: &mut Vec<PolicyError>) {
        if !self.upstream.has_callers_token() {
            return;
        }
        let users = self.view_as.users.iter();
        let mut refused: Vec<_> = users.filter(|(_, user)| !user.own_token).collect();
        refused.sort_unstable_by_key(|(id, _)| *id);
        for (id, _) in refused {
            let message = "the server gets the caller's token, which is not this user's: requests as this \
                           user are refused; `own_token: true` allows them";
            warnings.push(PolicyError::new(format!("view_as.users.{id}"), message));
        }
    }

    /// Owner expressions that may miss an owner, or that have no caller.
    fn warn_owners(&self, warnings: &mut Vec<PolicyError>) {
        let general = self.arguments.iter();
        let general = general.map(|(name, rule)| ("arguments", self.names.name(*name), rule));
        let mut found: Vec<(String, &NamedOwner)> = Vec::new();
        for (section, name, rule) in general {
            found.extend(owner_of(rule).map(|owner| (format!("{section}.{name}"), owner)));
        }
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (section, operations) in [("tools", &self.tools), ("prompts", &self.prompts)] {
            for operation in operations {
                let path = format!("{section}.{}.arguments", operation.pattern.written());
                let rules = operation.arguments.iter();
                found.extend(rules.filter_map(|(_, name, rule)| {
                    Some((format!("{path}.{name}"), owner_of(rule)?))
                }));
            }
        }
        for rule in &self.resources {
            let path = format!("resources.{}", rule.pattern.written());
            let mut grants = self.roles.values().chain(&self.anonymous);
            let mut grants = grants.by_ref().flat_map(|role| &role.resources);
            if !grants.any(|grant| grant.pattern.overlaps(&rule.pattern)) {
                let message = "no role allows it: nobody may read it";
                warnings.push(PolicyError::new(path.as_str(), message));
            }
            found.extend(rule.owner.as_ref().map(|owner| (path, owner)));
        }
        for (path, _) in found.iter().filter(|(_, owner)| owner.is_adrift()) {
            let message = "without `^` it also matches in the middle of a text, and what stands \
                           before is not judged";
            warnings.push(PolicyError::new(format!("{path}.owner.at"), message));
        }
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

fn owner_of(rule: &ArgumentRule) -> Option<&NamedOwner> {
    match rule {
        ArgumentRule::Owner(owner) => Some(owner),
        _ => None,
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
