//! The questions about calls that wait for a user's answer on a page. The store cannot list records, so one
//! record of the user has their keys.

use serde::{Deserialize, Serialize};

use super::call_question::QuestionPlace;
use crate::accounts::AccountContext;
use crate::accounts::shared_record::{Entries, SharedRecord};
use base::seal::{Owner, Purpose};
use base::store::{Key, RecordKind, StoreError};
use base::time::UnixTime;

/// The maximum number of questions in the list. The oldest ones leave it, and their links still work.
const MAX_LISTED: usize = 32;

/// A question that waits, or was answered since.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct OpenQuestion {
    /// Its record.
    key: Key,
    ends: UnixTime,
}

/// The entries, as JSON that is then sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct ListedQuestions(Vec<OpenQuestion>);

impl Entries for ListedQuestions {
    fn last_end(&self) -> UnixTime {
        let ends = self.0.iter().map(|open| open.ends);
        ends.max().unwrap_or_default()
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.0.retain(|open| now < open.ends);
    }
}

/// Adds a question to the list of its user.
pub(crate) async fn add(
    context: &AccountContext,
    place: &QuestionPlace,
    ends: UnixTime,
) -> Result<(), StoreError> {
    let add = |list: &mut ListedQuestions| {
        let open = &mut list.0;
        open.retain(|other| other.key != place.key);
        open.push(OpenQuestion {
            key: place.key.clone(),
            ends,
        });
        let surplus = open.len().saturating_sub(MAX_LISTED);
        open.drain(..surplus);
    };
    let user = (place.resource.as_str(), place.issuer.as_str(), &*place.user);
    record(user).change(context, add).await
}

/// The places of the questions of a user, the oldest first. Some may have an answer.
pub(crate) async fn of_user(
    context: &AccountContext,
    issuer: &str,
    user: &str,
) -> Result<Vec<QuestionPlace>, StoreError> {
    let resource = context.policy.resource.as_str();
    let list: ListedQuestions = record((resource, issuer, user)).read(context).await?;
    let places = list.0.into_iter().map(|open| QuestionPlace {
        resource: resource.to_owned(),
        issuer: issuer.to_owned(),
        user: user.to_owned(),
        key: open.key,
    });
    Ok(places.collect())
}

fn record<'a>((resource, issuer, user): (&'a str, &'a str, &'a str)) -> SharedRecord<'a> {
    let owner = [resource, issuer, user];
    SharedRecord {
        key: Key::of(RecordKind::OpenQuestions, &owner, &owner),
        purpose: Purpose::OpenQuestions,
        owner: Owner {
            resource,
            issuer,
            user,
            view: "",
        },
    }
}
