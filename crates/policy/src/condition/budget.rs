//! The budget for the evaluation of one condition.

use std::cell::Cell;

/// The maximum number of steps of one evaluation: parts of expressions, list elements, or 16 bytes of text.
pub(super) const MAX_STEPS: usize = 1_000_000;
/// The maximum size of the values of one evaluation, in bytes, with those of the arguments.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The bytes of text in one step.
const STEP_BYTES: usize = 16;

/// Why an evaluation stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The budget is spent. `&&` and `||` do not absorb this.
    Budget,
    /// An error of CEL, which `&&` and `||` absorb if the other side decides.
    Error,
}

/// The rest of the budget of one evaluation.
#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<usize>,
    bytes: Cell<usize>,
    is_spent: Cell<bool>,
}

impl Budget {
    /// The whole budget.
    pub(super) fn new() -> Self {
        Self {
            steps: Cell::new(MAX_STEPS),
            bytes: Cell::new(MAX_BYTES),
            is_spent: Cell::new(false),
        }
    }

    /// Takes steps.
    pub(super) fn steps(&self, count: usize) -> Result<(), Stop> {
        self.take(&self.steps, count)
    }

    /// Takes steps for reading `length` bytes of text.
    pub(super) fn text(&self, length: usize) -> Result<(), Stop> {
        self.steps(length / STEP_BYTES)
    }

    /// Takes bytes that are allocated.
    pub(super) fn bytes(&self, count: usize) -> Result<(), Stop> {
        self.take(&self.bytes, count)
    }

    /// Whether the budget was exceeded.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    #[cfg(test)]
    pub(super) fn steps_taken(&self) -> usize {
        MAX_STEPS - self.steps.get()
    }

    fn take(&self, left: &Cell<usize>, count: usize) -> Result<(), Stop> {
        let Some(rest) = left.get().checked_sub(count) else {
            self.is_spent.set(true);
            return Err(Stop::Budget);
        };
        left.set(rest);
        Ok(())
    }
}
