//! What goes in and comes out changed: arguments, the headers that mirror them, lists.

pub mod arguments;
pub mod lists;
pub mod param_headers;
pub mod splice;
