//! Reads values in which a caller finds nothing: most values of most messages. It checks as much as [`Reader::skip`],
//! and hands over no member.

use super::text::plain_run;
use super::{Reader, Span, literal_length, number_end};

/// The parts of a value that a caller looks for.
pub trait Interest {
    /// Whether a key, which has no escapes, is of interest, alone or with keys below it.
    fn in_key(&self, key: &[u8]) -> bool;

    /// Whether a string, as written between its quotes, is of interest.
    fn in_string(&self, written: &[u8]) -> bool;
}

/// The outcome of [`Reader::skip_plain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainValue {
    /// The value was read. Nothing in it is of interest.
    Read(Span),
    /// Something may be of interest before this position, or is not strict JSON. The reader is at the start of the value
    /// again.
    Interesting(usize),
}

impl<'a> Reader<'a> {
    /// Reads a value, unless something in it is of interest, a key has escapes, or it is not strict JSON: then
    /// [`Self::skip`] says why.
    pub fn skip_plain(&mut self, interest: &impl Interest) -> PlainValue {
        self.skip_whitespace();
        let (start, keys) = (self.at, self.keys.open());
        // A variable and no field: the compiler keeps it in a register.
        let mut at = start;
        let is_read = self.plain_value(interest, &mut at).is_some();
        self.containers.clear();
        if is_read {
            self.at = at;
            return PlainValue::Read(start..at);
        }
        self.at = start;
        self.keys.forget(keys);
        PlainValue::Interesting(at)
    }

    /// Reads a value from `at` on. One loop reads all values in it, so that the compiler keeps its variables in registers.
    #[inline]
    fn plain_value(&mut self, interest: &impl Interest, at: &mut usize) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut is_key = false;
        loop {
            match next_character(bytes, at)? {
                b'"' => {
                    let start = at.wrapping_add(1);
                    let mut end = start.wrapping_add(plain_run(bytes.get(start..)?));
                    let is_escaped = bytes.get(end) != Some(&b'"');
                    if is_escaped {
                        end = self.escaped_end(end)?;
                    }
                    *at = end.wrapping_add(1);
                    let written = bytes.get(start..end)?;
                    if is_key {
                        if is_escaped || interest.in_key(written) {
                            return None;
                        }
                        self.keys.push_written(bytes, &(start..end));
                        if next_character(bytes, at)? != b':' {
                            return None;
                        }
                        *at = at.wrapping_add(1);
                        is_key = false;
                        continue;
                    }
                    if interest.in_string(written) {
                        return None;
                    }
                }
                _ if is_key => return None,
                b'{' => {
                    self.enter(Some(self.keys.open()))?;
                    *at = at.wrapping_add(1);
                    if next_character(bytes, at)? != b'}' {
                        is_key = true;
                        continue;
                    }
                }
                b'[' => {
                    self.enter(None)?;
                    *at = at.wrapping_add(1);
                    if next_character(bytes, at)? != b']' {
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => *at = number_end(bytes, *at).ok()?,
                _ => *at = at.wrapping_add(literal_length(bytes.get(*at..)?)?),
            }
            // Behind a value: its containers end, or the next value follows.
            loop {
                let Some(container) = self.containers.last() else {
                    return Some(());
                };
                match (next_character(bytes, at)?, *container) {
                    (b',', container) => {
                        *at = at.wrapping_add(1);
                        is_key = container.is_some();
                        break;
                    }
                    (b'}', Some(first_key)) if self.keys.close(bytes, first_key) => {}
                    (b']', None) => {}
                    _ => return None,
                }
                *at = at.wrapping_add(1);
                self.containers.pop();
            }
        }
    }

    /// Enters a container. `first_key`: the index of the first key of an object.
    #[inline]
    fn enter(&mut self, first_key: Option<usize>) -> Option<()> {
        let depth = self.depth.saturating_add(self.containers.len());
        self.containers.push(first_key);
        (depth < self.max_depth).then_some(())
    }

    /// The end of the text of a string that has an escape at this position.
    fn escaped_end(&mut self, at: usize) -> Option<usize> {
        self.at = at;
        self.escaped_string().ok()?;
        Some(self.at.wrapping_sub(1))
    }
}

/// The next character that is no white space. The position is moved to it.
#[inline]
fn next_character(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        match bytes.get(*at) {
            Some(byte) if *byte > b' ' => return Some(*byte),
            Some(b' ' | b'\n' | b'\r' | b'\t') => *at = at.wrapping_add(1),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::nearly_json;
    use super::super::{JsonError, JsonErrorKind};
    use super::*;

    struct Letters;

    impl Interest for Letters {
        fn in_key(&self, key: &[u8]) -> bool {
            key == b"x"
        }

        fn in_string(&self, written: &[u8]) -> bool {
            written == b"x"
        }
    }

    fn both(input: &[u8]) -> (PlainValue, Result<Span, JsonError>) {
        let mut plain = Reader::new(input, 4);
        let plain = plain.skip_plain(&Letters);
        (plain, Reader::new(input, 4).skip())
    }

    #[test]
    fn a_value_with_something_of_interest_is_not_read() {
        for (input, seen) in [
            (r#"{"a":{"x":1}}"#, 9),
            (r#"[1,"x"]"#, 6),
            (r#"{"\u0061":1}"#, 9),
            (r#""x""#, 3),
        ] {
            let mut reader = Reader::new(input.as_bytes(), 4);
            let read = reader.skip_plain(&Letters);
            assert_eq!(read, PlainValue::Interesting(seen), "{input}");
            // The reader can read the value as if nothing was read before.
            assert_eq!(reader.skip(), Ok(0..input.len()), "{input}");
        }
    }

    #[test]
    fn a_value_that_is_read_again_leaves_no_keys_and_no_depth() {
        let input = r#"{"a":{"b":1,"x":2},"b":[{"c":0,"x":[1]}],"c":[[]]}"#;
        let mut reader = Reader::new(input.as_bytes(), 4);
        let mut again = 0;
        let read = reader.object(|reader, _| {
            if let PlainValue::Interesting(_) = reader.skip_plain(&Letters) {
                again += 1;
                reader.skip()?;
            }
            Ok::<(), JsonError>(())
        });
        assert_eq!((read, again), (Ok(0..input.len()), 2));
    }

    #[test]
    fn b04_duplicate_keys_are_refused_at_any_depth() {
        for input in [
            r#"{"a":1,"a":2}"#,
            r#"[{"b":{"a":1,"c":2,"a":3}}]"#,
            r#"{"a":{"a":1},"b":[],"a":2}"#,
            r#"{"k1":0,"k2":0,"k3":0,"k4":0,"k5":0,"k6":0,"k7":0,"k8":0,"k9":0,"l1":0,"l2":0,"l3":0,"l4":0,"l5":0,"l6":0,"l7":0,"k1":0}"#,
            r#"{"a_long_key_1":0,"a_long_key_2":0,"a_long_key_1":0}"#,
        ] {
            let (plain, skipped) = both(input.as_bytes());
            assert!(matches!(plain, PlainValue::Interesting(_)), "{input}");
            let error = skipped.map_err(|error| error.kind);
            assert_eq!(error, Err(JsonErrorKind::DuplicateKey), "{input}");
        }
    }

    proptest! {
        /// The quick way reads only values that the other way reads, to the same end. It leaves no others to it than
        /// those with something of interest, and those that are not strict.
        #[test]
        fn agrees_with_skip(input in prop_oneof![nearly_json(), any::<Vec<u8>>()]) {
            match both(&input) {
                (PlainValue::Read(span), skipped) => prop_assert_eq!(Ok(span), skipped),
                (PlainValue::Interesting(_), skipped) => {
                    let may_be = input.contains(&b'x') || input.contains(&b'\\');
                    prop_assert!(skipped.is_err() || may_be);
                }
            }
        }
    }
}
