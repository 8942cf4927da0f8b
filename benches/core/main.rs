//! What the phases of the core cost, natively. `serde_json` reads the same bodies in the same run,
//! for scale: absolute numbers depend on the machine.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here is the benchmark itself"
)]

mod samples;

use std::hint::black_box;
use std::rc::Rc;

use base::http::{HttpRequest, HttpResponse};
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use criterion::{criterion_group, criterion_main};
use mcp::headers::Headers;
use mcp::message::Message;
use mcp_auth_filter::credential::Credential;
use mcp_auth_filter::decision_point::DecisionPoints;
use mcp_auth_filter::effect::{Effect, Outcome, Progress};
use mcp_auth_filter::engine::{Engine, Secrets};
use mcp_auth_filter::host::dry_run::{DryRun, Outside};
use mcp_auth_filter::step::{End, Forward, Step};
use mcp_auth_filter::transaction::Transaction;
use oauth::{Algorithm, BearerToken, ClientNetwork, Verification, Verifier};
use policy::Policy;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use self::samples::{Issuer, NOW};

const SIZES: [usize; 3] = [524, 2 * 1024, 64 * 1024];
const MAX_DEPTH: usize = 64;

/// What a filter has to know of a message at least, and the arguments as they are.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Envelope<'a> {
    jsonrpc: &'a str,
    id: &'a RawValue,
    method: &'a str,
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: &'a str,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

fn read(criterion: &mut Criterion) {
    let policy = samples::policy(&Issuer::new(Algorithm::EdDSA));
    let mut group = criterion.benchmark_group("read");
    for size in SIZES {
        let body = samples::call(size, false);
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_with_input(BenchmarkId::new("strict", size), &body, |bencher, body| {
            bencher.iter(|| Message::read(black_box(body), &policy.names, MAX_DEPTH).unwrap());
        });
        group.bench_with_input(
            BenchmarkId::new("RawValue", size),
            &body,
            |bencher, body| {
                bencher.iter(|| {
                    let envelope: Envelope<'_> = serde_json::from_slice(black_box(body)).unwrap();
                    assert_eq!((envelope.jsonrpc, envelope.method), ("2.0", "tools/call"));
                    (envelope.id, envelope.params.name, envelope.params.arguments)
                });
            },
        );
        group.bench_with_input(
            BenchmarkId::new("IgnoredAny", size),
            &body,
            |bencher, body| {
                bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).unwrap());
            },
        );
        group.bench_with_input(BenchmarkId::new("Value", size), &body, |bencher, body| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(body)).unwrap());
        });
    }
    group.finish();
}

/// A request from its headers to what is forwarded, by a caller whose token was seen before.
fn exchange(criterion: &mut Criterion) {
    let issuer = Issuer::new(Algorithm::RS256);
    let policy = samples::policy(&issuer);
    let authorization = issuer.authorization();
    let mut group = criterion.benchmark_group("exchange");
    for (name, edited) in [("unchanged", false), ("edited", true)] {
        for size in SIZES {
            let body = samples::call(size, edited);
            let headers = samples::headers(&authorization, body.len());
            let engine = engine(&policy);
            group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    let (transaction, forward) = request(&engine, &headers, &body);
                    assert_eq!(forward.body.is_some(), edited);
                    transaction.finish(200, mcp_auth_filter::transaction::Ending::Whole, NOW)
                });
            });
        }
    }
    group.finish();
}

/// A call that a decision point allowed before. Its answer is remembered.
fn decided(criterion: &mut Criterion) {
    let issuer = Issuer::new(Algorithm::RS256);
    let policy = samples::deciding_policy(&issuer);
    let authorization = issuer.authorization();
    let mut group = criterion.benchmark_group("exchange with a remembered decision");
    for size in SIZES {
        let body = samples::call(size, false);
        let headers = samples::headers(&authorization, body.len());
        let verifier = Verifier::new(policy.issuers.clone()).unwrap();
        let points = DecisionPoints::of(&policy, |_| Err::<Credential, _>("none")).unwrap();
        let secrets = Secrets {
            decision_points: points.map(Rc::new),
            ..Secrets::default()
        };
        let engine = Rc::new(Engine::new(Rc::clone(&policy), secrets, verifier));
        let worker = DryRun::new(Rc::clone(&engine), Rc::new(Allows), NOW);
        let mut first = Transaction::new(Rc::clone(&engine));
        let end = worker.request(&mut first, headers.clone(), &body);
        assert!(matches!(end, Some(End::Forward(_))));
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let (transaction, _) = request(&engine, &headers, &body);
                transaction.finish(200, mcp_auth_filter::transaction::Ending::Whole, NOW)
            });
        });
    }
    group.finish();
}

/// A decision point that allows all.
struct Allows;

impl Outside for Allows {
    fn answer(&self, _: &HttpRequest) -> Option<HttpResponse> {
        let body = br#"{"decision":true}"#.to_vec();
        Some(HttpResponse::json(200, body))
    }

    fn store(&self, _: &StoreOperation, _: UnixTime) -> Result<Stored, StoreError> {
        Err(StoreError::Unavailable)
    }
}

/// The answer to a list request, half of which the caller may not see.
fn list(criterion: &mut Criterion) {
    let issuer = Issuer::new(Algorithm::RS256);
    let policy = samples::policy(&issuer);
    let engine = engine(&policy);
    let asked = samples::list_request();
    let headers = samples::headers(&issuer.authorization(), asked.len());
    let answer = samples::tools(50);
    let events = [b"event: message\ndata: ", &*answer, b"\n\n"].concat();
    let mut group = criterion.benchmark_group("list of 50 tools");
    for (name, media, body) in [
        ("JSON", "application/json", answer),
        ("event stream", "text/event-stream", events),
    ] {
        let answered = samples::answer_headers(media);
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap()));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || request(&engine, &headers, &asked).0,
                |mut exchange| {
                    exchange.response_headers(&answered, false);
                    let step = exchange.response_body(&body, NOW);
                    let Step::Forward(Forward {
                        body: Some(less), ..
                    }) = step
                    else {
                        return None;
                    };
                    assert!(less.len() < body.len());
                    Some((exchange, less))
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The answer to a call whose result falls under two rules.
fn result(criterion: &mut Criterion) {
    let issuer = Issuer::new(Algorithm::RS256);
    let engine = engine(&samples::judging_policy(&issuer));
    let asked = samples::call(SIZES[0], false);
    let headers = samples::headers(&issuer.authorization(), asked.len());
    let (_, forward) = request(&engine, &headers, &asked);
    let sent: Value = serde_json::from_slice(&forward.body.unwrap_or(asked.clone())).unwrap();
    let mut group = criterion.benchmark_group("result with rules");
    for size in SIZES {
        let answer = samples::records(sent.get("id").unwrap(), size);
        let answered = samples::answer_headers("application/json");
        group.throughput(Throughput::Bytes(u64::try_from(answer.len()).unwrap()));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_batched(
                || request(&engine, &headers, &asked).0,
                |mut exchange| {
                    exchange.response_headers(&answered, false);
                    let step = exchange.response_body(&answer, NOW);
                    assert!(matches!(
                        &step,
                        Step::Forward(Forward { body: Some(_), .. })
                    ));
                    (exchange, step)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn token(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token");
    for issuer in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Issuer::new) {
        let policy = samples::policy(&issuer);
        let authorization = issuer.authorization();
        let verify = |verifier: &mut Verifier| {
            let token = BearerToken::of_header(&authorization).unwrap();
            let outcome = verifier.verify(&token, Some(ClientNetwork::UNKNOWN), NOW);
            assert!(matches!(outcome, Verification::Verified(_)));
        };
        group.bench_function(
            BenchmarkId::new("first seen", issuer.algorithm),
            |bencher| {
                bencher.iter_batched_ref(
                    || Verifier::new(policy.issuers.clone()).unwrap(),
                    verify,
                    BatchSize::SmallInput,
                );
            },
        );
        group.bench_function(
            BenchmarkId::new("remembered", issuer.algorithm),
            |bencher| {
                let mut verifier = Verifier::new(policy.issuers.clone()).unwrap();
                bencher.iter(|| verify(&mut verifier));
            },
        );
    }
    group.finish();
}

#[cfg(feature = "cel")]
fn condition(criterion: &mut Criterion) {
    use policy::Condition;

    let identity = samples::identity();
    let mut group = criterion.benchmark_group("condition");
    for (name, written) in [
        (
            "comparison",
            "args.limit <= 100 || 'manager' in identity.roles",
        ),
        ("all", "args.tickets.all(ticket, ticket.amount < 1000.0)"),
    ] {
        let condition = Condition::compile(written).unwrap();
        for size in SIZES {
            let arguments = samples::arguments(size);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| condition.check(black_box(&arguments), &identity, "crm.import"));
            });
        }
    }
    group.finish();
}

#[cfg(not(feature = "cel"))]
fn condition(_: &mut Criterion) {}

/// Sends a request up to the point where it is forwarded.
fn request(engine: &Rc<Engine>, headers: &Headers, body: &[u8]) -> (Transaction, Forward) {
    let mut transaction = Transaction::new(Rc::clone(engine));
    let mut held = transaction.request_headers(headers.clone(), false, NOW);
    if held == Progress::Waits(Effect::Client) {
        // A token that was not seen before.
        let client = Outcome::Client(ClientNetwork::UNKNOWN);
        held = transaction.resume(client, NOW).unwrap();
    }
    assert_eq!(held, Progress::Waits(Effect::Body(None)));
    let body = Outcome::Body(black_box(body).to_vec());
    match transaction.resume(body, NOW) {
        Some(Progress::Done(End::Forward(forward))) => (transaction, forward),
        _ => (transaction, Forward::default()),
    }
}

fn engine(policy: &Rc<Policy>) -> Rc<Engine> {
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    Rc::new(Engine::new(Rc::clone(policy), Secrets::default(), verifier))
}

criterion_group!(
    phases, read, exchange, decided, list, result, token, condition
);
criterion_main!(phases);
