//! The grounds of an approval. Their text is written only if it is asked for: a list asks about each of its items
//! whether the caller may see it, and not why.

use std::time::Duration;

use crate::decision::Evidence;
use policy::Grant;

/// Why a caller may use a target.
#[derive(Debug, Default)]
pub(super) struct Grounds<'p> {
    /// The permission. The server itself needs none.
    pub(super) allowed: Option<Permission<'p>>,
    /// The conditions that hold. Each is named by its path in the policy.
    pub(super) conditions: Vec<String>,
    /// The needed scopes, and the caller's scopes that satisfy them.
    pub(super) scopes: Vec<(&'p str, &'p str)>,
    /// The maximum age of the token, which is younger.
    pub(super) max_age: Option<Duration>,
}

/// The permission for a target.
#[derive(Debug)]
pub(super) enum Permission<'p> {
    /// It is a permission of this role of the caller. The role may have it from another one.
    ToRole(&'p str, &'p Grant),
    /// All callers have it.
    ToAnybody(&'p Grant),
}

impl Grounds<'_> {
    /// The evidence.
    pub(super) fn evidence(self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        evidence.extend(self.allowed.map(|allowed| allowed.evidence()));
        let conditions = self.conditions.into_iter();
        evidence.extend(conditions.map(|rule| Evidence::new(rule, "the condition holds")));
        if !self.scopes.is_empty() {
            let scopes = self.scopes.iter().map(|(needed, own)| match own == needed {
                true => (*needed).to_owned(),
                false => format!("{needed} (by {own})"),
            });
            let scopes: Vec<String> = scopes.collect();
            let summary = format!("has scope {}", scopes.join(" "));
            evidence.push(Evidence::new("token", summary));
        }
        evidence.extend(self.max_age.map(|max_age| {
            let summary = format!("is at most {} s old", max_age.as_secs());
            Evidence::new("token", summary)
        }));
        evidence
    }
}

impl Permission<'_> {
    fn evidence(&self) -> Evidence {
        match self {
            Self::ToRole(name, grant) => {
                let written = grant.pattern.written();
                let summary = match grant.role == **name {
                    true => ["`", written, "` allows it"].concat(),
                    false => format!("`{written}` allows it, extended by `{name}`"),
                };
                Evidence::new(["roles.", &grant.role].concat(), summary)
            }
            Self::ToAnybody(grant) => {
                let summary = format!("`{}` allows it to all callers", grant.pattern.written());
                Evidence::new("anonymous", summary)
            }
        }
    }
}
