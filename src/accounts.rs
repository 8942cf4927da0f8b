//! Linked accounts: users' own tokens for the resources behind the server. And the token that the
//! server gets in place of the caller's.
//!
//! [`token_for_call`] finds the token that goes with a call. [`refresh()`] and [`disconnect`] work on one
//! account. [`vault`] says where an account is kept, and seals it. [`conversation`] says what is linked in a
//! conversation, and ends it. [`sign_out`] says whether its user signed out
//! since it was linked. [`token_exchange`] exchanges the caller's token. Users link accounts on
//! [`crate::pages`].

pub mod conversation;
pub mod refresh;
pub mod sign_out;
pub mod token_exchange;
pub mod vault;

pub(crate) mod shared_record;

mod clients;
mod end;
mod token_for_call;

use std::rc::Rc;

pub use self::clients::Clients;
pub(crate) use self::end::revoke;
pub use self::end::{EndedAccount, Revocation, disconnect};
pub use self::refresh::refresh;
pub(crate) use self::token_for_call::find_account;
pub use self::token_for_call::{NoAccountToken, token_for_call};
use crate::effect::Effects;
use base::seal::Sealer;
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

/// What work on linked accounts needs. Clones share everything.
#[derive(Clone)]
pub struct AccountContext {
    /// The policy.
    pub policy: Rc<Policy>,
    /// Seals accounts, and everything else that leaves this filter.
    pub sealer: Rc<Sealer>,
    /// This filter's credentials at authorization servers.
    pub clients: Rc<Clients>,
    /// Access to the host, for the task that does the work.
    pub effects: Effects,
}

impl AccountContext {
    /// The time, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.effects.now()
    }
}

/// Without its parts: there are secrets in them.
impl std::fmt::Debug for AccountContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AccountContext")
    }
}
