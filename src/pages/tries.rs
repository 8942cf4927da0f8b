//! How often codes are redeemed. Each code that comes back goes to a token endpoint with this filter's
//! client id, so a link, and a user's links together, have few tries. A `state` is good for one.

use serde::{Deserialize, Serialize};

use super::sealed::{AuthorizationRequest, digest};
use super::{PageContext, PageRefusal};
use crate::accounts::shared_record::{Entries, SharedRecord};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind};

/// How many codes are redeemed for one link, in its lifetime.
const MAX_TRIES_OF_LINK: usize = 8;
/// How many codes are redeemed for the links of one user, in the lifetime of a link.
const MAX_TRIES_OF_USER: usize = 24;

/// Whether a `state` comes for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    First,
    /// Its code was redeemed before.
    Again,
}

/// The tries of a user, as JSON, which is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tries(Vec<TriedCode>);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct TriedCode {
    /// The authorization request.
    request: String,
    /// The digest of the link.
    link: String,
    expires: u64,
}

impl Entries for Tries {
    fn last_end(&self) -> u64 {
        let ends = self.0.iter().map(|tried| tried.expires);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: u64) {
        self.0.retain(|tried| now < tried.expires);
    }
}

impl PageContext {
    /// Takes a try for the code that came back with an authorization request.
    pub(super) async fn take_try(
        &self,
        authorization: &AuthorizationRequest,
    ) -> Result<Try, PageRefusal> {
        let link = &authorization.link;
        let sealed = self.seals().seal(Purpose::Ticket, &[], link);
        let tried = TriedCode {
            request: authorization.id.clone(),
            link: digest(&sealed),
            expires: authorization.expires,
        };
        let take = |tries: &mut Tries| {
            let tries = &mut tries.0;
            if tries.iter().any(|other| other.request == tried.request) {
                return Ok(Try::Again);
            }
            let of_link = tries.iter().filter(|other| other.link == tried.link);
            if of_link.count() >= MAX_TRIES_OF_LINK || tries.len() >= MAX_TRIES_OF_USER {
                return Err(PageRefusal::TooManyTries);
            }
            tries.push(tried.clone());
            Ok(Try::First)
        };
        let owner = [self.policy.resource.as_str(), &link.issuer, &link.user];
        let record = SharedRecord {
            key: Key::of(RecordKind::Tries, &owner, &[]),
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
