//! The keys and passwords that an administrator set for organizations and roles. They are read from the
//! environment when the policy is loaded.

use std::collections::HashMap;
use std::rc::Rc;

use crate::authorize::known_roles;
use base::secret::Secret;
use oauth::Identity;
use policy::{
    AppliedCredential, AssignedCredential, Connection, ConnectionKind, Policy, PolicyError,
    UnusableCredential, UsedCredential,
};

/// The headers of all assigned credentials.
#[derive(Clone, Default)]
pub struct AssignedCredentials {
    /// By the connection's name, in the order of the policy.
    of_connections: HashMap<String, Vec<Rc<AppliedCredential>>>,
}

impl AssignedCredentials {
    /// Reads all credentials that the policy names.
    ///
    /// # Errors
    ///
    /// A variable is missing, or a header cannot have its value. The error has the path in the policy.
    pub fn of(
        policy: &Policy,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let mut of_connections = HashMap::new();
        for connection in &policy.connections {
            let ConnectionKind::Assigned(assigned) = &connection.kind else {
                continue;
            };
            let headers = assigned.iter().enumerate().map(|(index, assigned)| {
                let headers = headers_of(connection, assigned, environment);
                headers.map(Rc::new).map_err(|message| {
                    let path = format!("connections.{}.credentials[{index}].env", connection.name);
                    PolicyError::new(path, message)
                })
            });
            let headers: Result<Vec<_>, PolicyError> = headers.collect();
            of_connections.insert(connection.name.clone(), headers?);
        }
        Ok(Self { of_connections })
    }

    /// The first credential of a connection that is for this identity, with the account's name for the log.
    pub(crate) fn find<'p>(
        &self,
        policy: &'p Policy,
        connection: &'p Connection,
        identity: &Identity,
    ) -> Option<(Rc<AppliedCredential>, Option<&'p str>)> {
        let ConnectionKind::Assigned(assigned) = &connection.kind else {
            return None;
        };
        let roles = known_roles(policy, identity);
        let has_role = |name: &str| roles.iter().any(|(role, _)| *role == name);
        let at = assigned
            .iter()
            .position(|each| each.is_for(identity, has_role))?;
        let headers = self.of_connections.get(&connection.name)?.get(at)?;
        Some((Rc::clone(headers), assigned.get(at)?.account.as_deref()))
    }
}

fn headers_of(
    connection: &Connection,
    assigned: &AssignedCredential,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<AppliedCredential, String> {
    let env = &assigned.env;
    let secret = environment(env).filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| {
        format!(
            "the VM's environment has no variable `{env}`; set it under \
             `vm_config.environment_variables`"
        )
    })?;
    // A mounted file often ends with a line break.
    let secret = secret.trim_end_matches(['\r', '\n']);
    let headers = match connection.is_password() {
        false => {
            let key = Secret::new(secret.to_owned());
            connection.apply.headers(UsedCredential::Key(&key))
        }
        true => {
            let pair = secret.split_once(':');
            let (user, password) =
                pair.ok_or("expected a user name and a password with `:` between them")?;
            let password = Secret::new(password.to_owned());
            connection
                .apply
                .headers(UsedCredential::Password(user, &password))
        }
    };
    headers.map_err(|error: UnusableCredential| error.to_string())
}

/// Without the secrets.
impl std::fmt::Debug for AssignedCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AssignedCredentials")
    }
}
