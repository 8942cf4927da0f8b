//! Ending a connection before its time: it is taken out of the store, and then its token is revoked
//! where the resource lets it be. No answer of the resource keeps the record.

use super::AccountContext;
use super::discovery;
use super::token_request::{self, Revoked};
use super::vault::{Connected, Place};
use base::effect::{Ask, Told};
use base::http::HttpRequest;
use base::store::{StoreError, Stored};

/// A connection that is being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    place: Place,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It is looked up: its token is needed.
    Look,
    /// It is taken out of the store.
    Delete(Option<Connected>),
    /// Its token is being revoked.
    Revoke(Connected, HttpRequest),
}

/// How it goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// With what [`Ending::ask`] says now.
    Ask(Box<Ending>),
    /// It is over. `None`: there was no connection.
    Over(Option<Ended>),
}

/// A connection that was ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// The account, as the resource names it.
    pub account: Option<String>,
    /// What became of its token.
    pub revocation: Revocation,
}

/// What a resource said to the end of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked.
    Confirmed,
    /// It did not answer, or refused.
    Failed,
    /// It has no place to ask.
    NotOffered,
}

impl Revocation {
    /// As results and the log name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::NotOffered => "not_offered",
        }
    }
}

impl Ending {
    /// Begins with whatever is at this place.
    pub fn new(place: Place) -> Self {
        let stage = Stage::Look;
        Self { place, stage }
    }

    /// Which connection it is, by its name in the policy.
    pub fn connection(&self) -> &str {
        &self.place.connection
    }

    /// What is asked for next.
    pub fn ask(&self) -> Ask {
        match &self.stage {
            Stage::Look => Ask::Store(self.place.get()),
            Stage::Delete(_) => Ask::Store(self.place.delete()),
            Stage::Revoke(_, call) => Ask::Call(call.clone()),
        }
    }

    /// Goes on with what was asked for.
    ///
    /// # Errors
    ///
    /// The record may still be there.
    pub fn told(self, means: AccountContext<'_>, told: Told) -> Result<Next, StoreError> {
        let Self { place, stage } = self;
        Ok(match (stage, told) {
            (_, Told::Store(Err(error))) => return Err(error),
            (Stage::Look, Told::Store(Ok(Stored::Value(None)))) => Next::Over(None),
            (Stage::Look, Told::Store(Ok(Stored::Value(Some(found))))) => {
                // What does not open goes as well.
                let found = place.open(means.sealer, &found, means.now);
                let stage = Stage::Delete(found);
                Next::Ask(Box::new(Self { place, stage }))
            }
            (Stage::Delete(None), Told::Store(Ok(_))) => Next::Over(None),
            (Stage::Delete(Some(connected)), Told::Store(Ok(_))) => {
                match revocation(means, &place, &connected) {
                    Some(call) => {
                        let stage = Stage::Revoke(connected, call);
                        Next::Ask(Box::new(Self { place, stage }))
                    }
                    None => over(connected, Revocation::NotOffered),
                }
            }
            (Stage::Revoke(connected, _), Told::Call(answer)) => {
                // RFC 7009 section 2.2: a token that was none is revoked, too.
                let is_revoked = answer.is_some_and(|answer| answer.status == 200);
                let revocation = match is_revoked {
                    true => Revocation::Confirmed,
                    false => Revocation::Failed,
                };
                over(connected, revocation)
            }
            _ => return Err(StoreError::Unavailable),
        })
    }
}

fn over(connected: Connected, revocation: Revocation) -> Next {
    Next::Over(Some(Ended {
        account: connected.account,
        revocation,
    }))
}

fn revocation(
    means: AccountContext<'_>,
    place: &Place,
    connected: &Connected,
) -> Option<HttpRequest> {
    let connection = means.policy.connection(&place.connection)?;
    let client = discovery::client(connection, connected.discovered.as_ref())?;
    let token = match &connected.refresh_token {
        Some(token) => Revoked::Refresh(token),
        None => Revoked::Access(&connected.access_token),
    };
    token_request::revoke(&client, means.clients, token)
}
