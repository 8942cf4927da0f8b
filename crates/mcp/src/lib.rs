#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod argument_names;
pub mod capabilities;
mod embedded;
pub mod headers;
pub mod identity_members;
pub mod message;
pub mod message_ids;
pub mod method;
pub mod pin;
pub mod server_list;
pub mod sse;
pub mod uri_template;
