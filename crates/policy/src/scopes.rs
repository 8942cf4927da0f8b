//! Scopes of tokens, and scopes that include others.

use std::collections::{BTreeMap, HashMap};

use super::Policy;
use super::error::{Errors, PolicyError};

/// The scopes that include others. MCP: "Servers MUST account for scope hierarchies".
#[derive(Debug, Default)]
pub struct ScopeHierarchy {
    /// All scopes that a scope includes, directly or through others.
    included: HashMap<String, Vec<String>>,
}

impl ScopeHierarchy {
    pub(super) fn compile(includes: &BTreeMap<String, Vec<String>>, errors: &mut Errors) -> Self {
        for (scope, included) in includes {
            let path = format!("scope_includes.{scope}");
            check_scope(&path, scope, errors);
            check_scopes(&path, included, errors);
            check_circle(&path, scope, included, includes, errors);
        }
        let all = includes.keys();
        Self {
            included: all
                .map(|scope| (scope.clone(), with_included(scope, includes)))
                .collect(),
        }
    }

    /// The granted scope that satisfies a needed one: the same scope, or one that includes it.
    pub fn satisfying<'g>(&self, needed: &str, granted: &'g [String]) -> Option<&'g str> {
        let includes = |scope: &&String| {
            let included = self.included.get(*scope);
            included.is_some_and(|included| included.iter().any(|scope| scope == needed))
        };
        let exact = granted.iter().find(|scope| *scope == needed);
        exact
            .or_else(|| granted.iter().find(includes))
            .map(String::as_str)
    }
}

impl Policy {
    /// Warns about included scopes that no rule needs.
    pub(super) fn warn_unused_scopes(&self, warnings: &mut Vec<PolicyError>) {
        let operations = self.tools.iter().chain(&self.prompts);
        let needed: Vec<&String> = operations
            .flat_map(|operation| &operation.scopes)
            .chain(&self.scopes)
            .collect();
        let mut hierarchy: Vec<_> = self.scope_hierarchy.included.iter().collect();
        hierarchy.sort_unstable();
        for (scope, included) in hierarchy {
            if !included.iter().any(|included| needed.contains(&included)) {
                let path = format!("scope_includes.{scope}");
                let message = "no rule asks for a scope it includes";
                warnings.push(PolicyError::new(path, message));
            }
        }
    }
}

/// Scopes are words (RFC 6749 section 3.3). Several words in one text never match a token.
pub(super) fn check_scopes(path: &str, scopes: &[String], errors: &mut Errors) {
    for (index, scope) in scopes.iter().enumerate() {
        check_scope(&format!("{path}[{index}]"), scope, errors);
    }
}

fn check_scope(path: &str, scope: &str, errors: &mut Errors) {
    check_word(path, scope, errors);
    // MCP: servers SHOULD NOT name it; it says nothing about what a token is good for here.
    if scope == "offline_access" {
        let message = "a client asks the issuer for `offline_access` itself; take it out";
        errors.push(PolicyError::new(path, message));
    }
}

/// A scope is a word (RFC 6749 section 3.3).
pub(super) fn check_word(path: &str, scope: &str, errors: &mut Errors) {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.is_empty() || !scope.bytes().all(allowed) {
        let message = format!("found `{scope}`, expected one scope, without spaces and quotes");
        errors.push(PolicyError::new(path, message));
    }
}

fn check_circle(
    path: &str,
    scope: &str,
    included: &[String],
    includes: &BTreeMap<String, Vec<String>>,
    errors: &mut Errors,
) {
    for (index, other) in included.iter().enumerate() {
        let message = if other == scope {
            format!("`{scope}` includes itself")
        } else if with_included(other, includes)
            .iter()
            .any(|each| each == scope)
        {
            format!("`{scope}` and `{other}` include each other")
        } else {
            continue;
        };
        errors.push(PolicyError::new(format!("{path}[{index}]"), message));
    }
}

/// Everything a scope includes, each once, also when scopes include each other.
fn with_included(scope: &str, includes: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut found: Vec<String> = includes.get(scope).cloned().unwrap_or_default();
    let mut next = 0;
    while let Some(scope) = found.get(next) {
        let more = includes.get(scope).into_iter().flatten();
        let new: Vec<String> = more
            .filter(|scope| !found.contains(scope))
            .cloned()
            .collect();
        found.extend(new);
        next = next.saturating_add(1);
    }
    found
}
