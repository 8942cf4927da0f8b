//! The engine of mcp-auth-filter and its adapter for Envoy. It decides which caller may use which tool,
//! prompt and resource of an MCP server. The server stays unchanged.
//!
//! A request goes through bytes, [`mcp::message::Message`], [`oauth::Identity`], [`decision::Decision`], edits
//! and bytes again. The modules:
//!
//! - `envoy`: the only module that knows proxy-wasm. Its host events and host calls.
//! - [`transaction`]: the order of the phases of one request. [`step`]: what the adapter does next. [`effect`]:
//!   how a request waits, without I/O.
//! - `request`: the phases until the server has the request. [`response`]: inspection of the server's answer.
//! - [`authorize`]: the decision function. [`refusal`]: refusals as log entries and replies. [`reasons`]: the
//!   table of their reasons.
//! - [`accounts`], [`consent`], [`pages`], [`own_tools`]: linked accounts, confirmations, the pages for both,
//!   and the tools that the filter answers itself.
//! - [`audit`], [`cors`], [`credential`], [`metadata`]: the access log, CORS, the credential for the server,
//!   and the protected resource metadata.
//!
//! The crates `base`, `mcp`, `oauth` and `policy` have the code that needs no engine. Outside of `envoy` the engine
//! does no I/O, reads no clock and knows no proxy. It never writes a token, an argument value or a result to a log.
//!
//! ```
//! use mcp_auth_filter::authorize::{Denial, Principal, Target, authorize};
//! use oauth::Identity;
//! use policy::Policy;
//!
//! let policy = Policy::parse(br#"{
//!     "resource": "https://crm.example.com/mcp",
//!     "issuers": [{"issuer": "https://login.example.com", "jwks": {"cluster": "login", "path": "/keys"}}],
//!     "roles": {"support": {"tools": ["crm.get_*", "crm.refund"]}},
//!     "tools": {"crm.refund": {"when": "args.amount <= 100"}}
//! }"#).unwrap();
//! let dana = Identity { user: Some("dana".into()), roles: vec!["support".into()], ..Identity::default() };
//! let caller = Principal { identity: &dana, ceiling: None, token_age: None };
//!
//! let decide = |tool, arguments| authorize(&policy, caller, Target::Tool(tool), Some(arguments));
//! assert!(decide("crm.get_ticket", br#"{"id": 1}"#).is_ok());
//! assert!(decide("crm.refund", br#"{"amount": 50}"#).is_ok());
//! assert!(matches!(decide("crm.refund", br#"{"amount": 5000}"#), Err(Denial::Condition { .. })));
//! assert_eq!(decide("crm.purge", b"{}"), Err(Denial::NoRole));
//! ```

// Tests may add without checks. Other code never adds up input unchecked.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod accounts;
pub mod audit;
pub mod authorize;
mod caller;
pub(crate) mod clock;
pub mod consent;
pub mod cors;
pub mod credential;
pub mod decision;
pub mod decision_point;
pub mod effect;
pub mod engine;
pub mod held;
pub mod host;
mod integer_ids;
mod limits;
#[cfg(any(target_arch = "wasm32", test))]
mod loaded;
mod lookups;
mod memo;
pub mod metadata;
pub(crate) mod names_check;
pub mod notes;
pub mod own_tools;
pub mod pages;
pub mod reasons;
pub mod refusal;
mod request;
pub mod response;
mod running;
pub mod seal_keys;
pub mod step;
pub mod transaction;

#[cfg(all(target_arch = "wasm32", feature = "envoy"))]
mod envoy;
