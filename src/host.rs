//! What the filter needs of the proxy that runs it, and how a worker carries out the effects of its
//! requests with that. Without a proxy: tests, benchmarks and the command line use the same code.

pub mod dry_run;
mod rollbacks;
mod single_flight;
mod worker;

use std::time::Duration;

pub use self::worker::Worker;
use base::http::HttpRequest;
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;
use oauth::ClientNetwork;

/// The proxy, as a worker sees it.
pub trait Host {
    /// The time.
    fn now(&self) -> UnixTime;

    /// The network of clients from which the request of the effective context comes.
    fn client(&self) -> ClientNetwork;

    /// Writes an error to the proxy's log.
    fn log(&self, error: &str);

    /// Begins a call in a context, with which the call ends. The number comes back with the answer.
    /// `None`: the call cannot be made.
    fn call(&self, context: u32, request: &HttpRequest) -> Option<u32>;

    /// Carries out an operation on the store that all workers of the proxy share.
    ///
    /// # Errors
    ///
    /// The store is full, or not available.
    fn store(&self, operation: &StoreOperation) -> Result<Stored, StoreError>;

    /// Has the worker's timer go off after this time.
    fn wake(&self, after: Duration);
}
