//! Requests to the token endpoint and the revocation endpoint.

use super::client_auth::{ClientCredentials, authenticated};
use super::token_exchange::ID_JAG;
use super::{Client, SubjectTokenType, TokenClient, TokenExchange};
use base::http::HttpRequest;
use base::secret::Secret;

/// The grant of a token request.
#[derive(Clone, Copy)]
pub enum TokenGrant<'a> {
    /// An authorization code (RFC 6749 section 4.1.3).
    Code {
        /// The code.
        code: &'a str,
        /// The PKCE code verifier (RFC 7636 section 4.5).
        verifier: &'a str,
        /// The redirect URI of the authorization request.
        redirect_uri: &'a str,
        /// The resource that the token is for (RFC 8707 section 2.2).
        resource: Option<&'a str>,
    },
    /// A refresh token (RFC 6749 section 6).
    Refresh {
        /// The refresh token.
        refresh_token: &'a Secret,
        /// The resource that the token is for (RFC 8707 section 2.2).
        resource: Option<&'a str>,
    },
    /// Another token (RFC 8693 section 2.1).
    Exchange {
        /// The exchange.
        exchange: &'a TokenExchange,
        /// The other token.
        subject: &'a Secret,
    },
    /// An assertion of a user's identity (RFC 7523 section 2.1).
    Assertion(&'a Secret),
}

/// Without the content, which has codes and tokens.
impl std::fmt::Debug for TokenGrant<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenGrant")
    }
}

/// A request for tokens. `credentials` are the client's; `None` for a public client.
pub fn token_request(
    client: &TokenClient,
    credentials: Option<&ClientCredentials>,
    grant: TokenGrant<'_>,
) -> HttpRequest {
    let scope;
    let form = match grant {
        TokenGrant::Code {
            code,
            verifier,
            redirect_uri,
            resource,
        } => vec![
            ("grant_type", Some("authorization_code")),
            ("code", Some(code)),
            ("redirect_uri", Some(redirect_uri)),
            ("code_verifier", Some(verifier)),
            ("resource", resource),
        ],
        TokenGrant::Refresh {
            refresh_token,
            resource,
        } => vec![
            ("grant_type", Some("refresh_token")),
            ("refresh_token", Some(refresh_token.reveal())),
            ("resource", resource),
        ],
        TokenGrant::Exchange { exchange, subject } => {
            scope = exchange.scopes.join(" ");
            let grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
            let requested = match exchange.id_jag {
                Some(_) => ID_JAG,
                None => SubjectTokenType::AccessToken.urn(),
            };
            let subject_token_type = exchange.subject_token_type.urn();
            vec![
                ("grant_type", Some(grant_type)),
                ("requested_token_type", Some(requested)),
                ("audience", exchange.audience.as_deref()),
                ("resource", exchange.resource.as_deref()),
                ("scope", (!scope.is_empty()).then_some(scope.as_str())),
                ("subject_token", Some(subject.reveal())),
                ("subject_token_type", Some(subject_token_type)),
            ]
        }
        TokenGrant::Assertion(assertion) => {
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            vec![
                ("grant_type", Some(grant_type)),
                ("assertion", Some(assertion.reveal())),
            ]
        }
    };
    authenticated(&client.endpoint, (&client.client_id, credentials), &form)
}

/// A token to be revoked.
#[derive(Debug, Clone, Copy)]
pub enum RevokedToken<'a> {
    /// An access token.
    Access(&'a Secret),
    /// A refresh token; the access tokens made from it are revoked, too.
    Refresh(&'a Secret),
}

/// A request to revoke a token (RFC 7009 section 2.1). `None`: there is no revocation endpoint.
pub fn revocation_request(
    client: &Client,
    credentials: Option<&ClientCredentials>,
    token: RevokedToken<'_>,
) -> Option<HttpRequest> {
    let (token, hint) = match token {
        RevokedToken::Access(token) => (token, "access_token"),
        RevokedToken::Refresh(token) => (token, "refresh_token"),
    };
    let form = [
        ("token", Some(token.reveal())),
        ("token_type_hint", Some(hint)),
    ];
    let client_id = client.token.client_id.as_str();
    Some(authenticated(
        client.revoke.as_ref()?,
        (client_id, credentials),
        &form,
    ))
}

#[cfg(test)]
mod tests;
