//! What was decided about a request, and on which evidence.

use serde::Serialize;

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may pass.
    Approved,
    /// It may not, and nothing the caller does changes that.
    Blocked,
    /// It may not yet: the caller can cure it.
    NeedsReview,
    /// It was not refused, and has no whole answer of the server: the proxy or the server ended it.
    Failed,
    /// It was let through unchanged in observe mode; the reason says what would have been.
    Draft,
}

impl Verdict {
    /// The verdict as logs and counters name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Blocked => "blocked",
            Self::NeedsReview => "needs_review",
            Self::Failed => "failed",
            Self::Draft => "draft",
        }
    }
}

/// Something a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it comes from: `token`, `roles.manager`, `tools.crm.refund`, `arguments`.
    pub source: String,
    /// What it says, without any value of the request.
    pub summary: String,
}

impl Evidence {
    /// A piece of evidence.
    pub fn new(source: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            summary: summary.into(),
        }
    }
}

/// A decision about one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The outcome.
    #[serde(rename = "decision")]
    pub verdict: Verdict,
    /// Why, as one word.
    pub reason: &'static str,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_action: Option<String>,
}
