//! The engine of mcp-auth-filter and its adapter for Envoy. It enforces who may call what on an MCP
//! server, which stays unchanged.
//!
//! A request goes through the layers in this order: bytes, [`mcp::message::Message`],
//! [`oauth::Identity`], [`decision::Decision`], edits, bytes. The modules:
//!
//! - `envoy`: the only module that knows proxy-wasm; host events and host calls.
//! - [`transaction`]: one request and its answer, without I/O. [`effect`]: how it waits.
//! - [`authorize`], [`rewrite`], [`refusal`]: what is decided, edited, and refused. [`reasons`]: the table of
//!   the reasons for both.
//! - [`response`]: the answer of the server, as the caller may read it.
//! - [`accounts`], [`consent`], [`pages`], [`own_tools`]: linked accounts, agreement to calls, the pages
//!   for both, and the tools that the filter answers itself.
//! - [`audit`], [`cors`], [`credential`], [`metadata`]: the access log, web pages, the credential for the
//!   server, and the protected resource metadata.
//!
//! What needs no engine is in the crates `base`, `mcp`, `oauth` and `policy`.

// Tests count freely; what came from outside is never added up unchecked.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod accounts;
pub mod audit;
pub mod authorize;
pub mod consent;
pub mod cors;
pub mod credential;
pub mod decision;
pub mod effect;
pub mod engine;
pub mod host;
pub mod metadata;
pub mod own_tools;
pub mod pages;
pub mod reasons;
pub mod refusal;
mod request;
pub mod response;
pub mod transaction;

#[cfg(target_arch = "wasm32")]
mod envoy;
