//! The open questions to the people of an organization. The store cannot list records, so one record has
//! their keys.

use serde::{Deserialize, Serialize};

use crate::accounts::AccountContext;
use crate::accounts::shared_record::{Entries, SharedRecord};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind, StoreError};
use base::time::UnixTime;

/// The maximum number of open questions of one caller.
const MAX_OF_CALLER: usize = 8;
/// The maximum number of open questions of an organization.
const MAX_OPEN: usize = 64;

/// The list of an organization, at one issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenApprovals<'a> {
    /// The MCP server: `resource` of the policy.
    pub(crate) resource: &'a str,
    /// The issuer of the callers and of the people who answer.
    pub(crate) issuer: &'a str,
    /// The organization. `None`: the issuer names none, so all its users are of one.
    pub(crate) organization: Option<&'a str>,
}

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenApproval {
    /// Its record.
    pub(crate) key: Key,
    /// The user id of the caller.
    pub(crate) user: String,
    /// The role of the people who may answer.
    pub(crate) role: String,
    /// When it ends.
    pub(crate) ends: UnixTime,
}

/// The entries, as JSON that is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct ListedApprovals(Vec<OpenApproval>);

impl Entries for ListedApprovals {
    fn last_end(&self) -> UnixTime {
        let ends = self.0.iter().map(|open| open.ends);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.0.retain(|open| now < open.ends);
    }
}

impl OpenApprovals<'_> {
    /// Adds a question, or prolongs it. `false`: too many are open.
    pub(crate) async fn add(
        self,
        context: &AccountContext,
        new: &OpenApproval,
    ) -> Result<bool, StoreError> {
        let add = |list: &mut ListedApprovals| {
            let open = &mut list.0;
            open.retain(|other| other.key != new.key);
            let of_caller = open.iter().filter(|other| other.user == new.user).count();
            let has_room = of_caller < MAX_OF_CALLER && open.len() < MAX_OPEN;
            if has_room {
                open.push(new.clone());
            }
            has_room
        };
        self.record().change(context, add).await
    }

    /// Removes a question that was answered.
    pub(crate) async fn remove(
        self,
        context: &AccountContext,
        key: &Key,
    ) -> Result<(), StoreError> {
        let remove = |list: &mut ListedApprovals| list.0.retain(|open| open.key != *key);
        self.record().change(context, remove).await
    }

    /// The open questions, the oldest first.
    pub(crate) async fn read(
        self,
        context: &AccountContext,
    ) -> Result<Vec<OpenApproval>, StoreError> {
        let list: ListedApprovals = self.record().read(context).await?;
        Ok(list.0)
    }

    fn record(&self) -> SharedRecord<'_> {
        let kind = match self.organization {
            Some(_) => "organization",
            None => "issuer",
        };
        let organization = self.organization.unwrap_or_default();
        let owner = [self.resource, self.issuer, kind, organization];
        SharedRecord {
            key: Key::of(RecordKind::OpenApprovals, &owner, &[]),
            purpose: Purpose::OpenApprovals,
            owner: Owner {
                resource: self.resource,
                issuer: self.issuer,
                user: "",
                view: organization,
            },
        }
    }
}
