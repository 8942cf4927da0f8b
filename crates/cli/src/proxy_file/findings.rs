//! Errors and warnings with their places.

use crate::yaml::Place;

/// An error or a warning.
#[derive(Debug)]
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
    /// Findings an error.
    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Finding {
            place,
            is_error: true,
            message: message.into(),
        });
    }

    /// Findings a warning.
    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Finding {
            place,
            is_error: false,
            message: message.into(),
        });
    }
}
