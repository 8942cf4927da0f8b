//! What has to be asked outside, carried out: by the host at once, or by calls whose answers come back.

use std::time::Duration;

use super::host;
use base::effect::{Ask, Told};
use base::http::{HttpRequest, HttpResponse};
use base::store::etcd::{self, Etcd, Progress};
use base::store::{Operation, StoreError, memory};

const TIMEOUT: Duration = Duration::from_secs(5);

/// How something is going on that was asked for.
pub(super) enum Asked {
    /// It is known.
    Told(Told),
    /// A moment is waited for.
    Pauses,
    /// An answer is awaited.
    Waits(Job),
}

/// A call under way, and what it is for.
pub(super) struct Job {
    /// Whose call it is.
    context: u32,
    token: u32,
    purpose: Purpose,
}

enum Purpose {
    Call,
    Store(etcd::Job),
}

/// Begins to find out what is asked. Its calls end with the context.
pub(super) fn ask(context: u32, etcd: Option<&Etcd>, ask: Ask) -> Asked {
    match (ask, etcd) {
        (Ask::Call(call), _) => start(context, &call, Purpose::Call),
        (Ask::Wait, _) => Asked::Pauses,
        (Ask::Store(operation), None) => Asked::Told(Told::Store(in_memory(&operation))),
        (Ask::Store(operation), Some(etcd)) => {
            let (job, call) = etcd::Job::start(etcd, operation, host::now().seconds());
            start(context, &call, Purpose::Store(job))
        }
    }
}

impl Job {
    /// The call it waits for.
    pub(super) fn token(&self) -> u32 {
        self.token
    }

    /// Goes on with the answer.
    pub(super) fn answered(self, answer: Option<HttpResponse>) -> Asked {
        let mut job = match self.purpose {
            Purpose::Call => return Asked::Told(Told::Call(answer)),
            Purpose::Store(job) => job,
        };
        match job.answered(answer.as_ref()) {
            Progress::Call(call) => start(self.context, &call, Purpose::Store(job)),
            Progress::Over(outcome) => Asked::Told(Told::Store(outcome)),
        }
    }
}

fn start(context: u32, call: &HttpRequest, purpose: Purpose) -> Asked {
    match (host::call(context, call, TIMEOUT), purpose) {
        (Some(token), purpose) => Asked::Waits(Job {
            context,
            token,
            purpose,
        }),
        (None, Purpose::Call) => Asked::Told(Told::Call(None)),
        (None, Purpose::Store(_)) => Asked::Told(Told::Store(Err(StoreError::Unavailable))),
    }
}

fn in_memory(operation: &Operation) -> Result<base::store::Stored, StoreError> {
    let slot = memory::slot(operation.key());
    let now = host::now().seconds();
    host::change_shared(&format!("mcp-auth/1/{slot}"), |held| {
        memory::apply(held, operation, now)
    })
}
