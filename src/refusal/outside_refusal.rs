//! Refusals because of a decision point.

use crate::decision_point::{DecisionFault, OutsideAnswer};
use crate::reasons::Reason;

/// Why a request does not pass a decision point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutsideRefusal {
    /// An argument that the question needs is missing, or has no single value.
    Argument(String),
    /// The decision point does not allow the request.
    Denied(Box<OutsideDenial>),
    /// The decision point did not decide.
    Fault(DecisionFault),
    /// The question would be too large.
    TooLarge,
}

/// The denial of a decision point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideDenial {
    /// The decision point.
    by: String,
    /// Its reason for the log.
    admin: Option<String>,
    /// Its reason for the user.
    pub(super) user: Option<String>,
}

impl OutsideRefusal {
    /// A denial.
    pub(crate) fn denied(by: &str, answer: &OutsideAnswer) -> Self {
        Self::Denied(Box::new(OutsideDenial {
            by: by.to_owned(),
            admin: answer.reason_admin.clone(),
            user: answer.reason_user.clone(),
        }))
    }

    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Argument(_) => Reason::DecisionArgumentMissing,
            Self::Denied(_) => Reason::DecisionDenied,
            Self::Fault(DecisionFault::Busy) => Reason::DecisionBusy,
            Self::Fault(DecisionFault::Credential) => Reason::DecisionCredentialRefused,
            Self::Fault(DecisionFault::TimedOut) => Reason::DecisionTimedOut,
            Self::Fault(DecisionFault::Unavailable) => Reason::DecisionUnavailable,
            Self::Fault(DecisionFault::Unreadable(_)) => Reason::DecisionUnreadable,
            Self::TooLarge => Reason::DecisionQuestionTooLarge,
        }
    }

    /// The values for the placeholders of the table.
    pub(super) fn values(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Argument(name) => vec![("argument", name.clone())],
            Self::Denied(denial) => {
                let why = denial.admin.as_ref();
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                vec![("by", denial.by.clone()), ("why", why)]
            }
            Self::Fault(fault) => vec![("error", fault.to_string())],
            Self::TooLarge => Vec::new(),
        }
    }
}
