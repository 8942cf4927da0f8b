//! The cost ladder of one `tools/call`: sends the same request many times, each time as far as one step, so that
//! `benches/instructions.py` can count the instructions of each step.
//!
//! `ladder STEP SIZE ROUNDS`: `SIZE` is the size of the request's body in bytes.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here is the benchmark itself"
)]

#[path = "../core/samples.rs"]
#[expect(dead_code, reason = "samples of the other benchmarks")]
mod samples;

use std::env::args;
use std::hint::black_box;
use std::rc::Rc;

use mcp::headers::Headers;
use mcp_auth_filter::effect::{Effect, Outcome, Progress};
use mcp_auth_filter::engine::{Engine, Secrets};
use mcp_auth_filter::step::End;
use mcp_auth_filter::transaction::{Ending, Transaction};
use oauth::{Algorithm, ClientNetwork, Verifier};
use policy::Policy;

use self::samples::{Issuer, NOW};

/// The steps, in the order of a request. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Samples are copied, as the host hands them over.
    Copied,
    /// The context of the request exists.
    Context,
    /// The caller is identified, and the body awaited.
    Identified,
    /// The message is read, judged and edited.
    Forwarded,
    /// The answer's headers are read.
    AnswerHeaders,
    /// The answer's body is inspected.
    Answered,
    /// The record is complete.
    Recorded,
    /// The record is text.
    Logged,
}

const STEPS: [(&str, Step); 8] = [
    ("copied", Step::Copied),
    ("context", Step::Context),
    ("identified", Step::Identified),
    ("forwarded", Step::Forwarded),
    ("answer-headers", Step::AnswerHeaders),
    ("answered", Step::Answered),
    ("recorded", Step::Recorded),
    ("logged", Step::Logged),
];

fn main() {
    let given: Vec<String> = args().skip(1).filter(|given| given != "--bench").collect();
    let [kind, step, size, rounds] = given.as_slice() else {
        for (name, _) in STEPS {
            println!("{name}");
        }
        return;
    };
    let step = STEPS.iter().find(|(name, _)| name == step).unwrap().1;
    let (size, rounds): (usize, usize) = (size.parse().unwrap(), rounds.parse().unwrap());
    let issuer = Issuer::new(Algorithm::EdDSA);
    let policy = match kind.as_str() {
        "results" => samples::judging_policy(&issuer),
        _ => samples::policy(&issuer),
    };
    let body = samples::call(size, kind == "edited");
    let headers = samples::headers(&issuer.authorization(), body.len());
    let engine = engine(&policy);
    let answer = br#"{"jsonrpc":"2.0","id":42,"result":{"content":[{"type":"text","text":"done"}],"isError":false}}"#;
    // The first request verifies the token.
    run(&engine, &headers, &body, answer, Step::Logged);
    for _ in 0..rounds {
        run(&engine, &headers, &body, answer, step);
    }
}

fn run(engine: &Rc<Engine>, headers: &Headers, body: &[u8], answer: &[u8], last: Step) {
    let (headers, body) = (black_box(headers.clone()), black_box(body.to_vec()));
    if last == Step::Copied {
        return;
    }
    let mut transaction = Transaction::new(Rc::clone(engine));
    if last == Step::Context {
        return drop(black_box(transaction));
    }
    let mut progress = transaction.request_headers(headers, false, NOW);
    if progress == Progress::Waits(Effect::Client) {
        let client = Outcome::Client(ClientNetwork::UNKNOWN);
        progress = transaction.resume(client, NOW).unwrap();
    }
    assert_eq!(progress, Progress::Waits(Effect::Body(None)));
    if last == Step::Identified {
        return drop(black_box(transaction));
    }
    let progress = transaction.resume(Outcome::Body(body), NOW).unwrap();
    let Progress::Done(End::Forward(forward)) = progress else {
        panic!("{progress:?}");
    };
    black_box(forward);
    if last == Step::Forwarded {
        return drop(black_box(transaction));
    }
    let media = samples::answer_headers("application/json");
    black_box(transaction.response_headers(&media, false));
    if last == Step::AnswerHeaders {
        return drop(black_box(transaction));
    }
    black_box(transaction.response_body(answer, NOW));
    if last == Step::Answered {
        return drop(black_box(transaction));
    }
    let record = transaction.finish(200, Ending::Whole, NOW).unwrap();
    if last == Step::Logged {
        black_box(record.to_json());
    }
}

fn engine(policy: &Rc<Policy>) -> Rc<Engine> {
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    Rc::new(Engine::new(Rc::clone(policy), Secrets::default(), verifier))
}
