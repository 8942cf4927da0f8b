//! The clock of a worker, which can be set back.

use std::cell::Cell;

/// What a worker knows of its clock. Times are in Unix seconds.
#[derive(Debug, Default)]
pub(crate) struct WorkerClock {
    latest: Cell<u64>,
    set_back: Cell<u64>,
}

impl WorkerClock {
    /// Notes the time.
    pub(crate) fn note(&self, now: u64) {
        if now > self.latest.get() {
            self.latest.set(now);
        } else if now < self.latest.get() && self.set_back.get() == 0 {
            self.set_back.set(now);
        }
        if now == self.latest.get() {
            self.set_back.set(0);
        }
    }

    /// Whether something that is good until a time had ended before the clock was set back. Then it may
    /// have been used, and the record of that may be gone. What was made since then is not meant.
    pub(crate) fn had_ended(&self, until: u64, made: Option<u64>, now: u64) -> bool {
        self.note(now);
        let is_newer = made.is_some_and(|made| made >= self.set_back.get());
        now < self.latest.get() && until <= self.latest.get() && !is_newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000;

    #[test]
    fn k6_what_ended_while_the_clock_was_ahead_stays_ended() {
        let clock = WorkerClock::default();
        assert!(!clock.had_ended(NOW + 60, Some(NOW), NOW));
        clock.note(NOW + 3600);
        // The clock is set back.
        for now in [NOW + 10, NOW + 20, NOW + 3599] {
            assert!(clock.had_ended(NOW + 60, Some(NOW), now));
            assert!(clock.had_ended(NOW + 60, None, now));
            assert!(!clock.had_ended(NOW + 3601, Some(NOW), now));
            assert!(!clock.had_ended(NOW + 60, Some(NOW + 10), now));
        }
        assert!(!clock.had_ended(NOW + 4000, None, NOW + 3600));
        assert!(!clock.had_ended(NOW + 4000, None, NOW + 3700));
    }
}
