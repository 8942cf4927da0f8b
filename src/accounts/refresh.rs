//! The next token of a connection: asked for once, and kept. Many authorization servers take a refresh
//! token once only (RFC 9700 section 4.14.2), so what was begun goes to its end, whoever still waits.

use super::AccountContext;
use super::discovery;
use super::token_request::{self, TokenAnswerError};
use super::vault::{Connected, Place};
use base::effect::{Ask, Told};
use base::http::HttpRequest;
use base::store::{Operation, StoreError, Stored};

/// A refresh under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    place: Place,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The token is asked for.
    Call(Connected, HttpRequest),
    /// It is there; whether the connection still is, is looked up: it may have been ended meanwhile,
    /// or made anew.
    Check(Connected),
    /// It is being written in place of what was found.
    Keep(Connected, Operation),
}

/// How it goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// With what [`Refresh::ask`] says now.
    Ask(Box<Refresh>),
    /// It is over.
    Over(Refreshed),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The connection with its new token.
    Renewed(Box<Connected>),
    /// The connection with the token it had: there is no other now.
    AsBefore(Box<Connected>),
    /// The connection has ended.
    Ended,
    /// Whether it has ended cannot be told.
    Store(StoreError),
}

impl Refresh {
    /// Begins with the connection that is at this place. `None`: its token cannot be refreshed.
    pub fn new(means: AccountContext<'_>, place: Place, connected: Connected) -> Option<Self> {
        let connection = means.policy.connection(&place.connection)?;
        let token = connected.refresh_token.as_ref()?;
        let client = discovery::client(connection, connected.discovered.as_ref())?;
        let resource = connection.resource.as_deref();
        let call = token_request::refresh(&client, means.clients, resource, token);
        let stage = Stage::Call(connected, call);
        Some(Self { place, stage })
    }

    /// What is asked for next.
    pub fn ask(&self) -> Ask {
        match &self.stage {
            Stage::Call(_, call) => Ask::Call(call.clone()),
            Stage::Check(_) => Ask::Store(self.place.get()),
            Stage::Keep(_, operation) => Ask::Store(operation.clone()),
        }
    }

    /// Goes on with what was asked for.
    pub fn told(self, means: AccountContext<'_>, told: Told) -> Next {
        let Self { place, stage } = self;
        let stage = match (stage, told) {
            (Stage::Call(connected, _), Told::Call(answer)) => {
                match token_request::read_tokens(answer.as_ref(), means.now) {
                    Ok(tokens) => Stage::Check(connected.refreshed(tokens)),
                    Err(TokenAnswerError::Grant) => return Next::Over(Refreshed::Ended),
                    // As who it becomes when the user connects again, it can be refreshed.
                    Err(TokenAnswerError::UnknownClient) if connected.has_found_client() => {
                        return Next::Over(Refreshed::Ended);
                    }
                    Err(_) => return Next::Over(Refreshed::AsBefore(Box::new(connected))),
                }
            }
            (Stage::Check(connected), Told::Store(Ok(Stored::Value(found)))) => {
                let found = found.and_then(|value| {
                    let found = place.open(means.sealer, &value, means.now)?;
                    (found.connected == connected.connected).then_some((found, value))
                });
                let Some((found, value)) = found else {
                    return Next::Over(Refreshed::Ended);
                };
                let operation = place.replace(means.sealer, (&found, &value), &connected);
                Stage::Keep(connected, operation)
            }
            // It was ended, or made anew, a moment ago.
            (Stage::Keep(..), Told::Store(Ok(Stored::Created(false)))) => {
                return Next::Over(Refreshed::Ended);
            }
            // A token that cannot be kept is good for the calls that wait.
            (Stage::Keep(connected, _), Told::Store(_)) => {
                return Next::Over(Refreshed::Renewed(Box::new(connected)));
            }
            (_, Told::Store(Err(error))) => return Next::Over(Refreshed::Store(error)),
            _ => return Next::Over(Refreshed::Store(StoreError::Unavailable)),
        };
        Next::Ask(Box::new(Self { place, stage }))
    }
}
