#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod hex;
pub mod http;
pub mod json;
pub mod needle;
pub mod same_bytes;
pub mod seal;
pub mod secret;
pub mod store;
pub mod time;
