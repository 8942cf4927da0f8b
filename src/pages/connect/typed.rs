//! Linking an account with a key or password that the user types into the page.

use super::super::account_name::named;
use super::super::content;
use super::super::page_request::PageRequest;
use super::super::sealed::{PageLink, random_text};
use super::super::{PageContext, PageOutcome, PageRefusal};
use super::link_account;
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::vault::{AccountCredential, LinkedAccount};
use crate::reasons::Approval;
use base::secret::Secret;
use oauth::client::object;
use policy::{Connection, TypedCredential};

/// The maximum length of a key or password, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 4096;
/// The maximum length of a user name, in bytes.
const MAX_USER_BYTES: usize = 256;

/// Links the account whose key or password the user typed.
pub(super) async fn link(
    context: &PageContext,
    request: &PageRequest,
    link: &PageLink,
    (connection, typed): (&Connection, &TypedCredential),
) -> Result<PageOutcome, PageRefusal> {
    let place = link.account_place(&context.policy.resource);
    let place = place.ok_or(PageRefusal::Link)?;
    let credential = credential(connection, request)?;
    let account = LinkedAccount::new(connection, credential, context.now());
    // Each try tests a password, so there are few.
    let (id, expires) = (random_text(context.random)?, context.expires());
    context.take_try_of(link, &id, expires).await?;
    let name = check(context, connection, typed, &account).await?;
    let account = LinkedAccount { name, ..account };
    let conversation = ConversationPlace::of(&place);
    let noted = conversation.note_request(context, &place, &id, expires);
    if !noted.await? {
        return Err(PageRefusal::TooManyTries);
    }
    link_account(context, connection, &id, &place, &account).await?;
    let reply = content::done(connection, account.name.as_deref(), &[]);
    Ok(PageOutcome {
        connection: Some((connection.name.clone(), account.name)),
        ..PageOutcome::of_connection(reply, Approval::Connected, link)
    })
}

/// The credential of the form. Spaces and line breaks around it, which copying often adds, are removed.
fn credential(
    connection: &Connection,
    request: &PageRequest,
) -> Result<AccountCredential, PageRefusal> {
    let field = |name| Ok::<_, PageRefusal>(request.parameter(name)?.unwrap_or_default());
    let checked = |text: &str, most: usize| {
        let is_sound = !text.is_empty() && text.len() <= most;
        is_sound
            .then(|| text.to_owned())
            .ok_or(PageRefusal::CredentialUnusable)
    };
    match connection.is_password() {
        false => {
            let key = checked(field("key")?.trim(), MAX_CREDENTIAL_BYTES)?;
            Ok(AccountCredential::Key(Secret::new(key)))
        }
        true => {
            let user = checked(field("user")?.trim(), MAX_USER_BYTES)?;
            // A password may begin or end with a space.
            let password = checked(field("password")?, MAX_CREDENTIAL_BYTES)?;
            Ok(AccountCredential::Password(user, Secret::new(password)))
        }
    }
}

/// Asks the resource about a credential. Returns the account's name: of the answer, or the user name.
async fn check(
    context: &PageContext,
    connection: &Connection,
    typed: &TypedCredential,
    account: &LinkedAccount,
) -> Result<Option<String>, PageRefusal> {
    let headers = account.headers(connection);
    let headers = headers.map_err(|_| PageRefusal::CredentialUnusable)?;
    let check = &typed.check;
    let mut request = check.endpoint.get(None);
    let headers = headers.headers.into_iter();
    request.passed = headers
        .map(|(name, value)| (name, value.reveal().to_owned()))
        .collect();
    let response = context.effects.call(request).await;
    let response = match response {
        Some(response) if response.status == check.status => response,
        Some(response) if (400..=499).contains(&response.status) && response.status != 429 => {
            return Err(PageRefusal::CredentialRefused);
        }
        _ => return Err(PageRefusal::CredentialUnchecked),
    };
    let (user, secret) = match &account.credential {
        AccountCredential::Password(user, password) => (Some(user), password),
        AccountCredential::Key(key) => (None, key),
        AccountCredential::Tokens(_) => return Ok(None),
    };
    match (&check.field, user) {
        (Some(field), _) => {
            let members = object(&response.body);
            let name = members.and_then(|members| field.identifier(&members));
            named(name, secret).map(Some)
        }
        (None, Some(user)) => named(Some(user.clone()), secret).map(Some),
        (None, None) => Ok(None),
    }
}
