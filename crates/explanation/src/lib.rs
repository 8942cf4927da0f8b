#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod caller_token;
mod error;
mod explained_request;
mod given_servers;
mod given_token;
mod hints;
mod looked_up;
mod policy_text;
mod printable_text;
mod proof;
mod report_json;
mod request_headers;
pub mod value_changes;
pub mod yaml;

pub use self::answer::Answer;
pub use self::caller_token::{LIFETIME, fill_in, read_claims};
pub use self::error::ExplainError;
pub use self::explained_request::{ExplainedRequest, RequestInputs, Surroundings, decide};
pub use self::given_token::{GivenToken, SignatureCheck, TokenFacts};
pub use self::hints::{caller, headline, hint, target};
pub use self::policy_text::{Mistake, PolicyDocuments, PolicyText, PolicyTextError};
pub use self::printable_text::{hides, printable};
