//! What has to be asked outside between the decision about a message and its release.

use std::collections::VecDeque;

use super::caller::Known;
use super::confirm::{Agreement, Consent};
use super::connect::NeededAccount;
use super::{Now, RequestState, Step, Transaction, credentials};
use crate::accounts::vault::AccountPlace;
use crate::consent::agreement::UnusedYes;
use crate::consent::call_question::{AskedCall, QuestionPlace};
use crate::effect::Outcome;
use crate::refusal::Refusal;
use base::effect::{Ask, Told};
use base::store::{Key, Operation as StoreOperation, Record, Stored};
use mcp::headers::HeaderEdit;
use oauth::{ProofError, TokenError, VerifiedToken, Verifier};
use policy::{Mode, Operation};

/// A message that may go on once everything it needs was asked for.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What replaces its body.
    pub(super) body: Option<Vec<u8>>,
    /// What changes in its headers.
    pub(super) headers: Vec<HeaderEdit>,
    /// What is asked for, the first one now.
    pub(super) needs: VecDeque<Requirement>,
}

/// Something a message needs before it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Requirement {
    /// That the user agrees to it on a page.
    Agree(Box<(QuestionPlace, AskedCall)>),
    /// That the yes on the page is used up.
    UseYes(Box<(String, UnusedYes)>),
    /// That the user's agreement was not used before.
    Agreement(Agreement),
    /// The token of an account of the user's own.
    Connection(Box<NeededAccount>),
    /// That a connection is ended first, if it can be.
    Ending(Box<AccountPlace>),
    /// That its token or proof was not used before.
    SingleUse,
    /// What the server gets in place of its token.
    TokenForServer,
}

impl Transaction {
    /// What a message needs that was allowed by the policy. What is asked of a call is not asked again
    /// where its task is looked after.
    pub(super) fn requirements(
        &self,
        is_call: bool,
        operations: &[&Operation],
        consent: Consent,
    ) -> Result<VecDeque<Requirement>, Refusal> {
        let (agree, agreement) = match consent {
            Consent::NotNeeded => (None, None),
            Consent::Given(agreement) => (None, Some(agreement)),
            Consent::OnPage(agree) => (Some(Requirement::Agree(agree)), None),
        };
        // What is used up comes last: only a call that passes uses it up.
        let connection = match is_call {
            true => self.needed_connection(operations, agreement.as_ref())?,
            false => None,
        };
        let credential = connection.or_else(|| self.token_for_server());
        let agreement = agreement.map(Requirement::Agreement);
        let needs = agree.into_iter().chain(credential).chain(agreement);
        let mut needs: VecDeque<_> = needs.collect();
        if self.policy.mode == Mode::Enforce
            && is_call
            && operations.iter().any(|operation| operation.single_use)
        {
            needs.push_back(Requirement::SingleUse);
        }
        Ok(needs)
    }

    /// Asks for the next thing the message needs, or lets it go on.
    pub(super) fn go_on(&mut self, waiting: Waiting, now: Now) -> Step {
        let Some(next) = waiting.needs.front() else {
            return self.release(waiting.body, waiting.headers);
        };
        let step = match next {
            Requirement::Agreement(agreement) => {
                Ok(Step::Ask(create(agreement.key.clone(), agreement.until)))
            }
            Requirement::Agree(asked) => {
                let asked = (**asked).clone();
                return self.find_yes(waiting, asked, now);
            }
            Requirement::UseYes(yes) => {
                let yes = (**yes).clone();
                return self.use_yes(waiting, yes, now);
            }
            Requirement::Connection(needed) => {
                let needed = (**needed).clone();
                return self.use_account(waiting, needed, now);
            }
            Requirement::Ending(place) => {
                let place = (**place).clone();
                return self.end_account(waiting, place, now);
            }
            Requirement::SingleUse => self.use_up(now).map(Step::Ask),
            Requirement::TokenForServer => return self.use_token_for_server(waiting, now),
        };
        match step {
            Ok(step) => {
                self.request = RequestState::Asks;
                self.waiting = Some(waiting);
                step
            }
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    /// What was asked for is known. `now` is the time of the answer.
    pub fn told(&mut self, told: Told, verifier: &mut Verifier, now: Now) -> Step {
        let outcome = match &told {
            Told::Call(response) => Outcome::Call(response.clone()),
            Told::Store(stored) => Outcome::Store(stored.clone()),
            Told::Waited => Outcome::Paused,
        };
        if let Some(step) = self.lend(verifier, |transaction| transaction.resume(outcome, now)) {
            return step;
        }
        let Some(mut waiting) = self.waiting.take() else {
            return Step::Hold;
        };
        let outcome = match (waiting.needs.pop_front(), told) {
            (
                Some(Requirement::SingleUse | Requirement::Agreement(_)),
                Told::Store(Ok(Stored::Created(true))),
            ) => Ok(()),
            (Some(Requirement::SingleUse), Told::Store(Ok(_))) => Err(self.was_used()),
            (Some(Requirement::Agreement(_)), Told::Store(Ok(_))) => Err(Refusal::RequestState),
            (_, Told::Store(Err(error))) => Err(Refusal::Store(error)),
            _ => Err(Refusal::UpstreamAnswer),
        };
        match outcome {
            Ok(()) => self.go_on(waiting, now),
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    /// Uses up what authorizes the request: of all requests with the same, one succeeds.
    fn use_up(&self, now: Now) -> Result<Ask, Refusal> {
        let token = self.caller.as_ref().and_then(Known::token);
        let token = token.ok_or(Refusal::NoToken)?;
        let used = credentials::single_use(&self.policy, &self.headers, token, now.seconds())?;
        let issuer = self.policy.issuers.get(token.issuer().0);
        let issuer = issuer.map_or("", |issuer| issuer.issuer.as_str());
        let named = [self.policy.resource.as_str(), issuer, used.name.as_str()];
        let until = used.until.max(now.seconds().saturating_add(1));
        Ok(create(Key::of("used", &named), until))
    }

    fn was_used(&self) -> Refusal {
        let token = self.caller.as_ref().and_then(Known::token);
        let is_bound = token.is_some_and(VerifiedToken::is_bound);
        Refusal::Token(match is_bound {
            true => ProofError::Replayed.into(),
            false => TokenError::Used,
        })
    }
}

/// Of all that create the same, one succeeds.
pub(super) fn create(key: Key, expires: u64) -> Ask {
    Ask::Store(StoreOperation::Create(Record {
        key,
        value: String::new(),
        expires,
    }))
}
