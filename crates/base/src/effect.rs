//! What has to be asked outside before a request can go on.

use crate::http::{HttpRequest, HttpResponse};
use crate::store::{Operation, StoreError, Stored};

/// Something to find out, or to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A call to a cluster of the policy.
    Call(HttpRequest),
    /// An operation on the store.
    Store(Operation),
    /// A moment: somebody else is about to change what is asked for.
    Wait,
}

/// What came of it. Its variant is the one of what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The answer to a call; `None` if there was none.
    Call(Option<HttpResponse>),
    /// The outcome of an operation.
    Store(Result<Stored, StoreError>),
    /// The moment is over.
    Waited,
}
