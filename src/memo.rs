//! Answers that a worker remembers: they depend on a text that many requests repeat, and on the policy.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use lru::LruCache;

/// The maximum number of answers.
const MAX_ANSWERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// The maximum length of a text, in bytes. The answers to longer texts are not remembered.
const MAX_TEXT: usize = 512;

/// Answers by their text. The answer that was not used for the longest time makes room.
#[derive(Debug)]
pub(crate) struct Memo<V>(RefCell<LruCache<Box<str>, V>>);

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(RefCell::new(LruCache::new(MAX_ANSWERS)))
    }
}

impl<V: Clone> Memo<V> {
    /// The answer to a text. `answer` finds it if it is not known.
    pub(crate) fn get_or(&self, text: &str, answer: impl FnOnce() -> V) -> V {
        if text.len() > MAX_TEXT {
            return answer();
        }
        if let Some(known) = self.0.borrow_mut().get(text) {
            return known.clone();
        }
        let found = answer();
        self.0.borrow_mut().put(text.into(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_once() {
        let (memo, asked) = (Memo::default(), RefCell::new(0));
        let ask = |text: &str| {
            memo.get_or(text, || {
                *asked.borrow_mut() += 1;
                text.len()
            })
        };
        assert_eq!((ask("a"), ask("a"), ask("ab")), (1, 1, 2));
        assert_eq!(*asked.borrow(), 2);
        let long = "a".repeat(MAX_TEXT + 1);
        assert_eq!((ask(&long), ask(&long)), (MAX_TEXT + 1, MAX_TEXT + 1));
        assert_eq!(*asked.borrow(), 4);
        for number in 0..2000 {
            ask(&number.to_string());
        }
        assert_eq!(memo.0.borrow().len(), MAX_ANSWERS.get());
    }
}
