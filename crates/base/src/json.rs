//! Strict JSON (RFC 8259), read once from front to back, without a tree of values.
//!
//! Two parsers that read one text differently are the way around a gateway, so whatever they are
//! known to differ on is refused here: duplicate keys at any depth (also spelled with escapes),
//! invalid UTF-8, lone surrogates, a byte order mark, text behind the value, NUL in a key, and
//! nesting beyond a limit. Values are never interpreted further than needed: numbers stay text.

mod digest;
pub mod edits;
mod element;
mod fault;
mod keys;
mod text;
pub mod tree;

use std::borrow::Cow;
use std::ops::Range;

pub use self::digest::{digest, digest_members};
pub use self::element::Element;
pub use self::fault::{Fault, JsonError};
use self::keys::Keys;

pub use self::text::unescape;
use self::text::{hex, plain_run};

/// A part of the input, in bytes from its start.
pub type Span = Range<usize>;

/// What a value is, seen from its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[...]`
    Array,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{...}`
    Object,
    /// `"..."`
    String,
}

/// A string of the input: its place, quotes included, and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// Where it stands, with its quotes.
    pub span: Span,
    /// What it says, escapes resolved.
    pub value: Cow<'a, str>,
}

/// A member of an object, handed to the function that reads its value.
#[derive(Debug)]
pub struct Member<'a> {
    /// The key.
    pub key: Text<'a>,
    /// The comma before it, if it is not the first.
    pub comma: Option<usize>,
    /// Its number in the object, from 0.
    pub index: usize,
}

/// Reads one JSON text, value by value. Every `object`, `array`, `string` and `skip` reads exactly
/// one value and checks all of it.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The input up to the first byte that is not UTF-8.
    text: &'a str,
    /// Whether that is all of it.
    whole: bool,
    at: usize,
    depth: usize,
    max_depth: usize,
    keys: Keys<'a>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input` that refuses nesting deeper than `max_depth`.
    pub fn new(input: &'a [u8], max_depth: usize) -> Self {
        // Once for all of it costs less than for each string.
        let text = match str::from_utf8(input) {
            Ok(text) => text,
            Err(error) => {
                let valid = input.get(..error.valid_up_to()).unwrap_or_default();
                str::from_utf8(valid).unwrap_or_default()
            }
        };
        Self {
            text,
            whole: text.len() == input.len(),
            at: 0,
            depth: 0,
            max_depth,
            keys: Keys::default(),
        }
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &'a [u8] {
        self.text.as_bytes().get(span).unwrap_or_default()
    }

    /// How far the reader is.
    pub fn position(&self) -> usize {
        self.at
    }

    /// What the next value is.
    #[inline]
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.next_character()? {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b't' | b'f' => Ok(Kind::Bool),
            b'n' => Ok(Kind::Null),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            _ => Err(self.error(Fault::Unexpected)),
        }
    }

    /// Reads any value and returns where it stands.
    pub fn skip(&mut self) -> Result<Span, JsonError> {
        let kind = self.kind()?;
        self.skip_kind(kind)
    }

    /// Reads a value after [`Self::kind`] said what it is.
    #[inline]
    pub fn skip_kind(&mut self, kind: Kind) -> Result<Span, JsonError> {
        match kind {
            Kind::Object => self.object(|reader, _| reader.skip().map(drop)),
            Kind::Array => self.array(|reader| reader.skip().map(drop)),
            Kind::String => Ok(self.raw_string()?.0),
            Kind::Number => self.number(),
            Kind::Bool | Kind::Null => self.literal(),
        }
    }

    /// Reads an object; `member` must read each value.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Member<'a>) -> Result<(), E>,
    ) -> Result<Span, E> {
        let start = self.open(b'{')?;
        let first_key = self.keys.open();
        let mut comma = None;
        if self.next_character()? == b'}' {
            return Ok(self.close(start));
        }
        for index in 0.. {
            let key = self.key()?;
            self.keys.push(self.text, &key);
            self.take(b':')?;
            member(self, Member { key, comma, index })?;
            match self.next_character()? {
                b',' => comma = Some(self.at),
                b'}' => break,
                _ => return Err(self.error(Fault::Unexpected).into()),
            }
            self.advance(1);
        }
        if !self.keys.close(first_key) {
            return Err(self.error(Fault::DuplicateKey).into());
        }
        Ok(self.close(start))
    }

    /// Reads an array; `element` must read each value.
    pub fn array<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<Span, E> {
        let start = self.open(b'[')?;
        if self.next_character()? == b']' {
            return Ok(self.close(start));
        }
        loop {
            element(self)?;
            match self.next_character()? {
                b',' => self.advance(1),
                b']' => return Ok(self.close(start)),
                _ => return Err(self.error(Fault::Unexpected).into()),
            }
        }
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        if self.next_character()? != b'"' {
            return Err(self.error(Fault::Unexpected));
        }
        let (span, escaped) = self.raw_string()?;
        self.meaning(span, escaped)
    }

    /// The meaning of a string that was read already.
    pub fn resolve(&self, span: Span) -> Result<Text<'a>, JsonError> {
        let escaped = self.bytes(span.clone()).contains(&b'\\');
        self.meaning(span, escaped)
    }

    #[inline]
    fn meaning(&self, span: Span, escaped: bool) -> Result<Text<'a>, JsonError> {
        let inside = span.start.saturating_add(1)..span.end.saturating_sub(1);
        let text = self.text.get(inside).unwrap_or_default();
        let value = if escaped {
            let at = span.start;
            let fault = Fault::Escape;
            Cow::Owned(unescape(text).ok_or(JsonError { fault, at })?)
        } else {
            Cow::Borrowed(text)
        };
        Ok(Text { span, value })
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        match self.peek() {
            None if self.whole => Ok(()),
            None => Err(self.error(Fault::End)),
            Some(_) => Err(self.error(Fault::Trailing)),
        }
    }

    #[inline]
    fn key(&mut self) -> Result<Text<'a>, JsonError> {
        let key = self.string()?;
        // Only an escape can have brought one in.
        if matches!(&key.value, Cow::Owned(value) if value.contains('\0')) {
            return Err(JsonError {
                fault: Fault::NulInKey,
                at: key.span.start,
            });
        }
        Ok(key)
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> Result<usize, JsonError> {
        self.take(bracket)?;
        if self.depth >= self.max_depth {
            return Err(self.error(Fault::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(self.at.saturating_sub(1))
    }

    #[inline]
    fn close(&mut self, start: usize) -> Span {
        self.depth = self.depth.saturating_sub(1);
        self.advance(1);
        start..self.at
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.next_character()? != wanted {
            return Err(self.error(Fault::Unexpected));
        }
        self.advance(1);
        Ok(())
    }

    /// Reads a string without resolving it, and says whether there is anything to resolve.
    fn raw_string(&mut self) -> Result<(Span, bool), JsonError> {
        let start = self.at;
        let mut escaped = false;
        self.advance(1);
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.advance(plain_run(rest));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.error(Fault::ControlCharacter)),
                None => return Err(self.error(Fault::End)),
            }
            escaped = true;
        }
        self.advance(1);
        Ok((start..self.at, escaped))
    }

    /// Reads one escape. A surrogate must be the first half of a pair whose second half follows.
    fn escape(&mut self) -> Result<(), JsonError> {
        self.advance(1);
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.advance(1);
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xD800..=0xDBFF if self.peek() == Some(b'\\') => {
                    self.advance(1);
                    match (self.peek(), self.code_unit()?) {
                        (Some(b'u'), 0xDC00..=0xDFFF) => Ok(()),
                        _ => Err(self.error(Fault::Escape)),
                    }
                }
                0xD800..=0xDFFF => Err(self.error(Fault::Escape)),
                _ => Ok(()),
            },
            Some(_) => Err(self.error(Fault::Escape)),
            None => Err(self.error(Fault::End)),
        }
    }

    /// Reads `u` and its four digits.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        self.advance(1);
        let digits = self.bytes(self.at..self.at.saturating_add(4));
        let unit = hex(digits).ok_or_else(|| self.error(Fault::Escape))?;
        self.advance(4);
        Ok(unit)
    }

    fn number(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.advance(1);
        }
        if self.peek() == Some(b'0') {
            self.advance(1);
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.advance(1);
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.advance(1);
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.advance(1);
            }
            self.digits()?;
        }
        Ok(start..self.at)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        if self.at == start {
            return Err(self.error(Fault::Number));
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let literal = [&b"true"[..], b"false", b"null"]
            .into_iter()
            .find(|literal| rest.starts_with(literal))
            .ok_or_else(|| self.error(Fault::Unexpected))?;
        self.advance(literal.len());
        Ok(start..self.at)
    }

    #[inline]
    fn next_character(&mut self) -> Result<u8, JsonError> {
        match self.peek() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => {
                self.skip_whitespace();
                self.peek().ok_or_else(|| self.error(Fault::End))
            }
        }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.advance(1);
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn error(&self, fault: Fault) -> JsonError {
        let fault = match fault {
            Fault::End if !self.whole => Fault::Utf8,
            fault => fault,
        };
        JsonError { fault, at: self.at }
    }
}

#[cfg(test)]
mod tests;
