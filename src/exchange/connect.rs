//! A user's own account at a resource: its token goes with the call, is refreshed before it ends, and
//! where there is none the user is asked to connect it.

use std::collections::VecDeque;

use super::caller::Known;
use super::confirm::Agreement;
use super::waiting::{Requirement, create};
use super::{Exchange, Now};
use crate::ask::{Ask, Told};
use crate::connection::oauth::{self, TokenAnswerError};
use crate::connection::vault::{Connected, Place, Usable};
use crate::connection::{logout, place, ticket};
use crate::mcp::headers::HeaderEdit;
use crate::policy::{Connection, Mode, Operation};
use crate::refusal::Refusal;
use crate::store::{Key, Operation as StoreOperation, Outcome};

/// A refresh that was begun is over after this time, in seconds, whatever came of it: a call, and
/// operations on the store, each with a time limit of their own.
const REFRESH: u64 = 20;
/// How often a call waits a moment for somebody else's refresh.
const WAITS: u8 = 30;

/// What a call needs of a connection, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    place: Place,
    /// How old the connection may be, in seconds.
    lifetime: u64,
    /// The user's agreement to the call.
    agreed: Option<Agreement>,
    /// How often somebody else's refresh was waited for.
    waits: u8,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It is looked up.
    Look,
    /// Whether its user signed out since is looked up, at the first of these.
    Marks(Connected, VecDeque<Key>),
    /// Somebody else refreshes its token, which has ended.
    Wait,
    /// Its token ends soon: whoever is first refreshes it. Two that did would end it at many
    /// authorization servers (RFC 9700 section 4.14.2).
    Begin(Connected),
    /// Its token is being refreshed.
    Refresh(Connected),
    /// The new token is there; whether the connection still is, is looked up: it may have been ended
    /// meanwhile, or made anew.
    Check(Connected),
    /// The new token is being written.
    Keep(Connected),
}

/// How it goes on.
enum Next {
    Ask(Stage),
    Use(Connected),
}

impl Exchange {
    /// The connection a call needs.
    pub(super) fn needed_connection(
        &self,
        operations: &[&Operation],
        agreed: Option<&Agreement>,
    ) -> Result<Option<Requirement>, Refusal> {
        let needed = self.policy.connection_for(operations);
        let (Some((connection, lifetime)), Mode::Enforce) = (needed, self.policy.mode) else {
            return Ok(None);
        };
        let token = self.caller.as_ref().and_then(Known::token);
        let session = self.handles.session.as_deref();
        let place = place(
            &self.policy,
            token.ok_or(Refusal::NoToken)?,
            session,
            connection,
        );
        Ok(Some(Requirement::Connection(Box::new(Needed {
            place: place.ok_or(Refusal::NoConversation)?,
            lifetime: lifetime.as_secs(),
            agreed: agreed.cloned(),
            waits: 0,
            stage: Stage::Look,
        }))))
    }

    /// What is asked for next.
    pub(super) fn ask_connection(&self, needed: &Needed, now: Now) -> Result<Ask, Refusal> {
        let place = &needed.place;
        Ok(match &needed.stage {
            Stage::Look | Stage::Check(_) => Ask::Store(place.get()),
            Stage::Marks(_, marks) => {
                let mark = marks.front().ok_or(Refusal::UpstreamAnswer)?;
                Ask::Store(StoreOperation::Get(mark.clone()))
            }
            Stage::Wait => Ask::Wait,
            Stage::Begin(connected) => {
                // Each token is refreshed once, however soon after the one before.
                let token = connected.access_token.reveal();
                let key = Key::of("refresh", &[place.key().as_str(), token]);
                create(key, now.seconds().saturating_add(REFRESH))
            }
            Stage::Refresh(connected) => {
                let token = connected.refresh_token.as_ref();
                let token = token.ok_or_else(|| self.not_connected(needed, now))?;
                let connection = self.connection(place)?;
                Ask::Call(oauth::refresh(connection, &self.secrets.clients, token))
            }
            Stage::Keep(connected) => Ask::Store(place.put(self.sealer()?, connected)),
        })
    }

    /// What was asked for is known: something else to ask for, or the header that carries the token.
    pub(super) fn connection_told(
        &mut self,
        needed: Needed,
        told: Told,
        now: Now,
    ) -> Result<Result<Requirement, HeaderEdit>, Refusal> {
        match self.next(&needed, told, now)? {
            Next::Ask(stage) => {
                let waits = needed.waits.saturating_add(u8::from(stage == Stage::Wait));
                let needed = Needed {
                    stage,
                    waits,
                    ..needed
                };
                Ok(Ok(Requirement::Connection(Box::new(needed))))
            }
            Next::Use(connected) => {
                self.record.connection = Some(needed.place.connection);
                let key = self.secrets.audit_key.as_deref();
                let account = connected.account.as_deref();
                self.record.account =
                    account.and_then(|account| crate::audit::person(&self.policy, account, key));
                let value = format!("Bearer {}", connected.access_token.reveal());
                Ok(Err(HeaderEdit::Set("authorization".to_owned(), value)))
            }
        }
    }

    fn next(&self, needed: &Needed, told: Told, now: Now) -> Result<Next, Refusal> {
        let place = &needed.place;
        match (needed.stage.clone(), told) {
            (Stage::Look, Told::Store(Ok(Outcome::Value(found)))) => {
                let sealer = self.sealer()?;
                let found = found.and_then(|found| place.open(sealer, &found, now.seconds()));
                let found = found.ok_or_else(|| self.not_connected(needed, now))?;
                self.look_on(needed, found, logout::marks(&self.policy, place), now)
            }
            (Stage::Marks(connected, mut marks), Told::Store(Ok(Outcome::Value(mark)))) => {
                if logout::ends(mark.as_deref(), &connected) {
                    return Err(self.not_connected(needed, now));
                }
                marks.pop_front();
                self.look_on(needed, connected, marks, now)
            }
            (Stage::Begin(connected), Told::Store(Ok(Outcome::Created(true)))) => {
                Ok(Next::Ask(Stage::Refresh(connected)))
            }
            // Somebody else is at it.
            (Stage::Begin(connected), Told::Store(Ok(_))) => match still_good(connected, now) {
                Err(_) if needed.waits < WAITS => Ok(Next::Ask(Stage::Wait)),
                next => next,
            },
            (Stage::Wait, Told::Waited) => Ok(Next::Ask(Stage::Look)),
            (Stage::Refresh(connected), Told::Call(answer)) => {
                match oauth::read_tokens(answer.as_ref(), now.seconds()) {
                    Ok(tokens) => Ok(Next::Ask(Stage::Check(connected.refreshed(tokens)))),
                    Err(TokenAnswerError::Grant) => Err(self.not_connected(needed, now)),
                    Err(_) => still_good(connected, now),
                }
            }
            (Stage::Check(connected), Told::Store(Ok(Outcome::Value(found)))) => {
                let sealer = self.sealer()?;
                let found = found.and_then(|found| place.open(sealer, &found, now.seconds()));
                match found.is_some_and(|found| found.connected == connected.connected) {
                    true => Ok(Next::Ask(Stage::Keep(connected))),
                    false => Err(self.not_connected(needed, now)),
                }
            }
            // A token that cannot be kept is good for this call.
            (Stage::Keep(connected), Told::Store(_)) => Ok(Next::Use(connected)),
            (_, Told::Store(Err(error))) => Err(Refusal::Store(error)),
            _ => Err(Refusal::UpstreamAnswer),
        }
    }

    /// Goes on with a connection that was found.
    fn look_on(
        &self,
        needed: &Needed,
        found: Connected,
        marks: VecDeque<Key>,
        now: Now,
    ) -> Result<Next, Refusal> {
        match found.usable(needed.lifetime, now.seconds()) {
            Usable::No => Err(self.not_connected(needed, now)),
            _ if !marks.is_empty() => Ok(Next::Ask(Stage::Marks(found, marks))),
            Usable::Now => Ok(Next::Use(found)),
            Usable::AfterRefresh => Ok(Next::Ask(Stage::Begin(found))),
        }
    }

    /// Asks the user to connect the account, as the client can take it.
    fn not_connected(&self, needed: &Needed, now: Now) -> Refusal {
        let place = &needed.place;
        let (Ok(sealer), Ok(connection)) = (self.sealer(), self.connection(place)) else {
            return Refusal::NoSealKey;
        };
        let url = ticket(&self.policy, sealer, place, now.seconds());
        let message = format!("Connect your {} account to go on.", connection.title);
        let question = self.link(message, url, needed.agreed.as_ref(), now);
        let name = connection.name.clone();
        Refusal::NotConnected(name, Box::new(question))
    }

    fn connection(&self, place: &Place) -> Result<&Connection, Refusal> {
        let connection = self.policy.connection(&place.connection);
        connection.ok_or(Refusal::UpstreamAnswer)
    }
}

/// A token that could not be refreshed is used as long as it lasts.
fn still_good(connected: Connected, now: Now) -> Result<Next, Refusal> {
    match connected.token_expires {
        Some(expires) if now.seconds() >= expires => Err(Refusal::NotRefreshed),
        _ => Ok(Next::Use(connected)),
    }
}
