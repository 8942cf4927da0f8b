//! The outline of JSON that the strict reader refuses: the members of one object, or the elements of one
//! list, and their positions. Nothing inside them is checked, and nesting has no limit.

use super::Span;

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineMember {
    /// Its key as written, without quotes.
    pub key: Vec<u8>,
    /// The position of its value.
    pub value: Span,
}

/// The members of the object at this position, if one stands there and ends.
pub fn members(text: &[u8], at: usize) -> Option<Vec<OutlineMember>> {
    let mut members = Vec::new();
    let mut outline = Outline { text, at };
    outline.expect(b'{')?;
    while !outline.ends(b'}')? {
        let key = outline.string()?;
        outline.expect(b':')?;
        let value = outline.value()?;
        let key = text.get(key).unwrap_or_default().to_vec();
        members.push(OutlineMember { key, value });
        outline.comma(b'}')?;
    }
    Some(members)
}

/// The positions of the elements of the list at this position, and of the whole list, if one stands there and
/// ends.
pub fn elements(text: &[u8], at: usize) -> Option<(Vec<Span>, Span)> {
    let mut elements = Vec::new();
    let mut outline = Outline { text, at };
    outline.space();
    let start = outline.at;
    outline.expect(b'[')?;
    while !outline.ends(b']')? {
        elements.push(outline.value()?);
        outline.comma(b']')?;
    }
    Some((elements, start..outline.at))
}

struct Outline<'t> {
    text: &'t [u8],
    at: usize,
}

impl Outline<'_> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn space(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.step();
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.next()? == byte).then(|| self.step())
    }

    /// Whether the container ends here. Takes its end.
    fn ends(&mut self, end: u8) -> Option<bool> {
        self.space();
        let ends = self.next()? == end;
        if ends {
            self.step();
        }
        Some(ends)
    }

    /// Takes a comma, or nothing before the end of the container.
    fn comma(&mut self, end: u8) -> Option<()> {
        self.space();
        match self.next()? {
            b',' => self.step(),
            other if other == end => {}
            _ => return None,
        }
        Some(())
    }

    /// Takes a string. Returns the position of its content.
    fn string(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.at = self.at.saturating_add(2),
                _ => self.step(),
            }
        }
        let content = start..self.at;
        self.step();
        Some(content)
    }

    /// Takes a value, of which only brackets and strings are read.
    fn value(&mut self) -> Option<Span> {
        self.space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    self.step();
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.step();
                }
                _ => self.step(),
            }
            let is_behind =
                |byte: u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            if depth == 0 && self.next().is_none_or(is_behind) {
                return Some(start..self.at);
            }
        }
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
        for text in ["[1", "[1 2]", "{}", "[\"]"] {
            assert_eq!(elements(text.as_bytes(), 0), None, "{text}");
        }
    }
}
