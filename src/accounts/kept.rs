//! The accounts of a user at one connection in one conversation. Calls use one of them, the current one. The
//! others are kept until the user chooses one of them on a page.

use super::AccountContext;
use super::conversation::{ConversationAccount, ConversationPlace};
use super::end::{EndedAccount, Revoke, revoke};
use super::vault::{AccountPlace, LinkedAccount};
use base::store::StoreError;
use policy::Connection;

/// An account that another one replaces.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Its token is revoked when the other account is linked.
    ended: Option<LinkedAccount>,
}

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

/// Makes room for an account that is about to be linked at a place. The current account is kept under `id`, if
/// the connection keeps several. Otherwise it is replaced.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn make_room(
    context: &AccountContext,
    connection: &Connection,
    place: &AccountPlace,
    (new, id): (&LinkedAccount, &str),
) -> Result<Replaced, StoreError> {
    let found = context.effects.get(place.key()).await?;
    let found = found.and_then(|found| place.open(&context.sealer, &found, context.now()));
    let mut kept: Vec<_> = accounts_at(context, place).await?;
    kept.retain(|account| !account.place.kept.is_empty());
    // The same account is not kept a second time.
    let is_same = |name: &Option<String>| name.is_some() && *name == new.name;
    for same in kept.extract_if(.., |account| is_same(&account.name)) {
        forget(context, &same.place).await?;
    }
    let Some(found) = found.filter(|found| !is_same(&found.name)) else {
        return Ok(Replaced::default());
    };
    if connection.accounts <= 1 {
        // Without names it may be the same account, whose new token could end with the old one.
        let differs = found.name.is_some() && new.name.is_some();
        return Ok(Replaced {
            ended: differs.then_some(found),
        });
    }
    // The current account and the new one count, too.
    let surplus = kept
        .len()
        .saturating_add(2)
        .saturating_sub(connection.accounts);
    kept.sort_by_key(|account| account.since);
    for oldest in kept.iter().take(surplus) {
        end_at(context, &oldest.place).await?;
    }
    keep(context, &place.kept_as(id), &found).await?;
    Ok(Replaced::default())
}

impl Replaced {
    /// Revokes the token of the account that was replaced.
    pub(crate) async fn revoke(self, context: &AccountContext, place: &AccountPlace) {
        if let Some(account) = self.ended {
            revoke(context, place, &account).await;
        }
    }
}

/// Makes a kept account the current one. The one before is kept under `id`. `None`: there is no such account.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn choose(
    context: &AccountContext,
    chosen: &AccountPlace,
    id: &str,
) -> Result<Option<LinkedAccount>, StoreError> {
    let now = context.now();
    let value = context.effects.get(chosen.key()).await?;
    let Some(account) = value.and_then(|value| chosen.open(&context.sealer, &value, now)) else {
        return Ok(None);
    };
    let place = chosen.current();
    let before = context.effects.get(place.key()).await?;
    let before = before.and_then(|value| place.open(&context.sealer, &value, now));
    // The order matters when the store fails in between: no account gets lost, one may be listed twice.
    if let Some(before) = before {
        keep(context, &place.kept_as(id), &before).await?;
    }
    keep(context, &place, &account).await?;
    forget(context, chosen).await?;
    Ok(Some(account))
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
    for account in accounts_at(context, place).await? {
        if !account.place.kept.is_empty() {
            end_at(context, &account.place).await?;
        }
    }
    end_at(context, place).await
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

/// Writes an account, and notes it in its conversation.
async fn keep(
    context: &AccountContext,
    place: &AccountPlace,
    account: &LinkedAccount,
) -> Result<(), StoreError> {
    let conversation = ConversationPlace::of(place);
    conversation.note(context, place, account.ends).await?;
    let put = place.put(&context.sealer, account);
    context.effects.store(put).await?;
    Ok(())
}

/// Deletes the record of an account, which has another place now.
async fn forget(context: &AccountContext, place: &AccountPlace) -> Result<(), StoreError> {
    context.effects.store(place.delete()).await?;
    ConversationPlace::of(place).forget(context, place).await
}

#[cfg(test)]
mod tests;
