//! What goes in and comes out changed: arguments, the headers that mirror them, lists.

pub mod arguments;
pub mod declared_headers;
pub mod error_texts;
pub mod instructions;
pub mod lists;
pub mod param_headers;
pub mod pins;
pub mod results;
pub mod schemas;
mod security_schemes;
