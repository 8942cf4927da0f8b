//! Refreshing connections, in the root context: a stream's own call would end with the stream, and the
//! refresh token it used up with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use super::host;
use super::job::{self, Asked, Job};
use super::stream::Stream;
use crate::accounts::refresh::{PendingRefresh, Refreshed};
use crate::accounts::{AccountContext, refresh};
use crate::effect::{Effect, Effects, Outcome, Progress, Task};
use crate::transaction::Secrets;
use base::effect::{Ask, Told};
use policy::Policy;

/// Refreshes under way, each with the stream that began it.
pub(super) struct Refreshes {
    /// The root context.
    root: u32,
    context: AccountContext,
    begun: RefCell<Vec<BegunRefresh>>,
    jobs: RefCell<HashMap<u32, (Job, Refreshing)>>,
}

type BegunRefresh = (Box<PendingRefresh>, Weak<RefCell<Stream>>);

struct Refreshing {
    task: Task<Refreshed>,
    stream: Weak<RefCell<Stream>>,
}

impl Refreshes {
    /// Nothing yet. `None` without a key: nothing is kept then.
    pub(super) fn new(root: u32, policy: &Rc<Policy>, secrets: &Secrets) -> Option<Self> {
        Some(Self {
            root,
            context: secrets.accounts(policy, Effects::default())?,
            begun: RefCell::default(),
            jobs: RefCell::default(),
        })
    }

    /// Begins at the next tick.
    pub(super) fn begin(&self, refresh: Box<PendingRefresh>, stream: &Weak<RefCell<Stream>>) {
        self.begun.borrow_mut().push((refresh, Weak::clone(stream)));
    }

    /// Asks for what streams began with.
    pub(super) fn tick(&self) {
        let begun = std::mem::take(&mut *self.begun.borrow_mut());
        for (pending, stream) in begun {
            let context = self.context.clone();
            let (task, progress) = Task::start(host::now().unix_ms, |effects| {
                refresh(AccountContext { effects, ..context }, *pending)
            });
            self.progressed(progress, Refreshing { task, stream });
        }
    }

    /// The answer to a call, if it is one of these.
    pub(super) fn answered(&self, token: u32, size: usize) {
        let job = self.jobs.borrow_mut().remove(&token);
        if let Some((job, refreshing)) = job {
            self.asked(job.answered(host::call_answer(size)), refreshing);
        }
    }

    fn progressed(&self, progress: Progress<Refreshed>, refreshing: Refreshing) {
        let ask = match progress {
            Progress::Waits(Effect::Call(request)) => Ask::Call(request),
            Progress::Waits(Effect::Store(operation)) => Ask::Store(operation),
            // A refresh has no other effects.
            Progress::Waits(_) => Ask::Wait,
            Progress::Done(refreshed) => {
                // The stream may have ended meanwhile.
                if let Some(stream) = refreshing.stream.upgrade() {
                    Stream::refreshed(&stream, refreshed);
                }
                return;
            }
        };
        let store = self.context.policy.store.as_ref();
        self.asked(job::ask(self.root, store, ask), refreshing);
    }

    fn asked(&self, asked: Asked, refreshing: Refreshing) {
        match asked {
            Asked::Waits(job) => {
                let token = job.token();
                self.jobs.borrow_mut().insert(token, (job, refreshing));
            }
            Asked::Pauses => self.told(Told::Waited, refreshing),
            Asked::Told(told) => self.told(told, refreshing),
        }
    }

    fn told(&self, told: Told, mut refreshing: Refreshing) {
        let outcome = match told {
            Told::Call(response) => Outcome::Call(response),
            Told::Store(stored) => Outcome::Store(stored),
            Told::Waited => Outcome::Paused,
        };
        let progress = refreshing.task.resume(outcome, host::now().unix_ms);
        self.progressed(progress, refreshing);
    }
}
