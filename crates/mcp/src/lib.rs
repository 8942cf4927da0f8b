//! What is asked: MCP as it appears on the wire, strictly read.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod capabilities;
pub mod finder;
pub mod handles;
pub mod headers;
pub mod listing;
pub mod message;
pub mod method;
pub mod names;
pub mod pin;
pub mod sse;
pub mod template;
