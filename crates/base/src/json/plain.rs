//! Reads values in which a caller finds nothing: most values of most messages. It checks as much as [`Reader::skip`],
//! and hands over no member.

use std::borrow::Cow;

use super::{JsonError, JsonErrorKind, Reader, Span};

/// The parts of a value that a caller looks for.
pub trait Interest {
    /// Whether a key, which has no escapes, is of interest, alone or with keys below it.
    fn in_key(&self, key: &str) -> bool;

    /// Whether a string, as written between its quotes, is of interest.
    fn in_string(&self, written: &[u8]) -> bool;
}

/// The outcome of [`Reader::skip_plain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainValue {
    /// The value was read. Nothing in it is of interest.
    Read(Span),
    /// Something may be of interest before this position. The reader is at the start of the value again.
    Interesting(usize),
}

impl<'a> Reader<'a> {
    /// Reads a value, unless something in it is of interest, or a key has escapes.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn skip_plain(&mut self, interest: &impl Interest) -> Result<PlainValue, JsonError> {
        self.next_character()?;
        let (start, depth, keys) = (self.at, self.depth, self.keys.open());
        if self.plain_value(interest)? {
            return Ok(PlainValue::Read(start..self.at));
        }
        let seen = self.at;
        (self.at, self.depth) = (start, depth);
        self.keys.forget(keys);
        Ok(PlainValue::Interesting(seen))
    }

    /// False: something is of interest.
    fn plain_value(&mut self, interest: &impl Interest) -> Result<bool, JsonError> {
        match self.next_character()? {
            b'"' => {
                let (span, _) = self.raw_string()?;
                Ok(!interest.in_string(self.inside(&span).as_bytes()))
            }
            b'{' => self.plain_object(interest),
            b'[' => self.plain_array(interest),
            b'-' | b'0'..=b'9' => self.number().map(|_| true),
            _ => self.literal().map(|_| true),
        }
    }

    fn plain_object(&mut self, interest: &impl Interest) -> Result<bool, JsonError> {
        self.open(b'{')?;
        let first_key = self.keys.open();
        if self.next_character()? == b'}' {
            self.close(0);
            return Ok(true);
        }
        loop {
            if self.next_character()? != b'"' {
                return Err(self.error(JsonErrorKind::Unexpected));
            }
            let (span, is_escaped) = self.raw_string()?;
            let key = self.inside(&span);
            if is_escaped || interest.in_key(key) {
                return Ok(false);
            }
            self.keys.push(self.text, &span, Cow::Borrowed(key));
            self.take(b':')?;
            if !self.plain_value(interest)? {
                return Ok(false);
            }
            match self.next_character()? {
                b',' => self.advance(1),
                b'}' => break,
                _ => return Err(self.error(JsonErrorKind::Unexpected)),
            }
        }
        if !self.keys.close(first_key) {
            return Err(self.error(JsonErrorKind::DuplicateKey));
        }
        self.close(0);
        Ok(true)
    }

    fn plain_array(&mut self, interest: &impl Interest) -> Result<bool, JsonError> {
        self.open(b'[')?;
        if self.next_character()? == b']' {
            self.close(0);
            return Ok(true);
        }
        loop {
            if !self.plain_value(interest)? {
                return Ok(false);
            }
            match self.next_character()? {
                b',' => self.advance(1),
                b']' => break,
                _ => return Err(self.error(JsonErrorKind::Unexpected)),
            }
        }
        self.close(0);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::nearly_json;
    use super::*;

    struct Letters;

    impl Interest for Letters {
        fn in_key(&self, key: &str) -> bool {
            key == "x"
        }

        fn in_string(&self, written: &[u8]) -> bool {
            written == b"x"
        }
    }

    fn both(input: &[u8]) -> (Result<PlainValue, JsonError>, Result<Span, JsonError>) {
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
            assert_eq!(read, Ok(PlainValue::Interesting(seen)), "{input}");
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
            if let PlainValue::Interesting(_) = reader.skip_plain(&Letters)? {
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
            let error = plain.map(drop).unwrap_err();
            assert_eq!(error.kind, JsonErrorKind::DuplicateKey, "{input}");
            assert_eq!(Err(error), skipped, "{input}");
        }
    }

    proptest! {
        /// The quick way accepts and refuses what the other way does, with the same error.
        #[test]
        fn agrees_with_skip(input in prop_oneof![nearly_json(), any::<Vec<u8>>()]) {
            match both(&input) {
                (Ok(PlainValue::Read(span)), skipped) => prop_assert_eq!(Ok(span), skipped),
                (Ok(PlainValue::Interesting(_)), _) => {
                    prop_assert!(input.contains(&b'x') || input.contains(&b'\\'));
                }
                (Err(error), skipped) => prop_assert_eq!(Err(error), skipped),
            }
        }
    }
}
