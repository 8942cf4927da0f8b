//! mcp-auth-filter: makes the access rules of an MCP server true, in front of it, as one
//! WebAssembly module for Envoy. The model is a caller, not a source of truth.
//!
//! A request goes one way: bytes, [`mcp::message::Message`], [`identity::Identity`],
//! [`decision::Decision`], edits, bytes. The modules, from the outside in:
//!
//! - `filter`: the only one that knows proxy-wasm; host events and host calls.
//! - [`transaction`]: one request and its answer, a state machine without I/O.
//! - [`authorize`], [`rewrite`], [`refusal`], [`challenge`], [`consent`], [`metadata`], [`cors`],
//!   [`audit`]: what
//!   is decided, changed, refused, answered, published, shown to web pages and logged.
//! - [`accounts`], [`pages`]: users' own tokens for what is behind the server, and the pages on which
//!   users link accounts and agree to calls.
//! - [`own_tools`]: the tools of the filter's own.
//! - [`policy`], [`identity`], [`mcp`]: what is allowed, who is calling, what is asked.
//! - [`seal`], [`credential`]: the server's handles as one caller may hold them, and the filter's own
//!   word to the server.
//! - [`store`], [`ask`], [`call`]: what outlasts a request, and what is asked of the host or of other
//!   servers.

// Tests count freely; what came from outside is never added up unchecked.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod accounts;
pub mod audit;
pub mod authorize;
pub mod challenge;
pub mod consent;
pub mod cors;
pub mod credential;
pub mod decision;
pub mod effect;
pub mod metadata;
pub mod own_tools;
pub mod pages;
pub mod refusal;
pub mod response;
pub mod rewrite;
pub mod transaction;

#[cfg(target_arch = "wasm32")]
mod envoy;
