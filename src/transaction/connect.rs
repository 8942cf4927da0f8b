//! A user's own account at a resource: its token goes with the call, is refreshed before it ends, and
//! where there is none the user is asked to connect it.

use std::collections::VecDeque;

use super::caller::Known;
use super::confirm::Agreement;
use super::waiting::{Requirement, create};
use super::{Now, Step, Transaction};
use crate::accounts::refresh::{Refresh, Refreshed};
use crate::accounts::vault::{Connected, Place, Usable};
use crate::accounts::{logout, place, ticket};
use crate::refusal::Refusal;
use base::effect::{Ask, Told};
use base::store::{Key, Operation as StoreOperation, Stored};
use mcp::headers::HeaderEdit;
use policy::{Connection, Mode, Operation};

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
}

/// How it goes on.
enum Next {
    Ask(Stage),
    Use(Connected),
}

impl Transaction {
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
    pub(super) fn ask_connection(&self, needed: &Needed, now: Now) -> Result<Step, Refusal> {
        let place = &needed.place;
        let ask = match &needed.stage {
            Stage::Look => Ask::Store(place.get()),
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
                let means = self.secrets.means(&self.policy, now);
                let means = means.ok_or(Refusal::NoSealKey)?;
                let refresh = Refresh::new(means, place.clone(), connected.clone());
                let refresh = refresh.ok_or_else(|| self.not_connected(needed, now))?;
                return Ok(Step::Refresh(Box::new(refresh)));
            }
        };
        Ok(Step::Ask(ask))
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
            Next::Use(connected) => Ok(Err(self.use_connection(needed, &connected))),
        }
    }

    /// The refresh the call waited for is over. `now` is the time of that.
    pub fn refreshed(&mut self, refreshed: Refreshed, now: Now) -> Step {
        let Some(mut waiting) = self.waiting.take() else {
            return Step::Hold;
        };
        let Some(Requirement::Connection(needed)) = waiting.needs.pop_front() else {
            return self.refuse(&Refusal::UpstreamAnswer, None);
        };
        let connected = match refreshed {
            Refreshed::Renewed(connected) => Ok(*connected),
            Refreshed::AsBefore(connected) => still_good(*connected, now),
            Refreshed::Ended => Err(self.not_connected(&needed, now)),
            Refreshed::Store(error) => Err(Refusal::Store(error)),
        };
        match connected {
            Ok(connected) => {
                let credential = self.use_connection(*needed, &connected);
                waiting.headers.push(credential);
                self.go_on(waiting, now)
            }
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    /// The header that carries the token.
    fn use_connection(&mut self, needed: Needed, connected: &Connected) -> HeaderEdit {
        self.record.connection = Some(needed.place.connection);
        let key = self.secrets.audit_key.as_deref();
        let account = connected.account.as_deref();
        self.record.account =
            account.and_then(|account| crate::audit::person(&self.policy, account, key));
        let value = format!("Bearer {}", connected.access_token.reveal());
        HeaderEdit::Set("authorization".to_owned(), value)
    }

    fn next(&self, needed: &Needed, told: Told, now: Now) -> Result<Next, Refusal> {
        let place = &needed.place;
        match (needed.stage.clone(), told) {
            (Stage::Look, Told::Store(Ok(Stored::Value(found)))) => {
                let sealer = self.sealer()?;
                let found = found.and_then(|found| place.open(sealer, &found, now.seconds()));
                let found = found.ok_or_else(|| self.not_connected(needed, now))?;
                self.look_on(needed, found, self.marks_of(place), now)
            }
            (Stage::Marks(connected, mut marks), Told::Store(Ok(Stored::Value(mark)))) => {
                if logout::ends(mark.as_deref(), connected.connected) {
                    return Err(self.not_connected(needed, now));
                }
                marks.pop_front();
                self.look_on(needed, connected, marks, now)
            }
            (Stage::Begin(connected), Told::Store(Ok(Stored::Created(true)))) => {
                Ok(Next::Ask(Stage::Refresh(connected)))
            }
            // Somebody else is at it.
            (Stage::Begin(connected), Told::Store(Ok(_))) => match still_good(connected, now) {
                Err(_) if needed.waits < WAITS => Ok(Next::Ask(Stage::Wait)),
                good => good.map(Next::Use),
            },
            (Stage::Wait, Told::Waited) => Ok(Next::Ask(Stage::Look)),
            (_, Told::Store(Err(error))) => Err(Refusal::Store(error)),
            _ => Err(Refusal::UpstreamAnswer),
        }
    }

    /// Where it says whether the user of a place signed out.
    pub(super) fn marks_of(&self, place: &Place) -> VecDeque<Key> {
        logout::marks(
            &self.policy,
            &place.issuer,
            &place.user,
            &place.conversation,
        )
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
fn still_good(connected: Connected, now: Now) -> Result<Connected, Refusal> {
    match connected.token_expires {
        Some(expires) if now.seconds() >= expires => Err(Refusal::NotRefreshed),
        _ => Ok(connected),
    }
}
