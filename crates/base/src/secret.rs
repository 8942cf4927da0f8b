//! Text that no log may print.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::form_urlencoded::byte_serialize;

/// A token or a credential. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Marks a text as secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The credentials of a client, as `Authorization` carries them (RFC 6749 section 2.3.1:
    /// form-urlencoded, then basic).
    pub fn basic(client_id: &str, secret: &str) -> Self {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(client_id), encoded(secret));
        Self(format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }

    /// A user name and a password in Base64, as `Authorization: Basic` carries them (RFC 7617).
    pub fn user_and_password(user: &str, password: &str) -> Self {
        Self(BASE64_STANDARD.encode(format!("{user}:{password}")))
    }

    /// The text itself, to send it or to seal it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
