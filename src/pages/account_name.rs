//! Whose account was connected, as the resource names it.

use std::time::Duration;

use super::{PageContext, PageRefusal};
use crate::audit::changes_text;
use crate::pages::sealed::AuthorizationRequest;
use base::http::HttpRequest;
use base::secret::Secret;
use oauth::ReceivedIdToken;
use oauth::client::{AuthorizationServer, Tokens, object};
use policy::{AccountSource, OAuthConnection};

/// The time that the resource has to name the account: the user's browser waits.
const TIME_TO_ANSWER: Duration = Duration::from_secs(5);
/// The longest name of an account that is kept, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// A secret that is shorter, in bytes, may be a part of any name.
const MIN_SECRET_BYTES: usize = 8;

/// The name of a new account. `None`: the policy has no source for it.
///
/// # Errors
///
/// The source did not answer, or does not name the account.
pub(super) async fn account_name(
    context: &PageContext,
    oauth: &OAuthConnection,
    authorization: &AuthorizationRequest,
    tokens: &Tokens,
) -> Result<Option<String>, PageRefusal> {
    let named = |name| named(name, &tokens.access_token);
    let bearer = || Secret::new(format!("Bearer {}", tokens.access_token.reveal()));
    let discovered = authorization.discovered.as_ref();
    let (request, field) = match &oauth.account {
        None => return Ok(None),
        Some(AccountSource::IdToken(claim)) => {
            let client = oauth
                .server
                .client(discovered)
                .ok_or(PageRefusal::Account)?;
            let id_token = tokens.id_token.as_ref().ok_or(PageRefusal::Account)?;
            let expected = ReceivedIdToken {
                issuer: &oauth.issuer,
                client_id: &client.token.client_id,
                nonce: &authorization.id,
            };
            let claims = expected.claims(id_token, context.now());
            let claims = claims.map_err(PageRefusal::AccountToken)?;
            return named(claim.identifier(&claims)).map(Some);
        }
        Some(AccountSource::Userinfo(field)) => {
            let endpoint = match (&oauth.server, discovered) {
                (AuthorizationServer::Discovered(discovery), Some(found)) => {
                    found.userinfo(discovery)
                }
                _ => None,
            };
            let endpoint = endpoint.ok_or(PageRefusal::Account)?;
            (endpoint.get(Some(&bearer())), field)
        }
        Some(AccountSource::Asked {
            endpoint,
            body: None,
            field,
        }) => (endpoint.get(Some(&bearer())), field),
        Some(AccountSource::Asked {
            endpoint,
            body: Some(body),
            field,
        }) => {
            let (body, bearer) = (body.clone().into_bytes(), bearer());
            let request = endpoint.post_text(body, Some(bearer.reveal()), TIME_TO_ANSWER);
            (request, field)
        }
    };
    let request = HttpRequest {
        timeout: Some(TIME_TO_ANSWER),
        ..request
    };
    let response = context.effects.call(request).await;
    let response = response.ok_or(PageRefusal::AccountUnavailable)?;
    match response.status {
        200 => {
            let members = object(&response.body).ok_or(PageRefusal::Account)?;
            named(field.identifier(&members)).map(Some)
        }
        408 | 429 | 500.. => Err(PageRefusal::AccountUnavailable),
        _ => Err(PageRefusal::Account),
    }
}

/// A name that can be kept: models and people read it, so it is one short line in one direction, and not the
/// credential, which a server may repeat.
pub(super) fn named(name: Option<String>, secret: &Secret) -> Result<String, PageRefusal> {
    let secret = secret.reveal();
    let is_sound = |name: &String| {
        let repeats = secret.len() >= MIN_SECRET_BYTES && name.contains(secret);
        !repeats
            && name.len() <= MAX_NAME_BYTES
            && !name.trim().is_empty()
            && !name.contains(changes_text)
    };
    name.filter(is_sound).ok_or(PageRefusal::Account)
}
