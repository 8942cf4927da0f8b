//! A request that is passed on: its last changes, the record of its approval, and the data for its answer.

use std::rc::Rc;

use super::credentials;
use super::judge::Judged;
use super::needs::{CallerCredential, Fulfilled};
use crate::engine::Engine;
use crate::response::outside_lists::ListDecisions;
use crate::response::sent_credential::SentCredential;
use crate::response::{AnsweredRequest, Answering, ResponseState};
use crate::running::RunningRequest;
use crate::step::Forward;
use mcp::headers::Headers;
use oauth::TokenDigest;
use policy::{Authorization, Mode, ResultRule};

/// A request that was passed on.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Its changes.
    pub(crate) forward: Forward,
    /// Its answer.
    pub(crate) answering: Answering,
    /// The caller's token, if the server received an exchanged one.
    pub(crate) exchanged: Option<TokenDigest>,
    /// The id that the server knows it by, until it ends.
    #[expect(dead_code, reason = "its end deletes the record")]
    pub(crate) running: Option<Rc<RunningRequest>>,
}

impl Passed {
    /// Forgets an exchanged token that the server refuses. The next request exchanges again.
    pub(crate) fn note_refused_token(&self, engine: &Engine, answer: &Headers) {
        let exchanger = engine.secrets.exchanger.as_ref();
        if let (Some(token), Some(exchanger)) = (&self.exchanged, exchanger)
            && answer.one(":status") == Ok(Some("401"))
        {
            exchanger.forget(token);
        }
    }
}

impl Fulfilled {
    /// Passes the request on.
    pub(crate) fn release(self) -> Passed {
        let upstream_credential = self.upstream_credential();
        let Self { judged, credential } = self;
        let Judged {
            authenticated,
            approval,
            edits,
            mut inspect,
            result_of,
            renamed,
            refused,
            is_released,
            ..
        } = judged;
        let request = &authenticated.request;
        match refused {
            None => request.approve(approval.reason, approval.evidence),
            Some(refusal) => request
                .journal()
                .note_refusal(request.policy().mode, &refusal),
        }
        let running = renamed
            .as_ref()
            .and_then(|renamed| authenticated.note_running(renamed));
        request.journal().record.upstream_credential = Some(upstream_credential);
        let forward = match request.policy().mode {
            Mode::Observe => request.journal().observed(),
            Mode::Enforce if is_released => Forward {
                headers: Vec::new(),
                body: edits.body,
            },
            Mode::Enforce => {
                let body = edits.body.as_deref();
                let mut headers = authenticated.headers_for_server(body, &credential);
                headers.extend(edits.headers);
                Forward {
                    headers,
                    body: edits.body,
                }
            }
        };
        let sent = match request.policy().mode {
            Mode::Observe => None,
            Mode::Enforce => SentCredential::of(credential.secrets()),
        };
        inspect.credential = sent.is_some();
        let exchanged = match credential {
            CallerCredential::Exchanged(_) => credentials::bearer(&request.headers),
            CallerCredential::Account(_) | CallerCredential::None => None,
        };
        let exchanged = exchanged.map(|token| token.digest());
        let engine = &request.engine;
        let answered = {
            let journal = request.journal();
            AnsweredRequest {
                id: journal.id.clone(),
                renamed,
                era: journal.era,
                http_method: journal.record.http_method.clone(),
                method: journal.record.method.clone(),
                origin: journal.origin.clone(),
            }
        };
        let redact = &authenticated.handles.redact;
        let obliged = (!redact.is_empty()).then(|| Box::new(ResultRule::hiding(redact)));
        let answering = Answering {
            obliged,
            points: engine.secrets.decision_points.clone(),
            decisions: ListDecisions::default(),
            policy: Rc::clone(&engine.policy),
            request: answered,
            inspect,
            result_of,
            seen: engine.seen.clone(),
            spellings: engine.spellings.clone(),
            known_lists: engine.known_lists.clone(),
            notes: engine.notes.clone(),
            audit_key: engine.secrets.audit_key.clone(),
            sealer: engine.secrets.sealer.clone(),
            sent,
            state: ResponseState::default(),
            header_edits: Vec::new(),
            handles: authenticated.handles,
            caller: Some(authenticated.caller),
        };
        Passed {
            forward,
            answering,
            exchanged,
            running,
        }
    }

    /// The credential for the server, as in the log.
    fn upstream_credential(&self) -> &'static str {
        let request = &self.judged.authenticated.request;
        let policy = request.policy();
        match (&self.credential, &policy.upstream.authorization) {
            (CallerCredential::Account(_), _) => "connection",
            (CallerCredential::Exchanged(_), _) => "exchanged",
            _ if policy.mode == Mode::Observe => request.journal().client_credential,
            (_, Authorization::Pass) => request.journal().client_credential,
            (_, Authorization::Static(_)) => "static",
            (
                _,
                Authorization::Remove | Authorization::Exchange(_) | Authorization::Connection(_),
            ) => "none",
        }
    }
}
