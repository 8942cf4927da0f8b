//! Linked accounts: the credentials of users for the resources behind the server. Also the token that the server
//! gets in place of the caller's.
//!
//! [`token_for_call`] finds the token for a call. [`refresh()`] and [`disconnect`] work on one account.
//! [`Ends`] are the ends that no request waits for.
//! [`refresh_lock`] lets one task use a refresh token, and [`unkept`] holds new tokens while the store fails.
//! [`vault`] seals accounts and keeps them in the store. [`conversation`] keeps a list of the accounts of a
//! conversation, and ends them together. [`of_user`] lists the conversations of a user. [`kept`] are the accounts
//! that calls do not use, and [`current`] changes the one that they use. [`sign_out`] compares the time of a sign-out with the time at which an account was
//! linked. [`token_exchange`] exchanges the caller's token. [`assigned`] has the credentials that an
//! administrator set. Users link accounts on
//! [`crate::pages`].

pub mod assigned;
pub mod conversation;
pub mod current;
pub mod kept;
pub mod of_user;
pub mod refresh;
pub mod refresh_lock;
pub mod refused;
pub mod sign_out;
pub mod token_exchange;
pub mod unkept;
pub mod vault;

pub(crate) mod shared_record;

mod clients;
mod end;
mod ends;
mod token_for_call;

use std::rc::Rc;

pub use self::clients::Clients;
pub use self::end::{EndedAccount, Revocation};
pub(crate) use self::end::{Revoke, revoke};
pub use self::ends::{ClientConversation, Ends, PendingRevocation};
pub use self::kept::{disconnect, end_at};
pub use self::refresh::refresh;
pub(crate) use self::token_for_call::find_account;
pub use self::token_for_call::{NoAccountToken, token_for_call};
use self::unkept::UnkeptAccounts;
use crate::effect::Effects;
use base::seal::Sealer;
use base::time::UnixTime;
use policy::Policy;

/// The source of 32 random bytes. `None`: the host has none.
#[derive(Debug, Clone, Copy)]
pub struct Random(pub fn() -> Option<[u8; 32]>);

/// No source of randomness.
impl Default for Random {
    fn default() -> Self {
        Self(|| None)
    }
}

/// The context for work on linked accounts. Clones share all parts.
#[derive(Clone)]
pub struct AccountContext {
    /// The policy.
    pub policy: Rc<Policy>,
    /// Seals accounts and everything else that leaves the filter.
    pub sealer: Rc<Sealer>,
    /// The filter's credentials at authorization servers.
    pub clients: Rc<Clients>,
    /// The renewed tokens that are not in the store yet.
    pub unkept: Rc<UnkeptAccounts>,
    /// Access to the host, for the task that does the work.
    pub effects: Effects,
    /// The ends of accounts that the worker looks after.
    pub ends: Ends,
}

impl AccountContext {
    /// The time, in whole seconds.
    pub fn now(&self) -> UnixTime {
        self.effects.now()
    }
}

/// Without its parts: they hold secrets.
impl std::fmt::Debug for AccountContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AccountContext")
    }
}
