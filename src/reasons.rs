//! The table of reasons. It has for each reason of a decision its code in logs and counters, its meaning,
//! what the caller sees, and the next action.
//!
//! `docs/reasons.md` is printed from this table (`mcp-auth reasons`).

/// An enum with one variant for each row.
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
            /// All reasons, in the order of the document.
            pub const ALL: &[Self] = &[$($(Self::$reason,)*)*];

            /// The row of the reason.
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

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row<T> {
    /// The code of the reason in logs and counters.
    pub code: &'static str,
    /// Its heading in the document.
    pub area: &'static str,
    /// One sentence for operators.
    pub meaning: &'static str,
    /// The outcome for the caller. For a refusal: [`Refused`].
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
    /// What the caller sees.
    pub seen: Seen,
    /// The summary of the evidence in the log. In most cases also the text of the error.
    pub text: &'static str,
    /// The next action in the log.
    pub next: &'static str,
}

/// What the caller of a refused request sees.
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
    /// A question to the user instead of the result.
    Question,
    /// The result of a call that failed, with a text for the model: the policy's `message`, or a fixed one. For
    /// a prompt the JSON-RPC error -32602 with this text.
    FailedCall,
    /// A web page of the filter, with this HTTP status.
    Page(u16),
    /// A JSON object with this HTTP status.
    Status(u16),
    /// Nothing: the client has disconnected.
    Nothing,
}

/// The kinds of challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A token, because the request has none (RFC 6750 section 3).
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
    /// The HTTP status, with the defaults of the policy and the client.
    pub fn status(self) -> u16 {
        match self {
            Self::Error(status, _)
            | Self::ErrorByVersion(status, ..)
            | Self::Challenge(status, _)
            | Self::Page(status)
            | Self::Status(status) => status,
            Self::DoesNotExist | Self::FailedCall | Self::Question => 200,
            Self::Nothing => 400,
        }
    }
}

#[cfg(test)]
mod tests;
