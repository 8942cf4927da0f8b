//! Capabilities that clients declare.

/// The `elicitation` capability: how a client can ask its user (MCP 2026-07-28 "Elicitation").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ElicitationCapability {
    /// It can show a form.
    pub form: bool,
    /// It can open a URL.
    pub url: bool,
}
