//! The accounts of a user at one connection in one conversation. Calls use one of them, the current one. The
//! others are kept until the user chooses one of them on a page ([`super::current`]).

use super::AccountContext;
use super::conversation::{ConversationAccount, ConversationPlace};
use super::end::{EndedAccount, Revoke};
use super::vault::{AccountPlace, LinkedAccount};
use base::store::StoreError;
use policy::Connection;

/// How often accounts are listed again that the user moved while they were ended.
const MAX_ROUNDS: u8 = 4;

impl AccountPlace {
    /// The place of the current account. It is the place itself, if the account is not a kept one.
    pub fn current(&self) -> Self {
        Self {
            kept: String::new(),
            ..self.clone()
        }
    }

    /// The place of a kept account with this id.
    pub(crate) fn kept_as(&self, id: &str) -> Self {
        Self {
            kept: id.to_owned(),
            ..self.clone()
        }
    }
}

/// The accounts of the user at the connection of a place: the current one, and those that are kept.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn accounts_at(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Vec<ConversationAccount>, StoreError> {
    let all = ConversationPlace::of(place).accounts(context).await?;
    let here = all
        .into_iter()
        .filter(|account| account.place.current() == place.current());
    Ok(here.collect())
}

/// Whether two accounts at a connection may be one account at the resource. Then the end of one token could end
/// the other: many authorization servers have one grant for both.
pub(super) fn may_be_same(
    connection: &Connection,
    one: &LinkedAccount,
    other: &LinkedAccount,
) -> bool {
    match (&one.name, &other.name) {
        (Some(one), Some(other)) => one == other,
        _ => connection.accounts <= 1,
    }
}

/// Ends all accounts of the user at the connection of a place. `None`: there was no current one.
///
/// # Errors
///
/// The store is not available; some accounts may still be there.
pub async fn disconnect(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<EndedAccount>, StoreError> {
    let mut current = None;
    for _ in 0..MAX_ROUNDS {
        for account in accounts_at(context, place).await? {
            if !account.place.kept.is_empty() {
                end_at(context, &account.place).await?;
            }
        }
        current = end_at(context, place).await?.or(current);
        if accounts_at(context, place).await?.is_empty() {
            return Ok(current);
        }
    }
    Err(StoreError::Unavailable)
}

/// Ends the account at a place, and the authorization requests that may link another one. `None`: there was
/// no account.
///
/// # Errors
///
/// The store is not available; the record may still be there.
pub async fn end_at(
    context: &AccountContext,
    place: &AccountPlace,
) -> Result<Option<EndedAccount>, StoreError> {
    let conversation = ConversationPlace::of(place);
    conversation.end_account(context, place, Revoke::Now).await
}
