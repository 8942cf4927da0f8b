//! The instructions of the engine to the adapter: what to do with a request or a part of its answer.

use base::http::Reply;
use mcp::headers::HeaderEdit;

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server gets the request, with these changes.
    Forward(Forward),
    /// The client gets this reply. The server gets nothing.
    Reply(Reply),
}

/// The next step for a part of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep the part until more of the answer arrives.
    Hold,
    /// Pass the part on, with these changes.
    Forward(Forward),
    /// Pass the part on, with these changes, and end the answer after it.
    ForwardLast(Forward),
}

/// Changes of a message. They include `content-length` if the body changes while the headers are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forward {
    /// Changes of the headers. Empty after the headers were passed on.
    pub headers: Vec<HeaderEdit>,
    /// Replaces the body, or the current chunk of it.
    pub body: Option<Vec<u8>>,
}
