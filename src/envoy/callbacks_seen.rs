//! Which of the host's callbacks arrive. `capability_restriction_config` can take away any of them, and
//! nothing says so: it shows when the host goes on without them.

use std::cell::Cell;

/// How often the timer has to be missed before it counts as taken away, and how far apart, in
/// milliseconds. It goes off each second.
const MISSED_TICKS: u32 = 3;
const TICK_MS: u64 = 1_500;
/// So many streams end before a callback at the end counts as taken away.
const ENDED_STREAMS: u32 = 8;

/// What one policy has seen in one worker.
#[derive(Debug, Default)]
pub(super) struct CallbacksSeen {
    /// A body of an answer.
    answer_body: Cell<bool>,
    tick: Cell<bool>,
    missed_ticks: Cell<u32>,
    missed_at_ms: Cell<u64>,
    logged: Cell<u32>,
    deleted: Cell<u32>,
}

impl CallbacksSeen {
    /// A body of an answer arrived.
    pub(super) fn note_answer_body(&self) {
        self.answer_body.set(true);
    }

    /// Whether bodies of answers arrive.
    pub(super) fn delivers_answers(&self) -> bool {
        self.answer_body.get()
    }

    /// The timer went off.
    pub(super) fn note_tick(&self) {
        self.tick.set(true);
    }

    /// Whether the timer goes off, as far as can be told at this time.
    pub(super) fn has_timer(&self, now_ms: u64) -> bool {
        if self.tick.get() {
            return true;
        }
        if now_ms.abs_diff(self.missed_at_ms.get()) > TICK_MS {
            self.missed_at_ms.set(now_ms);
            self.missed_ticks
                .set(self.missed_ticks.get().saturating_add(1));
        }
        self.missed_ticks.get() <= MISSED_TICKS
    }

    /// A stream was logged. False: streams are logged and never deleted.
    pub(super) fn note_logged(&self) -> bool {
        self.logged.set(self.logged.get().saturating_add(1));
        self.deleted.get() > 0 || self.logged.get() < ENDED_STREAMS.saturating_mul(ENDED_STREAMS)
    }

    /// A stream was deleted. False: streams are deleted and never logged.
    pub(super) fn note_deleted(&self) -> bool {
        self.deleted.set(self.deleted.get().saturating_add(1));
        self.logged.get() > 0 || self.deleted.get() < ENDED_STREAMS
    }
}
