//! The outline of a JSON text: its members and elements, and their positions. Nothing inside them is checked, and
//! nesting has no limit. It serves texts that the strict reader has read, of which a part is needed, and texts that it
//! refuses.

mod container;

use self::container::container_length;
use super::Span;
use super::text::{plain_run, unescape};

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineMember {
    /// Its key as written, without quotes.
    pub key: Vec<u8>,
    /// The position of its value.
    pub value: Span,
}

/// The text has no outline: a bracket, quote or comma is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOutline;

/// The members of the object at this position, if one stands there and ends.
pub fn members(text: &[u8], at: usize) -> Option<Vec<OutlineMember>> {
    let mut members = Vec::new();
    let read = Outline::new(text, at).object(|outline, key| {
        let value = outline.value()?;
        let key = key.to_vec();
        members.push(OutlineMember { key, value });
        Ok::<(), NoOutline>(())
    });
    read.is_ok().then_some(members)
}

/// The positions of the elements of the list at this position, and of the whole list, if one stands there and
/// ends.
pub fn elements(text: &[u8], at: usize) -> Option<(Vec<Span>, Span)> {
    let mut elements = Vec::new();
    let list = Outline::new(text, at).list(|outline| {
        elements.push(outline.value()?);
        Ok::<(), NoOutline>(())
    });
    list.ok().map(|list| (elements, list))
}

/// The start of the value at a path of keys, from the start of a text. Only what stands before it is read.
pub fn find(text: &[u8], path: &[&str]) -> Option<usize> {
    let mut outline = Outline::new(text, 0);
    'next: for key in path {
        outline.expect(b'{').ok()?;
        while !outline.ends(b'}').ok()? {
            let found = outline.string().ok()?;
            outline.expect(b':').ok()?;
            if is_key(text.get(found)?, key) {
                continue 'next;
            }
            outline.value().ok()?;
            outline.comma(b'}').ok()?;
        }
        return None;
    }
    outline.space();
    Some(outline.at)
}

/// Whether a key, as written, is this one.
fn is_key(written: &[u8], key: &str) -> bool {
    if !written.contains(&b'\\') {
        return written == key.as_bytes();
    }
    let written = str::from_utf8(written).ok().and_then(unescape);
    written.is_some_and(|written| written == key)
}

/// Reads the outline of a text from front to back.
#[derive(Debug)]
pub struct Outline<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Outline<'t> {
    /// An outline that starts at this position.
    pub fn new(text: &'t [u8], at: usize) -> Self {
        Self { text, at }
    }

    /// The first byte of the next value.
    pub fn first_byte(&mut self) -> Option<u8> {
        self.space();
        self.next()
    }

    /// Reads an object. `member` gets each key as written, and must read its value.
    ///
    /// # Errors
    ///
    /// No object stands here, or `member` fails.
    pub fn object<E: From<NoOutline>>(
        &mut self,
        mut member: impl FnMut(&mut Self, &'t [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        while !self.ends(b'}')? {
            let key = self.string()?;
            self.expect(b':')?;
            member(self, self.text.get(key).unwrap_or_default())?;
            self.comma(b'}')?;
        }
        Ok(())
    }

    /// Reads a list. `element` must read each value. Returns the position of the list.
    ///
    /// # Errors
    ///
    /// No list stands here, or `element` fails.
    pub fn list<E: From<NoOutline>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<Span, E> {
        self.space();
        let start = self.at;
        self.expect(b'[')?;
        while !self.ends(b']')? {
            element(self)?;
            self.comma(b']')?;
        }
        Ok(start..self.at)
    }

    /// Reads a value, of which only brackets and strings are looked at. Returns its position.
    ///
    /// # Errors
    ///
    /// No value stands here, or it does not end.
    pub fn value(&mut self) -> Result<Span, NoOutline> {
        self.space();
        let start = self.at;
        let is_behind = |byte: u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        loop {
            match self.next().ok_or(NoOutline)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    let length = container_length(rest).ok_or(NoOutline)?;
                    self.at = self.at.saturating_add(length);
                }
                b'}' | b']' => return Err(NoOutline),
                _ => self.step(),
            }
            if self.next().is_none_or(is_behind) {
                return Ok(start..self.at);
            }
        }
    }

    #[inline]
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    #[inline]
    fn space(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.step();
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NoOutline> {
        self.space();
        if self.next() != Some(byte) {
            return Err(NoOutline);
        }
        self.step();
        Ok(())
    }

    /// Whether the container ends here. Takes its end.
    #[inline]
    fn ends(&mut self, end: u8) -> Result<bool, NoOutline> {
        self.space();
        let ends = self.next().ok_or(NoOutline)? == end;
        if ends {
            self.step();
        }
        Ok(ends)
    }

    /// Takes a comma, or nothing before the end of the container.
    #[inline]
    fn comma(&mut self, end: u8) -> Result<(), NoOutline> {
        self.space();
        match self.next() {
            Some(b',') => self.step(),
            Some(other) if other == end => {}
            _ => return Err(NoOutline),
        }
        Ok(())
    }

    /// Takes a string. Returns the position of its content.
    #[inline]
    fn string(&mut self) -> Result<Span, NoOutline> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at = self.at.saturating_add(plain_run(rest));
            match self.next().ok_or(NoOutline)? {
                b'"' => break,
                b'\\' => self.at = self.at.saturating_add(2),
                _ => self.step(),
            }
        }
        let content = start..self.at;
        self.step();
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'t>(text: &'t str, spans: &[Span]) -> Vec<&'t str> {
        let texts = spans.iter().map(|span| text.get(span.clone()));
        texts.map(Option::unwrap).collect()
    }

    #[test]
    fn the_outline_has_members_and_elements_of_any_depth() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text =
            format!(r#" {{"a":{deep} , "b\"":"\ud800}}", "c": [NaN, {{"x":"]"}}, -1e5 ,[]]}}"#);
        let found = members(text.as_bytes(), 0).unwrap();
        let keys: Vec<&[u8]> = found.iter().map(|member| member.key.as_slice()).collect();
        assert_eq!(keys, [&b"a"[..], b"b\\\"", b"c"]);
        assert_eq!(texts(&text, &[found[0].value.clone()]), [&deep]);
        let (list, span) = elements(text.as_bytes(), found[2].value.start).unwrap();
        assert_eq!(texts(&text, &list), ["NaN", "{\"x\":\"]\"}", "-1e5", "[]"]);
        assert_eq!(span, found[2].value);
        assert_eq!(elements(b"[ ]", 0), Some((Vec::new(), 0..3)));
        assert_eq!(members(b"{}", 0), Some(Vec::new()));
    }

    #[test]
    fn a_text_without_outline_has_none() {
        for text in [
            "",
            "x",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\" 1}",
            "[1]",
            "{\"a\":]}",
            "{\"a\":1 2}",
            "{\"a",
        ] {
            assert_eq!(members(text.as_bytes(), 0), None, "{text}");
        }
        for text in ["[1", "[1 2]", "{}", "[\"]", "[\"\\\"]"] {
            assert_eq!(elements(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn a_value_is_found_without_reading_what_follows_it() {
        let text = br#" {"a":{"c":1},"b":{"x":"\"c","c": {"d":2}, ?"#;
        assert_eq!(find(text, &["b", "c"]), Some(34));
        assert_eq!(find(text, &[]), Some(1));
        let escaped = br#"{"\u0062":{"\u0063":1}}"#;
        assert_eq!(find(escaped, &["b", "c"]), Some(20));
        for path in [&["c"][..], &["b", "d"], &["a", "c", "d"], &["A"]] {
            assert_eq!(find(text, path), None, "{path:?}");
        }
    }
}
