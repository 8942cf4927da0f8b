//! A user's consent to a call: the question in the client ([`elicitation`]), or on a page of this filter
//! ([`agreement`]), which is kept until it is answered ([`call_question`]).

pub mod agreement;
pub mod call_question;
pub mod elicitation;

mod shown_arguments;

pub use self::shown_arguments::{ShownArguments, TooLongToShow, shown_tool};
