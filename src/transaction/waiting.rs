//! What has to be asked outside between the decision about a message and its release.

use std::collections::VecDeque;

use super::agree::{Agree, Next};
use super::caller::Known;
use super::confirm::{Agreement, Consent};
use super::connect::Needed;
use super::pages::PageState;
use super::{Now, RequestState, Step, Transaction, credentials};
use crate::accounts::ending::Ending;
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
    Agree(Box<Agree>),
    /// That the user's agreement was not used before.
    Agreement(Agreement),
    /// The token of an account of the user's own.
    Connection(Box<Needed>),
    /// That a connection is ended first, if it can be.
    Ending(Box<Ending>),
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
            Requirement::Agree(agree) => self.ask_answer(agree).map(Step::Ask),
            Requirement::Connection(needed) => self.ask_connection(needed, now),
            Requirement::Ending(ending) => Ok(Step::Ask(ending.ask())),
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
        if let PageState::Waits(flow) = std::mem::take(&mut self.page) {
            return self.page_told(flow, told, verifier, now);
        }
        if let Some(call) = self.own_call.take() {
            return self.own_told(call, told, now);
        }
        let Some(mut waiting) = self.waiting.take() else {
            return Step::Hold;
        };
        let outcome = match (waiting.needs.pop_front(), told) {
            (Some(Requirement::Agree(agree)), told) => {
                let next = self.answer_told(*agree, told, now);
                next.map(|next| self.after_answer(next, &mut waiting.needs))
            }
            (Some(Requirement::Connection(needed)), told) => {
                let told = self.connection_told(*needed, told, now);
                told.map(|next| match next {
                    Ok(next) => waiting.needs.push_front(next),
                    Err(credential) => waiting.headers.push(credential),
                })
            }
            (Some(Requirement::Ending(ending)), told) => {
                let next = self.ending_told(*ending, told, now);
                let next = next.map(Requirement::Ending);
                next.into_iter()
                    .for_each(|next| waiting.needs.push_front(next));
                Ok(())
            }
            (Some(Requirement::TokenForServer), _) => Err(Refusal::UpstreamAnswer),
            (Some(_), Told::Store(Ok(Stored::Created(true)))) => Ok(()),
            (Some(Requirement::SingleUse), Told::Store(Ok(_))) => Err(self.was_used()),
            (Some(Requirement::Agreement(_)), Told::Store(Ok(_))) => Err(Refusal::RequestState),
            (_, Told::Store(Err(error))) => Err(Refusal::Store(error)),
            (_, Told::Call(_) | Told::Waited) | (None, _) => Err(Refusal::UpstreamAnswer),
        };
        match outcome {
            Ok(()) => self.go_on(waiting, now),
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    fn after_answer(&mut self, next: Next, needs: &mut VecDeque<Requirement>) {
        match next {
            Next::Now(agree) => needs.push_front(Requirement::Agree(Box::new(agree))),
            Next::Last(agree) => {
                let is_single_use = |need: &Requirement| *need == Requirement::SingleUse;
                let last = needs.iter().position(is_single_use).unwrap_or(needs.len());
                needs.insert(last, Requirement::Agree(Box::new(agree)));
            }
            Next::Agreed => self.note_agreed(),
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
