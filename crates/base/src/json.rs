//! Strict JSON (RFC 8259), read once from front to back, without a tree of values.
//!
//! If a gateway and a server read one text differently, the gateway can be bypassed. So the reader
//! refuses every text that parsers are known to read differently: duplicate keys at any depth (also
//! written with escapes), invalid UTF-8, lone surrogates, a byte order mark, text after the value, NUL
//! in a key, and nesting beyond a limit. Numbers stay text.

mod digest;
pub mod edits;
mod element;
mod error;
mod keys;
pub mod outline;
pub mod plain;
mod shared_text;
mod text;
pub mod tree;

use std::borrow::Cow;
use std::ops::Range;

pub use self::digest::{digest, digest_members};
pub use self::element::Element;
pub use self::error::{JsonError, JsonErrorKind};
use self::keys::OpenKeys;
pub use self::shared_text::SharedText;

use self::text::{code_unit, plain_run};
pub use self::text::{quotes_before, unescape};

/// A part of the input, in bytes from its start.
pub type Span = Range<usize>;

/// The type of a value, known from its first character.
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

/// A string of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its position, with the quotes.
    pub span: Span,
    /// Its value, with escapes resolved.
    pub value: Cow<'a, str>,
}

/// A member of an object, handed to the function that reads its value.
#[derive(Debug)]
pub struct Member<'a> {
    /// The key.
    pub key: Text<'a>,
    /// The position of the comma before it; `None` for the first member.
    pub comma: Option<usize>,
    /// Its index in the object, from 0.
    pub index: usize,
}

/// Reads one JSON text, value by value. Each call of `object`, `array`, `string` or `skip` reads exactly
/// one value and checks all of it.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The input up to the first byte that is not UTF-8.
    text: &'a str,
    /// Whether the whole input is UTF-8.
    whole: bool,
    at: usize,
    depth: usize,
    max_depth: usize,
    keys: OpenKeys,
    /// The containers around a value that [`Self::skip_plain`] reads, the innermost last: of an object, the index of its
    /// first key.
    containers: Vec<Option<usize>>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input` that refuses nesting deeper than `max_depth`.
    pub fn new(input: &'a [u8], max_depth: usize) -> Self {
        // One check of the whole input costs less than one check of each string.
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
            keys: OpenKeys::default(),
            containers: Vec::new(),
        }
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: Span) -> &'a [u8] {
        self.text.as_bytes().get(span).unwrap_or_default()
    }

    /// The position of the next unread byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The type of the next value.
    ///
    /// # Errors
    ///
    /// No value starts here.
    #[inline]
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.next_character()? {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b't' | b'f' => Ok(Kind::Bool),
            b'n' => Ok(Kind::Null),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            _ => Err(self.error(JsonErrorKind::Unexpected)),
        }
    }

    /// Reads any value and returns its position.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
    pub fn skip(&mut self) -> Result<Span, JsonError> {
        let kind = self.kind()?;
        self.skip_kind(kind)
    }

    /// Reads a value whose type [`Self::kind`] returned.
    ///
    /// # Errors
    ///
    /// The value is not strict JSON.
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

    /// Reads an object. `member` must read each value.
    ///
    /// # Errors
    ///
    /// The value is no strict object, or `member` fails.
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
            match &key.value {
                Cow::Borrowed(_) => {
                    let written = inside(&key.span);
                    self.keys.push_written(self.text.as_bytes(), &written);
                }
                Cow::Owned(resolved) => self.keys.push_resolved(resolved),
            }
            self.take(b':')?;
            member(self, Member { key, comma, index })?;
            match self.next_character()? {
                b',' => comma = Some(self.at),
                b'}' => break,
                _ => return Err(self.error(JsonErrorKind::Unexpected).into()),
            }
            self.advance(1);
        }
        if !self.keys.close(self.text.as_bytes(), first_key) {
            return Err(self.error(JsonErrorKind::DuplicateKey).into());
        }
        Ok(self.close(start))
    }

    /// Reads an array. `element` must read each value.
    ///
    /// # Errors
    ///
    /// The value is no strict array, or `element` fails.
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
                _ => return Err(self.error(JsonErrorKind::Unexpected).into()),
            }
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// The value is no strict string.
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        if self.next_character()? != b'"' {
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        let (span, escaped) = self.raw_string()?;
        self.resolved(span, escaped)
    }

    /// Resolves a string that was read already.
    ///
    /// # Errors
    ///
    /// An escape is invalid.
    pub fn resolve(&self, span: Span) -> Result<Text<'a>, JsonError> {
        let escaped = self.bytes(span.clone()).contains(&b'\\');
        self.resolved(span, escaped)
    }

    #[inline]
    fn resolved(&self, span: Span, escaped: bool) -> Result<Text<'a>, JsonError> {
        let text = self.text.get(inside(&span)).unwrap_or_default();
        let value = if escaped {
            let at = span.start;
            let kind = JsonErrorKind::Escape;
            Cow::Owned(unescape(text).ok_or(JsonError { kind, at })?)
        } else {
            Cow::Borrowed(text)
        };
        Ok(Text { span, value })
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    ///
    /// More text follows, or the input is not UTF-8.
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        match self.peek() {
            None if self.whole => Ok(()),
            None => Err(self.error(JsonErrorKind::End)),
            Some(_) => Err(self.error(JsonErrorKind::Trailing)),
        }
    }

    #[inline]
    fn key(&mut self) -> Result<Text<'a>, JsonError> {
        let key = self.string()?;
        // Only an escape can write U+0000.
        if matches!(&key.value, Cow::Owned(value) if value.contains('\0')) {
            return Err(JsonError {
                kind: JsonErrorKind::NulInKey,
                at: key.span.start,
            });
        }
        Ok(key)
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> Result<usize, JsonError> {
        self.take(bracket)?;
        if self.depth >= self.max_depth {
            return Err(self.error(JsonErrorKind::TooDeep));
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
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        self.advance(1);
        Ok(())
    }

    /// Reads a string without resolving it. Also returns whether it has escapes.
    #[inline]
    fn raw_string(&mut self) -> Result<(Span, bool), JsonError> {
        let start = self.at;
        self.advance(1);
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.advance(plain_run(rest));
        if self.peek() == Some(b'"') {
            self.advance(1);
            return Ok((start..self.at, false));
        }
        self.escaped_string()?;
        Ok((start..self.at, true))
    }

    /// Reads the rest of a string that has an escape here, or is not complete.
    fn escaped_string(&mut self) -> Result<(), JsonError> {
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.escape()?;
                    // Escapes come together, as in JSON inside a text.
                    if matches!(self.peek(), Some(b'\\' | b'"')) {
                        continue;
                    }
                }
                Some(_) => return Err(self.error(JsonErrorKind::ControlCharacter)),
                None => return Err(self.error(JsonErrorKind::End)),
            }
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.advance(plain_run(rest));
        }
        self.advance(1);
        Ok(())
    }

    /// Reads one escape. Surrogates must come in pairs.
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
                        _ => Err(self.error(JsonErrorKind::Escape)),
                    }
                }
                0xD800..=0xDFFF => Err(self.error(JsonErrorKind::Escape)),
                _ => Ok(()),
            },
            Some(_) => Err(self.error(JsonErrorKind::Escape)),
            None => Err(self.error(JsonErrorKind::End)),
        }
    }

    /// Reads `u` and four digits.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        self.advance(1);
        let digits = self.bytes(self.at..self.at.saturating_add(4));
        let unit = code_unit(digits).ok_or_else(|| self.error(JsonErrorKind::Escape))?;
        self.advance(4);
        Ok(unit)
    }

    fn number(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        let found = number_end(self.text.as_bytes(), start);
        let (Ok(end) | Err(end)) = found;
        self.at = end;
        match found {
            Ok(_) => Ok(start..end),
            Err(_) => Err(self.error(JsonErrorKind::Number)),
        }
    }

    fn literal(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let length = literal_length(rest);
        self.advance(length.ok_or_else(|| self.error(JsonErrorKind::Unexpected))?);
        Ok(start..self.at)
    }

    #[inline]
    fn next_character(&mut self) -> Result<u8, JsonError> {
        match self.peek() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => {
                self.skip_whitespace();
                self.peek().ok_or_else(|| self.error(JsonErrorKind::End))
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
        // Never behind the end of the input, so that this does not wrap.
        self.at = self.at.wrapping_add(count);
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        let kind = match kind {
            JsonErrorKind::End if !self.whole => JsonErrorKind::Utf8,
            kind => kind,
        };
        JsonError { kind, at: self.at }
    }
}

/// The place between the quotes of a string.
#[inline]
fn inside(string: &Span) -> Span {
    string.start.saturating_add(1)..string.end.saturating_sub(1)
}

/// The end of the number at a position. `Err`: where a digit is missing.
#[inline]
fn number_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let byte = |at: usize| bytes.get(at).copied();
    let digits = |from: usize| {
        let mut at = from;
        while matches!(byte(at), Some(b'0'..=b'9')) {
            at = at.wrapping_add(1);
        }
        if at == from { Err(at) } else { Ok(at) }
    };
    let mut at = start;
    if byte(at) == Some(b'-') {
        at = at.wrapping_add(1);
    }
    at = match byte(at) {
        Some(b'0') => at.wrapping_add(1),
        _ => digits(at)?,
    };
    if byte(at) == Some(b'.') {
        at = digits(at.wrapping_add(1))?;
    }
    if matches!(byte(at), Some(b'e' | b'E')) {
        at = at.wrapping_add(1);
        if matches!(byte(at), Some(b'+' | b'-')) {
            at = at.wrapping_add(1);
        }
        at = digits(at)?;
    }
    Ok(at)
}

/// The length of `true`, `false` or `null` at the start.
#[inline]
fn literal_length(rest: &[u8]) -> Option<usize> {
    match rest {
        [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => Some(4),
        [b'f', b'a', b'l', b's', b'e', ..] => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
