//! The secrets of this filter's clients at authorization servers.

use std::collections::HashMap;

use crate::policy::{Client, Policy, PolicyError};
use crate::secret::Secret;

/// What this filter shows authorization servers to say who it is.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// By the name of the environment variable.
    secrets: HashMap<String, Secret>,
}

impl Clients {
    /// Takes every secret the policy names from the environment.
    ///
    /// # Errors
    ///
    /// One is missing; with where the policy names it.
    pub fn of(
        policy: &Policy,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let sign_ins = policy.sign_ins.iter().enumerate();
        let sign_ins = sign_ins.filter_map(|(index, sign_in)| {
            Some((
                format!("issuers[{index}].sign_in"),
                &sign_in.as_ref()?.client,
            ))
        });
        let connections = policy.connections.iter();
        let connections = connections.map(|connection| {
            (
                format!("connections.{}", connection.name),
                &connection.client,
            )
        });
        let mut secrets = HashMap::new();
        for (path, client) in sign_ins.chain(connections) {
            let Some(name) = &client.client_secret_env else {
                continue;
            };
            let secret = environment(name).filter(|secret| !secret.is_empty());
            let secret = secret.ok_or_else(|| {
                let message = format!(
                    "the VM's environment has no variable `{name}`; set it under \
                     `vm_config.environment_variables`"
                );
                PolicyError::new(format!("{path}.client_secret_env"), message)
            })?;
            secrets.insert(name.clone(), Secret::new(secret));
        }
        Ok(Self { secrets })
    }

    /// The credentials of a client; `None` for a public one.
    pub(super) fn authorization(&self, client: &Client) -> Option<Secret> {
        let secret = self.secrets.get(client.client_secret_env.as_ref()?)?;
        Some(Secret::basic(&client.client_id, secret.reveal()))
    }
}
