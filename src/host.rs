//! The host: the functions that the filter needs from the proxy, and a worker that carries out the effects
//! of requests with them. Tests, benchmarks and the command line use the same code without a proxy.

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

    /// The network of the client in the effective context.
    fn client(&self) -> ClientNetwork;

    /// Writes an error to the proxy's log.
    fn log(&self, error: &str);

    /// Starts a call in a context. The call ends with the context. Returns the number that the answer will
    /// have. `None`: the call cannot be made.
    fn call(&self, context: u32, request: &HttpRequest) -> Option<u32>;

    /// Carries out an operation on the store that all workers of the proxy share.
    ///
    /// # Errors
    ///
    /// The store is full, or not available.
    fn store(&self, operation: &StoreOperation) -> Result<Stored, StoreError>;

    /// Sets the worker's timer.
    fn wake(&self, after: Duration);
}
