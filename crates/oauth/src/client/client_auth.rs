//! How this filter authenticates at token endpoints, revocation endpoints and introspection endpoints
//! (RFC 6749 section 2.3, RFC 7523 section 2.2).

use url::form_urlencoded::Serializer;

use base::http::{Endpoint, HttpRequest};
use base::secret::Secret;

/// The type of a client assertion (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client authenticates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It is a public client.
    #[default]
    Public,
    /// It has a secret.
    Secret {
        /// The environment variable that holds it.
        env: String,
        /// Where requests carry it.
        method: SecretMethod,
    },
    /// It signs an assertion for each request (`private_key_jwt`).
    Key {
        /// The environment variable that holds its private key.
        env: String,
        /// The audience of its assertions: the issuer identifier of the server, or the URL of its token endpoint.
        audience: String,
    },
}

/// Where requests carry the client's secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecretMethod {
    /// In the `Authorization` header (`client_secret_basic`).
    #[default]
    Basic,
    /// In the form (`client_secret_post`).
    Post,
}

impl ClientAuth {
    /// The environment variable with the secret or the key.
    pub fn env(&self) -> Option<&str> {
        match self {
            Self::Public => None,
            Self::Secret { env, .. } | Self::Key { env, .. } => Some(env),
        }
    }

    /// The registered name of the method (`token_endpoint_auth_methods_supported` in RFC 8414).
    pub fn method(&self) -> &'static str {
        match self {
            Self::Public => "none",
            Self::Secret { method, .. } => match method {
                SecretMethod::Basic => "client_secret_basic",
                SecretMethod::Post => "client_secret_post",
            },
            Self::Key { .. } => "private_key_jwt",
        }
    }
}

/// The credentials of a client for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCredentials {
    /// The value of the `Authorization` header.
    Header(Secret),
    /// The secret, for the form.
    Form(Secret),
    /// An assertion, for the form. A server accepts it once.
    Assertion(Secret),
}

impl ClientCredentials {
    /// The credentials of a client with a secret.
    pub fn of_secret(client_id: &str, secret: &str, method: SecretMethod) -> Self {
        match method {
            SecretMethod::Basic => Self::Header(Secret::basic(client_id, secret)),
            SecretMethod::Post => Self::Form(Secret::new(secret.to_owned())),
        }
    }
}

/// A form for an endpoint, with the client's credentials. A public client sends its id in the form (RFC 6749
/// section 3.2.1).
pub(crate) fn authenticated(
    endpoint: &Endpoint,
    (client_id, credentials): (&str, Option<&ClientCredentials>),
    pairs: &[(&str, Option<&str>)],
) -> HttpRequest {
    let mut form = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    let in_form = match credentials {
        Some(ClientCredentials::Header(header)) => {
            return endpoint.post(form.finish(), Some(header));
        }
        Some(ClientCredentials::Form(secret)) => Some(("client_secret", secret)),
        Some(ClientCredentials::Assertion(assertion)) => {
            form.append_pair("client_assertion_type", ASSERTION_TYPE);
            Some(("client_assertion", assertion))
        }
        None => None,
    };
    form.append_pair("client_id", client_id);
    if let Some((name, value)) = in_form {
        form.append_pair(name, value.reveal());
    }
    endpoint.post(form.finish(), None)
}
