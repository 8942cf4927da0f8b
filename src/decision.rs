//! Decisions about requests, with their evidence.

use std::borrow::Cow;

use serde::Serialize;

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The request may pass.
    Approved,
    /// The request may not pass, and the caller cannot change that.
    Blocked,
    /// The request may not pass yet: the caller can cure it.
    NeedsReview,
    /// The request was not refused, and has no complete answer of the server: the proxy or the server ended
    /// it.
    Failed,
    /// Observe mode let the request pass unchanged. The reason is the one of enforce mode.
    Draft,
}

impl Verdict {
    /// The name of the verdict in logs and counters.
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

/// A fact that a decision is based on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its source: `token`, `roles.manager`, `tools.crm.refund`, `arguments`.
    pub source: Cow<'static, str>,
    /// The fact, without values of the request.
    pub summary: Cow<'static, str>,
}

impl Evidence {
    /// A piece of evidence.
    pub fn new(
        source: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
    ) -> Self {
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
    /// The code of the reason.
    pub reason: &'static str,
    /// The evidence.
    pub evidence: Vec<Evidence>,
    /// What the caller or operator can do to change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_action: Option<String>,
}
