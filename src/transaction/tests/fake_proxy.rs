//! A proxy with Envoy's rules: headers are gone once they went on, a request is answered once, a
//! body's length is what its header says, trailers come instead of an ended body.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::super::{End, Ending, Forward, Peer, Step, Transaction, UnixTime};
use super::{NOW, tokens};
use crate::accounts::Clients;
use crate::accounts::token_exchange::TokenExchanger;
use crate::audit::Record;
use crate::credential::Credential;
use crate::decision_point::DecisionPoints;
use crate::effect::{self, Effect, Progress};
use crate::engine::{Engine, Secrets};
use crate::host::dry_run::{DryRun, Outside};
use crate::response::pins::SeenTools;
use crate::response::spellings::Spellings;
use base::http::Reply;
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::store::{Room, StoreError, StoreOperation, Stored, memory};
use mcp::headers::{HeaderEdit, Headers};
use oauth::Verifier;
use policy::{Authorization, Hold, Mode, Policy, StaticCredential};

const LIMIT: usize = 1024 * 1024;

type Map = Vec<(String, Vec<u8>)>;

/// A request, and the answer the server will give to it.
#[derive(Debug, Clone)]
pub(in super::super) struct Request {
    pub headers: Map,
    pub body: Vec<u8>,
    pub answer: (Map, Vec<u8>),
    pub peer: Peer,
}

/// What the server, the client and the log saw.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Outcome {
    pub server: Option<(Map, Vec<u8>)>,
    pub reply: Option<Reply>,
    pub client: Option<(Map, Vec<u8>)>,
    pub record: Record,
}

pub(in super::super) struct FakeProxy {
    policy: Rc<Policy>,
    secrets: Secrets,
    seen: SeenTools,
    spellings: Spellings,
    now: UnixTime,
    servers: FakeServers,
    /// `None`: a worker of its own.
    engine: Option<Rc<Engine>>,
}

/// The servers and the store that a request finds.
#[derive(Default)]
struct FakeServers {
    /// How much later than [`NOW`] it is, in seconds.
    later: u64,
    store: Store,
    /// The proxy's memory of running requests.
    memory: Store,
    calls: Rc<RefCell<Vec<HttpRequest>>>,
    answers: RefCell<VecDeque<HttpResponse>>,
    /// Answers each call that nothing else answers.
    server: Option<FakeServer>,
    meanwhile: RefCell<Option<StoreOperation>>,
    before_write: RefCell<Option<StoreOperation>>,
    before_taking: RefCell<Option<StoreOperation>>,
    /// Runs before a read of the memory of running requests, after so many other reads.
    before_read: RefCell<Option<LaterRead>>,
    exchanges: Option<TokenExchanges>,
}

/// After how many reads something is done, and what.
type LaterRead = (usize, Box<dyn FnOnce()>);

/// What the authorization server answers to each exchange of a token.
pub(in super::super) type TokenExchanges = Rc<RefCell<VecDeque<Option<HttpResponse>>>>;

/// A server that the filter calls.
pub(in super::super) type FakeServer = Rc<dyn Fn(&HttpRequest) -> Option<HttpResponse>>;

/// What outlasts a request: one slot for everything.
pub(in super::super) type Store = Rc<RefCell<Vec<u8>>>;

impl Request {
    pub(super) fn post(body: &str) -> Self {
        let pairs = [
            (":method", "POST"),
            (":path", "/mcp"),
            (":authority", "crm.example.com"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("content-length", &body.len().to_string()),
        ];
        let answer = (
            map(&[(":status", "200"), ("content-type", "application/json")]),
            b"{}".to_vec(),
        );
        Self {
            headers: map(&pairs),
            body: body.as_bytes().to_vec(),
            answer,
            peer: Peer::default(),
        }
        .with(
            "authorization",
            &format!("Bearer {}", tokens::token(serde_json::json!({}))),
        )
    }

    pub(super) fn method(method: &str) -> Self {
        let mut request = Self::post("")
            .without("content-length")
            .without("content-type");
        request.set(":method", method);
        request
    }

    /// With one more header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(super) fn token(self, claims: serde_json::Value) -> Self {
        let token = format!("Bearer {}", tokens::token(claims));
        self.without("authorization").with("authorization", &token)
    }

    pub(super) fn path(mut self, path: &str) -> Self {
        self.set(":path", path);
        self
    }

    pub(super) fn from(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    pub(super) fn answered(mut self, headers: &[(&str, &str)], body: &str) -> Self {
        self.answer = (map(headers), body.as_bytes().to_vec());
        self
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let header = self
            .headers
            .iter_mut()
            .find(|(other, _)| other == name)
            .unwrap();
        header.1 = value.as_bytes().to_vec();
    }
}

impl Outcome {
    /// What the server received, which must be something.
    pub(super) fn server_body(&self) -> &[u8] {
        let reply = self
            .reply
            .as_ref()
            .map(|reply| String::from_utf8_lossy(&reply.body));
        &self
            .server
            .as_ref()
            .unwrap_or_else(|| panic!("not forwarded: {reply:?}"))
            .1
    }

    /// A header the server received.
    pub(super) fn server_header(&self, name: &str) -> Option<&str> {
        let (headers, _) = self.server.as_ref().expect("forwarded");
        header(headers, name)
    }

    /// The refusal: HTTP status, JSON-RPC code and reason. The server must have received nothing.
    pub(super) fn refusal(&self) -> (u16, i64, &'static str) {
        assert_eq!(self.server, None, "reached the server");
        let reply = self.reply.as_ref().expect("answered");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        (
            reply.status,
            body["error"]["code"].as_i64().unwrap(),
            self.record.decision.reason,
        )
    }

    /// The reason of a refusal. The server must have received nothing.
    pub(super) fn refusal_reason(&self) -> &'static str {
        assert_eq!(self.server, None, "reached the server");
        self.record.decision.reason
    }

    pub(super) fn challenge(&self) -> &str {
        let headers = &self.reply.as_ref().expect("answered").headers;
        headers
            .iter()
            .find(|(name, _)| *name == "www-authenticate")
            .map_or("", |(_, value)| value)
    }

    pub(super) fn client_body(&self) -> String {
        String::from_utf8(
            self.client
                .as_ref()
                .expect("answered by the server")
                .1
                .clone(),
        )
        .unwrap()
    }

    pub(super) fn client_header(&self, name: &str) -> Option<&str> {
        header(
            &self.client.as_ref().expect("answered by the server").0,
            name,
        )
    }
}

impl FakeProxy {
    pub(super) fn new(policy: &Rc<Policy>) -> Self {
        Self::at(policy, 0)
    }

    /// A proxy that saw these tools before.
    pub(super) fn that_saw(seen: &SeenTools, policy: &Rc<Policy>) -> Self {
        let seen = seen.clone();
        Self {
            seen,
            ..Self::new(policy)
        }
    }

    /// The same worker after it saw lists.
    pub(super) fn that_knows(mut self, spellings: &Spellings) -> Self {
        self.spellings = spellings.clone();
        self
    }

    /// A proxy whose clock is this many seconds later.
    pub(super) fn at(policy: &Rc<Policy>, later: u64) -> Self {
        Self::with_secrets(policy, secrets(policy), later)
    }

    /// The same with what other requests made of the secrets.
    pub(super) fn with_secrets(policy: &Rc<Policy>, secrets: Secrets, later: u64) -> Self {
        Self {
            policy: Rc::clone(policy),
            secrets,
            seen: SeenTools::default(),
            spellings: Spellings::default(),
            now: now(later),
            engine: None,
            servers: FakeServers {
                later,
                ..FakeServers::default()
            },
        }
    }

    /// The same with what others stored before.
    pub(super) fn with_store(mut self, store: &Store) -> Self {
        self.servers.store = Rc::clone(store);
        self
    }

    /// The same with what other requests left in the proxy's memory.
    pub(super) fn with_memory(mut self, memory: &Store) -> Self {
        self.servers.memory = Rc::clone(memory);
        self
    }

    /// The same with what other servers answer; the calls to them are noted.
    pub(super) fn with_answers(
        mut self,
        answers: &[HttpResponse],
        calls: &Rc<RefCell<Vec<HttpRequest>>>,
    ) -> Self {
        self.servers.answers = RefCell::new(answers.to_vec().into());
        self.servers.calls = Rc::clone(calls);
        self
    }

    /// The same with a server that answers the filter's own calls; they are noted.
    pub(super) fn with_server(
        mut self,
        server: &FakeServer,
        calls: &Rc<RefCell<Vec<HttpRequest>>>,
    ) -> Self {
        self.servers.server = Some(Rc::clone(server));
        self.servers.calls = Rc::clone(calls);
        self
    }

    /// The same where others do this to the store while another server answers.
    pub(super) fn meanwhile(mut self, operation: StoreOperation) -> Self {
        self.servers.meanwhile = RefCell::new(Some(operation));
        self
    }

    /// The same where others do this to the store just before it is written to.
    pub(super) fn before_write(mut self, operation: StoreOperation) -> Self {
        self.servers.before_write = RefCell::new(Some(operation));
        self
    }

    /// The same where others do this to the store just before a record is taken out of it.
    pub(super) fn before_taking(mut self, operation: StoreOperation) -> Self {
        self.servers.before_taking = RefCell::new(Some(operation));
        self
    }

    /// The same where others do something before a read of the memory of running requests, after so many reads.
    pub(super) fn before_read(mut self, reads: usize, act: impl FnOnce() + 'static) -> Self {
        self.servers.before_read = RefCell::new(Some((reads, Box::new(act))));
        self
    }

    /// The same in the worker that has this engine.
    pub(super) fn in_worker(mut self, engine: &Rc<Engine>) -> Self {
        self.engine = Some(Rc::clone(engine));
        self
    }

    /// The same with an authorization server that exchanges tokens, and answers nothing else.
    pub(super) fn with_exchanges(mut self, exchanges: &TokenExchanges) -> Self {
        self.servers.exchanges = Some(Rc::clone(exchanges));
        self
    }

    /// Runs a request, and does something before its answer. Returns the id that the server received.
    pub(super) fn during<T>(
        self,
        request: &Request,
        act: impl FnOnce(&Rc<Engine>) -> T,
    ) -> (serde_json::Value, T) {
        let mut sending = self.sending(request);
        let (End::Forward(forward), _) = sending.request(request, &[], false) else {
            panic!("not forwarded");
        };
        let body = forward.body.unwrap_or(request.body.clone());
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let acted = act(&sending.engine);
        sending.transaction.finish(200, Ending::Whole, sending.now);
        sending.worker.write_notes();
        (body["id"].clone(), acted)
    }

    /// Runs a request and its answer, both cut at these places.
    pub(super) fn send(self, request: &Request, cuts: &[usize], trailers: bool) -> Outcome {
        self.sending(request).send(request, cuts, trailers)
    }

    fn sending(self, request: &Request) -> Sending {
        let verifier = Verifier::new(self.policy.issuers.clone()).unwrap();
        let mut engine = Engine::new(self.policy, self.secrets, verifier);
        engine.seen = self.seen;
        engine.spellings = self.spellings;
        let engine = self.engine.unwrap_or_else(|| Rc::new(engine));
        Sending {
            transaction: Transaction::new(Rc::clone(&engine)),
            worker: DryRun::new(Rc::clone(&engine), Rc::new(self.servers), self.now),
            engine,
            now: self.now,
            headers: request.headers.clone(),
            is_released: false,
        }
    }
}

impl FakeServers {
    /// Notes a read of the memory of running requests.
    fn note_read(&self) {
        let act = match self.before_read.take() {
            Some((0, act)) => act,
            Some((more, act)) => {
                self.before_read.replace(Some((more - 1, act)));
                return;
            }
            None => return,
        };
        act();
    }
}

impl Outside for FakeServers {
    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        if let Some(exchanges) = &self.exchanges {
            let answer = exchanges.borrow_mut().pop_front();
            return answer.expect("one more exchange");
        }
        if let Some(operation) = self.meanwhile.take() {
            stored(&self.store, &operation, now(self.later)).unwrap();
        }
        self.calls.borrow_mut().push(request.clone());
        let answer = self.answers.borrow_mut().pop_front();
        answer.or_else(|| self.server.as_ref()?(request))
    }

    fn store(&self, operation: &StoreOperation, now: UnixTime) -> Result<Stored, StoreError> {
        if operation.key().room() == Room::Requests {
            if matches!(operation, StoreOperation::Get(_)) {
                self.note_read();
            }
            return stored(&self.memory, operation, now);
        }
        let is_write = matches!(
            operation,
            StoreOperation::Put(_) | StoreOperation::Replace(..)
        );
        if is_write && let Some(other) = self.before_write.take() {
            stored(&self.store, &other, now).unwrap();
        }
        let takes = matches!(operation, StoreOperation::DeleteRecord(_));
        if takes && let Some(other) = self.before_taking.take() {
            stored(&self.store, &other, now).unwrap();
        }
        stored(&self.store, operation, now)
    }
}

/// A request on its way through the proxy.
struct Sending {
    engine: Rc<Engine>,
    worker: DryRun,
    transaction: Transaction,
    now: UnixTime,
    headers: Map,
    /// The headers went on.
    is_released: bool,
}

impl Sending {
    fn send(mut self, request: &Request, cuts: &[usize], trailers: bool) -> Outcome {
        let (server, reply) = match self.request(request, cuts, trailers) {
            (End::Reply(reply), _) => (None, Some(reply)),
            (End::Forward(forward), received) => {
                let body = self.forward(forward).unwrap_or(received);
                (Some((self.headers.clone(), body)), None)
            }
        };
        let mut status = reply.as_ref().map_or(0, |reply| reply.status);
        let client = server.is_some().then(|| {
            let (headers, body) = self.response(&request.answer, cuts, trailers);
            status = header(&headers, ":status").unwrap().parse().unwrap();
            (headers, body)
        });
        if let Some((headers, body)) = &server {
            check_length(headers, body);
        }
        self.worker.write_notes();
        let record = self.transaction.finish(status, Ending::Whole, self.now);
        let mut record = record.expect("one record");
        if reply.is_some() {
            // How much of a refused body had arrived is the only thing chunking may change.
            record.request_bytes = 0;
        }
        Outcome {
            server,
            reply,
            client,
            record,
        }
    }

    /// How a request ends, and its body.
    fn request(&mut self, request: &Request, cuts: &[usize], trailers: bool) -> (End, Vec<u8>) {
        let is_ended = request.body.is_empty() && !trailers;
        let snapshot = Headers::new(self.headers.clone());
        self.transaction.set_peer(request.peer);
        let progress = self
            .transaction
            .request_headers(snapshot, is_ended, self.now);
        match self.worker.carry_on(&mut self.transaction, progress) {
            Progress::Waits(Effect::Body(release)) => {
                assert!(!is_ended, "held a request that has ended");
                if let Some(headers) = release {
                    assert_eq!(self.engine.policy.hold, Hold::BufferFilter);
                    self.forward(Forward {
                        headers,
                        body: None,
                    });
                }
            }
            Progress::Done(end) => return (end, request.body.clone()),
            progress => panic!("{progress:?}"),
        }
        let mut buffer = Vec::new();
        for (part, is_ended) in parts(&request.body, cuts, trailers) {
            buffer.extend_from_slice(part);
            assert!(buffer.len() <= LIMIT);
            if !is_ended {
                let grown = self
                    .transaction
                    .request_grows(buffer.len(), || buffer.clone());
                if let Some(end) = grown {
                    let forwarded = matches!(end, End::Forward(_));
                    let observes = self.engine.policy.mode == Mode::Observe;
                    assert!(!forwarded || observes, "forwarded before the end");
                    return (end, request.body.clone());
                }
                continue;
            }
            let body = effect::Outcome::Body(buffer.clone());
            let progress = self.transaction.resume(body, self.now).expect("waits");
            match self.worker.carry_on(&mut self.transaction, progress) {
                Progress::Done(end) => return (end, buffer),
                progress => panic!("{progress:?}"),
            }
        }
        panic!("neither forwarded nor answered");
    }

    /// Makes the changes of a request that goes on. Its body, if that is replaced.
    fn forward(&mut self, forward: Forward) -> Option<Vec<u8>> {
        assert!(
            !self.is_released || forward.headers.is_empty(),
            "headers changed after they went on"
        );
        self.is_released = true;
        edit(&mut self.headers, &forward.headers);
        forward.body
    }

    fn response(
        &mut self,
        answer: &(Map, Vec<u8>),
        cuts: &[usize],
        trailers: bool,
    ) -> (Map, Vec<u8>) {
        let (mut headers, body) = answer.clone();
        let mut out = Vec::new();
        let empty = body.is_empty() && !trailers;
        let mut released = false;
        let snapshot = Headers::new(headers.clone());
        if let Some(reply) = self
            .worker
            .account_refused(&mut self.transaction, &snapshot)
        {
            let mut headers = map(&[(":status", &reply.status.to_string())]);
            for (name, value) in &reply.headers {
                headers.push(((*name).to_owned(), value.clone().into_bytes()));
            }
            return (headers, reply.body);
        }
        match self.transaction.response_headers(&snapshot, empty) {
            Step::Forward(forward) => {
                released = true;
                edit(&mut headers, &forward.headers);
            }
            Step::ForwardLast(_) => panic!("ends with its headers"),
            Step::Hold => assert!(!empty, "held an answer that has ended"),
        }
        let mut held = Vec::new();
        for (part, ended) in parts(&body, cuts, trailers) {
            if !self.transaction.reads_response() {
                out.extend_from_slice(part);
                continue;
            }
            let whole = self.transaction.holds_response();
            held.extend_from_slice(part);
            let given = if whole { held.clone() } else { part.to_vec() };
            let step = if whole && !ended {
                self.transaction.response_grows(given.len())
            } else {
                self.worker.decide_lists(&mut self.transaction, &given);
                self.transaction.response_body(&given, self.now)
            };
            let is_last = matches!(step, Step::ForwardLast(_));
            match step {
                Step::Hold => assert!(!ended && whole),
                Step::Forward(Forward {
                    headers: edits,
                    body,
                })
                | Step::ForwardLast(Forward {
                    headers: edits,
                    body,
                }) => {
                    assert!(
                        !released || edits.is_empty(),
                        "headers changed after they went on"
                    );
                    released = true;
                    edit(&mut headers, &edits);
                    out.extend(body.unwrap_or(given));
                }
            }
            if is_last {
                break;
            }
        }
        check_length(&headers, &out);
        (headers, out)
    }
}

/// Does an operation on a store.
pub(in super::super) fn stored(
    store: &Store,
    operation: &StoreOperation,
    now: UnixTime,
) -> Result<Stored, StoreError> {
    let (outcome, held) = memory::apply(
        &store.borrow(),
        operation,
        UnixTime::from_secs(now.as_secs()),
    )?;
    if let Some(held) = held {
        store.replace(held);
    }
    Ok(outcome)
}

/// As the environment gives them to the filter.
pub(in super::super) fn secrets(policy: &Policy) -> Secrets {
    let sealer = policy.seal.as_ref();
    let sealer = sealer.map(|_| Rc::new(Sealer::new(&"secret".repeat(6)).unwrap()));
    let credential = match &policy.upstream.authorization {
        Authorization::Static(credential) => Credential::new(&credential.scheme, "s3cret").ok(),
        _ => None,
    };
    let exchanger = match &policy.upstream.authorization {
        Authorization::Exchange(exchange) => {
            let exchanger = TokenExchanger::new((**exchange).clone(), Clients::default());
            Some(Rc::new(exchanger))
        }
        _ => None,
    };
    let credential_there = |_: &StaticCredential| Credential::new("Bearer", "pdp-s3cret");
    let decision_points = DecisionPoints::of(policy, credential_there).unwrap();
    Secrets {
        audit_key: None,
        sealer,
        exchanger,
        credential: credential.map(Rc::new),
        decision_points: decision_points.map(Rc::new),
        ..Secrets::default()
    }
}

pub(super) fn now(later: u64) -> UnixTime {
    UnixTime::from_secs(NOW + later)
}

pub(super) fn map(pairs: &[(&str, &str)]) -> Map {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    pairs.iter().map(pair).collect()
}

fn header<'m>(headers: &'m Map, name: &str) -> Option<&'m str> {
    let mut values = headers.iter().filter(|(other, _)| other == name);
    let value = values
        .next()
        .map(|(_, value)| str::from_utf8(value).unwrap());
    assert!(values.next().is_none(), "{name} is repeated");
    value
}

fn edit(headers: &mut Map, edits: &[HeaderEdit]) {
    for change in edits {
        match change {
            HeaderEdit::Remove(name) => headers.retain(|(other, _)| other != name),
            HeaderEdit::Set(name, value) => {
                headers.retain(|(other, _)| other != name);
                headers.push((name.clone(), value.as_bytes().to_vec()));
            }
        }
    }
}

fn check_length(headers: &Map, body: &[u8]) {
    if let Some(length) = header(headers, "content-length") {
        assert_eq!(length, body.len().to_string(), "content-length");
    }
}

/// A body in parts, each with whether it ends the body. Trailers end it in a callback of their own.
fn parts<'b>(body: &'b [u8], cuts: &[usize], trailers: bool) -> Vec<(&'b [u8], bool)> {
    let mut parts = Vec::new();
    let mut from = 0;
    for &cut in cuts.iter().filter(|cut| **cut > 0 && **cut < body.len()) {
        parts.push((&body[from..cut], false));
        from = cut;
    }
    parts.push((&body[from..], !trailers));
    if trailers {
        parts.push((&[], true));
    }
    parts
}
