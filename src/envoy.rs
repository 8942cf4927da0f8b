//! The filter as Envoy runs it: the only code that knows proxy-wasm.
//!
//! Host events go into a [`Transaction`](crate::transaction::Transaction), and its effects come out as
//! host calls. The SDK's calls end the VM on a status they do not expect, so each is made only where its
//! status is known: headers are read once, while they are there, and never one by one.

mod callbacks_seen;
mod capabilities;
mod configuration;
mod host_calls;
mod metrics;
mod root;
mod shared;
mod stream;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
