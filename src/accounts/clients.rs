//! The secrets of the filter's OAuth clients.

use std::collections::HashMap;

use base::secret::Secret;
use oauth::client::TokenClient;
use policy::{Authorization, Policy, PolicyError};

/// The client secrets of the filter.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// By the name of the environment variable.
    secrets: HashMap<String, Secret>,
}

impl Clients {
    /// Takes all secrets that the policy names from the environment.
    ///
    /// # Errors
    ///
    /// A secret is missing. The error has the path in the policy that names it.
    pub fn of(
        policy: &Policy,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let sign_ins = policy.sign_ins.iter().enumerate();
        let sign_ins = sign_ins.filter_map(|(index, sign_in)| {
            let client = &sign_in.as_ref()?.client.token;
            Some((
                format!("issuers[{index}].sign_in"),
                client.client_secret_env.as_ref(),
            ))
        });
        let connections = policy.connections.iter();
        let connections = connections.map(|connection| {
            (
                format!("connections.{}", connection.name),
                connection
                    .oauth()
                    .and_then(|oauth| oauth.server.client_secret_env()),
            )
        });
        let named = sign_ins.chain(connections);
        let mut secrets = HashMap::new();
        for (path, name) in named.chain(of_exchange(policy)) {
            let Some(name) = name else {
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
    pub(crate) fn credentials(&self, client: &TokenClient) -> Option<Secret> {
        let secret = self.secrets.get(client.client_secret_env.as_ref()?)?;
        Some(Secret::basic(&client.client_id, secret.reveal()))
    }
}

/// The names of the secrets for token exchange, with their paths in the policy.
fn of_exchange(policy: &Policy) -> impl Iterator<Item = (String, Option<&String>)> {
    const PATH: &str = "upstream.exchange";
    let exchange = match &policy.upstream.authorization {
        Authorization::Exchange(exchange) => Some(exchange),
        _ => None,
    };
    let second = exchange.and_then(|exchange| exchange.id_jag.as_ref());
    let first = exchange.map(|exchange| (PATH.to_owned(), &exchange.client));
    let second = second.map(|client| (format!("{PATH}.id_jag"), client));
    let clients = first.into_iter().chain(second);
    clients.map(|(path, client)| (path, client.client_secret_env.as_ref()))
}
