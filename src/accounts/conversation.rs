//! The accounts that are linked in a conversation, and the authorization requests that may link more. All
//! of them end with the conversation. An authorization code that arrives later links no account.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::AccountContext;
use super::end::{EndedAccount, Revoke, end, end_if};
use super::ends::ClientConversation;
use super::of_user::UserPlace;
use super::shared_record::{Entries, SharedRecord};
use super::vault::{AccountPlace, ConversationId, END_GRACE, LinkedAccount};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind, StoreError};
use base::time::UnixTime;

/// The maximum number of open authorization requests in a conversation.
const MAX_REQUESTS: usize = 8;
/// The maximum number of linked accounts in a conversation.
const MAX_ACCOUNTS: usize = 64;
/// How long it is remembered that the server refused an account.
const REFUSED_MEMORY: Duration = Duration::from_secs(600);

/// A conversation of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConversationPlace {
    /// The MCP server: `resource` of the policy.
    pub resource: String,
    /// The `iss` of the caller's token.
    pub issuer: String,
    /// The calling user's id.
    pub user: String,
    /// The conversation.
    pub conversation: ConversationId,
}

/// An account that ended with its conversation: its connection, and the result.
pub type EndedWithConversation = (String, Result<Option<EndedAccount>, StoreError>);

/// A linked account of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationAccount {
    /// Where it is kept.
    pub place: AccountPlace,
    /// Its name at the resource.
    pub name: Option<String>,
    /// When it was linked.
    pub since: UnixTime,
    /// When it ends at the latest.
    pub until: UnixTime,
}

/// The linked accounts of a conversation, as JSON that is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct LinkedInConversation {
    requests: Vec<SentRequest>,
    accounts: Vec<KeptAccount>,
    /// Accounts that the server refused a short time ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedName>,
}

/// An authorization request that was sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct SentRequest {
    id: String,
    account: AccountName,
    expires: UnixTime,
}

/// An account that is linked.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct KeptAccount {
    account: AccountName,
    ends: UnixTime,
}

/// An account that the server refused.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct RefusedName {
    account: AccountName,
    /// It is forgotten then.
    until: UnixTime,
}

/// The name of an account in its conversation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct AccountName {
    connection: String,
    client: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    test_user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    kept: String,
}

impl AccountName {
    fn of(place: &AccountPlace) -> Self {
        Self {
            connection: place.connection.clone(),
            client: place.client.clone(),
            test_user: place.test_user.clone(),
            kept: place.kept.clone(),
        }
    }
}

impl KeptAccount {
    fn kept_until(&self) -> UnixTime {
        self.ends.saturating_add(END_GRACE)
    }
}

impl Entries for LinkedInConversation {
    fn last_end(&self) -> UnixTime {
        let requests = self.requests.iter().map(|request| request.expires);
        let accounts = self.accounts.iter().map(KeptAccount::kept_until);
        let refused = self.refused.iter().map(|refused| refused.until);
        let ends = requests.chain(accounts).chain(refused);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.requests.retain(|request| now < request.expires);
        // An account that is over stays until a worker has ended it.
        self.accounts.retain(|account| now < account.kept_until());
        self.refused.retain(|refused| now < refused.until);
    }
}

impl ConversationPlace {
    /// The conversation in which an account is used.
    pub fn of(place: &AccountPlace) -> Self {
        Self {
            resource: place.resource.clone(),
            issuer: place.issuer.clone(),
            user: place.user.clone(),
            conversation: place.conversation.clone(),
        }
    }

    /// Notes an authorization request. `false`: too many are open.
    pub(crate) async fn note_request(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        id: &str,
        expires: UnixTime,
    ) -> Result<bool, StoreError> {
        let note = |linked: &mut LinkedInConversation| {
            let has_room =
                linked.requests.len() < MAX_REQUESTS && linked.accounts.len() < MAX_ACCOUNTS;
            if has_room {
                linked.requests.push(SentRequest {
                    id: id.to_owned(),
                    account: AccountName::of(place),
                    expires,
                });
            }
            has_room
        };
        self.record().change(context, note).await
    }

    /// Whether an authorization request is open, and the conversation has not ended since.
    pub(crate) async fn awaits(
        &self,
        context: &AccountContext,
        id: &str,
    ) -> Result<bool, StoreError> {
        let linked: LinkedInConversation = self.record().read(context).await?;
        Ok(linked.requests.iter().any(|request| request.id == id))
    }

    /// Notes the account that an authorization request linked. `false`: the conversation has ended since,
    /// and nothing would end the account.
    pub(crate) async fn note_account(
        &self,
        context: &AccountContext,
        id: &str,
        ends: UnixTime,
    ) -> Result<bool, StoreError> {
        let note = |linked: &mut LinkedInConversation| {
            let Some(at) = linked.requests.iter().position(|request| request.id == id) else {
                return false;
            };
            let request = linked.requests.remove(at);
            linked.keep(request.account, ends);
            true
        };
        self.record().change(context, note).await
    }

    /// The linked accounts of the conversation, of all clients.
    ///
    /// # Errors
    ///
    /// The store is not available.
    pub async fn accounts(
        &self,
        context: &AccountContext,
    ) -> Result<Vec<ConversationAccount>, StoreError> {
        let linked: LinkedInConversation = self.record().read(context).await?;
        let mut accounts: Vec<ConversationAccount> = Vec::new();
        for kept in linked.accounts {
            let place = self.place_of(kept.account);
            let found = context.effects.get(place.key()).await?;
            let account = found.and_then(|it| place.open(&context.sealer, &it, context.now()));
            accounts.extend(account.map(|account| ConversationAccount {
                place,
                name: account.name,
                since: account.linked_at,
                until: account.ends,
            }));
        }
        Ok(accounts)
    }

    /// Notes that an account was linked: the worker ends it when its time is over.
    pub(crate) fn watch(context: &AccountContext, place: &AccountPlace, ends: UnixTime) {
        let idle = context.policy.vault.idle(place.conversation.has_name());
        let idle_until = idle.map(|idle| context.now().saturating_add(idle));
        let due = idle_until.map_or(ends, |until| until.min(ends));
        let conversation = ClientConversation::of(place);
        context.ends.watch(conversation, due);
    }

    /// Ends the accounts of a client whose time is over. Returns when the next one ends. `None`: there is none,
    /// and no authorization request may link one.
    pub(super) async fn end_over(
        &self,
        context: &AccountContext,
        client: &str,
    ) -> Result<Option<UnixTime>, StoreError> {
        let now = context.now();
        let linked: LinkedInConversation = self.record().read(context).await?;
        let of_client = linked.accounts.iter();
        let of_client = of_client.filter(|kept| kept.account.client == client);
        for over in of_client.filter(|kept| kept.ends <= now) {
            // It may have been linked again meanwhile.
            let is_over = |account: &LinkedAccount| account.last_use() <= now;
            let place = self.place_of(over.account.clone());
            end_if(context, &place, Revoke::Later, is_over).await?;
        }
        let forget = |linked: &mut LinkedInConversation| {
            let is_of = |account: &AccountName| account.client == client;
            let accounts = &mut linked.accounts;
            accounts.retain(|kept| now < kept.ends || !is_of(&kept.account));
            let accounts = linked.accounts.iter();
            let accounts = accounts.filter(|kept| is_of(&kept.account));
            let requests = linked.requests.iter();
            let requests = requests.filter(|request| is_of(&request.account));
            let ends = accounts.map(|kept| kept.ends);
            ends.chain(requests.map(|request| request.expires)).min()
        };
        let next = self.record().change(context, forget).await?;
        if next.is_none() {
            self.forget_client(context, client).await?;
        }
        Ok(next)
    }

    /// Forgets an account that ends then, because it has ended. A newer one at its place stays.
    pub(super) async fn forget_account(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        ended: &LinkedAccount,
    ) -> Result<(), StoreError> {
        let (account, ends) = (AccountName::of(place), ended.last_use());
        let forget = |linked: &mut LinkedInConversation| linked.forget(&account, ends);
        if self.record().change(context, forget).await? {
            self.forget_client(context, &place.client).await?;
        }
        Ok(())
    }

    /// Notes an account that is linked already, at its place.
    pub(crate) async fn note(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        ends: UnixTime,
    ) -> Result<(), StoreError> {
        let account = AccountName::of(place);
        let note = |linked: &mut LinkedInConversation| linked.keep(account.clone(), ends);
        self.record().change(context, note).await
    }

    /// Notes that an account is about to be moved to another place, and the account there to `copy`. `false`: it
    /// has ended. The end of the conversation ends the accounts in the order of the list: first at the old place.
    pub(super) async fn begin_move(
        &self,
        context: &AccountContext,
        from: &AccountPlace,
        to: (&AccountPlace, UnixTime),
        copy: Option<(&AccountPlace, UnixTime)>,
    ) -> Result<bool, StoreError> {
        let note = |linked: &mut LinkedInConversation| {
            let is_listed = linked.lists(&AccountName::of(from));
            for (place, ends) in [Some(to), copy].into_iter().flatten().filter(|_| is_listed) {
                linked.keep(AccountName::of(place), ends);
            }
            is_listed
        };
        self.record().change(context, note).await
    }

    /// Forgets an account that has ended because the server refused it. Returns whether it refused another one at its place a short
    /// time before.
    pub(super) async fn forget_refused(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        ended: &LinkedAccount,
    ) -> Result<bool, StoreError> {
        let (account, ends) = (AccountName::of(place), ended.last_use());
        let until = context.now().saturating_add(REFUSED_MEMORY);
        let forget = |linked: &mut LinkedInConversation| {
            let before = linked.refused.len();
            linked.refused.retain(|refused| refused.account != account);
            let was_refused = linked.refused.len() < before;
            linked.refused.push(RefusedName {
                account: account.clone(),
                until,
            });
            (linked.forget(&account, ends), was_refused)
        };
        let (is_empty, was_refused) = self.record().change(context, forget).await?;
        if is_empty {
            self.forget_client(context, &place.client).await?;
        }
        Ok(was_refused)
    }

    /// Forgets a client that has no account in the conversation any more.
    async fn forget_client(
        &self,
        context: &AccountContext,
        client: &str,
    ) -> Result<(), StoreError> {
        let user = UserPlace::of_conversation(self);
        user.forget(context, &self.conversation, Some(client)).await
    }

    /// Forgets an account, and the authorization requests that may link another one.
    pub(crate) async fn forget(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
    ) -> Result<(), StoreError> {
        let account = AccountName::of(place);
        let forget = |linked: &mut LinkedInConversation| {
            let requests = &mut linked.requests;
            requests.retain(|request| request.account != account);
            let accounts = &mut linked.accounts;
            accounts.retain(|kept| kept.account != account);
            !linked.has_of(&account.client)
        };
        if self.record().change(context, forget).await? {
            self.forget_client(context, &place.client).await?;
        }
        Ok(())
    }

    /// Ends the conversation with all its accounts.
    ///
    /// # Errors
    ///
    /// The store is not available; nothing ended.
    pub async fn end(
        &self,
        context: &AccountContext,
    ) -> Result<Vec<EndedWithConversation>, StoreError> {
        self.end_of(context, None, Revoke::Now).await
    }

    /// Ends the accounts of one client in the conversation, or of all clients.
    ///
    /// # Errors
    ///
    /// The store is not available; nothing ended.
    pub(crate) async fn end_of(
        &self,
        context: &AccountContext,
        client: Option<&str>,
        how: Revoke,
    ) -> Result<Vec<EndedWithConversation>, StoreError> {
        // This comes first, so that no other request links an account.
        let take = |linked: &mut LinkedInConversation| linked.take_of(client);
        let taken = self.record().change(context, take).await?;
        let mut ended = Vec::new();
        for account in taken {
            let connection = account.connection.clone();
            let outcome = end(context, &self.place_of(account), how).await;
            ended.push((connection, outcome));
        }
        let user = UserPlace::of_conversation(self);
        // If this fails, the conversation is listed without accounts until its end.
        let _ = user.forget(context, &self.conversation, client).await;
        Ok(ended)
    }

    /// The place of an account that is used in the conversation.
    fn place_of(&self, account: AccountName) -> AccountPlace {
        AccountPlace {
            resource: self.resource.clone(),
            issuer: self.issuer.clone(),
            user: self.user.clone(),
            conversation: self.conversation.clone(),
            connection: account.connection,
            client: account.client,
            test_user: account.test_user,
            kept: account.kept,
        }
    }

    fn record(&self) -> SharedRecord<'_> {
        let (resource, issuer, user) = (&self.resource, &self.issuer, &self.user);
        let owner = [resource.as_str(), issuer, user];
        let named = [&owner[..], &self.conversation.named()].concat();
        SharedRecord {
            key: Key::of(RecordKind::Conversation, &owner, &named),
            purpose: Purpose::Conversation,
            owner: Owner {
                resource,
                issuer,
                user,
                view: "",
            },
        }
    }

    /// For tests: the operation by which another replica ends the conversation.
    #[cfg(test)]
    pub(crate) fn forgotten(&self) -> base::store::StoreOperation {
        base::store::StoreOperation::Delete(self.record().key)
    }

    /// For tests: the operation that notes a linked account where nothing is noted yet.
    #[cfg(test)]
    pub(crate) fn linked(
        sealer: &base::seal::Sealer,
        place: &AccountPlace,
        ends: UnixTime,
    ) -> base::store::StoreOperation {
        let mut linked = LinkedInConversation::default();
        linked.keep(AccountName::of(place), ends);
        let record = Self::of(place).record().record(sealer, &linked);
        base::store::StoreOperation::Put(record)
    }
}

impl LinkedInConversation {
    /// Removes the accounts and requests of one client, or of all. Returns the accounts.
    fn take_of(&mut self, client: Option<&str>) -> Vec<AccountName> {
        let is_of = |account: &AccountName| client.is_none_or(|client| account.client == client);
        self.requests.retain(|request| !is_of(&request.account));
        let accounts = std::mem::take(&mut self.accounts).into_iter();
        let (taken, kept): (Vec<_>, _) = accounts.partition(|kept| is_of(&kept.account));
        self.accounts = kept;
        taken.into_iter().map(|taken| taken.account).collect()
    }

    /// Forgets an account that ends then. A newer one stays. Returns whether its client has no other one.
    fn forget(&mut self, account: &AccountName, ends: UnixTime) -> bool {
        let accounts = &mut self.accounts;
        accounts.retain(|kept| kept.account != *account || ends < kept.ends);
        !self.has_of(&account.client)
    }

    /// Whether the client has an account, or may link one.
    fn has_of(&self, client: &str) -> bool {
        let requests = self.requests.iter().map(|request| &request.account);
        let accounts = self.accounts.iter().map(|kept| &kept.account);
        requests
            .chain(accounts)
            .any(|account| account.client == client)
    }

    fn lists(&self, account: &AccountName) -> bool {
        self.accounts.iter().any(|kept| kept.account == *account)
    }

    fn keep(&mut self, account: AccountName, ends: UnixTime) {
        let accounts = &mut self.accounts;
        accounts.retain(|kept| kept.account != account);
        accounts.push(KeptAccount { account, ends });
    }
}
