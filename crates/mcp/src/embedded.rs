//! JSON inside a string, read as leniently as any server may read it.
//!
//! Servers parse strings that hold JSON. The official Python SDK passes each argument to `json.loads`,
//! which accepts `NaN`, duplicate keys, lone surrogates and any depth. Others accept several values,
//! comments or single quotes. So a text that is not strict JSON is read in each of these ways. A name
//! counts if one of them finds it.

mod lenient;

use std::borrow::Cow;

use self::lenient::{Lenient, LenientReading};
use super::argument_names::{Begun, NameId, NameTable};
use super::identity_members::{MemberFinder, MemberPlace};
use base::json::Reader;

/// Values other than containers, also in the spelling of other languages.
const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "NaN",
    "Infinity",
    "None",
    "True",
    "False",
    "undefined",
    "nil",
];

/// Whether a string, as written, can start like JSON. This rules out most strings.
#[inline]
pub(crate) fn is_candidate(written: &[u8]) -> bool {
    match written.first() {
        Some(b'{' | b'[' | b'(' | b'\\' | b'/' | b' ' | 0x7F..) => true,
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => {
            written.contains(&b'{') || written.contains(&b'[')
        }
        Some(b'n' | b't' | b'f' | b'N' | b'I' | b'T' | b'F' | b'u') => {
            // Most texts differ from each scalar in their second letter.
            let second = written.get(1);
            let mut scalars = SCALARS.iter().map(|scalar| scalar.as_bytes());
            scalars.any(|scalar| second == scalar.get(1) && written.starts_with(scalar))
        }
        _ => false,
    }
}

/// The names in the keys of a string, if the string starts like JSON.
#[derive(Debug)]
pub(crate) struct Embedded<'t> {
    pub(crate) table: &'t NameTable,
    pub(crate) max_depth: usize,
    /// The bytes that may still be read. Strings inside strings are read once for each reading of the outer
    /// ones.
    pub(crate) left: usize,
    pub(crate) names: Vec<NameId>,
}

impl Embedded<'_> {
    /// Reads a string below keys with beginnings of names (`above`).
    ///
    /// # Errors
    ///
    /// Strings hold strings in so many ways that it is too expensive to read all of them.
    pub(crate) fn text(&mut self, text: &str, above: &Begun) -> Result<(), Tangled> {
        let Some(json) = start_of_json(text) else {
            return Ok(());
        };
        if self.strict(json, above)? {
            return Ok(());
        }
        for reading in LenientReading::all_of(json) {
            self.lenient(json, above, reading)?;
            // A reader of lines skips a broken line.
            if json.contains(['\n', '\r']) {
                for line in json.split(['\n', '\r']) {
                    self.lenient(line, above, reading)?;
                }
            }
        }
        Ok(())
    }

    /// Reads strict values up to the end of a text. False: it has other content.
    fn strict(&mut self, json: &str, above: &Begun) -> Result<bool, Tangled> {
        self.spend(json)?;
        let mut finder = MemberFinder::with_work(self.table, self.max_depth, self.left);
        let mut reader = Reader::new(json.as_bytes(), self.max_depth);
        let mut is_strict = true;
        while is_strict && reader.end().is_err() {
            let value = finder.value_below(&mut reader, MemberPlace::Elsewhere, above);
            is_strict = value.is_ok();
        }
        self.left = finder.work_left;
        if finder.found.is_tangled {
            return Err(Tangled);
        }
        if is_strict {
            let members = finder.found.members.iter().flat_map(|found| &found.names);
            self.names.extend(members.map(|spoken| spoken.name));
            self.names.append(&mut finder.found.in_strings);
        }
        Ok(is_strict)
    }

    fn lenient(
        &mut self,
        json: &str,
        above: &Begun,
        reading: LenientReading,
    ) -> Result<(), Tangled> {
        self.spend(json)?;
        Lenient::new(self, above, reading).read(json)
    }

    pub(crate) fn note(&mut self, name: NameId) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    fn spend(&mut self, text: &str) -> Result<(), Tangled> {
        self.left = self.left.checked_sub(text.len()).ok_or(Tangled)?;
        Ok(())
    }
}

/// It is too expensive to read all meanings of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tangled;

/// The JSON in a text that starts with it: with a container, a string, a comment, or values before one of
/// these.
fn start_of_json(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_ignored);
        match rest.chars().next()? {
            '{' | '[' | '"' => return Some(rest),
            '/' => {
                return ["//", "/*"]
                    .iter()
                    .any(|comment| rest.starts_with(comment))
                    .then_some(rest);
            }
            _ => rest = behind_scalar(rest)?,
        }
    }
}

/// Whether a character may precede JSON: servers strip white space of any kind, byte order marks and record
/// separators.
fn is_ignored(character: char) -> bool {
    let is_invisible = matches!(character,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fffe}' | '\u{fffd}');
    is_invisible
        || character.is_whitespace()
        || character.is_control()
        || matches!(character, ',' | ';' | '(')
}

/// The rest after a value that is not a container. `None`: the text continues without a separator, like
/// prose.
fn behind_scalar(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['-', '+']);
    let scalar = SCALARS.iter().find_map(|scalar| text.strip_prefix(scalar));
    let number = |character: char| {
        character.is_ascii_digit() || matches!(character, '.' | 'e' | 'E' | '-' | '+')
    };
    let behind = scalar.unwrap_or_else(|| text.trim_start_matches(number));
    let is_read = behind.len() < text.len();
    let is_ended =
        behind.starts_with(|next: char| is_ignored(next) || matches!(next, '{' | '[' | '"' | '/'));
    (is_read && is_ended).then_some(behind)
}

/// The content of a string whose escapes were not checked.
fn unescaped(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = behind.chars();
        match characters.next() {
            Some(kind @ ('u' | 'x' | 'U')) => {
                let (character, behind) = code_point(kind, characters.as_str());
                out.extend(character);
                characters = behind.chars();
            }
            Some('n' | 'r' | 't' | 'b' | 'f') => out.push(' '),
            Some(other) => out.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of an escape, and the rest. A lone surrogate is no character, and no part of a name.
fn code_point(kind: char, behind: &str) -> (Option<char>, &str) {
    let length = match kind {
        'x' => 2,
        'u' => 4,
        _ => 8,
    };
    let unit = |text: &str| u32::from_str_radix(text.get(..length)?, 16).ok();
    let rest = behind.get(length..).unwrap_or_default();
    match unit(behind) {
        None => (None, behind),
        Some(high @ 0xD800..=0xDBFF) => match rest.strip_prefix("\\u").and_then(unit) {
            Some(low @ 0xDC00..=0xDFFF) => {
                let code = 0x1_0000_u32.saturating_add((high & 0x3FF) << 10 | (low & 0x3FF));
                (char::from_u32(code), rest.get(6..).unwrap_or_default())
            }
            _ => (None, rest),
        },
        Some(code) => (char::from_u32(code), rest),
    }
}

#[cfg(test)]
mod tests;
