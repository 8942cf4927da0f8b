//! What goes in comes out changed: arguments, and the headers that mirror them.

pub mod arguments;
pub mod declared_headers;
pub mod param_headers;
