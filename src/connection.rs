//! The second layer: the user's own tokens for the resources behind the server, and the pages on
//! which users connect their accounts.
//!
//! For whoever judges a call, [`vault`] finds the connection, and [`oauth`] refreshes and revokes its
//! token. [`token_exchange`] is the way without pages: the caller's token becomes one for the server.

pub mod oauth;
pub mod token_exchange;
pub mod vault;

mod clients;

pub use clients::Clients;

#[cfg(test)]
mod tests;
