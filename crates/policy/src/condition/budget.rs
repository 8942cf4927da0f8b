//! How much the evaluation of one condition may do.

use std::cell::Cell;

/// The most parts of expressions, list elements, or 16 bytes of text that one evaluation looks at.
pub(super) const MAX_STEPS: usize = 1_000_000;
/// The most bytes of values that one evaluation makes, those of the arguments included.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Text that is looked at in one step.
const STEP_BYTES: usize = 16;

/// Why an evaluation stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The budget is spent. Nothing absorbs this.
    Budget,
    /// An error of CEL, which `&&` and `||` absorb if the other side decides.
    Error,
}

/// What is left for one evaluation.
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

    /// Takes steps for a look at `length` bytes of text.
    pub(super) fn text(&self, length: usize) -> Result<(), Stop> {
        self.steps(length / STEP_BYTES)
    }

    /// Takes bytes that are allocated.
    pub(super) fn bytes(&self, count: usize) -> Result<(), Stop> {
        self.take(&self.bytes, count)
    }

    /// Whether more was asked for than was left.
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
