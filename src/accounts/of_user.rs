//! The conversations of a user that may have linked accounts: one sealed record for each user. It is written
//! when an account is linked or ended, and not by calls.

use serde::{Deserialize, Serialize};

use super::AccountContext;
use super::conversation::ConversationPlace;
use super::shared_record::{Entries, SharedRecord};
use super::vault::{AccountPlace, ConversationId};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind, StoreError};
use base::time::UnixTime;

/// The maximum number of conversations of a user. The oldest one ends when there are more.
pub const MAX_CONVERSATIONS: usize = 64;

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
        let ends = self.conversations.iter().map(|each| each.ends);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.conversations.retain(|each| now < each.ends);
    }
}

impl UserConversation {
    /// Whether it is this conversation, of this client.
    fn is(&self, conversation: &ConversationId, client: &str) -> bool {
        self.conversation == *conversation && self.client == client
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

    /// The conversations that may have linked accounts, the newest last.
    pub(crate) async fn conversations(
        &self,
        context: &AccountContext,
    ) -> Result<Vec<UserConversation>, StoreError> {
        let found: ConversationsOfUser = self.record().read(context).await?;
        Ok(found.conversations)
    }

    /// Notes that an account is linked in a conversation.
    pub(super) async fn note_linked(
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

    /// Removes the oldest conversations while there are too many, and returns them. They must then end.
    pub(super) async fn take_surplus(
        &self,
        context: &AccountContext,
    ) -> Result<Vec<UserConversation>, StoreError> {
        let take = |known: &mut ConversationsOfUser| {
            let surplus = known.conversations.len().saturating_sub(MAX_CONVERSATIONS);
            known.conversations.drain(..surplus).collect()
        };
        self.record().change(context, take).await
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

#[cfg(test)]
mod tests;
