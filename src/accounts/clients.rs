//! The secrets and private keys of the filter's OAuth clients.

use std::collections::HashMap;
use std::rc::Rc;

use super::Random;
use base::secret::Secret;
use base::time::UnixTime;
use oauth::client::{ClientAuth, ClientCredentials, ClientKey, TokenClient};
use policy::{Authorization, Policy, PolicyError};

/// The client secrets and private keys of the filter.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// By the name of the environment variable.
    secrets: HashMap<String, Secret>,
    /// Private keys, likewise.
    keys: HashMap<String, Rc<ClientKey>>,
    /// For the ids of assertions.
    random: Random,
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
            Some((format!("issuers[{index}].sign_in"), &client.auth))
        });
        let connections = policy.connections.iter();
        let connections = connections.map(|connection| {
            (
                format!("connections.{}", connection.name),
                connection
                    .oauth()
                    .map_or(&ClientAuth::Public, |oauth| oauth.server.auth()),
            )
        });
        let named = sign_ins.chain(connections);
        let (mut secrets, mut keys) = (HashMap::new(), HashMap::new());
        for (path, auth) in named.chain(of_exchange(policy)) {
            let (name, key) = match auth {
                ClientAuth::Public => continue,
                ClientAuth::Secret { env, .. } => (env, "client_secret_env"),
                ClientAuth::Key { env, .. } => (env, "client_key_env"),
            };
            let path = format!("{path}.{key}");
            let secret = environment(name).filter(|secret| !secret.is_empty());
            let secret = secret.ok_or_else(|| {
                let message = format!(
                    "the VM's environment has no variable `{name}`; set it under \
                     `vm_config.environment_variables`"
                );
                PolicyError::new(path.as_str(), message)
            })?;
            if matches!(auth, ClientAuth::Key { .. }) {
                let key = ClientKey::read(&secret);
                let key = key.map_err(|error| PolicyError::new(path, error.to_string()))?;
                keys.insert(name.clone(), Rc::new(key));
            } else {
                secrets.insert(name.clone(), Secret::new(secret));
            }
        }
        Ok(Self {
            secrets,
            keys,
            random: Random::default(),
        })
    }

    /// The same with a source of random bytes, which assertions need.
    #[must_use]
    pub fn with_random(self, random: Random) -> Self {
        Self { random, ..self }
    }

    /// The credentials of a client for one request at `now`; `None` for a public one. Without random bytes there
    /// are none: the server refuses the request.
    pub(crate) fn credentials(
        &self,
        client: &TokenClient,
        now: UnixTime,
    ) -> Option<ClientCredentials> {
        let id = client.client_id.as_str();
        match &client.auth {
            ClientAuth::Public => None,
            ClientAuth::Secret { env, method } => {
                let secret = self.secrets.get(env)?;
                Some(ClientCredentials::of_secret(id, secret.reveal(), *method))
            }
            ClientAuth::Key { env, audience } => {
                let (key, random) = (self.keys.get(env)?, (self.random.0)()?);
                let assertion = key.assertion(id, audience, &random, now);
                assertion.ok().map(ClientCredentials::Assertion)
            }
        }
    }
}

/// The authentication of the clients for token exchange, with their paths in the policy.
fn of_exchange(policy: &Policy) -> impl Iterator<Item = (String, &ClientAuth)> {
    const PATH: &str = "upstream.exchange";
    let exchange = match &policy.upstream.authorization {
        Authorization::Exchange(exchange) => Some(exchange),
        _ => None,
    };
    let second = exchange.and_then(|exchange| exchange.id_jag.as_ref());
    let first = exchange.map(|exchange| (PATH.to_owned(), &exchange.client));
    let second = second.map(|client| (format!("{PATH}.id_jag"), client));
    let clients = first.into_iter().chain(second);
    clients.map(|(path, client)| (path, &client.auth))
}

#[cfg(test)]
mod tests;
