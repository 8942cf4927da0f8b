//! How the filter authenticates at authorization servers, as the policy says it.

use serde::Deserialize;

use super::checked_text::VariableName;
use super::error::{Errors, PolicyError};
use oauth::client::{ClientAuth, SecretMethod};

/// How a client of the filter authenticates (RFC 6749 section 2.3, RFC 7523 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthDocument {
    /// With a secret in the `Authorization` header (`client_secret_basic`).
    Basic,
    /// With a secret in the form (`client_secret_post`).
    Post,
    /// With an assertion that is signed with a private key (RFC 7523).
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

/// The keys of a client's document.
pub(super) struct WrittenAuth<'d> {
    pub(super) method: Option<ClientAuthDocument>,
    pub(super) secret: Option<&'d VariableName>,
    pub(super) key: Option<&'d VariableName>,
    pub(super) audience: Option<&'d String>,
}

impl WrittenAuth<'_> {
    /// Checks the keys. `server` is the server as assertions name it if the policy does not say it: its issuer.
    pub(super) fn compile(
        &self,
        path: &str,
        server: Option<&str>,
        errors: &mut Errors,
    ) -> ClientAuth {
        use ClientAuthDocument::{Basic, None as Public, Post, PrivateKeyJwt};
        let mut refuse = |key: &str, message: &str| {
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        };
        let Self { secret, key, .. } = *self;
        match (self.method, secret, key) {
            (None, Some(_), Some(_)) => {
                refuse("client_key_env", "does not go with `client_secret_env`");
            }
            (Some(Basic | Post), None, _) => {
                refuse(
                    "client_secret_env",
                    "found none, and `client_auth` needs it",
                );
            }
            (Some(Basic | Post | Public), _, Some(_)) => {
                refuse("client_key_env", "goes with `client_auth: private_key_jwt`");
            }
            (Some(PrivateKeyJwt), _, None) => {
                refuse("client_key_env", "found none, and `client_auth` needs it");
            }
            (Some(PrivateKeyJwt | Public), Some(_), _) => {
                refuse("client_secret_env", "does not go with this `client_auth`");
            }
            _ => {}
        }
        if key.is_none() && self.audience.is_some() {
            refuse("assertion_audience", "goes with `client_key_env`");
        }
        if self.audience.is_some_and(String::is_empty) {
            refuse(
                "assertion_audience",
                "found none, expected the name of the server",
            );
        }
        match (key, secret) {
            (Some(key), _) => {
                let audience = self.audience.map(String::as_str).or(server);
                if audience.is_none() {
                    let message =
                        "found none, expected the issuer identifier of the authorization server";
                    refuse("assertion_audience", message);
                }
                ClientAuth::Key {
                    env: key.into(),
                    audience: audience.unwrap_or_default().to_owned(),
                }
            }
            (None, Some(secret)) => ClientAuth::Secret {
                env: secret.into(),
                method: match self.method {
                    Some(Post) => SecretMethod::Post,
                    _ => SecretMethod::Basic,
                },
            },
            (None, None) => ClientAuth::Public,
        }
    }
}
