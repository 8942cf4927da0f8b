//! The bytes that one worker holds for all its streams: bodies of requests, held answers, and unfinished
//! events. `max_body` and `max_response` bound one stream, but not the number of streams.

use std::cell::Cell;
use std::rc::Rc;

/// The maximum number of bytes that one worker holds.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// The bytes that all streams of a worker hold.
#[derive(Debug, Clone, Default)]
pub struct HeldBytes(Rc<Cell<usize>>);

/// The bytes that one stream holds. They are released with the stream.
#[derive(Debug)]
pub(crate) struct HeldShare {
    all: HeldBytes,
    own: usize,
}

impl HeldBytes {
    /// The share of a new stream.
    pub(crate) fn share(&self) -> HeldShare {
        HeldShare {
            all: self.clone(),
            own: 0,
        }
    }
}

impl HeldShare {
    /// Sets the held bytes. False: the worker would hold too many.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let others = self.all.0.get().saturating_sub(self.own);
        let all = others.saturating_add(bytes);
        // A smaller number is never refused.
        if all > MAX_HELD_BYTES && bytes > self.own {
            return false;
        }
        self.all.0.set(all);
        self.own = bytes;
        true
    }
}

impl Drop for HeldShare {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k2_the_stream_that_asks_for_too_much_is_refused_and_others_are_not() {
        const SIZE: usize = 1024 * 1024;
        let all = HeldBytes::default();
        let mut streams: Vec<_> = (0..1000).map(|_| all.share()).collect();
        let held = streams
            .iter_mut()
            .filter_map(|stream| stream.hold(SIZE).then_some(()));
        assert_eq!(held.count(), MAX_HELD_BYTES / SIZE);
        assert!(streams[0].hold(SIZE) && streams[0].hold(SIZE / 2));
        assert!(!streams[999].hold(SIZE));
        assert!(streams[999].hold(SIZE / 2));
        drop(streams.remove(1));
        assert!(streams[500].hold(SIZE));
        drop(streams);
        assert_eq!(all.0.get(), 0);
    }
}
