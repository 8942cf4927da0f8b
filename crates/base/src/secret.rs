//! Text that may not be printed.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::form_urlencoded::byte_serialize;

/// A token or a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text out of sight.
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

    /// The text, for the one call or seal it is needed in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}
