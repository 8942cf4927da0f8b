//! Exchanging callers' tokens: one call per worker for each, whoever waits for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::types::LogLevel;

use super::host;
use super::stream::Stream;
use crate::accounts::token_exchange::{ExchangeError, Progress, TokenExchanger};
use base::http::{HttpRequest, HttpResponse};
use oauth::TokenDigest;

const TIMEOUT: Duration = Duration::from_secs(5);

/// What is being exchanged, and who waits for it.
pub(super) struct TokenExchanges {
    exchanger: Rc<TokenExchanger>,
    /// The root context.
    root: u32,
    waiting: RefCell<HashMap<TokenDigest, Vec<Weak<RefCell<Stream>>>>>,
    calls: RefCell<HashMap<u32, TokenDigest>>,
}

impl TokenExchanges {
    /// Nothing yet.
    pub(super) fn new(exchanger: Rc<TokenExchanger>, root: u32) -> Self {
        Self {
            exchanger,
            root,
            waiting: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    /// Lets a stream wait for what its token is exchanged for, from the next tick.
    pub(super) fn wait_for(&self, token: TokenDigest, stream: &Weak<RefCell<Stream>>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.entry(token).or_default().push(Weak::clone(stream));
    }

    /// Begins with every token that somebody waits for.
    pub(super) fn tick(&self) {
        let wanted: Vec<TokenDigest> = self.waiting.borrow().keys().copied().collect();
        for token in wanted {
            if let Some(call) = self.exchanger.start(&token) {
                self.call(token, &call);
            }
        }
    }

    /// The answer to a call, if it is one of these.
    pub(super) fn answered(&self, call: u32, size: usize) {
        let token = self.calls.borrow_mut().remove(&call);
        if let Some(token) = token {
            self.go_on(token, host::call_answer(size).as_ref());
        }
    }

    fn call(&self, token: TokenDigest, call: &HttpRequest) {
        match host::call(self.root, call, TIMEOUT) {
            Some(number) => drop(self.calls.borrow_mut().insert(number, token)),
            None => self.go_on(token, None),
        }
    }

    fn go_on(&self, token: TokenDigest, answer: Option<&HttpResponse>) {
        let now = host::now().seconds();
        match self.exchanger.answered(&token, answer, now) {
            Progress::Call(call) => self.call(token, &call),
            Progress::Over(outcome) => {
                outcome.unwrap_or_else(log);
                let waiting = self.waiting.borrow_mut().remove(&token);
                let streams = waiting.iter().flatten().filter_map(Weak::upgrade);
                streams.for_each(|stream| Stream::exchanged(&stream));
            }
        }
    }
}

/// What is no caller's fault is an error for who runs the proxy.
fn log(error: ExchangeError) {
    if !matches!(error, ExchangeError::Denied | ExchangeError::Subject) {
        host::log(LogLevel::Error, &format!("token exchange: {error}"));
    }
}
