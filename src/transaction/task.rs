//! Running tasks of other modules inside a transaction.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use super::waiting::Waiting;
use super::{Now, RequestState, Step, Transaction};
use crate::accounts::AccountContext;
use crate::accounts::refresh::Refreshed;
use crate::effect::{Effect, Effects, Outcome, Progress, Task};
use crate::refusal::Refusal;
use base::effect::Ask;
use oauth::Verifier;

/// How the transaction goes on after a task.
pub(super) type GoOn = Box<dyn FnOnce(&mut Transaction, Now) -> Step>;

/// The verifier, while a task of a page runs.
pub(super) type PageVerifier = Rc<RefCell<Verifier>>;

impl Transaction {
    /// Starts a task.
    pub(super) fn run<F>(&mut self, now: Now, task: impl FnOnce(Effects) -> F) -> Step
    where
        F: Future<Output = GoOn> + 'static,
    {
        let (task, progress) = Task::start(now.unix_ms, task);
        self.progressed(task, progress, now)
    }

    /// Goes on with the task that runs. `None`: none does.
    pub(super) fn resume(&mut self, outcome: Outcome, now: Now) -> Option<Step> {
        let mut task = self.task.take()?;
        let progress = task.resume(outcome, now.unix_ms);
        Some(self.progressed(task, progress, now))
    }

    fn progressed(&mut self, task: Task<GoOn>, progress: Progress<GoOn>, now: Now) -> Step {
        let effect = match progress {
            Progress::Done(go_on) => return go_on(self, now),
            Progress::Waits(effect) => effect,
        };
        self.task = Some(task);
        self.request = match effect {
            Effect::Fetch(_) => RequestState::AwaitsKeys { ended: true },
            _ => RequestState::Asks,
        };
        match effect {
            Effect::Call(request) => Step::Ask(Ask::Call(request)),
            Effect::Store(operation) => Step::Ask(Ask::Store(operation)),
            Effect::ExchangeToken(token) => Step::Exchange(token),
            Effect::Fetch(fetch) => Step::Fetch(fetch),
            Effect::Pause => Step::Ask(Ask::Wait),
            Effect::Refresh(refresh) => Step::Refresh(refresh),
        }
    }

    /// Runs a task that a message needs. `then` takes its result; the message goes on after that.
    pub(super) fn run_for<T, F>(
        &mut self,
        waiting: Waiting,
        now: Now,
        task: impl FnOnce(AccountContext) -> F,
        then: impl FnOnce(&mut Self, &mut Waiting, T, Now) -> Result<(), Refusal> + 'static,
    ) -> Step
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let Some(context) = self.secrets.accounts(&self.policy, Effects::default()) else {
            return self.refuse(&Refusal::NoSealKey, None);
        };
        self.waiting = Some(waiting);
        self.run(now, |effects| {
            let task = task(AccountContext { effects, ..context });
            async move {
                let result = task.await;
                let go_on: GoOn = Box::new(move |transaction, now| {
                    let Some(mut waiting) = transaction.waiting.take() else {
                        return Step::Hold;
                    };
                    waiting.needs.pop_front();
                    match then(transaction, &mut waiting, result, now) {
                        Ok(()) => transaction.go_on(waiting, now),
                        Err(refusal) => transaction.refuse(&refusal, None),
                    }
                });
                go_on
            }
        })
    }

    /// Lends the verifier to the task of a page.
    pub(super) fn lend<T>(
        &mut self,
        verifier: &mut Verifier,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(lent) = self.page_verifier.clone() else {
            return run(self);
        };
        std::mem::swap(verifier, &mut lent.borrow_mut());
        let result = run(self);
        std::mem::swap(verifier, &mut lent.borrow_mut());
        result
    }

    /// The refresh the call waited for is over. `now` is the time of that.
    pub fn refreshed(&mut self, refreshed: Refreshed, now: Now) -> Step {
        let step = self.resume(Outcome::Refreshed(refreshed), now);
        step.unwrap_or(Step::Hold)
    }
}
