//! Consent of users to calls. The question is asked in the client ([`elicitation`]), or on a page of the
//! filter ([`agreement`]). [`call_question`] keeps questions until they are answered.

pub mod agreement;
pub mod call_question;
pub mod elicitation;

mod shown_arguments;

pub use self::shown_arguments::{ShownArguments, TooLongToShow, shown_tool};
