//! Limits of code redemptions. Each code of a redirect is sent to a token endpoint with the filter's client
//! id. So a link, and all links of a user, have few tries. A `state` is used once.

use serde::{Deserialize, Serialize};

use super::sealed::{AuthorizationRequest, LinkPurpose, PageLink, digest};
use super::{PageContext, PageRefusal};
use crate::accounts::shared_record::{Entries, SharedRecord};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind};
use base::time::UnixTime;

/// The number of codes that are redeemed for one link in its lifetime.
const MAX_TRIES_OF_LINK: usize = 8;
/// The number of codes that are redeemed for the links of one user, in the lifetime of a link.
const MAX_TRIES_OF_USER: usize = 24;
/// The same for a person who answers for calls, with a sign-in for each, and for all people who begin to do so
/// from one network.
const MAX_TRIES_OF_APPROVER: usize = 120;

/// The try of a `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    First,
    /// The `state` was used before.
    Again,
}

/// The tries of a user, as JSON that is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tries(Vec<TriedCode>);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct TriedCode {
    /// The authorization request.
    request: String,
    /// The digest of the link.
    link: String,
    expires: UnixTime,
}

impl Entries for Tries {
    fn last_end(&self) -> UnixTime {
        let ends = self.0.iter().map(|tried| tried.expires);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.0.retain(|tried| now < tried.expires);
    }
}

impl PageContext {
    /// Uses a try for the code of an authorization request.
    pub(super) async fn take_try(
        &self,
        authorization: &AuthorizationRequest,
    ) -> Result<Try, PageRefusal> {
        let AuthorizationRequest {
            link, id, expires, ..
        } = authorization;
        self.take_try_of(link, id, *expires).await
    }

    /// Uses a try of a link, with an id of its own, which counts until `expires`.
    pub(super) async fn take_try_of(
        &self,
        link: &PageLink,
        id: &str,
        expires: UnixTime,
    ) -> Result<Try, PageRefusal> {
        let sealed = self.seals().seal(Purpose::Ticket, &[], link);
        let tried = TriedCode {
            request: id.to_owned(),
            link: digest(&sealed),
            expires,
        };
        let (most_of_link, most, network) = match link.purpose {
            // The user is not known before the sign-in.
            LinkPurpose::Approvals | LinkPurpose::Overview => {
                let network = self.effects.client().await.name();
                (MAX_TRIES_OF_APPROVER, MAX_TRIES_OF_APPROVER, network)
            }
            LinkPurpose::Decide(_) => (MAX_TRIES_OF_LINK, MAX_TRIES_OF_APPROVER, String::new()),
            LinkPurpose::Connect { .. } | LinkPurpose::Answer { .. } => {
                (MAX_TRIES_OF_LINK, MAX_TRIES_OF_USER, String::new())
            }
        };
        let take = |tries: &mut Tries| {
            let tries = &mut tries.0;
            if tries.iter().any(|other| other.request == tried.request) {
                return Ok(Try::Again);
            }
            let of_link = tries.iter().filter(|other| other.link == tried.link);
            if of_link.count() >= most_of_link || tries.len() >= most {
                return Err(PageRefusal::TooManyTries);
            }
            tries.push(tried.clone());
            Ok(Try::First)
        };
        let owner = [
            self.policy.resource.as_str(),
            &link.issuer,
            &link.user,
            &network,
        ];
        let named = owner.get(..if network.is_empty() { 3 } else { 4 });
        let record = SharedRecord {
            key: Key::of(RecordKind::Tries, named.unwrap_or_default(), &[]),
            purpose: Purpose::Tries,
            owner: Owner {
                resource: &self.policy.resource,
                issuer: &link.issuer,
                user: &link.user,
                view: "",
            },
        };
        record.change(self, take).await?
    }
}
