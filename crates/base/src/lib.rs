//! What every other part stands on: strict JSON, secrets, sealing, stores, and HTTP requests as values.
//!
//! Nothing here does any I/O, and nothing here knows MCP, OAuth or a policy.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod http;
pub mod json;
pub mod seal;
pub mod secret;
pub mod store;
pub mod time;
