//! Ends of accounts that no request waits for: a worker remembers the conversations whose accounts it linked
//! or used, and ends these accounts when their time is over, at the timer's tick. All workers of all replicas do
//! this. Only one of them takes an account out of the store, and revokes its token.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::end::{Revoke, revoke};
use super::of_user::UserPlace;
use super::vault::{AccountPlace, LinkedAccount};
use base::store::StoreError;
use base::time::UnixTime;

/// The maximum number of conversations that a worker remembers. Those that end first are kept.
const MAX_WATCHED: usize = 1024;
/// The maximum number of tokens that wait for their revocation.
const MAX_REVOCATIONS: usize = 256;
/// How many ends and revocations begin at one tick.
const BEGUN_AT_ONCE: usize = 16;
/// An end that failed, because the store was not available, is tried again after this time.
const RETRY: Duration = Duration::from_secs(30);

/// The names of a user: the resource, the issuer and the id.
pub(super) type UserNames<'u> = [&'u str; 3];

/// The accounts of one client in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientConversation {
    /// The conversation.
    pub place: ConversationPlace,
    /// The client. Empty if clients share accounts, or the token names none.
    pub client: String,
}

/// A token to be revoked: the account is not in the store any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRevocation {
    place: AccountPlace,
    account: LinkedAccount,
}

/// The ends that a worker looks after. Clones share them.
#[derive(Clone, Default)]
pub struct Ends(Rc<RefCell<Schedule>>);

#[derive(Default)]
struct Schedule {
    watched: BTreeMap<ClientConversation, WatchedConversation>,
    /// The earliest time at which one of them is looked at.
    next: Option<UnixTime>,
    revocations: VecDeque<PendingRevocation>,
}

#[derive(Clone, Copy)]
struct WatchedConversation {
    /// When it is looked at.
    due: UnixTime,
    /// The last use that the store has, as far as this worker knows.
    noted_use: UnixTime,
}

impl ClientConversation {
    /// The conversation and the client of an account.
    pub(super) fn of(place: &AccountPlace) -> Self {
        Self {
            place: ConversationPlace::of(place),
            client: place.client.clone(),
        }
    }

    fn user_names(&self) -> UserNames<'_> {
        let ConversationPlace {
            resource,
            issuer,
            user,
            ..
        } = &self.place;
        [resource, issuer, user]
    }

    /// Ends what is over in the conversation. Returns when to look at it again. `None`: nothing is left.
    pub(crate) async fn end_what_is_over(
        &self,
        context: &AccountContext,
    ) -> Result<Option<UnixTime>, StoreError> {
        let Self { place, client } = self;
        let idle = context.policy.vault.idle(place.conversation.has_name());
        let mut idle_until = None;
        if let Some(idle) = idle {
            let user = UserPlace::of_conversation(place);
            let until = user.forget_idle(context, &place.conversation, client, idle);
            idle_until = until.await?;
            if idle_until.is_none() {
                place.end_of(context, Some(client), Revoke::Later).await?;
                return Ok(None);
            }
        }
        let last = place.end_over(context, client).await?;
        Ok(last.map(|end| idle_until.map_or(end, |until| until.min(end))))
    }
}

impl Ends {
    /// Looks at a conversation at this time, if not earlier.
    pub(super) fn watch(&self, conversation: ClientConversation, due: UnixTime) {
        let schedule = &mut *self.0.borrow_mut();
        if let Some(watched) = schedule.watched.get_mut(&conversation) {
            watched.due = watched.due.min(due);
        } else if schedule.has_room_for(&conversation, due) {
            let noted_use = UnixTime::default();
            schedule
                .watched
                .insert(conversation, WatchedConversation { due, noted_use });
        } else {
            return;
        }
        schedule.next = Some(schedule.next.map_or(due, |next| next.min(due)));
    }

    /// Looks at a conversation again, because an end in it failed.
    pub(super) fn try_again(&self, conversation: ClientConversation, now: UnixTime) {
        self.watch(conversation, now.saturating_add(RETRY));
    }

    /// Whether a use of the conversation was noted in the store less than `age` ago.
    pub(super) fn has_noted_use(
        &self,
        conversation: &ClientConversation,
        age: Duration,
        now: UnixTime,
    ) -> bool {
        let schedule = self.0.borrow();
        let watched = schedule.watched.get(conversation);
        watched.is_some_and(|watched| now < watched.noted_use.saturating_add(age))
    }

    /// Remembers the last use that the store has.
    pub(super) fn note_use(&self, conversation: &ClientConversation, used: UnixTime) {
        if let Some(watched) = self.0.borrow_mut().watched.get_mut(conversation) {
            watched.noted_use = used;
        }
    }

    /// The conversations to look at now. Each is looked at again later if this fails.
    pub(crate) fn due(&self, now: UnixTime) -> Vec<ClientConversation> {
        let schedule = &mut *self.0.borrow_mut();
        if schedule.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let over = schedule.watched.iter_mut();
        let over = over.filter(|(_, watched)| watched.due <= now);
        let over = over.take(BEGUN_AT_ONCE).map(|(conversation, watched)| {
            watched.due = now.saturating_add(RETRY);
            conversation.clone()
        });
        let over = over.collect();
        schedule.find_next();
        over
    }

    /// Sets when a conversation is looked at again. `None`: never.
    pub(crate) fn looked_at(&self, conversation: &ClientConversation, again: Option<UnixTime>) {
        let schedule = &mut *self.0.borrow_mut();
        match again {
            Some(due) => {
                if let Some(watched) = schedule.watched.get_mut(conversation) {
                    watched.due = due;
                }
            }
            None => {
                schedule.watched.remove(conversation);
            }
        }
        schedule.find_next();
    }

    /// Revokes a token soon, without a request that waits for it. If too many tokens wait, one of them is dropped and
    /// not revoked: the oldest token of the user with the most waiting tokens.
    pub(crate) fn revoke_later(&self, place: AccountPlace, account: LinkedAccount) {
        let waiting = &mut self.0.borrow_mut().revocations;
        if waiting.len() >= MAX_REVOCATIONS {
            let counts = counts_of_users(waiting.iter().map(|pending| pending.place.owner_names()));
            let most = counts.values().copied().max();
            let is_of_most = |pending: &PendingRevocation| {
                counts.get(&pending.place.owner_names()).copied() == most
            };
            if let Some(oldest) = waiting.iter().position(is_of_most) {
                waiting.remove(oldest);
            }
        }
        waiting.push_back(PendingRevocation { place, account });
    }

    /// The tokens to revoke now.
    pub(crate) fn revocations(&self) -> Vec<PendingRevocation> {
        let waiting = &mut self.0.borrow_mut().revocations;
        let count = waiting.len().min(BEGUN_AT_ONCE);
        waiting.drain(..count).collect()
    }
}

impl PendingRevocation {
    /// Revokes the token.
    pub(crate) async fn run(&self, context: &AccountContext) {
        revoke(context, &self.place, &self.account).await;
    }
}

impl Schedule {
    /// Whether a conversation that is due then is remembered. Of those of the user with the most, the one that is due
    /// last makes room, so that no user fills the room of the others.
    fn has_room_for(&mut self, new: &ClientConversation, due: UnixTime) -> bool {
        if self.watched.len() < MAX_WATCHED {
            return true;
        }
        let counts = counts_of_users(self.watched.keys().map(ClientConversation::user_names));
        let most = counts.values().copied().max().unwrap_or_default();
        let own = counts.get(&new.user_names()).copied().unwrap_or_default();
        let has_more = own.saturating_add(1) < most;
        let of_most = self.watched.iter();
        let of_most =
            of_most.filter(|(watched, _)| counts.get(&watched.user_names()).copied() == Some(most));
        let last = of_most.max_by_key(|(_, watched)| watched.due);
        let last = last.filter(|(_, watched)| has_more || due < watched.due);
        let Some(last) = last.map(|(conversation, _)| conversation.clone()) else {
            return false;
        };
        self.watched.remove(&last).is_some()
    }

    fn find_next(&mut self) {
        self.next = self.watched.values().map(|watched| watched.due).min();
    }
}

/// How often each user occurs.
fn counts_of_users<'u>(
    users: impl Iterator<Item = UserNames<'u>>,
) -> HashMap<UserNames<'u>, usize> {
    let mut counts = HashMap::new();
    for user in users {
        let count: &mut usize = counts.entry(user).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// Without the conversations.
impl fmt::Debug for Ends {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ends")
    }
}

#[cfg(test)]
mod tests;
