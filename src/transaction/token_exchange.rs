//! A token of the caller's for the server, in place of the one it came with.

use std::rc::Rc;

use super::caller::Known;
use super::waiting::{Requirement, Waiting};
use super::{Now, RequestState, Step, Transaction};
use crate::accounts::token_exchange::ExchangeError;
use crate::credential::Credential;
use crate::refusal::Refusal;
use mcp::headers::Headers;
use oauth::{BearerToken, VerifiedToken};
use policy::{Authorization, Mode};

impl Transaction {
    /// What a request needs whose caller's token is exchanged. A caller without one brings none.
    pub(super) fn token_for_server(&self) -> Option<Requirement> {
        let is_asked = matches!(
            self.policy.upstream.authorization,
            Authorization::Exchange(_)
        );
        let has_token = self.caller.as_ref().and_then(Known::token).is_some();
        let is_needed = self.policy.mode == Mode::Enforce && is_asked && has_token;
        is_needed.then_some(Requirement::TokenForServer)
    }

    /// Goes on with the token for the server, or has the caller's exchanged first.
    pub(super) fn use_token_for_server(&mut self, waiting: Waiting, now: Now) -> Step {
        match self.known_token(now) {
            Some(known) => self.go_on_with(known, waiting, now),
            None => self.have_exchanged(waiting),
        }
    }

    /// The exchange the request waited for is over. `now` is the time of that.
    pub fn exchanged(&mut self, now: Now) -> Step {
        let waits =
            |waiting: &mut Waiting| waiting.needs.front() == Some(&Requirement::TokenForServer);
        let Some(waiting) = self.waiting.take_if(waits) else {
            return Step::Hold;
        };
        let known = self.known_token(now);
        let known = known.unwrap_or(Err(ExchangeError::Unavailable));
        self.go_on_with(known, waiting, now)
    }

    /// The server does not take the token it got: the next request brings another one.
    pub(super) fn refused_by_server(&self, answer: &Headers) {
        if self.token_for_server.is_some()
            && answer.one(":status") == Ok(Some("401"))
            && let (Some(token), Some(exchanger)) = (self.bearer(), &self.secrets.exchanger)
        {
            exchanger.forget(&token.digest());
        }
    }

    fn go_on_with(
        &mut self,
        known: Result<Rc<Credential>, ExchangeError>,
        mut waiting: Waiting,
        now: Now,
    ) -> Step {
        match known {
            Ok(credential) => {
                self.token_for_server = Some(credential);
                waiting.needs.pop_front();
                self.go_on(waiting, now)
            }
            Err(error) => self.refuse(&Refusal::Exchange(error), None),
        }
    }

    fn have_exchanged(&mut self, waiting: Waiting) -> Step {
        let ends = self.caller.as_ref().and_then(Known::token);
        let ends = ends.map(VerifiedToken::expires);
        let asked = match (&self.secrets.exchanger, self.bearer(), ends) {
            (Some(exchanger), Some(token), Some(ends)) => {
                let digest = token.digest();
                let asked = exchanger.ask(digest, token.secret(), ends);
                asked.map(|()| digest)
            }
            _ => Err(ExchangeError::Unavailable),
        };
        match asked {
            Ok(digest) => {
                self.request = RequestState::Asks;
                self.waiting = Some(waiting);
                Step::Exchange(digest)
            }
            Err(error) => self.refuse(&Refusal::Exchange(error), None),
        }
    }

    fn known_token(&self, now: Now) -> Option<Result<Rc<Credential>, ExchangeError>> {
        let exchanger = self.secrets.exchanger.as_ref()?;
        exchanger.known(&self.bearer()?.digest(), now.seconds())
    }

    /// The caller's token, which was verified.
    fn bearer(&self) -> Option<BearerToken<'_>> {
        BearerToken::of_header(self.headers.one("authorization").ok()??)
    }
}
