//! A credential for the server that is the same for all callers.

use base::secret::Secret;
use thiserror::Error;

/// The value of an `Authorization` header.
pub struct Credential {
    header: String,
    /// The part behind the scheme.
    secret: Secret,
}

/// The secret is not valid in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a credential of visible ASCII characters, without spaces around it and line breaks"
)]
pub struct BadCredential;

impl Credential {
    /// A credential for this authentication scheme (RFC 9110 section 11.4).
    ///
    /// # Errors
    ///
    /// The secret is not valid in a header.
    pub fn new(scheme: &str, secret: &str) -> Result<Self, BadCredential> {
        let visible = secret.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if secret.is_empty() || secret.trim() != secret || !visible {
            return Err(BadCredential);
        }
        Ok(Self {
            header: format!("{scheme} {secret}"),
            secret: Secret::new(secret.to_owned()),
        })
    }

    /// The value of the header, for the server only.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The credential without the scheme.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// Without the secret.
impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_one_header_value() {
        let credential = Credential::new("Basic", "dXNlcjpwYXNz").unwrap();
        assert_eq!(credential.header(), "Basic dXNlcjpwYXNz");
        for secret in [
            "",
            " ",
            "a\n",
            "a\r\nx-mcp-user: eve",
            " a",
            "a ",
            "é",
            "a\0",
            "a\tb",
        ] {
            assert!(Credential::new("Bearer", secret).is_err(), "{secret:?}");
        }
    }

    #[test]
    fn b45_a_credential_is_not_printed() {
        let credential = Credential::new("Bearer", "s3cret").unwrap();
        assert_eq!(format!("{credential:?}"), "Credential");
    }
}
