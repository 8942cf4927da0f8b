//! The adapter for Envoy: the only code that knows proxy-wasm.
//!
//! Host events go into a [`Transaction`](crate::transaction::Transaction), and its effects become host
//! calls. The SDK ends the VM if a host call returns an unexpected status. So each call is made only where
//! its status is known: headers are read once, while they are held, and never one by one.

mod callbacks_seen;
mod capabilities;
mod configuration;
mod host_calls;
mod key_uses;
mod metrics;
mod report_load;
mod root;
mod shared;
mod signature_check;
mod stream;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

const _: () = assert!(
    !oauth::CAN_SIGN,
    "the module only checks signatures: build it without the feature `signing` of oauth"
);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
