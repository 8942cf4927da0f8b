//! The servers of a request that is explained: they answer as given.

use std::cell::RefCell;

use base::http::{HttpRequest, HttpResponse};
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;
use mcp_auth_filter::host::dry_run::Outside;
use policy::Policy;

use crate::looked_up::LookedUp;

/// The MCP server answers look-ups, and the decision points answer questions. No others answer.
#[derive(Debug)]
pub(crate) struct GivenServers {
    server: LookedUp,
    points: Vec<String>,
    decision: Option<Vec<u8>>,
    questions: RefCell<Vec<HttpRequest>>,
}

impl GivenServers {
    /// Servers that give these answers. `None`: no answer.
    pub(crate) fn new(policy: &Policy, lookup: Option<Vec<u8>>, decision: Option<Vec<u8>>) -> Self {
        let points = policy.decides();
        Self {
            server: LookedUp::new(lookup),
            points: points
                .map(|decide| decide.point.endpoint.cluster.clone())
                .collect(),
            decision,
            questions: RefCell::default(),
        }
    }

    /// The messages of the look-ups.
    pub(crate) fn lookups(&self) -> Vec<String> {
        self.server.asked()
    }

    /// The calls to decision points.
    pub(crate) fn questions(&self) -> Vec<HttpRequest> {
        self.questions.take()
    }
}

impl Outside for GivenServers {
    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse> {
        if request.is_lookup() || !self.points.contains(&request.cluster) {
            return self.server.answer(request);
        }
        self.questions.borrow_mut().push(request.clone());
        Some(HttpResponse::json(200, self.decision.clone()?))
    }

    fn store(&self, operation: &StoreOperation, now: UnixTime) -> Result<Stored, StoreError> {
        self.server.store(operation, now)
    }
}
