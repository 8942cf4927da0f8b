//! Running requests that the server knows by another id than the client, so that the client can cancel them. All
//! workers of the proxy find them. If an id is lost, the request runs to its end.

use std::rc::Rc;

use super::arrived::Authenticated;
use crate::engine::Engine;
use crate::refusal::Refusal;
use crate::response::request_ids::{self, RenamedId};
use crate::running::{ClientRequest, RunningRequest};
use mcp::message::{Message, MessageError, Shape};
use oauth::VerifiedToken;
use policy::Mode;

/// For how many pauses of 100 ms a cancellation waits: longer than a worker takes from tick to tick.
const MAX_PAUSES: usize = 12;

impl Authenticated {
    /// A request of this caller.
    fn client_request(&self, id: &[u8]) -> ClientRequest {
        let issuer = self.sealing().map_or("", |sealing| sealing.owner.issuer);
        let client = self.caller.token().and_then(VerifiedToken::client);
        ClientRequest {
            issuer: issuer.to_owned(),
            user: self.caller.own().user.clone().unwrap_or_default(),
            client: client.unwrap_or_default().to_owned(),
            view: self.caller.view().to_owned(),
            session: self.handles.session.clone().unwrap_or_default(),
            id: String::from_utf8_lossy(id).into_owned(),
        }
    }

    /// Notes the id that the server knows a request by.
    pub(super) fn note_running(&self, renamed: &RenamedId) -> Option<Rc<RunningRequest>> {
        let request = &self.request;
        if request.policy().mode == Mode::Observe || request.method() != "POST" {
            return None;
        }
        let (engine, now) = (&request.engine, request.effects.now());
        let client_request = self.client_request(renamed.client.as_bytes());
        let server_id = renamed.server.clone();
        let running = engine
            .running
            .begin(client_request, server_id, now, &engine.notes);
        if !renames_calls(engine) {
            // Nothing waits for its record.
            running.write(&request.policy().resource);
        }
        Some(running)
    }

    /// Finds the id that the server knows a cancelled request by.
    ///
    /// # Errors
    ///
    /// The cancellation names a request by an id of the filter, which could be another client's request.
    pub(super) async fn find_cancelled(
        &mut self,
        message: &Message<'_>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let cancels =
            message.shape == Shape::Notification && message.method == "notifications/cancelled";
        let span = message.params.request_id.clone().filter(|_| cancels);
        let Some(span) = span else {
            return Ok(());
        };
        let id = body.get(span.clone()).unwrap_or_default();
        let client_request = self.client_request(id);
        let engine = &self.request.engine;
        let mut known = self.find_running(&client_request).await;
        let may_wait = self.request.policy().mode == Mode::Enforce && renames_calls(engine);
        if known.is_none()
            && may_wait
            && let Some(_waiting) = engine.running.wait()
        {
            for _ in 0..MAX_PAUSES {
                self.request.effects.pause().await;
                known = self.find_running(&client_request).await;
                if known.is_some() {
                    break;
                }
            }
        }
        if known.is_none() && request_ids::has_filters_form(id) {
            return Err(Refusal::Message(MessageError::ReservedId));
        }
        self.handles.cancelled = known.map(|id| (span, id));
        Ok(())
    }

    /// Finds a request in this worker or in the proxy's memory.
    async fn find_running(&self, client_request: &ClientRequest) -> Option<String> {
        let request = &self.request;
        if let Some(known) = request.engine.running.find(client_request) {
            return Some(known);
        }
        let key = client_request.key(&request.policy().resource);
        request.effects.remember(key).await
    }
}

/// Whether calls may get other ids. Otherwise only the rare requests for lists do: they are written at once,
/// and no cancellation waits.
fn renames_calls(engine: &Engine) -> bool {
    let secrets = &engine.secrets;
    // A sealer binds the server's requests to calls with argument rules, and a decision point may hide fields.
    !engine.policy.results.is_empty()
        || secrets.sealer.is_some()
        || secrets.decision_points.is_some()
}
