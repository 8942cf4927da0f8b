//! The headers of a request: answers and refusals that need no caller.

use std::rc::Rc;

use super::identify::identify_caller;
use super::needs::{AUTHORIZATION, CallerCredential};
use super::opened_ids;
use super::peer::{self, Peer};
use super::{Request, credentials, forward};
use crate::caller::{AuthMethod, Caller};
use crate::cors;
use crate::metadata::metadata;
use crate::reasons::Approval;
use crate::refusal::Refusal;
use crate::response::sealed_ids::Handles;
use crate::step::{End, Forward};
use base::http::Reply;
use mcp::headers::{HeaderEdit, media_type};
use oauth::{ClientNetwork, Verification};
use policy::{Authorization, Hold, Mode};

/// A request for the MCP server with valid headers.
pub(crate) struct Arrived {
    request: Request,
    /// A refusal that takes effect after the sign-in, because the request is only observed.
    observed: Option<Refusal>,
}

/// A request with an identified caller.
pub(crate) struct Authenticated {
    pub(crate) request: Request,
    pub(crate) caller: Caller,
    /// The server's session and events that its headers name.
    pub(crate) handles: Handles,
}

/// A request with its whole body.
pub(crate) struct Received {
    pub(crate) authenticated: Authenticated,
    pub(crate) body: Vec<u8>,
    /// Whether its headers were passed on already (`hold: buffer_filter`).
    pub(crate) is_released: bool,
}

impl Arrived {
    /// Checks the headers of a request for the server.
    pub(crate) fn check(request: Request) -> Result<Self, End> {
        let policy = request.policy();
        let asks_while_observing = policy.mode == Mode::Observe && policy.enforces_sign_in();
        let observed = match request.check_headers() {
            Ok(()) => None,
            Err(refusal) if asks_while_observing && refusal != Refusal::NotFound => Some(refusal),
            Err(refusal) => return Err(request.refuse(&refusal, None)),
        };
        Ok(Self { request, observed })
    }

    /// Identifies the caller.
    pub(crate) async fn authenticate(self) -> Result<Authenticated, End> {
        let Self { request, observed } = self;
        let auth_method = match request.auth_method().await {
            Ok(auth_method) => auth_method,
            Err(refusal) => return Err(request.refuse_sign_in(&refusal)),
        };
        request.keep_token_back();
        let known = identify_caller(&request, auth_method).and_then(|caller| {
            if let Some(refusal) = observed {
                return Err(refusal);
            }
            request.check_content()?;
            let handles = opened_ids::of_headers(&request, &caller)?;
            Ok((caller, handles))
        });
        match known {
            Ok((caller, handles)) => Ok(Authenticated {
                request,
                caller,
                handles,
            }),
            Err(refusal) => Err(request.refuse(&refusal, None)),
        }
    }
}

impl Authenticated {
    /// Waits for the body.
    pub(crate) async fn receive(self) -> Received {
        let request = &self.request;
        if request.is_ended {
            return self.with_body(Vec::new(), false);
        }
        // With `hold: buffer_filter` the headers must be passed on before the body arrives.
        let release =
            (request.policy().hold == Hold::BufferFilter).then(|| match request.policy().mode {
                Mode::Enforce => self.headers_for_server(None, &CallerCredential::None),
                Mode::Observe => request.journal().observed().headers,
            });
        let is_released = release.is_some();
        let body = request.effects.body(release).await;
        self.with_body(body, is_released)
    }

    fn with_body(self, body: Vec<u8>, is_released: bool) -> Received {
        Received {
            authenticated: self,
            body,
            is_released,
        }
    }

    /// The changes of the client's headers for the server. `body` replaces the client's body. `credential`
    /// replaces the policy's own.
    pub(crate) fn headers_for_server(
        &self,
        body: Option<&[u8]>,
        credential: &CallerCredential,
    ) -> Vec<HeaderEdit> {
        let request = &self.request;
        let era = request.journal().era;
        let identity = self.caller.identity();
        let mut headers = forward::headers(&request.engine, &request.headers, identity, era, body);
        let set = |name: &str, value: &str| HeaderEdit::Set(name.to_owned(), value.to_owned());
        if let Some(own) = &request.engine.secrets.credential {
            let is_replaced = credential.headers().any(|(name, _)| name == AUTHORIZATION);
            headers.extend((!is_replaced).then(|| set(AUTHORIZATION, own.header())));
        }
        headers.extend(credential.headers().map(|(name, value)| set(name, value)));
        headers.extend(opened_ids::headers(&self.handles));
        headers
    }
}

impl Request {
    /// With `local`, refuses a request that does not come from this machine.
    pub(crate) fn check_peer(self, peer: Peer) -> Result<Self, End> {
        match peer::check(self.policy(), &self.headers, peer) {
            Ok(()) => Ok(self),
            Err(refusal) => Err(self.refuse(&refusal, None)),
        }
    }

    /// Answers requests that need no caller: for the metadata document, and preflights.
    pub(crate) fn answer_document(self) -> Result<Self, End> {
        match self.document().or_else(|| self.preflight()) {
            Some(answered) => Err(answered),
            None => Ok(self),
        }
    }

    /// Answers a request for the metadata document, which needs no token (RFC 9728 section 3).
    fn document(&self) -> Option<End> {
        let path = self.headers.one(":path").ok().flatten()?;
        // With `local` there is no authorization server.
        if self.policy().local.is_some() || !self.policy().is_metadata_path(path) {
            return None;
        }
        let reply = match self.method() {
            "GET" | "HEAD" => metadata(self.policy()),
            method if cors::is_preflight(method, &self.headers) => {
                cors::preflight("*", &self.headers, None)
            }
            _ => return None,
        };
        Some(self.answer(Approval::MetadataPublished, reply))
    }

    /// Answers the preflight of an allowed web page. Other preflights are refused like requests.
    fn preflight(&self) -> Option<End> {
        let path = self.headers.one(":path").ok().flatten()?;
        let origin = self.headers.one("origin").ok().flatten()?;
        let is_asked = path == self.policy().path
            && cors::is_preflight(self.method(), &self.headers)
            && self.policy().allows_origin(origin);
        let reply =
            is_asked.then(|| cors::preflight(origin, &self.headers, Some(self.policy())))?;
        Some(self.answer(Approval::PreflightAnswered, reply))
    }

    /// Answers a request without a token. In observe mode the request is passed on, unless the filter asks for
    /// tokens: clients need these answers to sign in.
    fn answer(&self, reason: Approval, reply: Reply) -> End {
        if self.policy().enforces_sign_in() {
            self.journal().approve(Mode::Enforce, reason, Vec::new());
            return End::Reply(reply);
        }
        self.approve(reason, Vec::new());
        End::Forward(Forward::default())
    }

    /// In observe mode, keeps the token that the filter asked for back from the server, unless the policy
    /// passes it.
    fn keep_token_back(&self) {
        let policy = self.policy();
        let is_ours = policy.mode == Mode::Observe && policy.observe.sign_in;
        if is_ours && policy.upstream.authorization != Authorization::Pass {
            let journal = &mut *self.journal();
            journal.client_credential = "none";
            let names = ["authorization", "dpop"].into_iter();
            let removed = names.map(|name| HeaderEdit::Remove(name.to_owned()));
            journal.observed_headers = removed.collect();
        }
    }

    /// Checks of the headers that need no token.
    fn check_headers(&self) -> Result<(), Refusal> {
        let path = self.one(":path")?.unwrap_or_default();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        if path != self.policy().path {
            return Err(Refusal::NotFound);
        }
        if query.is_some() {
            return Err(Refusal::Query);
        }
        let origin = self.one("origin")?;
        if origin.is_some_and(|origin| !self.policy().allows_origin(origin)) {
            return Err(Refusal::Origin);
        }
        // Some clients use HEAD to find the challenge.
        if !matches!(self.method(), "POST" | "GET" | "DELETE" | "HEAD") {
            return Err(Refusal::HttpMethod);
        }
        if self.headers.has("upgrade") {
            return Err(Refusal::Upgrade);
        }
        Ok(())
    }

    /// Identifies the caller. Verifies the token, and fetches once what that needs.
    async fn auth_method(&self) -> Result<AuthMethod, Refusal> {
        if let Some(local) = &self.policy().local {
            return Ok(AuthMethod::Local(Rc::clone(local)));
        }
        if !self.headers.has("authorization") && self.policy().anonymous.is_some() {
            return Ok(AuthMethod::Anonymous);
        }
        let (mut fetched, mut client) = (None, None);
        loop {
            match self.verify(client)? {
                Verification::Verified(token) => {
                    if self.shares_proofs(&token) {
                        self.use_up(&token).await?;
                    }
                    return Ok(AuthMethod::Token(token));
                }
                Verification::Refused(error) => return Err(Refusal::Token(error)),
                Verification::NeedsClient => client = Some(self.effects.client().await),
                Verification::PendingFetch(fetch) if fetched.is_none() => {
                    fetched = Some(fetch);
                    self.effects.fetch(fetch).await;
                }
                Verification::PendingFetch(fetch) => {
                    return Err(Refusal::Token(fetch.unavailable().into()));
                }
            }
        }
    }

    fn verify(&self, client: Option<ClientNetwork>) -> Result<Verification, Refusal> {
        let mut verifier = self.engine.verifier.borrow_mut();
        let now = self.effects.now();
        credentials::verify(self.policy(), &self.headers, &mut verifier, client, now)
    }

    fn check_content(&self) -> Result<(), Refusal> {
        match self.method() {
            "POST" => {}
            "HEAD" => return Err(Refusal::HttpMethod),
            _ => return Ok(()),
        }
        match self.one("content-encoding")? {
            None => {}
            Some(encoding) if encoding.eq_ignore_ascii_case("identity") => {}
            Some(_) => return Err(Refusal::ContentEncoding),
        }
        let media = self.one("content-type")?.and_then(media_type);
        if media.as_deref() != Some("application/json") {
            return Err(Refusal::ContentType);
        }
        let length = self.one("content-length")?;
        let length = length.and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.policy().max_body) {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }
}
