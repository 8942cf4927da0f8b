//! The conversations of a user that may have linked accounts: one sealed record for each user. It is written
//! when an account is linked or ended. Where conversations end when they are idle, calls write it a few times in
//! that period.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::AccountContext;
use super::conversation::{ConversationPlace, EndedWithConversation};
use super::end::Revoke;
use super::shared_record::{Entries, SharedRecord};
use super::vault::{AccountPlace, ConversationId, END_GRACE, LinkedAccount};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind, StoreError};
use base::time::UnixTime;
use policy::MAX_CONVERSATIONS;

/// The maximum size of the names of a user's conversations, in bytes: the server chooses the ids of its sessions.
const MAX_NAMES: usize = 16 * 1024;

/// A user of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserPlace {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the user's tokens.
    pub issuer: String,
    /// The user's id.
    pub user: String,
}

/// A conversation of a user and a client, in which accounts may be linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserConversation {
    /// The conversation.
    pub conversation: ConversationId,
    /// The client. Empty if clients share accounts, or the token names none.
    pub client: String,
    /// When the first account was linked.
    pub began: UnixTime,
    /// When an account was used or linked last, as far as it was noted.
    pub last_used: UnixTime,
    /// When its last account ends.
    pub ends: UnixTime,
}

/// The conversations of a user, as JSON that is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct ConversationsOfUser {
    /// The newest one comes last.
    conversations: Vec<UserConversation>,
}

/// The conversations of a user that may have linked accounts, the newest last.
///
/// # Errors
///
/// The store is not available.
pub async fn conversations_of_user(
    context: &AccountContext,
    resource: &str,
    issuer: &str,
    user: &str,
) -> Result<Vec<UserConversation>, StoreError> {
    let place = UserPlace {
        resource: resource.to_owned(),
        issuer: issuer.to_owned(),
        user: user.to_owned(),
    };
    place.conversations(context).await
}

impl Entries for ConversationsOfUser {
    fn last_end(&self) -> UnixTime {
        let ends = self.conversations.iter().map(UserConversation::kept_until);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.conversations.retain(|each| now < each.kept_until());
    }
}

impl UserConversation {
    /// Whether it is this conversation, of this client.
    fn is(&self, conversation: &ConversationId, client: &str) -> bool {
        self.conversation == *conversation && self.client == client
    }

    /// The size of its names, in bytes.
    fn size(&self) -> usize {
        let names = self.conversation.named().into_iter().map(str::len);
        names.fold(self.client.len(), usize::saturating_add)
    }

    /// Until then a worker may have to end what is over.
    fn kept_until(&self) -> UnixTime {
        self.ends.saturating_add(END_GRACE)
    }
}

impl UserPlace {
    /// The user of an account.
    pub fn of(place: &AccountPlace) -> Self {
        Self {
            resource: place.resource.clone(),
            issuer: place.issuer.clone(),
            user: place.user.clone(),
        }
    }

    /// The user of a conversation.
    pub(super) fn of_conversation(place: &ConversationPlace) -> Self {
        Self {
            resource: place.resource.clone(),
            issuer: place.issuer.clone(),
            user: place.user.clone(),
        }
    }

    /// The conversations that may have linked accounts, the newest last.
    pub(crate) async fn conversations(
        &self,
        context: &AccountContext,
    ) -> Result<Vec<UserConversation>, StoreError> {
        let found: ConversationsOfUser = self.record().read(context).await?;
        let mut conversations = found.conversations;
        conversations.retain(|each| context.now() < each.ends);
        Ok(conversations)
    }

    /// Notes that an account is linked in a conversation.
    pub(crate) async fn note_linked(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        ends: UnixTime,
    ) -> Result<(), StoreError> {
        let now = context.now();
        let note = |known: &mut ConversationsOfUser| {
            let of_place = |each: &UserConversation| each.is(&place.conversation, &place.client);
            match known.conversations.iter_mut().find(|each| of_place(each)) {
                Some(known) => {
                    known.last_used = known.last_used.max(now);
                    known.ends = known.ends.max(ends);
                }
                None => known.conversations.push(UserConversation {
                    conversation: place.conversation.clone(),
                    client: place.client.clone(),
                    began: now,
                    last_used: now,
                    ends,
                }),
            }
        };
        self.record().change(context, note).await
    }

    /// Makes room for a conversation in which an account is to be linked: the oldest ones of the same client end
    /// while there are too many, and the oldest ones of all clients.
    ///
    /// Their tokens are revoked before the new account is requested. Many authorization servers have one grant for
    /// all links of a browser, and would end the new token with an old one.
    pub(crate) async fn make_room(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        how: Revoke,
    ) -> Result<(), StoreError> {
        let known = self.conversations(context).await?;
        for old in surplus(&known, place, context.policy.vault.conversations) {
            let conversation = self.conversation(&old.conversation);
            let ended = conversation.end_of(context, Some(&old.client), how).await?;
            all_ended(ended)?;
        }
        Ok(())
    }

    /// Forgets a conversation that was idle for too long, or is not known. Otherwise returns until when it may be
    /// idle. Of all replicas one forgets it.
    pub(super) async fn forget_idle(
        &self,
        context: &AccountContext,
        conversation: &ConversationId,
        client: &str,
        idle: Duration,
    ) -> Result<Option<UnixTime>, StoreError> {
        let now = context.now();
        let forget = |known: &mut ConversationsOfUser| {
            let mut of_client = known.conversations.iter();
            let found = of_client.find(|each| each.is(conversation, client))?;
            let until = found.last_used.saturating_add(idle);
            if now < until {
                return Some(until);
            }
            let known = &mut known.conversations;
            known.retain(|each| !each.is(conversation, client));
            None
        };
        self.record().change(context, forget).await
    }

    /// The last use of a conversation that was noted. `None`: it is not known.
    pub(super) async fn last_use(
        &self,
        context: &AccountContext,
        conversation: &ConversationId,
        client: &str,
    ) -> Result<Option<UnixTime>, StoreError> {
        let known = self.conversations(context).await?;
        let mut known = known.iter();
        let known = known.find(|each| each.is(conversation, client));
        Ok(known.map(|known| known.last_used))
    }

    /// Notes a use of an account's conversation, unless one was noted a short time ago: a tenth of `idle`. Returns
    /// the use that the store has. `None`: the conversation was idle for too long.
    pub(super) async fn note_use(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        account: &LinkedAccount,
        idle: Duration,
    ) -> Result<Option<UnixTime>, StoreError> {
        let now = context.now();
        let note = |known: &mut ConversationsOfUser| {
            let of_place = |each: &UserConversation| each.is(&place.conversation, &place.client);
            let entry = known.conversations.iter_mut().find(|each| of_place(each));
            let last_used = entry.as_ref().map_or(account.linked_at, |it| it.last_used);
            if last_used.saturating_add(idle) <= now {
                return None;
            }
            match entry {
                Some(entry) if now < last_used.saturating_add(noted_every(idle)) => {
                    return Some(entry.last_used);
                }
                Some(entry) => entry.last_used = now,
                // The account is older than the list of conversations.
                None => known.conversations.push(UserConversation {
                    conversation: place.conversation.clone(),
                    client: place.client.clone(),
                    began: account.linked_at,
                    last_used: now,
                    ends: account.ends,
                }),
            }
            Some(now)
        };
        self.record().change(context, note).await
    }

    /// Ends the conversations of these, of all clients. `also` are ended even if they are not in the list.
    ///
    /// # Errors
    ///
    /// The store is not available; some may have ended.
    pub(crate) async fn end_where(
        &self,
        context: &AccountContext,
        how: Revoke,
        is_meant: impl Fn(&ConversationId) -> bool,
        also: Vec<ConversationId>,
    ) -> Result<Vec<EndedWithConversation>, StoreError> {
        let mut meant = also;
        for known in self.conversations(context).await? {
            if is_meant(&known.conversation) && !meant.contains(&known.conversation) {
                meant.push(known.conversation);
            }
        }
        let mut ended = Vec::new();
        for conversation in meant {
            let conversation = self.conversation(&conversation);
            ended.extend(conversation.end_of(context, None, how).await?);
        }
        Ok(ended)
    }

    /// Forgets a conversation: of one client, or of all.
    pub(super) async fn forget(
        &self,
        context: &AccountContext,
        conversation: &ConversationId,
        client: Option<&str>,
    ) -> Result<(), StoreError> {
        let forget = |known: &mut ConversationsOfUser| {
            known.conversations.retain(|each| {
                let is_of_client = client.is_none_or(|client| each.client == client);
                each.conversation != *conversation || !is_of_client
            });
        };
        self.record().change(context, forget).await
    }

    /// A conversation of the user.
    pub(crate) fn conversation(&self, conversation: &ConversationId) -> ConversationPlace {
        ConversationPlace {
            resource: self.resource.clone(),
            issuer: self.issuer.clone(),
            user: self.user.clone(),
            conversation: conversation.clone(),
        }
    }

    fn record(&self) -> SharedRecord<'_> {
        let owner = [self.resource.as_str(), &self.issuer, &self.user];
        SharedRecord {
            key: Key::of(RecordKind::UserConversations, &owner, &owner),
            purpose: Purpose::UserConversations,
            owner: Owner {
                resource: &self.resource,
                issuer: &self.issuer,
                user: &self.user,
                view: "",
            },
        }
    }
}

/// The conversations that end so that the one of `place` is within the limits. Only older ones do: of two that begin
/// at the same time, at two replicas, one stays.
fn surplus<'k>(
    known: &'k [UserConversation],
    place: &AccountPlace,
    limit: usize,
) -> Vec<&'k UserConversation> {
    let own = |each: &UserConversation| each.is(&place.conversation, &place.client);
    let older = known.iter().take_while(|each| !own(each));
    let (mut of_client, mut of_all, mut size) = (1_usize, 1_usize, 0_usize);
    let newest_first: Vec<_> = older.collect();
    let over = newest_first.into_iter().rev().filter(|each| {
        of_client = of_client.saturating_add(usize::from(each.client == place.client));
        of_all = of_all.saturating_add(1);
        size = size.saturating_add(each.size());
        let is_over_client = each.client == place.client && of_client > limit;
        is_over_client || of_all > usize::from(MAX_CONVERSATIONS) || size > MAX_NAMES
    });
    over.collect()
}

/// The first failure among the ends of accounts.
///
/// # Errors
///
/// The store failed for one of them. Its account may still be there.
pub(crate) fn all_ended(ended: Vec<EndedWithConversation>) -> Result<(), StoreError> {
    ended
        .into_iter()
        .try_for_each(|(_, outcome)| outcome.map(drop))
}

/// How often a use of a conversation is noted that ends when it is idle.
pub(super) fn noted_every(idle: Duration) -> Duration {
    idle.checked_div(10).unwrap_or_default()
}

#[cfg(test)]
mod tests;
