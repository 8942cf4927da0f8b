//! HTTP calls the host makes for this module, which makes none itself.

use std::fmt;

/// A call to a cluster of the policy. Only a 200 is an answer to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The headers, pseudo-headers first.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
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
