//! Errors and warnings with their places.

use crate::yaml::Place;

/// An error or a warning.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// Its position.
    pub(crate) place: Place,
    /// Whether the filter does not work, or does not protect, as long as it stays.
    pub(crate) is_error: bool,
    /// What was found, and what to do.
    pub(crate) message: String,
}

/// Errors and warnings.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// Adds an error.
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Finding {
            place,
            is_error: true,
            message: message.into(),
        });
    }

    /// Adds a warning.
    pub(crate) fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Finding {
            place,
            is_error: false,
            message: message.into(),
        });
    }
}
