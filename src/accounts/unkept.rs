//! Renewed tokens that could not be written to the store. The refresh token in the store is spent, so they
//! are the only valid ones: they stay in the worker, which tries the write again.

use std::cell::RefCell;
use std::time::Duration;

use super::refresh_lock;
use super::vault::{AccountPlace, LinkedAccount};
use base::secret::Secret;
use base::store::Key;
use base::time::UnixTime;

/// The maximum number of accounts that wait for the store in a worker.
const MAX_UNKEPT: usize = 256;
/// The maximum number of tries. With the pauses between them they take about ten minutes.
const MAX_TRIES: u8 = 64;
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The accounts of a worker whose renewed tokens are not in the store yet.
#[derive(Default)]
pub struct UnkeptAccounts(RefCell<Vec<UnkeptAccount>>);

/// An account whose renewed tokens are not in the store.
#[derive(Clone)]
pub(super) struct UnkeptAccount {
    /// The key of the lock under which the refresh token was spent.
    id: Key,
    pub(super) place: AccountPlace,
    /// The access token in the store. Its refresh token is spent.
    pub(super) spent: Secret,
    pub(super) renewed: LinkedAccount,
    tries: u8,
    next: UnixTime,
}

impl UnkeptAccounts {
    /// Holds an account until it is written. `false`: too many are held.
    pub(super) fn hold(
        &self,
        place: AccountPlace,
        spent: Secret,
        renewed: LinkedAccount,
        now: UnixTime,
    ) -> bool {
        let mut held = self.0.borrow_mut();
        // The user may have chosen another account at this place, whose tokens are held too.
        let id = refresh_lock::key(&place, &spent);
        held.retain(|other| other.id != id);
        let has_room = held.len() < MAX_UNKEPT;
        if has_room {
            held.push(UnkeptAccount {
                id,
                place,
                spent,
                renewed,
                tries: 0,
                next: now.saturating_add(Duration::from_secs(1)),
            });
        }
        has_room
    }

    /// The account with renewed tokens, in place of the one that was read from the store.
    pub(super) fn in_place_of(
        &self,
        place: &AccountPlace,
        found: &LinkedAccount,
    ) -> Option<LinkedAccount> {
        let held = self.0.borrow();
        let held = held.iter().find(|held| {
            held.place == *place
                && held.spent == found.access_token()
                && held.renewed.linked_at == found.linked_at
        });
        held.map(|held| held.renewed.clone())
    }

    /// The accounts to write now.
    pub fn due(&self, now: UnixTime) -> Vec<Key> {
        let held = self.0.borrow();
        let due = held.iter().filter(|held| held.next <= now);
        due.map(|held| held.id.clone()).collect()
    }

    pub(super) fn find(&self, id: &Key) -> Option<UnkeptAccount> {
        let held = self.0.borrow();
        held.iter().find(|held| held.id == *id).cloned()
    }

    /// Forgets an account, unless other tokens of it are held now.
    pub(super) fn forget(&self, account: &UnkeptAccount) {
        let mut held = self.0.borrow_mut();
        held.retain(|held| held.id != account.id || held.renewed != account.renewed);
    }

    /// Puts off the next try. Returns the number of tries so far; `None`: it was the last one, and the
    /// account is forgotten.
    pub(super) fn put_off(&self, account: &UnkeptAccount, now: UnixTime) -> Option<u8> {
        let mut held = self.0.borrow_mut();
        let at = held.iter().position(|held| held.id == account.id)?;
        let account = held.get_mut(at)?;
        account.tries = account.tries.saturating_add(1);
        let pause = Duration::from_secs(u64::from(account.tries / 4)).min(MAX_PAUSE);
        account.next = now.saturating_add(pause.max(Duration::from_secs(1)));
        let tries = account.tries;
        if tries >= MAX_TRIES {
            held.swap_remove(at);
            return None;
        }
        Some(tries)
    }
}

/// Without the tokens.
impl std::fmt::Debug for UnkeptAccounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UnkeptAccounts")
    }
}
