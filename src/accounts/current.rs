//! Changes of the current account: the user links a new one, or chooses a kept one. At the same time the token of
//! the account before may be refreshed. So each write replaces exactly what was read, and is tried again otherwise.

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{TakenAccount, revoke, take};
use super::kept::{accounts_at, end_at, may_be_same};
use super::vault::{AccountPlace, LinkedAccount};
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;
use policy::Connection;

/// The maximum number of tries while other requests change the account.
const MAX_TRIES: u8 = 8;

/// The account before a new one.
#[derive(Debug, Default)]
pub(crate) enum Replaced {
    /// There was none, or it was the same one.
    #[default]
    Nothing,
    /// It is not linked any more.
    Over {
        /// The account.
        account: LinkedAccount,
        /// Whether it is known to be another one than the new account.
        differs: bool,
    },
    /// It is kept there.
    Kept(AccountPlace),
}

/// What is at a place.
enum AtPlace {
    Nothing,
    /// A record that cannot be opened.
    Unreadable,
    /// A record's value, and the account that it has.
    Account(String, Box<LinkedAccount>),
}

/// A choice of a kept account, which is being carried out.
struct Choice<'a> {
    context: &'a AccountContext,
    chosen: &'a AccountPlace,
    /// The place of the current account.
    place: AccountPlace,
    /// The place at which the account before is kept.
    copy: AccountPlace,
    /// Whether the account before was written there.
    is_copied: bool,
    /// The chosen account, once it is the current one.
    written: Option<LinkedAccount>,
}

/// Writes a new account at a place. The current account is kept under `id`, if the connection keeps several. Otherwise
/// it is replaced.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn link(
    context: &AccountContext,
    connection: &Connection,
    place: &AccountPlace,
    (new, id): (&LinkedAccount, &str),
) -> Result<Replaced, StoreError> {
    // The same account is not kept a second time.
    let is_same = |name: &Option<String>| name.is_some() && *name == new.name;
    let kept = accounts_at(context, place).await?;
    let kept = kept.iter().filter(|account| !account.place.kept.is_empty());
    for same in kept.filter(|account| is_same(&account.name)) {
        forget(context, &same.place).await?;
    }
    let copy = place.kept_as(id);
    let mut is_copied = false;
    for _ in 0..MAX_TRIES {
        let before = AtPlace::read(context, place).await?;
        let usable = before.usable(context.now());
        let other = usable.filter(|found| !is_same(&found.name));
        let replaced = match other {
            Some(found) if connection.accounts > 1 => {
                if !is_copied {
                    end_surplus(context, connection, place).await?;
                }
                keep(context, &copy, found).await?;
                is_copied = true;
                Replaced::Kept(copy.clone())
            }
            _ => {
                if std::mem::take(&mut is_copied) {
                    forget(context, &copy).await?;
                }
                let over = before.account().cloned();
                over.map_or(Replaced::Nothing, |account| Replaced::Over {
                    differs: !may_be_same(connection, &account, new),
                    account,
                })
            }
        };
        if before.write(context, place, new).await? {
            return Ok(replaced);
        }
    }
    Err(StoreError::Unavailable)
}

/// Deletes an account that was linked, unless another one is at its place.
///
/// # Errors
///
/// The store is not available.
pub(crate) async fn unlink(
    context: &AccountContext,
    place: &AccountPlace,
    linked: &LinkedAccount,
) -> Result<(), StoreError> {
    let is_linked = |found: &LinkedAccount| found.is_of_same_link(linked);
    take(context, place, is_linked).await.map(drop)
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
    let choice = Choice {
        context,
        chosen,
        place: chosen.current(),
        copy: chosen.kept_as(id),
        is_copied: false,
        written: None,
    };
    choice.run().await
}

/// Ends the oldest kept accounts, so that the current one and a new one have room.
async fn end_surplus(
    context: &AccountContext,
    connection: &Connection,
    place: &AccountPlace,
) -> Result<(), StoreError> {
    let mut kept = accounts_at(context, place).await?;
    kept.retain(|account| !account.place.kept.is_empty());
    let surplus = kept.len().saturating_add(2);
    let surplus = surplus.saturating_sub(connection.accounts);
    kept.sort_by_key(|account| account.since);
    for oldest in kept.iter().take(surplus) {
        end_at(context, &oldest.place).await?;
    }
    Ok(())
}

impl Replaced {
    /// Revokes the token of the account before, if it is over and another account than the new one.
    pub(crate) async fn revoke(self, context: &AccountContext, place: &AccountPlace) {
        if let Self::Over {
            account,
            differs: true,
        } = self
        {
            revoke(context, place, &account).await;
        }
    }

    /// Ends the account before, because its conversation has ended.
    ///
    /// # Errors
    ///
    /// The store is not available.
    pub(crate) async fn end(
        self,
        context: &AccountContext,
        place: &AccountPlace,
    ) -> Result<(), StoreError> {
        match self {
            Self::Nothing => Ok(()),
            Self::Over { account, .. } => {
                revoke(context, place, &account).await;
                Ok(())
            }
            Self::Kept(copy) => end_at(context, &copy).await.map(drop),
        }
    }
}

impl AtPlace {
    async fn read(context: &AccountContext, place: &AccountPlace) -> Result<Self, StoreError> {
        let value = context.effects.get(place.key()).await?;
        Ok(match value {
            None => Self::Nothing,
            Some(value) => match place.read(&context.sealer, &value) {
                Some(account) => Self::Account(value, Box::new(account)),
                None => Self::Unreadable,
            },
        })
    }

    /// The account, also if its time is over.
    fn account(&self) -> Option<&LinkedAccount> {
        match self {
            Self::Account(_, account) => Some(account),
            Self::Nothing | Self::Unreadable => None,
        }
    }

    /// The account, unless its time is over.
    fn usable(&self, now: UnixTime) -> Option<&LinkedAccount> {
        self.account().filter(|account| now < account.last_use())
    }

    /// Writes an account at this place. `false`: another request changed what is there.
    async fn write(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
    ) -> Result<bool, StoreError> {
        let sealer = &context.sealer;
        let operation = match self {
            Self::Nothing => place.create(sealer, account),
            Self::Unreadable => place.put(sealer, account),
            Self::Account(value, found) => place.replace(sealer, (found, value), account),
        };
        is_done(context, operation).await
    }
}

impl Choice<'_> {
    async fn run(mut self) -> Result<Option<LinkedAccount>, StoreError> {
        for _ in 0..MAX_TRIES {
            let chosen = AtPlace::read(self.context, self.chosen).await?;
            let AtPlace::Account(value, account) = &chosen else {
                return self.undo().await.map(|()| None);
            };
            if chosen.usable(self.context.now()).is_none() {
                return self.undo().await.map(|()| None);
            }
            let before = AtPlace::read(self.context, &self.place).await?;
            let usable = before.usable(self.context.now());
            let is_current = usable.is_some_and(|found| found.is_of_same_link(account));
            // Another request of the user chose the same account, or another one after this choice.
            if is_current != self.written.is_some() {
                return Ok(Some((**account).clone()));
            }
            if !is_current {
                let noted = usable.map(|found| (&self.copy, found.ends));
                if !self.begin(account, noted).await? {
                    return self.undo().await.map(|()| None);
                }
                self.copy(usable).await?;
            }
            if !before.write(self.context, &self.place, account).await? {
                continue;
            }
            self.written = Some((**account).clone());
            let take = self.chosen.take(&self.context.sealer, account, value);
            // Otherwise it was refreshed, or has ended.
            if is_done(self.context, take).await? {
                let conversation = ConversationPlace::of(self.chosen);
                conversation.forget(self.context, self.chosen).await?;
                return Ok(self.written);
            }
        }
        Err(StoreError::Unavailable)
    }

    /// Notes the new places in the conversation. `false`: the chosen account has ended.
    async fn begin(
        &self,
        account: &LinkedAccount,
        copy: Option<(&AccountPlace, UnixTime)>,
    ) -> Result<bool, StoreError> {
        let conversation = ConversationPlace::of(self.chosen);
        let ends = account.ends;
        conversation
            .begin_move(self.context, self.chosen, (&self.place, ends), copy)
            .await
    }

    /// Writes the account before to its new place. If the store fails after this, no account is lost, and one is
    /// listed twice.
    async fn copy(&mut self, before: Option<&LinkedAccount>) -> Result<(), StoreError> {
        let Self { context, copy, .. } = self;
        match before {
            Some(before) => {
                let put = copy.put(&context.sealer, before);
                context.effects.store(put).await?;
                self.is_copied = true;
            }
            None if self.is_copied => {
                forget(context, copy).await?;
                self.is_copied = false;
            }
            None => {}
        }
        Ok(())
    }

    /// The chosen account ended meanwhile.
    async fn undo(&self) -> Result<(), StoreError> {
        match (&self.written, self.is_copied) {
            (Some(_), _) => self.end_written().await,
            // The account before is where it was.
            (None, true) => forget(self.context, &self.copy).await,
            (None, false) => Ok(()),
        }
    }

    async fn end_written(&self) -> Result<(), StoreError> {
        let Some(written) = &self.written else {
            return Ok(());
        };
        let is_written = |found: &LinkedAccount| found.is_of_same_link(written);
        let taken = take(self.context, &self.place, is_written).await?;
        if let TakenAccount::Account(account) = taken {
            let conversation = ConversationPlace::of(&self.place);
            let forgotten = conversation.forget_account(self.context, &self.place, &account);
            forgotten.await?;
            revoke(self.context, &self.place, &account).await;
        }
        Ok(())
    }
}

/// Carries out a compare-and-swap. `false`: the record is another one.
async fn is_done(context: &AccountContext, operation: StoreOperation) -> Result<bool, StoreError> {
    match context.effects.store(operation).await? {
        Stored::Done | Stored::Created(true) => Ok(true),
        Stored::Created(false) => Ok(false),
        Stored::Value(_) => Err(StoreError::Unavailable),
    }
}

/// Writes an account at the place of a kept one, and notes it in its conversation.
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

/// Deletes the record of an account that is at another place.
async fn forget(context: &AccountContext, place: &AccountPlace) -> Result<(), StoreError> {
    context.effects.store(place.delete()).await?;
    ConversationPlace::of(place).forget(context, place).await
}

#[cfg(test)]
mod tests;
