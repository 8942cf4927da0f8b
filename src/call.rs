//! HTTP calls the host makes for this module, which makes none itself.

use std::fmt;

/// A call to a cluster of the policy.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The headers, pseudo-headers first.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status. The host's own 503 or 504 stands for no answer, too.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Without headers and body: there are credentials in them.
impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Without the body: there are tokens in it.
impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
