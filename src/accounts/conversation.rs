//! The accounts that are linked in a conversation, and the authorization requests that may link more. All
//! of them end with the conversation. An authorization code that arrives later links no account.

use std::cell::RefCell;
use std::collections::BTreeSet;
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
    /// When its end began. It stays in the list until its record is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_began: Option<UnixTime>,
}

/// An account that the server refused.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct RefusedName {
    account: AccountName,
    /// It is forgotten then.
    until: UnixTime,
}

/// The name of an account in its conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Whether a worker has to end the account.
    fn is_over(&self, now: UnixTime) -> bool {
        self.ends <= now || self.end_began.is_some()
    }

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

    /// Notes the account that an authorization request is about to link. `false`: the conversation has ended since.
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

    /// Whether the account at a place is noted, and its end has not begun.
    pub(crate) async fn keeps(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
    ) -> Result<bool, StoreError> {
        let account = AccountName::of(place);
        let linked: LinkedInConversation = self.record().read(context).await?;
        Ok(linked.lists(&account))
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
        for over in of_client.filter(|kept| kept.is_over(now)) {
            // It may have been linked again meanwhile.
            let is_over = |account: &LinkedAccount| {
                let end_began = over.end_began;
                account.last_use() <= now
                    || end_began.is_some_and(|began| account.linked_at <= began)
            };
            let place = self.place_of(over.account.clone());
            end_if(context, &place, Revoke::Later, is_over).await?;
        }
        let forget = |linked: &mut LinkedInConversation| {
            let is_of = |account: &AccountName| account.client == client;
            let accounts = &mut linked.accounts;
            accounts.retain(|kept| !kept.is_over(now) || !is_of(&kept.account));
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
        let is_meant = |account: &AccountName| client.is_none_or(|client| account.client == client);
        let begun = self.begin_end(context, &is_meant).await?;
        let mut ended = Vec::new();
        let mut over = Vec::new();
        for account in begun {
            let outcome = end(context, &self.place_of(account.clone()), how).await;
            let (connection, client) = (account.connection.clone(), account.client.clone());
            match outcome {
                Ok(_) => over.push(account),
                Err(_) => self.try_again(context, client),
            }
            ended.push((connection, outcome));
        }
        // If this fails, the conversation names accounts that are not there.
        let _ = self.forget_over(context, &over, client).await;
        Ok(ended)
    }

    /// Ends the account at a place, and the authorization requests that may link another one. `None`: there was no
    /// account.
    ///
    /// # Errors
    ///
    /// The store is not available; the record may still be there.
    pub(super) async fn end_account(
        &self,
        context: &AccountContext,
        place: &AccountPlace,
        how: Revoke,
    ) -> Result<Option<EndedAccount>, StoreError> {
        let account = AccountName::of(place);
        self.begin_end(context, &|other| *other == account).await?;
        let ended = end(context, place, how).await;
        match ended {
            Ok(_) => {
                // If this fails, the conversation names an account that is not there.
                let over = [account];
                let _ = self.forget_over(context, &over, Some(&place.client)).await;
            }
            Err(_) => self.try_again(context, place.client.clone()),
        }
        ended
    }

    /// Begins the end of accounts: no request links another one in their places. They stay in the list until their
    /// records are deleted, so that an end during an outage of the store is tried again.
    async fn begin_end(
        &self,
        context: &AccountContext,
        is_meant: &impl Fn(&AccountName) -> bool,
    ) -> Result<Vec<AccountName>, StoreError> {
        let now = context.now();
        let clients = RefCell::new(BTreeSet::new());
        let begin = |linked: &mut LinkedInConversation| {
            let begun = linked.begin_end(is_meant, now);
            let mut clients = clients.borrow_mut();
            clients.extend(begun.iter().map(|account| account.client.clone()));
            begun
        };
        let begun = self.record().change(context, begin).await;
        if begun == Err(StoreError::Full) {
            // There is no room for the note, and always for a shorter list.
            let take = |linked: &mut LinkedInConversation| linked.take(is_meant);
            return self.record().change(context, take).await;
        }
        if begun.is_err() {
            // It may have begun although the store did not say so.
            for client in clients.into_inner() {
                self.try_again(context, client);
            }
        }
        begun
    }

    /// Removes ended accounts from the list. The conversation is forgotten if it has no other account of the client.
    async fn forget_over(
        &self,
        context: &AccountContext,
        over: &[AccountName],
        client: Option<&str>,
    ) -> Result<(), StoreError> {
        let forget = |linked: &mut LinkedInConversation| {
            let is_over =
                |kept: &KeptAccount| kept.end_began.is_some() && over.contains(&kept.account);
            linked.accounts.retain(|kept| !is_over(kept));
            match client {
                Some(client) => !linked.has_of(client),
                None => linked.accounts.is_empty() && linked.requests.is_empty(),
            }
        };
        if self.record().change(context, forget).await? {
            let user = UserPlace::of_conversation(self);
            user.forget(context, &self.conversation, client).await?;
        }
        Ok(())
    }

    /// Lets the worker try an end again that failed.
    fn try_again(&self, context: &AccountContext, client: String) {
        let place = self.clone();
        let conversation = ClientConversation { place, client };
        context.ends.try_again(conversation, context.now());
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
    /// Removes accounts and requests. Returns the accounts.
    fn take(&mut self, is_meant: impl Fn(&AccountName) -> bool) -> Vec<AccountName> {
        self.requests.retain(|request| !is_meant(&request.account));
        let accounts = &mut self.accounts;
        let taken = accounts.extract_if(.., |kept| is_meant(&kept.account));
        taken.map(|taken| taken.account).collect()
    }

    /// Removes requests, and notes that the end of accounts begins. Returns the accounts.
    fn begin_end(
        &mut self,
        is_meant: impl Fn(&AccountName) -> bool,
        now: UnixTime,
    ) -> Vec<AccountName> {
        self.requests.retain(|request| !is_meant(&request.account));
        let accounts = self.accounts.iter_mut();
        let begun = accounts.filter(|kept| is_meant(&kept.account)).map(|kept| {
            kept.end_began = Some(now);
            kept.account.clone()
        });
        begun.collect()
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

    /// Whether an account is listed, and its end has not begun.
    fn lists(&self, account: &AccountName) -> bool {
        let mut accounts = self.accounts.iter();
        accounts.any(|kept| kept.account == *account && kept.end_began.is_none())
    }

    fn keep(&mut self, account: AccountName, ends: UnixTime) {
        let accounts = &mut self.accounts;
        accounts.retain(|kept| kept.account != account);
        accounts.push(KeptAccount {
            account,
            ends,
            end_began: None,
        });
    }
}
