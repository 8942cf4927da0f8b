//! Roles, with the roles that they extend.

use std::collections::{BTreeMap, HashMap};

use super::document::{AnonymousDocument, RoleDocument};
use super::error::{Errors, PolicyError, unknown};
use super::pattern::{HasPattern, Pattern, PatternList};
use super::view::ViewGrants;

/// The permissions of a role, with those of the roles that it extends.
#[derive(Debug, Default)]
pub struct Role {
    /// Tools.
    pub tools: PatternList<Grant>,
    /// Prompts.
    pub prompts: PatternList<Grant>,
    /// Resources.
    pub resources: PatternList<Grant>,
    /// Denials. They win over all permissions.
    pub deny: PatternList<Grant>,
    /// The roles and test users that its callers may act as.
    pub view_as: ViewGrants,
}

/// A pattern, and the role in which it is written.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The pattern.
    pub pattern: Pattern,
    /// The role that has it: `manager` for `roles.manager`.
    pub role: String,
}

impl HasPattern for Grant {
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }
}

pub(super) fn compile_roles(
    documents: &BTreeMap<String, RoleDocument>,
    errors: &mut Errors,
) -> HashMap<String, Role> {
    check_role_names(documents, errors);
    check_extends(documents, errors);
    check_patterns(documents, errors);
    let mut roles = HashMap::new();
    for name in documents.keys() {
        let (mut tools, mut prompts) = (Vec::new(), Vec::new());
        let (mut resources, mut deny) = (Vec::new(), Vec::new());
        let mut view_as = ViewGrants::default();
        for from in with_extended(name, documents) {
            let Some(document) = documents.get(from) else {
                continue;
            };
            let names = |written: &[String]| grants(written, from, Pattern::name);
            tools.extend(names(&document.tools));
            prompts.extend(names(&document.prompts));
            resources.extend(grants(&document.resources, from, Pattern::uri));
            deny.extend(grants(&document.deny, from, Pattern::denial));
            view_as.extend(&document.view_as);
        }
        let role = Role {
            tools: tools.into(),
            prompts: prompts.into(),
            resources: resources.into(),
            deny: deny.into(),
            view_as,
        };
        roles.insert(name.clone(), role);
    }
    roles
}

/// The permissions of anonymous callers. They are compiled like a role.
pub(super) fn compile_anonymous(document: &AnonymousDocument, errors: &mut Errors) -> Role {
    for (list, patterns) in [
        ("tools", &document.tools),
        ("prompts", &document.prompts),
        ("resources", &document.resources),
    ] {
        check_list(&format!("anonymous.{list}"), patterns, errors);
    }
    for (index, pattern) in document.resources.iter().enumerate() {
        if pattern.contains("{user}") || pattern.contains("{organization}") {
            errors.push(PolicyError::new(
                format!("anonymous.resources[{index}]"),
                format!("found `{pattern}`: an anonymous caller has no user and no organization"),
            ));
        }
    }
    Role {
        tools: grants(&document.tools, "anonymous", Pattern::name).into(),
        prompts: grants(&document.prompts, "anonymous", Pattern::name).into(),
        resources: grants(&document.resources, "anonymous", Pattern::uri).into(),
        ..Role::default()
    }
}

fn grants(written: &[String], role: &str, pattern: fn(&str) -> Pattern) -> Vec<Grant> {
    let grant = |written: &String| Grant {
        pattern: pattern(written),
        role: role.to_owned(),
    };
    written.iter().map(grant).collect()
}

/// A role and all roles that it extends, each once, also if they extend each other.
pub(super) fn with_extended<'d>(
    name: &'d str,
    documents: &'d BTreeMap<String, RoleDocument>,
) -> Vec<&'d str> {
    let mut found = vec![name];
    let mut next = 0;
    while let Some(document) = found.get(next).and_then(|name| documents.get(*name)) {
        for extended in &document.extends {
            if !found.contains(&extended.as_str()) {
                found.push(extended);
            }
        }
        next = next.saturating_add(1);
    }
    found
}

/// Refuses names with commas: the header with the roles separates them by commas.
fn check_role_names(documents: &BTreeMap<String, RoleDocument>, errors: &mut Errors) {
    for name in documents.keys() {
        if name.is_empty() || name.contains(',') || name.contains(char::is_control) {
            errors.push(PolicyError::new(
                format!("roles.{name}"),
                "expected a role name without commas and control characters",
            ));
        }
    }
}

fn check_extends(documents: &BTreeMap<String, RoleDocument>, errors: &mut Errors) {
    for (name, document) in documents {
        for (index, extended) in document.extends.iter().enumerate() {
            let path = format!("roles.{name}.extends[{index}]");
            if !documents.contains_key(extended) {
                let message = unknown("role", extended, documents.keys());
                errors.push(PolicyError::new(path, message));
            } else if with_extended(extended, documents).contains(&name.as_str()) {
                errors.push(PolicyError::new(
                    path,
                    if name == extended {
                        format!("`{name}` extends itself")
                    } else {
                        format!("`{name}` and `{extended}` extend each other")
                    },
                ));
            }
        }
    }
}

/// Checks that these roles exist.
pub(super) fn check_known_roles(
    path: &str,
    roles: &[String],
    documents: &BTreeMap<String, RoleDocument>,
    errors: &mut Errors,
) {
    for (index, role) in roles.iter().enumerate() {
        let message = match role.as_str() {
            "*" => "found `*`, which every caller has".to_owned(),
            _ if documents.contains_key(role) => continue,
            _ => unknown("role", role, documents.keys()),
        };
        errors.push(PolicyError::new(format!("{path}[{index}]"), message));
    }
}

fn check_patterns(documents: &BTreeMap<String, RoleDocument>, errors: &mut Errors) {
    for (name, document) in documents {
        let lists = [
            ("tools", &document.tools),
            ("prompts", &document.prompts),
            ("resources", &document.resources),
            ("deny", &document.deny),
        ];
        for (list, patterns) in lists {
            check_list(&format!("roles.{name}.{list}"), patterns, errors);
        }
    }
}

fn check_list(path: &str, patterns: &[String], errors: &mut Errors) {
    for (index, pattern) in patterns.iter().enumerate() {
        if pattern.trim().is_empty() || pattern.trim() != pattern {
            errors.push(PolicyError::new(
                format!("{path}[{index}]"),
                format!("found `{pattern}`, expected a name or pattern without spaces around it"),
            ));
        }
    }
}
