//! An account that the server refuses: it answered 401 to a call that was sent with the account's token. The account
//! ends, so that the user is asked again at once and not at the end of its lifetime.

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{TakenAccount, take};
use super::vault::{AccountCredential, AccountPlace, LinkedAccount};
use base::store::StoreError;
use base::time::UnixTime;

/// An account, as a call was sent with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedAccount {
    /// Where it is kept.
    pub place: AccountPlace,
    /// The credential that the server received.
    pub credential: AccountCredential,
    /// When the user linked it.
    pub linked_at: UnixTime,
}

/// The outcome for an account that the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedEnd {
    /// It has ended. `again`: the server refused another one at its place a short time before.
    Ended {
        /// Whether linking it again did not help.
        again: bool,
    },
    /// The next call gets another token: the account was refreshed or linked again during the call, or its token
    /// has just expired and can be refreshed.
    Replaced,
    /// The store failed; the account may still be linked.
    Store(StoreError),
}

/// Ends an account that the server refused, unless another one is at its place by now.
pub(crate) async fn end_refused(context: &AccountContext, used: &UsedAccount) -> RefusedEnd {
    let now = context.now();
    let is_refused = |found: &LinkedAccount| {
        let is_same = found.credential == used.credential && found.linked_at == used.linked_at;
        let tokens = found
            .tokens()
            .filter(|tokens| tokens.refresh_token.is_some());
        let expires = tokens.and_then(|tokens| tokens.expires);
        is_same && expires.is_none_or(|expires| now < expires)
    };
    match take(context, &used.place, is_refused).await {
        Ok(TakenAccount::Account(account)) => {
            let conversation = ConversationPlace::of(&used.place);
            let forgotten = conversation.forget_refused(context, &used.place, &account);
            // If this fails, the conversation names an account that is not there.
            let again = forgotten.await.unwrap_or(false);
            context.ends.revoke_later(used.place.clone(), *account);
            RefusedEnd::Ended { again }
        }
        Ok(TakenAccount::Other) => RefusedEnd::Replaced,
        Ok(TakenAccount::Nothing) => RefusedEnd::Ended { again: false },
        Err(error) => RefusedEnd::Store(error),
    }
}
