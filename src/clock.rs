//! The clock of a worker. It can be set back.

use base::time::UnixTime;
use std::cell::Cell;

/// The times that a worker has seen.
#[derive(Debug, Default)]
pub(crate) struct WorkerClock {
    latest: Cell<UnixTime>,
    /// When the clock was set back. `None`: it was not, or has caught up.
    set_back: Cell<Option<UnixTime>>,
}

impl WorkerClock {
    /// Notes the time.
    pub(crate) fn note(&self, now: UnixTime) {
        if now > self.latest.get() {
            self.latest.set(now);
        } else if now < self.latest.get() && self.set_back.get().is_none() {
            self.set_back.set(Some(now));
        }
        if now == self.latest.get() {
            self.set_back.set(None);
        }
    }

    /// Whether a value that is valid until a time had expired before the clock was set back. Then it may
    /// have been used, and its record may be gone. Values that were made since then are not affected.
    pub(crate) fn had_ended(&self, until: UnixTime, made: Option<UnixTime>, now: UnixTime) -> bool {
        self.note(now);
        let is_newer = made.is_some_and(|made| Some(made) >= self.set_back.get());
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
        assert!(!clock.had_ended(
            UnixTime::from_secs(NOW + 60),
            Some(UnixTime::from_secs(NOW)),
            UnixTime::from_secs(NOW)
        ));
        clock.note(UnixTime::from_secs(NOW + 3600));
        // The clock is set back.
        for now in [NOW + 10, NOW + 20, NOW + 3599] {
            assert!(clock.had_ended(
                UnixTime::from_secs(NOW + 60),
                Some(UnixTime::from_secs(NOW)),
                UnixTime::from_secs(now)
            ));
            assert!(clock.had_ended(
                UnixTime::from_secs(NOW + 60),
                None,
                UnixTime::from_secs(now)
            ));
            assert!(!clock.had_ended(
                UnixTime::from_secs(NOW + 3601),
                Some(UnixTime::from_secs(NOW)),
                UnixTime::from_secs(now)
            ));
            assert!(!clock.had_ended(
                UnixTime::from_secs(NOW + 60),
                Some(UnixTime::from_secs(NOW + 10)),
                UnixTime::from_secs(now)
            ));
        }
        assert!(!clock.had_ended(
            UnixTime::from_secs(NOW + 4000),
            None,
            UnixTime::from_secs(NOW + 3600)
        ));
        assert!(!clock.had_ended(
            UnixTime::from_secs(NOW + 4000),
            None,
            UnixTime::from_secs(NOW + 3700)
        ));
    }
}
