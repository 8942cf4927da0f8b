//! The callbacks that the host delivers. `capability_restriction_config` can remove any of them without an
//! error. The filter notices it when the host continues without them.

use std::cell::Cell;

/// The timer counts as removed after this number of missed ticks.
const MISSED_TICKS: u32 = 3;
const TICK_MS: u64 = 1_500;
/// A callback at the end of streams counts as removed after this number of streams.
const ENDED_STREAMS: u32 = 8;

/// The callbacks that one policy has seen in one worker.
#[derive(Debug, Default)]
pub(super) struct CallbacksSeen {
    /// Whether a body of an answer has arrived.
    answer_body: Cell<bool>,
    tick: Cell<bool>,
    missed_ticks: Cell<u32>,
    missed_at_ms: Cell<u64>,
    logged: Cell<u32>,
    deleted: Cell<u32>,
}

impl CallbacksSeen {
    /// Notes a body of an answer.
    pub(super) fn note_answer_body(&self) {
        self.answer_body.set(true);
    }

    /// Whether bodies of answers arrive.
    pub(super) fn delivers_answers(&self) -> bool {
        self.answer_body.get()
    }

    /// Notes a tick of the timer.
    pub(super) fn note_tick(&self) {
        self.tick.set(true);
    }

    /// Whether the timer works, as known at this time.
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

    /// Notes that a stream was logged. False: streams are logged and never deleted.
    pub(super) fn note_logged(&self) -> bool {
        self.logged.set(self.logged.get().saturating_add(1));
        self.deleted.get() > 0 || self.logged.get() < ENDED_STREAMS.saturating_mul(ENDED_STREAMS)
    }

    /// Notes that a stream was deleted. False: streams are deleted and never logged.
    pub(super) fn note_deleted(&self) -> bool {
        self.deleted.set(self.deleted.get().saturating_add(1));
        self.logged.get() > 0 || self.deleted.get() < ENDED_STREAMS
    }
}
