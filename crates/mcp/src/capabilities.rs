//! What clients declare that they can do.

/// What a client can ask its user: `elicitation` among its capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ElicitationCapability {
    /// In a form of its own.
    pub form: bool,
    /// To open a page.
    pub url: bool,
}
