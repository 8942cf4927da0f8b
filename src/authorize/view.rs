//! Acting with a lower role, or as a test user, never with more rights than the caller has.

use super::known_roles;
use oauth::Identity;
use policy::{Policy, Role, TestUser};

/// The identity that a caller acts with in place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name in the policy: `role:support`, `user:test-1`.
    pub name: String,
    /// The caller's role that allows it.
    pub by: String,
    /// The identity for rules, arguments and headers.
    pub identity: Identity,
    /// The same identity with the caller's own roles. A target that these do not allow is denied.
    pub ceiling: Identity,
    /// The test user, if it is one.
    pub test_user: Option<TestUser>,
}

impl View {
    /// The view that a caller asks for, if one of its roles allows it. `wish` is `role:NAME` or `user:ID`.
    pub fn new(policy: &Policy, own: &Identity, wish: &str) -> Option<Self> {
        let (kind, name) = wish.split_once(':')?;
        let (by, ceiling, roles, test_user) = match kind {
            "role" => {
                let by = granting(policy, own, |role| &role.view_as.roles, name)?;
                (by, own.clone(), vec![name.to_owned()], None)
            }
            "user" => {
                let by = granting(policy, own, |role| &role.view_as.users, name)?;
                let user = policy.view_as.users.get(name)?;
                let ceiling = Identity {
                    user: Some(name.to_owned()),
                    organization: user.organization.clone(),
                    ..own.clone()
                };
                (by, ceiling, user.roles.clone(), Some(user.clone()))
            }
            _ => return None,
        };
        Some(Self {
            name: wish.to_owned(),
            by: by.to_owned(),
            identity: Identity {
                roles,
                ..ceiling.clone()
            },
            ceiling,
            test_user,
        })
    }
}

/// The caller's role that allows a view.
fn granting<'p>(
    policy: &'p Policy,
    own: &Identity,
    views: impl Fn(&Role) -> &Vec<String>,
    name: &str,
) -> Option<&'p str> {
    let allows = |role: &Role| views(role).iter().any(|view| view == name);
    let mut roles = known_roles(policy, own).into_iter();
    roles.find_map(|(own, role)| allows(role).then_some(own))
}
