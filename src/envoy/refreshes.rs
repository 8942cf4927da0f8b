//! Refreshing connections, in the root context: a stream's own call would end with the stream, and the
//! refresh token it used up with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use super::host;
use super::job::{self, Asked, Job};
use super::stream::Stream;
use crate::accounts::refresh::{Next, Refresh};
use crate::accounts::{AccountContext, Clients};
use crate::transaction::Secrets;
use base::effect::Told;
use base::seal::Sealer;
use policy::Policy;

/// Refreshes under way, each with the stream that began it.
pub(super) struct Refreshes {
    /// The root context.
    root: u32,
    policy: Rc<Policy>,
    sealer: Rc<Sealer>,
    clients: Rc<Clients>,
    begun: RefCell<Vec<Refreshing>>,
    jobs: RefCell<HashMap<u32, (Job, Refreshing)>>,
}

struct Refreshing {
    refresh: Box<Refresh>,
    stream: Weak<RefCell<Stream>>,
}

impl Refreshes {
    /// Nothing yet. `None` without a key: nothing is kept then.
    pub(super) fn new(root: u32, policy: &Rc<Policy>, secrets: &Secrets) -> Option<Self> {
        Some(Self {
            root,
            policy: Rc::clone(policy),
            sealer: Rc::clone(secrets.sealer.as_ref()?),
            clients: Rc::clone(&secrets.clients),
            begun: RefCell::default(),
            jobs: RefCell::default(),
        })
    }

    /// Begins at the next tick.
    pub(super) fn begin(&self, refresh: Box<Refresh>, stream: &Weak<RefCell<Stream>>) {
        let stream = Weak::clone(stream);
        let refreshing = Refreshing { refresh, stream };
        self.begun.borrow_mut().push(refreshing);
    }

    /// Asks for what streams began with.
    pub(super) fn tick(&self) {
        let begun = std::mem::take(&mut *self.begun.borrow_mut());
        begun.into_iter().for_each(|each| self.ask(each));
    }

    /// The answer to a call, if it is one of these.
    pub(super) fn answered(&self, token: u32, size: usize) {
        let job = self.jobs.borrow_mut().remove(&token);
        if let Some((job, refreshing)) = job {
            self.asked(job.answered(host::call_answer(size)), refreshing);
        }
    }

    fn ask(&self, refreshing: Refreshing) {
        let store = self.policy.store.as_ref();
        let asked = job::ask(self.root, store, refreshing.refresh.ask());
        self.asked(asked, refreshing);
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

    fn told(&self, told: Told, Refreshing { refresh, stream }: Refreshing) {
        let means = AccountContext {
            policy: &self.policy,
            sealer: &self.sealer,
            clients: &self.clients,
            now: host::now().seconds(),
        };
        match refresh.told(means, told) {
            Next::Ask(refresh) => self.ask(Refreshing { refresh, stream }),
            Next::Over(refreshed) => {
                // The stream may have ended meanwhile.
                if let Some(stream) = stream.upgrade() {
                    Stream::refreshed(&stream, refreshed);
                }
            }
        }
    }
}
