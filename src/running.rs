//! Requests that run, and the ids that the server knows them by. A client cancels a request by its own id.
//!
//! Most requests end soon. So an id is kept in the worker at first. Only if the request still runs at the next
//! tick of the timer, the id is written to the proxy's memory, where other workers find it. A cancellation that
//! finds nothing waits for as long as a tick may take, and looks again.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::notes::Notes;
use base::store::{Key, RecordKind, StoreRecord};
use base::time::UnixTime;

/// How long a request is remembered that does not end.
const LONGEST_REQUEST: Duration = Duration::from_secs(3600);
/// The maximum number of cancellations of one worker that wait. Others do not wait.
const MAX_WAITING: usize = 256;

/// A request as its client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientRequest {
    pub(crate) issuer: String,
    pub(crate) user: String,
    /// The client of the caller's token. Empty if it names none.
    pub(crate) client: String,
    pub(crate) view: String,
    pub(crate) session: String,
    /// The JSON-RPC id, as the client wrote it.
    pub(crate) id: String,
}

/// A request that runs. Its record is deleted with it.
#[derive(Debug)]
pub(crate) struct RunningRequest {
    request: ClientRequest,
    /// The id that the server knows it by.
    server_id: String,
    started: UnixTime,
    /// The key of its record, once it is written.
    written: OnceCell<Key>,
    notes: Notes,
}

/// The running requests of a worker that are not in the proxy's memory yet.
#[derive(Debug, Default)]
pub(crate) struct RunningRequests {
    unwritten: RefCell<Vec<Weak<RunningRequest>>>,
    waiting: Rc<Cell<usize>>,
}

/// A cancellation that waits until other workers have written their requests.
#[derive(Debug)]
pub(crate) struct WaitingCancellation(Rc<Cell<usize>>);

impl ClientRequest {
    /// The key of the request's record. `resource` is the policy's.
    pub(crate) fn key(&self, resource: &str) -> Key {
        let Self {
            issuer,
            user,
            client,
            view,
            session,
            id,
        } = self;
        let owner = [resource, issuer, user, view, session];
        Key::of(RecordKind::RunningRequest, &owner, &[client, id])
    }
}

impl RunningRequests {
    /// Notes a request. The worker forgets it when the returned value is dropped.
    pub(crate) fn begin(
        &self,
        request: ClientRequest,
        server_id: String,
        started: UnixTime,
        notes: &Notes,
    ) -> Rc<RunningRequest> {
        let running = Rc::new(RunningRequest {
            request,
            server_id,
            started,
            written: OnceCell::new(),
            notes: notes.clone(),
        });
        let unwritten = &mut *self.unwritten.borrow_mut();
        if unwritten.len() == unwritten.capacity() {
            unwritten.retain(|other| other.strong_count() > 0);
        }
        unwritten.push(Rc::downgrade(&running));
        running
    }

    /// The id that the server knows a request of this worker by. Of several requests with one id, the last one
    /// counts.
    pub(crate) fn find(&self, request: &ClientRequest) -> Option<String> {
        let unwritten = self.unwritten.borrow();
        let mut running = unwritten.iter().rev().filter_map(Weak::upgrade);
        let found = running.find(|running| running.request == *request)?;
        Some(found.server_id.clone())
    }

    /// Writes the requests that still run. `resource` is the policy's.
    pub(crate) fn write(&self, resource: &str) {
        for running in self.unwritten.take().iter().filter_map(Weak::upgrade) {
            running.write(resource);
        }
    }

    /// Begins to wait. `None`: too many cancellations wait.
    pub(crate) fn wait(&self) -> Option<WaitingCancellation> {
        let waiting = self.waiting.get();
        (waiting < MAX_WAITING).then(|| {
            self.waiting.set(waiting.saturating_add(1));
            WaitingCancellation(Rc::clone(&self.waiting))
        })
    }
}

impl RunningRequest {
    /// Writes its record, once.
    pub(crate) fn write(&self, resource: &str) {
        self.written.get_or_init(|| {
            let key = self.request.key(resource);
            self.notes.put(StoreRecord {
                key: key.clone(),
                value: self.server_id.clone(),
                expires: self.started.whole_seconds().saturating_add(LONGEST_REQUEST),
            });
            key
        });
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        if let Some(key) = self.written.take() {
            self.notes.delete(key);
        }
    }
}

impl Drop for WaitingCancellation {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::store::StoreOperation;

    fn request(id: &str) -> ClientRequest {
        ClientRequest {
            issuer: String::new(),
            user: "u1".to_owned(),
            client: String::new(),
            view: String::new(),
            session: String::new(),
            id: id.to_owned(),
        }
    }

    fn names(operations: &[StoreOperation]) -> Vec<&'static str> {
        let name = |operation: &StoreOperation| match operation {
            StoreOperation::Put(_) => "put",
            StoreOperation::Delete(_) => "delete",
            _ => "other",
        };
        operations.iter().map(name).collect()
    }

    #[test]
    fn only_a_request_that_runs_at_a_tick_is_written_and_deleted() {
        let (running, notes) = (RunningRequests::default(), Notes::default());
        let begin =
            |id: &str| running.begin(request(id), "9".to_owned(), UnixTime::default(), &notes);
        drop(begin("1"));
        running.write("r");
        assert!(notes.take().is_empty());
        let (long, short) = (begin("1"), begin("2"));
        assert_eq!(running.find(&request("1")).as_deref(), Some("9"));
        drop(short);
        running.write("r");
        running.write("r");
        assert_eq!(names(&notes.take()), ["put"]);
        assert_eq!(running.find(&request("1")), None, "it is in the memory");
        drop(long);
        assert_eq!(names(&notes.take()), ["delete"]);
    }

    #[test]
    fn each_part_of_a_name_tells_requests_apart_and_the_last_one_counts() {
        let (running, notes) = (RunningRequests::default(), Notes::default());
        let begin =
            |request, id: &str| running.begin(request, id.to_owned(), UnixTime::default(), &notes);
        let _all = [begin(request("1"), "8"), begin(request("1"), "9")];
        assert_eq!(running.find(&request("1")).as_deref(), Some("9"));
        let other = || "x".to_owned();
        let others = [
            ClientRequest {
                issuer: other(),
                ..request("1")
            },
            ClientRequest {
                user: other(),
                ..request("1")
            },
            ClientRequest {
                client: other(),
                ..request("1")
            },
            ClientRequest {
                view: other(),
                ..request("1")
            },
            ClientRequest {
                session: other(),
                ..request("1")
            },
            ClientRequest {
                id: other(),
                ..request("1")
            },
        ];
        for request in others {
            assert_eq!(running.find(&request), None, "{request:?}");
        }
    }

    #[test]
    fn requests_that_ended_take_no_room() {
        let (running, notes) = (RunningRequests::default(), Notes::default());
        let begin = || running.begin(request("1"), String::new(), UnixTime::default(), &notes);
        let kept: Vec<_> = (0..5).map(|_| begin()).collect();
        for _ in 0..100_000 {
            begin();
        }
        assert!(running.unwritten.borrow().capacity() < 64);
        assert_eq!(kept.len(), 5);
    }

    #[test]
    fn so_many_cancellations_wait() {
        let running = RunningRequests::default();
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| running.wait().unwrap()).collect();
        assert!(running.wait().is_none());
        drop(waiting);
        assert!(running.wait().is_some());
    }
}
