//! The one table of reasons: for every reason of a decision its code in logs and counters, what it
//! means, what the caller sees, and what to do next.
//!
//! `docs/reasons.md` is printed from this table (`mcp-auth reasons`).

/// An enum with one entry for each row, so that neither exists without the other.
macro_rules! reasons {
    (
        $(#[$doc:meta])* $name:ident: $outcome_type:ty,
        $($area:literal { $($reason:ident $code:literal $meaning:literal => $outcome:expr;)* })*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $meaning] $reason,)*)*
        }

        impl $name {
            /// All of them, in the order of the document.
            pub const ALL: &[Self] = &[$($(Self::$reason,)*)*];

            /// The facts about it.
            pub const fn row(self) -> &'static super::Row<$outcome_type> {
                match self {
                    $($(Self::$reason => const {
                        &super::Row {
                            code: $code,
                            area: $area,
                            meaning: $meaning,
                            outcome: $outcome,
                        }
                    },)*)*
                }
            }
        }
    };
}
use reasons;

use crate::decision::Verdict;

mod approvals;
mod refusals;

pub use self::approvals::Approval;
pub use self::refusals::Reason;

/// The facts about one reason.
#[derive(Debug, Clone, Copy)]
pub struct Row<T> {
    /// The reason as logs and counters name it.
    pub code: &'static str,
    /// The area it belongs to, a heading of the document.
    pub area: &'static str,
    /// One sentence for operators.
    pub meaning: &'static str,
    /// What follows: of an approval what the caller gets, of a refusal [`Refused`].
    pub outcome: T,
}

/// The facts about a refusal. Texts have placeholders as `{rule}`, which
/// [`crate::refusal::Refusal`] fills in.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// The decision: `needs_review` if the caller can cure it.
    pub verdict: Verdict,
    /// The source of the evidence in the log.
    pub source: &'static str,
    /// What the caller gets.
    pub seen: Seen,
    /// What is wrong: the summary of the evidence in the log, and mostly the text of the error.
    pub text: &'static str,
    /// The next action in the log.
    pub next: &'static str,
}

/// What the caller of a refused request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// An error: HTTP status and JSON-RPC code.
    Error(u16, i64),
    /// An error with the first status for 2026-07-28, the second for earlier versions.
    ErrorByVersion(u16, u16, i64),
    /// A 401 or 403 with `WWW-Authenticate`. The JSON-RPC code is the status.
    Challenge(u16, Challenge),
    /// The error of a tool, prompt or resource that does not exist; with `refusals: visible` a 403.
    DoesNotExist,
    /// A question to the user in the place of the result.
    Question,
    /// A web page of the filter's own, with this HTTP status.
    Page(u16),
    /// A JSON object with this HTTP status.
    Status(u16),
    /// Nothing: the client has left.
    Nothing,
}

/// What a challenge asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A token, where the request has none (RFC 6750 section 3).
    SignIn,
    /// Another token: `invalid_token` (RFC 6750 section 3.1).
    InvalidToken,
    /// Another proof: `invalid_dpop_proof` (RFC 9449 section 7.1).
    InvalidProof,
    /// More scopes: `insufficient_scope` (RFC 6750 section 3.1).
    InsufficientScope,
    /// A sign-in for one tool of several, as ChatGPT offers it.
    OfferedSignIn,
    /// A newer sign-in: `insufficient_user_authentication` (RFC 9470 section 3).
    NewerSignIn,
}

impl Seen {
    /// The HTTP status, with every choice of the policy and the client at its default.
    pub fn status(self) -> u16 {
        match self {
            Self::Error(status, _)
            | Self::ErrorByVersion(status, ..)
            | Self::Challenge(status, _)
            | Self::Page(status)
            | Self::Status(status) => status,
            Self::DoesNotExist | Self::Question => 200,
            Self::Nothing => 400,
        }
    }
}

#[cfg(test)]
mod tests;
