//! The URL at an authorization server to which the browser is sent.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Client;

/// The page that the authorization server must show to the user (OpenID Connect Core section 3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// The user signs in again, so that another user can.
    Login,
    /// The user chooses an account.
    SelectAccount,
    /// The user agrees to the scopes again.
    Consent,
}

impl Prompt {
    /// The value of the parameter `prompt`.
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SelectAccount => "select_account",
            Self::Consent => "consent",
        }
    }
}

/// An authorization request (RFC 6749 section 4.1.1) with PKCE.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationUrl<'a> {
    /// The URL to which the browser comes back.
    pub redirect_uri: &'a str,
    /// The requested scopes.
    pub scopes: &'a [String],
    /// The resource that the token is for (RFC 8707 section 2.1).
    pub resource: Option<&'a str>,
    /// The value that comes back with the browser.
    pub state: &'a str,
    /// The value that comes back in the ID token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<&'a str>,
    /// The PKCE code challenge (RFC 7636 section 4.2, S256).
    pub code_challenge: &'a str,
    /// How fresh the sign-in must be (OpenID Connect Core section 3.1.2.1), in seconds.
    pub max_age_s: Option<u64>,
    /// How strong the sign-in must be: values of `acr`, the preferred one first.
    pub acr: &'a [String],
    /// The page that the user must see. `None`: the authorization server decides.
    pub prompt: Option<Prompt>,
}

impl AuthorizationUrl<'_> {
    /// The URL for a client. `None`: the client's authorization endpoint is not a URL.
    pub fn of(&self, client: &Client) -> Option<String> {
        let mut url = Url::parse(&client.authorize).ok()?;
        let scope = self.scopes.join(" ");
        let (max_age, acr) = (
            self.max_age_s.map(|age| age.to_string()),
            self.acr.join(" "),
        );
        let parameters = [
            ("response_type", Some("code")),
            ("client_id", Some(client.token.client_id.as_str())),
            ("redirect_uri", Some(self.redirect_uri)),
            ("scope", Some(scope.as_str()).filter(|it| !it.is_empty())),
            ("resource", self.resource),
            ("state", Some(self.state)),
            ("nonce", self.nonce),
            ("code_challenge", Some(self.code_challenge)),
            ("code_challenge_method", Some("S256")),
            ("max_age", max_age.as_deref()),
            ("acr_values", Some(acr.as_str()).filter(|it| !it.is_empty())),
            ("prompt", self.prompt.map(Prompt::name)),
        ];
        let present = parameters
            .iter()
            .filter_map(|(name, value)| Some((name, (*value)?)));
        url.query_pairs_mut().extend_pairs(present);
        Some(url.into())
    }
}

#[cfg(test)]
mod tests;
