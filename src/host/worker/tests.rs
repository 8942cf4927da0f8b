use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::effect::{Work, Worked};
use crate::engine::Secrets;
use base::store::{Key, RecordKind, StoreOperation, Stored};
use base::time::UnixTime;
use oauth::{ClientNetwork, IssuerId, PendingFetch, Verifier};
use policy::Policy;

const ROOT: u32 = 1;
const STREAM: u32 = 7;
const KEYS: Work = Work::Fetch(PendingFetch::Keys(IssuerId(0)));

/// A host that notes what it is asked for.
#[derive(Default)]
struct NotingHost {
    now_ms: Cell<u64>,
    /// The contexts and paths of calls. The number of a call is its place.
    calls: RefCell<Vec<(u32, String)>>,
    knows_no_cluster: Cell<bool>,
    log: RefCell<Vec<String>>,
    woken: RefCell<Vec<Duration>>,
}

impl Host for NotingHost {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.now_ms.get())
    }

    fn client(&self) -> ClientNetwork {
        ClientNetwork::UNKNOWN
    }

    fn log(&self, error: &str) {
        self.log.borrow_mut().push(error.to_owned());
    }

    fn call(&self, context: u32, request: &HttpRequest) -> Option<u32> {
        if self.knows_no_cluster.get() {
            return None;
        }
        let path = request.headers.iter().find(|(name, _)| *name == ":path");
        let mut calls = self.calls.borrow_mut();
        calls.push((context, path.unwrap().1.clone()));
        u32::try_from(calls.len() - 1).ok()
    }

    fn store(&self, _: &StoreOperation) -> Result<Stored, StoreError> {
        Ok(Stored::Done)
    }

    fn wake(&self, after: Duration) {
        self.woken.borrow_mut().push(after);
    }
}

/// A worker whose requests are numbers.
fn worker(changes: Value) -> (Rc<NotingHost>, Worker<u8>) {
    let mut document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
        }],
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    let engine = Engine::new(Rc::new(policy), Secrets::default(), verifier);
    let host = Rc::new(NotingHost::default());
    host.now_ms.set(1_800_000_000_000);
    let worker = Worker::new(Rc::new(engine), Rc::<NotingHost>::clone(&host), ROOT);
    (host, worker)
}

fn response(status: u16, body: &str) -> Option<HttpResponse> {
    let body = body.as_bytes().to_vec();
    Some(HttpResponse::json(status, body))
}

fn request() -> HttpRequest {
    HttpRequest {
        cluster: "other".to_owned(),
        headers: vec![(":path", "/other".to_owned())],
        passed: Vec::new(),
        body: Vec::new(),
        timeout: None,
        max_answer: None,
    }
}

#[test]
fn requests_that_wait_for_the_same_work_share_one_call_of_the_root_context() {
    let (host, worker) = worker(json!({}));
    assert_eq!(worker.perform(1, STREAM, Effect::Work(KEYS)), None);
    assert_eq!(worker.perform(2, STREAM + 1, Effect::Work(KEYS)), None);
    // Not from within a stream's callback: the call would end with the stream.
    assert!(host.calls.borrow().is_empty());
    assert!(host.woken.borrow().contains(&SOON));
    assert_eq!(worker.tick(), []);
    // One that comes later waits for the call under way.
    assert_eq!(worker.perform(3, STREAM, Effect::Work(KEYS)), None);
    assert_eq!(worker.tick(), []);
    assert_eq!(*host.calls.borrow(), [(ROOT, "/keys".to_owned())]);
    let keys = response(200, r#"{"keys":[]}"#);
    let woken = worker.answered(0, |_| keys);
    let done = || Outcome::Work(Worked::Done);
    assert_eq!(woken, [(1, done()), (2, done()), (3, done())]);
    // It is over: its call is known no more.
    assert_eq!(worker.answered(0, |_| panic!("asked")), []);
}

#[test]
fn work_that_fails_wakes_its_requests_and_is_logged_once() {
    let (host, worker) = worker(json!({}));
    worker.perform(1, STREAM, Effect::Work(KEYS));
    worker.tick();
    assert_eq!(worker.answered(0, |_| response(401, "")).len(), 1);
    let expected = "key set of https://login.example.com: answered with status 401";
    assert_eq!(*host.log.borrow(), [expected]);
}

#[test]
fn work_goes_on_without_the_requests_that_waited() {
    let (host, worker) = worker(json!({}));
    worker.perform(1, STREAM, Effect::Work(KEYS));
    worker.tick();
    worker.forget(STREAM);
    assert_eq!(worker.answered(0, |_| None).len(), 1);
    assert_eq!(host.log.borrow().len(), 1);
}

#[test]
fn a_call_of_a_request_is_made_in_its_context_and_forgotten_with_it() {
    let (host, worker) = worker(json!({}));
    assert_eq!(worker.perform(1, STREAM, Effect::Call(request())), None);
    assert_eq!(*host.calls.borrow(), [(STREAM, "/other".to_owned())]);
    let answer = response(200, "{}");
    let woken = worker.answered(0, |_| answer.clone());
    assert_eq!(woken, [(1, Outcome::Call(answer.clone()))]);
    worker.perform(2, STREAM, Effect::Call(request()));
    worker.forget(STREAM);
    assert_eq!(worker.answered(1, |_| answer), []);
}

#[test]
fn a_call_that_cannot_be_made_has_no_answer() {
    let (host, worker) = worker(json!({}));
    host.knows_no_cluster.set(true);
    let outcome = worker.perform(1, STREAM, Effect::Call(request()));
    assert_eq!(outcome, Some(Outcome::Call(None)));
    assert!(host.log.borrow()[0].contains("`other`"));
}

#[test]
fn a_pause_ends_after_100_ms() {
    let (host, worker) = worker(json!({}));
    assert_eq!(worker.perform(1, STREAM, Effect::Pause), None);
    assert_eq!(worker.tick(), []);
    host.now_ms
        .set(host.now_ms.get() + u64::try_from(PAUSE.as_millis()).unwrap());
    assert_eq!(worker.tick(), [(1, Outcome::Paused)]);
    assert_eq!(worker.tick(), []);
}

#[test]
fn k6_a_pause_ends_although_the_clock_was_set_back() {
    let (host, worker) = worker(json!({}));
    assert_eq!(worker.perform(1, STREAM, Effect::Pause), None);
    host.now_ms.set(host.now_ms.get() - 3_600_000);
    assert_eq!(worker.tick(), [(1, Outcome::Paused)]);
}

#[test]
fn k3_a_call_whose_end_the_host_does_not_report_ends() {
    let (host, worker) = worker(json!({}));
    worker.perform(1, STREAM, Effect::Call(request()));
    worker.perform(2, STREAM, Effect::Work(KEYS));
    assert_eq!(worker.tick(), []);
    host.now_ms
        .set(host.now_ms.get() + u64::try_from(LONGEST_CALL.as_millis()).unwrap());
    assert_eq!(worker.tick(), []);
    host.now_ms.set(host.now_ms.get() + 1);
    let mut woken = worker.tick();
    woken.sort_by_key(|(request, _)| *request);
    let done = Outcome::Work(Worked::Done);
    assert_eq!(woken, [(1, Outcome::Call(None)), (2, done)]);
    assert!(host.log.borrow()[0].contains("capability_restriction_config"));
    // An answer that comes after all is none.
    assert_eq!(worker.answered(0, |_| panic!("asked")), []);
}

#[test]
fn k9_the_store_is_the_hosts_memory_or_an_etcd_whose_outages_are_logged() {
    let get = || {
        Effect::Store(StoreOperation::Get(Key::of(
            RecordKind::Refresh,
            &["a"],
            &[],
        )))
    };
    let (_, memory) = worker(json!({}));
    let done = Some(Outcome::Store(Ok(Stored::Done)));
    assert_eq!(memory.perform(1, STREAM, get()), done);
    let (host, etcd) = worker(json!({"store": {"etcd": {"cluster": "etcd"}}}));
    assert_eq!(etcd.perform(1, STREAM, get()), None);
    assert_eq!(*host.calls.borrow(), [(STREAM, "/v3/kv/range".to_owned())]);
    let woken = etcd.answered(0, |_| response(200, r#"{"header":{}}"#));
    assert_eq!(woken, [(1, Outcome::Store(Ok(Stored::Value(None))))]);
    // An outage has one line in the log, and its end another.
    for (token, answer) in [(1, None), (2, None), (3, response(200, r#"{"header":{}}"#))] {
        assert_eq!(etcd.perform(1, STREAM, get()), None);
        etcd.answered(token, |_| answer);
    }
    let log = host.log.borrow().clone();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].contains("not available") && log[1].contains("again"));
    host.knows_no_cluster.set(true);
    let unavailable = Some(Outcome::Store(Err(StoreError::Unavailable)));
    assert_eq!(etcd.perform(1, STREAM, get()), unavailable);
}

#[test]
fn calls_at_once_resume_the_request_when_the_last_one_is_answered() {
    let (host, worker) = worker(json!({}));
    let three = || Effect::Calls(vec![request(), request(), request()]);
    assert_eq!(worker.perform(1, STREAM, three()), None);
    assert_eq!(host.calls.borrow().len(), 3);
    let (first, last) = (response(200, "a"), response(500, "c"));
    assert_eq!(worker.answered(2, |_| last.clone()), []);
    assert_eq!(worker.answered(0, |_| first.clone()), []);
    let woken = worker.answered(1, |_| None);
    assert_eq!(woken, [(1, Outcome::Calls(vec![first, None, last]))]);
    // A stream that ends takes its calls with it.
    assert_eq!(worker.perform(2, STREAM, three()), None);
    worker.forget(STREAM);
    assert_eq!(worker.answered(3, |_| panic!("asked")), []);
    let none = worker.perform(3, STREAM, Effect::Calls(Vec::new()));
    assert_eq!(none, Some(Outcome::Calls(Vec::new())));
}

#[test]
fn a_token_is_revoked_at_the_next_tick_without_a_request() {
    use crate::pages::fake_world::{World, document};
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    let account = world.connection("dana").unwrap();
    let (host, mut worker) = worker(document());
    let sealer = Rc::clone(&world.sealer);
    if let Some(engine) = Rc::get_mut(&mut worker.engine) {
        engine.secrets.sealer = Some(sealer);
    }
    let other = crate::accounts::vault::AccountPlace {
        user: "erin".into(),
        ..place.clone()
    };
    worker
        .engine
        .ends
        .revoke_later(place.clone(), account.clone());
    worker.tick();
    let revoked = |times| vec![(ROOT, "/revoke".to_owned()); times];
    assert_eq!(*host.calls.borrow(), revoked(1));
    // The next one does not wait for the answer to the first.
    worker.engine.ends.revoke_later(other, account.clone());
    worker.tick();
    assert_eq!(*host.calls.borrow(), revoked(2));
    worker.answered(0, |_| response(200, "{}"));
    worker.answered(1, |_| None);
    // Nor does the same account, linked again.
    worker.engine.ends.revoke_later(place, account);
    worker.tick();
    assert_eq!(*host.calls.borrow(), revoked(3));
    assert!(host.log.borrow().is_empty());
}
