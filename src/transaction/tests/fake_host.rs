//! A host with Envoy's rules: headers are gone once they went on, a request is answered once, a
//! body's length is what its header says, trailers come instead of an ended body.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::super::{Connection, Forward, Now, Secrets, Step, Transaction};
use super::{NOW, tokens};
use crate::accounts::AccountContext;
use crate::accounts::Clients;
use crate::accounts::refresh::{PendingRefresh, Refreshed, refresh};
use crate::accounts::token_exchange::{self, TokenExchanger};
use crate::audit::Record;
use crate::credential::Credential;
use crate::effect::{self, Effect, Effects, Task};
use crate::response::pins::SeenTools;
use base::effect::{Ask, Told};
use base::http::Reply;
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::store::{Operation, StoreError, Stored, memory};
use mcp::headers::{HeaderEdit, Headers};
use oauth::Verifier;
use policy::{Authorization, Hold, Mode, Policy};

const LIMIT: usize = 1024 * 1024;

type Map = Vec<(String, Vec<u8>)>;

/// A request, and the answer the server will give to it.
#[derive(Debug, Clone)]
pub(in super::super) struct Request {
    pub headers: Map,
    pub body: Vec<u8>,
    pub answer: (Map, Vec<u8>),
    pub connection: Connection,
}

/// What the server, the client and the log saw.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Outcome {
    pub server: Option<(Map, Vec<u8>)>,
    pub reply: Option<Reply>,
    pub client: Option<(Map, Vec<u8>)>,
    pub record: Record,
}

pub(in super::super) struct FakeHost {
    exchange: Transaction,
    verifier: Verifier,
    policy: Rc<Policy>,
    now: Now,
    store: Store,
    calls: Rc<RefCell<Vec<HttpRequest>>>,
    answers: VecDeque<HttpResponse>,
    meanwhile: Option<Operation>,
    before_write: Option<Operation>,
    secrets: Secrets,
    exchanges: TokenExchanges,
}

/// What the authorization server answers to each exchange of a token.
pub(in super::super) type TokenExchanges = Rc<RefCell<VecDeque<Option<HttpResponse>>>>;

/// What outlasts a request: one slot for everything.
pub(in super::super) type Store = Rc<RefCell<Vec<u8>>>;

impl Request {
    pub fn post(body: &str) -> Self {
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
            connection: Connection::default(),
        }
        .with(
            "authorization",
            &format!("Bearer {}", tokens::token(serde_json::json!({}))),
        )
    }

    pub fn method(method: &str) -> Self {
        let mut request = Self::post("")
            .without("content-length")
            .without("content-type");
        request.set(":method", method);
        request
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub fn token(self, claims: serde_json::Value) -> Self {
        let token = format!("Bearer {}", tokens::token(claims));
        self.without("authorization").with("authorization", &token)
    }

    pub fn path(mut self, path: &str) -> Self {
        self.set(":path", path);
        self
    }

    pub fn on(mut self, connection: Connection) -> Self {
        self.connection = connection;
        self
    }

    pub fn answered(mut self, headers: &[(&str, &str)], body: &str) -> Self {
        self.answer = (map(headers), body.as_bytes().to_vec());
        self
    }

    fn set(&mut self, name: &str, value: &str) {
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
    pub fn server_body(&self) -> &[u8] {
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
    pub fn server_header(&self, name: &str) -> Option<&str> {
        let (headers, _) = self.server.as_ref().expect("forwarded");
        header(headers, name)
    }

    /// The refusal: HTTP status, JSON-RPC code and reason. The server must have received nothing.
    pub fn refusal(&self) -> (u16, i64, &'static str) {
        assert_eq!(self.server, None, "reached the server");
        let reply = self.reply.as_ref().expect("answered");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        (
            reply.status,
            body["error"]["code"].as_i64().unwrap(),
            self.record.decision.reason,
        )
    }

    pub fn challenge(&self) -> &str {
        let headers = &self.reply.as_ref().expect("answered").headers;
        headers
            .iter()
            .find(|(name, _)| *name == "www-authenticate")
            .map_or("", |(_, value)| value)
    }

    pub fn client_body(&self) -> String {
        String::from_utf8(
            self.client
                .as_ref()
                .expect("answered by the server")
                .1
                .clone(),
        )
        .unwrap()
    }

    pub fn client_header(&self, name: &str) -> Option<&str> {
        header(
            &self.client.as_ref().expect("answered by the server").0,
            name,
        )
    }
}

impl FakeHost {
    pub fn new(policy: &Rc<Policy>) -> Self {
        Self::at(policy, 0)
    }

    /// A host that saw these tools before.
    pub fn that_saw(seen: &SeenTools, policy: &Rc<Policy>) -> Self {
        let host = Self::new(policy);
        let exchange = Transaction::new(Rc::clone(policy), &host.secrets, seen, host.now);
        Self { exchange, ..host }
    }

    /// A host whose clock is this many seconds later.
    pub fn at(policy: &Rc<Policy>, later: u64) -> Self {
        Self::with_secrets(policy, secrets(policy), later)
    }

    /// The same with what other requests made of the secrets.
    pub fn with_secrets(policy: &Rc<Policy>, secrets: Secrets, later: u64) -> Self {
        let now = now(later);
        let seen = SeenTools::default();
        Self {
            now,
            exchange: Transaction::new(Rc::clone(policy), &secrets, &seen, now),
            secrets,
            exchanges: TokenExchanges::default(),
            verifier: Verifier::new(policy.issuers.clone()).unwrap(),
            policy: Rc::clone(policy),
            store: Store::default(),
            calls: Rc::default(),
            answers: VecDeque::new(),
            meanwhile: None,
            before_write: None,
        }
    }

    /// The same with what others stored before.
    pub fn with_store(self, store: &Store) -> Self {
        let store = Rc::clone(store);
        Self { store, ..self }
    }

    /// The same with what other servers answer; the calls to them are noted.
    pub fn with_answers(
        self,
        answers: &[HttpResponse],
        calls: &Rc<RefCell<Vec<HttpRequest>>>,
    ) -> Self {
        Self {
            answers: answers.to_vec().into(),
            calls: Rc::clone(calls),
            ..self
        }
    }

    /// The same where others do this to the store while another server answers.
    pub fn meanwhile(self, operation: Operation) -> Self {
        Self {
            meanwhile: Some(operation),
            ..self
        }
    }

    /// The same where others do this to the store just before it is written to.
    pub fn before_write(self, operation: Operation) -> Self {
        Self {
            before_write: Some(operation),
            ..self
        }
    }

    /// The same with an authorization server.
    pub fn with_exchanges(self, exchanges: &TokenExchanges) -> Self {
        let exchanges = Rc::clone(exchanges);
        Self { exchanges, ..self }
    }

    /// Does what the exchange asks for, until it asks no more.
    fn answer(&mut self, mut step: Step) -> Step {
        if let Step::Exchange(token) = step {
            let exchanger = Rc::clone(self.secrets.exchanger.as_ref().unwrap());
            let mut call = exchanger.start(&token);
            while call.is_some() {
                let answer = self.exchanges.borrow_mut().pop_front();
                let answer = answer.expect("one more exchange");
                let now = self.now.seconds();
                call = match exchanger.answered(&token, answer.as_ref(), now) {
                    token_exchange::Progress::Call(next) => Some(next),
                    token_exchange::Progress::Over(_) => None,
                };
            }
            step = self.exchange.exchanged(self.now);
        }
        loop {
            step = match step {
                Step::Ask(ask) => {
                    let told = self.asked(ask);
                    self.exchange.told(told, &mut self.verifier, self.now)
                }
                Step::Refresh(refresh) => {
                    let refreshed = self.refresh(*refresh);
                    self.exchange.refreshed(refreshed, self.now)
                }
                step => return step,
            };
        }
    }

    fn asked(&mut self, ask: Ask) -> Told {
        match ask {
            Ask::Store(operation) => Told::Store(self.store(&operation)),
            Ask::Call(call) => Told::Call(self.call(call)),
            Ask::Wait => Told::Waited,
        }
    }

    fn store(&mut self, operation: &Operation) -> Result<Stored, StoreError> {
        let is_write = matches!(operation, Operation::Put(_) | Operation::Replace(..));
        if let Some(other) = self.before_write.take_if(|_| is_write) {
            stored(&self.store, &other, self.now).unwrap();
        }
        stored(&self.store, operation, self.now)
    }

    fn call(&mut self, call: HttpRequest) -> Option<HttpResponse> {
        if let Some(operation) = self.meanwhile.take() {
            stored(&self.store, &operation, self.now).unwrap();
        }
        self.calls.borrow_mut().push(call);
        self.answers.pop_front()
    }

    fn refresh(&mut self, pending: PendingRefresh) -> Refreshed {
        let context = self.secrets.accounts(&self.policy, Effects::default());
        let context = context.unwrap();
        let now_ms = self.now.unix_ms;
        let (mut task, mut progress) = Task::start(now_ms, |effects| {
            refresh(AccountContext { effects, ..context }, pending)
        });
        loop {
            let outcome = match progress {
                effect::Progress::Done(refreshed) => return refreshed,
                effect::Progress::Waits(Effect::Store(operation)) => {
                    effect::Outcome::Store(self.store(&operation))
                }
                effect::Progress::Waits(Effect::Call(call)) => {
                    effect::Outcome::Call(self.call(call))
                }
                effect::Progress::Waits(other) => panic!("{other:?}"),
            };
            progress = task.resume(outcome, now_ms);
        }
    }

    /// Runs a request and its answer, both cut at these places.
    pub fn exchange(mut self, request: &Request, cuts: &[usize], trailers: bool) -> Outcome {
        let (server, reply) = self.request(request, cuts, trailers);
        let mut status = reply.as_ref().map_or(0, |reply| reply.status);
        let client = server.is_some().then(|| {
            let (headers, body) = self.response(&request.answer, cuts, trailers);
            status = header(&headers, ":status").unwrap().parse().unwrap();
            (headers, body)
        });
        let mut record = self.exchange.finish(status, self.now).expect("one record");
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

    fn request(
        &mut self,
        request: &Request,
        cuts: &[usize],
        trailers: bool,
    ) -> (Option<(Map, Vec<u8>)>, Option<Reply>) {
        let mut headers = request.headers.clone();
        let empty = request.body.is_empty() && !trailers;
        let snapshot = Headers::new(headers.clone());
        self.exchange.came_in_on(request.connection);
        let step = self
            .exchange
            .request_headers(snapshot, empty, &mut self.verifier, self.now);
        let step = self.answer(step);
        let mut released = false;
        match self.message(step, &mut headers, None, &mut released) {
            Progress::Replied(reply) => return (None, Some(reply)),
            Progress::Forwarded(body) if empty => return (Some((headers, body)), None),
            Progress::Forwarded(_) if self.exchange.is_over() => {
                return (Some((headers, request.body.clone())), None);
            }
            Progress::Forwarded(_) => assert_eq!(self.policy.hold, Hold::BufferFilter),
            Progress::Held => assert!(!empty, "held a request that has ended"),
        }
        let mut buffer = Vec::new();
        for (part, ended) in parts(&request.body, cuts, trailers) {
            buffer.extend_from_slice(part);
            assert!(buffer.len() <= LIMIT);
            let step = if ended {
                self.exchange
                    .request_body(&buffer, &mut self.verifier, self.now)
            } else {
                self.exchange.request_grows(buffer.len())
            };
            let step = self.answer(step);
            match self.message(step, &mut headers, Some(&buffer), &mut released) {
                Progress::Replied(reply) => return (None, Some(reply)),
                Progress::Forwarded(_) if !ended => {
                    assert_eq!(self.policy.mode, Mode::Observe, "forwarded before the end");
                    return (Some((headers, request.body.clone())), None);
                }
                Progress::Forwarded(body) => {
                    check_length(&headers, &body);
                    return (Some((headers, body)), None);
                }
                Progress::Held => assert!(!ended, "held a request that has ended"),
            }
        }
        panic!("neither forwarded nor answered");
    }

    /// Makes the changes of a step.
    fn message(
        &self,
        step: Step,
        headers: &mut Map,
        body: Option<&[u8]>,
        released: &mut bool,
    ) -> Progress {
        match step {
            Step::Hold => Progress::Held,
            Step::Reply(reply) => Progress::Replied(reply),
            Step::Fetch(_) => panic!("keys are inline"),
            Step::Ask(_) | Step::Exchange(_) | Step::Refresh(_) => panic!("{step:?}"),
            Step::Forward(Forward {
                headers: edits,
                body: with,
            }) => {
                assert!(
                    !*released || edits.is_empty(),
                    "headers changed after they went on"
                );
                *released = true;
                edit(headers, &edits);
                let body = with
                    .or_else(|| body.map(<[u8]>::to_vec))
                    .unwrap_or_default();
                Progress::Forwarded(body)
            }
        }
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
        match self.exchange.response_headers(&snapshot, empty) {
            Step::Forward(forward) => {
                released = true;
                edit(&mut headers, &forward.headers);
            }
            Step::Hold => assert!(!empty, "held an answer that has ended"),
            step => panic!("{step:?}"),
        }
        let mut held = Vec::new();
        for (part, ended) in parts(&body, cuts, trailers) {
            if !self.exchange.reads_response() {
                out.extend_from_slice(part);
                continue;
            }
            let whole = self.exchange.holds_response();
            held.extend_from_slice(part);
            let given = if whole { held.clone() } else { part.to_vec() };
            match self.exchange.response_body(&given, ended, self.now) {
                Step::Hold => assert!(!ended && whole),
                Step::Forward(Forward {
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
                step => panic!("{step:?}"),
            }
        }
        check_length(&headers, &out);
        (headers, out)
    }
}

enum Progress {
    Held,
    Forwarded(Vec<u8>),
    Replied(Reply),
}

/// Does an operation on a store.
pub(in super::super) fn stored(
    store: &Store,
    operation: &Operation,
    now: Now,
) -> Result<Stored, StoreError> {
    let (outcome, held) = memory::apply(&store.borrow(), operation, now.seconds())?;
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
    Secrets {
        audit_key: None,
        sealer,
        exchanger,
        credential: credential.map(Rc::new),
        ..Secrets::default()
    }
}

pub(super) fn now(later: u64) -> Now {
    Now {
        unix_ms: (NOW + later) * 1000,
    }
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
