//! The ids of running requests in the proxy's memory, so that a client can cancel a request that the server knows
//! by another id. All workers of the proxy find them. If an id is lost, the request runs to its end.

use std::time::Duration;

use super::arrived::Authenticated;
use crate::response::request_ids::RenamedId;
use base::store::{Key, RecordKind, StoreRecord};
use mcp::message::{Message, Shape};
use policy::Mode;

/// How long a request is remembered that does not end.
const LONGEST_REQUEST: Duration = Duration::from_secs(3600);

impl Authenticated {
    /// The key of a request's record, by the client's id of the request.
    fn running_key(&self, id: &[u8]) -> Key {
        let identity = self.caller.own();
        let session = self.handles.session.as_deref().unwrap_or_default();
        let issuer = self.sealing().map_or("", |sealing| sealing.owner.issuer);
        let owner = [
            self.request.policy().resource.as_str(),
            issuer,
            identity.user.as_deref().unwrap_or_default(),
            self.caller.view(),
            session,
        ];
        let id = String::from_utf8_lossy(id);
        Key::of(RecordKind::RunningRequest, &owner, &[&id])
    }

    /// Notes the id that the server knows a request by. Returns the key of its record.
    pub(super) fn note_running(&self, renamed: &RenamedId) -> Option<Key> {
        let request = &self.request;
        if request.policy().mode == Mode::Observe || request.method() != "POST" {
            return None;
        }
        let key = self.running_key(renamed.client.as_bytes());
        request.engine.notes.put(StoreRecord {
            key: key.clone(),
            value: renamed.server.clone(),
            expires: request.effects.now().saturating_add(LONGEST_REQUEST),
        });
        Some(key)
    }

    /// Finds the id that the server knows a cancelled request by.
    pub(super) async fn find_cancelled(&mut self, message: &Message<'_>, body: &[u8]) {
        let cancels =
            message.shape == Shape::Notification && message.method == "notifications/cancelled";
        let span = message.params.request_id.clone().filter(|_| cancels);
        let Some(span) = span else {
            return;
        };
        let key = self.running_key(body.get(span.clone()).unwrap_or_default());
        let known = self.request.effects.remember(key).await;
        self.handles.cancelled = known.map(|id| (span, id));
    }
}
