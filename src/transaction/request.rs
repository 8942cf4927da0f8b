//! The request's events.

use std::collections::VecDeque;
use std::rc::Rc;

use super::caller::AuthMethod;
use super::waiting::Waiting;
use super::{Forward, MAX_DEPTH, Now, RequestState, Step, Transaction};
use super::{credentials, forward, local};
use crate::authorize::{Target, authorize};
use crate::cors;
use crate::effect::Outcome;
use crate::metadata::metadata;
use crate::reasons::Approval;
use crate::refusal::Refusal;
use crate::response::inspect::{Inspect, ResultOf};
use mcp::headers::{HeaderEdit, Headers, VERSIONS, media_type, stated_era};
use mcp::message::{Message, Shape};
use oauth::{PendingFetch, Verification, Verifier};
use policy::{Authorization, Hold, Mode};

impl Transaction {
    /// The request's headers. `ended`: nothing follows them.
    pub fn request_headers(
        &mut self,
        headers: Headers,
        ended: bool,
        verifier: &mut Verifier,
        now: Now,
    ) -> Step {
        self.headers = headers;
        self.request = RequestState::Body;
        self.note_headers();
        if let Err(refusal) = local::check(&self.policy, &self.headers, self.connection) {
            return self.refuse(&refusal, None);
        }
        if let Some(step) = self.metadata().or_else(|| self.preflight()) {
            return step;
        }
        if self.is_for_page() {
            self.is_page = true;
            return match ended {
                true => self.page(&[], verifier, now),
                false => Step::Hold,
            };
        }
        if let Err(refusal) = self.check_headers() {
            return self.refuse(&refusal, None);
        }
        match self.verify(verifier, now) {
            Ok(None) => self.headers_accepted(ended, verifier, now),
            Ok(Some(need)) => {
                self.request = RequestState::AwaitsKeys { ended };
                Step::Fetch(need)
            }
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    /// What the request waited for was fetched, or could not be. `body` is what arrived of
    /// the body meanwhile.
    pub fn keys_ready(&mut self, body: &[u8], verifier: &mut Verifier, now: Now) -> Step {
        let RequestState::AwaitsKeys { ended } = self.request else {
            return Step::Hold;
        };
        let resumed = |transaction: &mut Self| transaction.resume(Outcome::Fetched, now);
        if let Some(step) = self.lend(verifier, resumed) {
            return step;
        }
        self.request = RequestState::Body;
        match self.verify(verifier, now) {
            Ok(None) => match self.headers_accepted(ended && body.is_empty(), verifier, now) {
                Step::Hold if ended => self.request_body(body, verifier, now),
                step => step,
            },
            Ok(Some(need)) => self.refuse(&Refusal::Token(need.unavailable()), None),
            Err(refusal) => self.refuse(&refusal, None),
        }
    }

    /// More of the request's body arrived: `size` bytes so far, and more to come.
    pub fn request_grows(&mut self, size: usize) -> Step {
        self.record.request_bytes = size;
        match self.request {
            RequestState::Over | RequestState::Start => Step::Forward(Forward::default()),
            _ if size > self.policy.max_body => self.refuse(&Refusal::TooLarge, None),
            RequestState::AwaitsKeys { .. } | RequestState::Body | RequestState::Asks => Step::Hold,
        }
    }

    /// The request's body, whole: it ended, by itself or with trailers.
    pub fn request_body(&mut self, body: &[u8], verifier: &mut Verifier, now: Now) -> Step {
        match self.request_grows(body.len()) {
            Step::Hold => {}
            step => return step,
        }
        if let RequestState::AwaitsKeys { ended } = &mut self.request {
            *ended = true;
            return Step::Hold;
        }
        if self.request == RequestState::Asks {
            return Step::Hold;
        }
        if self.is_page {
            return self.page(body, verifier, now);
        }
        match (self.record.http_method.as_str(), body.is_empty()) {
            ("POST", false) => self.judge(body, now),
            ("POST", true) | (_, false) => self.refuse(&Refusal::Body, None),
            (_, true) => self.connect(now),
        }
    }

    /// The trailers of a request that goes on: a server may read them like headers.
    pub fn request_trailers(&self, trailers: &Headers) -> Vec<HeaderEdit> {
        if self.policy.mode == Mode::Observe {
            return Vec::new();
        }
        forward::removed_trailers(&self.policy, trailers, self.asked.era)
    }

    fn note_headers(&mut self) {
        self.asked.era = stated_era(&self.headers);
        let one = |name| self.headers.one(name).ok().flatten();
        self.record.http_method = crate::audit::name(one(":method").unwrap_or_default());
        let version = one("mcp-protocol-version").filter(|stated| VERSIONS.contains(stated));
        self.record.version = version.map(str::to_owned);
    }

    /// Answers a request for the metadata document, which needs no token (RFC 9728 section 3).
    fn metadata(&mut self) -> Option<Step> {
        let path = self.headers.one(":path").ok().flatten()?;
        // With `local`, there is nowhere to sign in.
        if self.policy.local.is_some() || !self.policy.is_metadata_path(path) {
            return None;
        }
        let reply = match self.record.http_method.as_str() {
            "GET" | "HEAD" => metadata(&self.policy),
            method if cors::is_preflight(method, &self.headers) => {
                cors::preflight("*", &self.headers, None)
            }
            _ => return None,
        };
        Some(self.answer_openly(Approval::MetadataPublished, reply))
    }

    /// Answers a page of a known origin that asks whether it may call. Others are refused like any
    /// request of theirs.
    fn preflight(&mut self) -> Option<Step> {
        let path = self.headers.one(":path").ok().flatten()?;
        let origin = self.origin()?;
        let asks = path == self.policy.path
            && cors::is_preflight(&self.record.http_method, &self.headers)
            && self.policy.allows_origin(origin);
        let view_as = self.policy.view_as.header.as_deref();
        let reply = asks.then(|| cors::preflight(origin, &self.headers, view_as))?;
        Some(self.answer_openly(Approval::PreflightAnswered, reply))
    }

    /// What can be said against a request before its token is looked at.
    fn check_headers(&self) -> Result<(), Refusal> {
        let one = |name| self.headers.one(name).map_err(Refusal::Header);
        let path = one(":path")?.unwrap_or_default();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        if path != self.policy.path {
            return Err(Refusal::NotFound);
        }
        if query.is_some() {
            return Err(Refusal::Query);
        }
        if one("origin")?.is_some_and(|origin| !self.policy.allows_origin(origin)) {
            return Err(Refusal::Origin);
        }
        if !matches!(self.record.http_method.as_str(), "POST" | "GET" | "DELETE") {
            return Err(Refusal::HttpMethod);
        }
        if self.headers.has("upgrade") {
            return Err(Refusal::Upgrade);
        }
        Ok(())
    }

    /// Verifies the token. `Some`: this has to be fetched first.
    fn verify(
        &mut self,
        verifier: &mut Verifier,
        now: Now,
    ) -> Result<Option<PendingFetch>, Refusal> {
        if let Some(local) = &self.policy.local {
            let way = AuthMethod::Local(Rc::clone(local));
            return self.know_caller(way, now).map(|()| None);
        }
        if !self.headers.has("authorization") && self.policy.anonymous.is_some() {
            return self.know_caller(AuthMethod::Anonymous, now).map(|()| None);
        }
        match credentials::verify(&self.policy, &self.headers, verifier, now.seconds())? {
            Verification::Verified(token) => self
                .know_caller(AuthMethod::Token(token), now)
                .map(|()| None),
            Verification::PendingFetch(need) => Ok(Some(need)),
            Verification::Refused(error) => Err(Refusal::Token(error)),
        }
    }

    /// Goes on with a request whose caller is known.
    fn headers_accepted(&mut self, ended: bool, verifier: &mut Verifier, now: Now) -> Step {
        if let Err(refusal) = self.check_content().and_then(|()| self.open_headers()) {
            return self.refuse(&refusal, None);
        }
        if ended {
            return self.request_body(&[], verifier, now);
        }
        if self.policy.hold == Hold::BufferFilter {
            // The headers go now or never; the buffer filter behind this one keeps them.
            let headers = match self.policy.mode {
                Mode::Enforce => self.forward_headers(None),
                Mode::Observe => Vec::new(),
            };
            return Step::Forward(Forward {
                headers,
                body: None,
            });
        }
        Step::Hold
    }

    fn check_content(&self) -> Result<(), Refusal> {
        let one = |name| self.headers.one(name).map_err(Refusal::Header);
        if self.record.http_method != "POST" {
            return Ok(());
        }
        match one("content-encoding")? {
            None => {}
            Some(encoding) if encoding.eq_ignore_ascii_case("identity") => {}
            Some(_) => return Err(Refusal::ContentEncoding),
        }
        let media = one("content-type")?.and_then(media_type);
        if media.as_deref() != Some("application/json") {
            return Err(Refusal::ContentType);
        }
        let length = one("content-length")?.and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.policy.max_body) {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }

    /// A GET for the server's event stream, or the DELETE of a session.
    fn connect(&mut self, now: Now) -> Step {
        let Some(caller) = self.caller.clone() else {
            return self.refuse(&Refusal::NoToken, None);
        };
        match authorize(&self.policy, caller.caller(now), Target::Server, None) {
            Ok(evidence) => self.approve(Approval::SessionAllowed, evidence),
            Err(denial) => return self.refuse(&Refusal::Denied(denial), None),
        }
        if self.record.http_method == "GET" {
            let inspect = Inspect {
                lists: true,
                handles: true,
                ..Inspect::default()
            };
            let tool = self.handles.tool.clone();
            self.prepare_answer(inspect, tool.map_or(ResultOf::Anything, ResultOf::Tool));
        }
        let mut needs: VecDeque<_> = self.token_for_server().into_iter().collect();
        if self.record.http_method == "DELETE" {
            needs.extend(self.endings());
        }
        let waiting = Waiting {
            body: None,
            headers: Vec::new(),
            needs,
        };
        self.go_on(waiting, now)
    }

    fn judge(&mut self, body: &[u8], now: Now) -> Step {
        let policy = Rc::clone(&self.policy);
        let Some(caller) = self.caller.clone() else {
            return self.refuse(&Refusal::NoToken, None);
        };
        let message = match Message::read(body, &policy.names, MAX_DEPTH) {
            Ok(message) => message,
            Err(error) => return self.refuse(&Refusal::Message(error), None),
        };
        // Only a request is answered by its id; that of an answer is the server's.
        let id = message.id.filter(|_| message.shape == Shape::Request);
        self.asked.id = id.map(<[u8]>::to_vec);
        self.asked.elicits = message.params.elicits;
        self.note_message(&message);
        let ask = match self.understand(&message, now) {
            Ok(ask) => ask,
            Err(refusal) => return self.refuse(&refusal, None),
        };
        if let Some(tool) = self.own_tool(&message, &ask) {
            return self.call_own(tool, &message, &ask, body, now);
        }
        match self.judge_message(&message, &ask, body, caller.caller(now), now) {
            Ok(waiting) => self.go_on(waiting, now),
            Err((refusal, target)) => self.refuse(&refusal, target),
        }
    }

    /// Lets the request go on.
    pub(super) fn release(&mut self, body: Option<Vec<u8>>, params: Vec<HeaderEdit>) -> Step {
        self.request = RequestState::Over;
        self.note_credential();
        if self.policy.mode == Mode::Observe {
            return Step::Forward(Forward::default());
        }
        let headers = match self.policy.hold {
            // They went before.
            Hold::BufferFilter if self.record.request_bytes > 0 => Vec::new(),
            _ => {
                let mut headers = self.forward_headers(body.as_deref());
                headers.extend(params);
                headers
            }
        };
        Step::Forward(Forward { headers, body })
    }

    /// Notes whose credential the server gets.
    pub(super) fn note_credential(&mut self) {
        let clients = match self.headers.has("authorization") {
            true => "passed",
            false => "none",
        };
        let credential = match &self.policy.upstream.authorization {
            _ if self.record.account.is_some() || self.record.connection.is_some() => "connection",
            _ if self.policy.mode == Mode::Observe => clients,
            Authorization::Pass => clients,
            Authorization::Remove => "none",
            Authorization::Static(_) => "static",
            Authorization::Exchange(_) if self.token_for_server.is_some() => "exchanged",
            Authorization::Exchange(_) => "none",
        };
        self.record.upstream_credential = Some(credential);
    }

    fn forward_headers(&self, body: Option<&[u8]>) -> Vec<HeaderEdit> {
        match &self.caller {
            Some(caller) => {
                let mut headers = forward::headers(
                    &self.policy,
                    &self.headers,
                    caller.identity(),
                    self.asked.era,
                    body,
                );
                let credential = self.token_for_server.as_ref();
                let credential = credential.or(self.secrets.credential.as_ref());
                headers.extend(forward::credential(
                    credential.map(|credential| &**credential),
                ));
                headers.extend(self.handle_headers());
                headers
            }
            None => Vec::new(),
        }
    }
}
