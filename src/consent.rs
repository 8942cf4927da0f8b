//! Consent to calls. The user of a call is asked in the client ([`elicitation`]), or on a page of the filter
//! ([`agreement`]); [`call_question`] keeps these questions until they are answered. Another person is asked
//! on a page that lists open questions ([`approval`]).

pub mod agreement;
pub mod approval;
pub mod call_question;
pub mod elicitation;
pub(crate) mod open_approvals;
pub(crate) mod open_questions;
pub mod webhook;

mod shown_arguments;

pub use self::shown_arguments::{ShownArguments, TooLongToShow, shown_tool};
