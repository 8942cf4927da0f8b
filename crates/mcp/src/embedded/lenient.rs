//! One lenient reading of a text: brackets, strings, and the keys before a `:` or `=`.
//!
//! There are no errors. A quoted key counts anywhere. An unquoted key counts inside braces only: elsewhere
//! it is prose.

use super::{Embedded, Tangled, unescaped};
use crate::argument_names::Begun;

/// One of the ways in which lenient readers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LenientReading {
    /// Whether single quotes enclose strings, as in Python and JSON5. Else an apostrophe is a letter.
    single_quotes: bool,
    comments: Comments,
}

/// The comments of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comments {
    /// None, as in JSON.
    No,
    /// `/* */` and `//`, as in JSON5.
    Slashes,
    /// `#` to the end of the line, as in YAML.
    Hash,
}

impl LenientReading {
    /// All readings that can differ for a text.
    pub(super) fn all_of(text: &str) -> Vec<Self> {
        let has_slashes = text.contains("//") || text.contains("/*");
        let comments = [
            (Comments::No, true),
            (Comments::Slashes, has_slashes),
            (Comments::Hash, text.contains('#')),
        ];
        let quotes = [(false, true), (true, text.contains('\''))];
        let differs = comments.into_iter().filter(|(_, differs)| *differs);
        differs
            .flat_map(|(comments, _)| {
                let differs = quotes.into_iter().filter(|(_, differs)| *differs);
                differs.map(move |(single_quotes, _)| Self {
                    single_quotes,
                    comments,
                })
            })
            .collect()
    }

    /// The end of a comment that starts at a place.
    fn behind_comment(self, text: &str, at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        let is_line = match self.comments {
            Comments::No => false,
            Comments::Slashes => rest.starts_with("//"),
            Comments::Hash => rest.starts_with('#'),
        };
        let end = if is_line {
            rest.find(['\n', '\r'])
        } else if self.comments == Comments::Slashes {
            let comment = rest.strip_prefix("/*")?;
            comment.find("*/").map(|end| end.saturating_add(4))
        } else {
            return None;
        };
        Some(at.saturating_add(end.unwrap_or(rest.len())))
    }

    /// Whether the text before a place is a key.
    fn is_key(self, text: &str, mut at: usize) -> bool {
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let trimmed = rest.trim_start();
            at = text.len().saturating_sub(trimmed.len());
            match self.behind_comment(text, at) {
                Some(behind) => at = behind,
                None => return trimmed.starts_with([':', '=']),
            }
        }
    }
}

/// One reading of a text.
pub(super) struct Lenient<'e, 't> {
    embedded: &'e mut Embedded<'t>,
    reading: LenientReading,
    levels: Vec<Level>,
    /// Letters outside quotes: their start and end.
    word: Option<(usize, usize)>,
}

/// The inside of a container.
struct Level {
    is_object: bool,
    /// The beginnings that its keys may complete.
    begun: Begun,
    /// The beginnings that the keys of the next value may complete.
    value: Begun,
}

impl Level {
    fn new(is_object: bool, begun: Begun) -> Self {
        let value = match is_object {
            true => Begun::NONE,
            false => begun.clone(),
        };
        Self {
            is_object,
            begun,
            value,
        }
    }
}

impl<'e, 't> Lenient<'e, 't> {
    pub(super) fn new(
        embedded: &'e mut Embedded<'t>,
        above: &Begun,
        reading: LenientReading,
    ) -> Self {
        Self {
            embedded,
            reading,
            levels: vec![Level::new(false, above.clone())],
            word: None,
        }
    }

    pub(super) fn read(mut self, text: &str) -> Result<(), Tangled> {
        let mut at = 0;
        while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let next = at.saturating_add(character.len_utf8());
            if let Some(behind) = self.reading.behind_comment(text, at) {
                at = behind;
                continue;
            }
            at = match character {
                '{' | '[' => {
                    let begun = self.top().value.clone();
                    self.levels.push(Level::new(character == '{', begun));
                    self.word = None;
                    next
                }
                '}' | ']' => {
                    if self.levels.len() > 1 {
                        self.levels.pop();
                    }
                    self.end_value();
                    next
                }
                ',' | '\n' | '\r' => {
                    if character == ',' {
                        self.end_value();
                    }
                    self.word = None;
                    next
                }
                ':' | '=' => {
                    self.key_without_quotes(text);
                    next
                }
                '"' => self.string(text, next, character)?,
                '\'' if self.reading.single_quotes => self.string(text, next, character)?,
                _ if character.is_whitespace() => next,
                _ => {
                    let start = self.word.map_or(at, |(start, _)| start);
                    self.word = Some((start, next));
                    next
                }
            };
        }
        Ok(())
    }

    fn top(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::new(false, Begun::NONE));
        }
        let last = self.levels.len().saturating_sub(1);
        #[expect(
            clippy::indexing_slicing,
            reason = "the level was pushed if there was none"
        )]
        &mut self.levels[last]
    }

    fn end_value(&mut self) {
        self.word = None;
        let top = self.top();
        top.value = match top.is_object {
            true => Begun::NONE,
            false => top.begun.clone(),
        };
    }

    fn key_without_quotes(&mut self, text: &str) {
        let word = self
            .word
            .take()
            .and_then(|(start, end)| text.get(start..end));
        if let (Some(word), true) = (word, self.top().is_object) {
            self.key(&unescaped(word.trim_matches(['\'', '`'])));
        }
    }

    fn key(&mut self, key: &str) {
        let table = self.embedded.table;
        let said = table.find_member(&self.top().begun, key);
        for spoken in &said.spoken {
            self.embedded.note(spoken.name);
        }
        self.top().value = said.begun;
    }

    /// Reads a string that starts after its quote. Returns its end.
    fn string(&mut self, text: &str, start: usize, quote: char) -> Result<usize, Tangled> {
        self.word = None;
        let rest = text.get(start..).unwrap_or_default();
        let length = length_of_string(rest, quote);
        let end = start.saturating_add(length);
        let content = unescaped(text.get(start..end).unwrap_or_default());
        let behind = end.saturating_add(1);
        if self.reading.is_key(text, behind) {
            self.key(&content);
        } else {
            let above = self.top().value.clone();
            self.embedded.text(&content, &above)?;
        }
        Ok(behind.min(text.len()))
    }
}

/// The length of a string up to its quote, or to the end of the text.
fn length_of_string(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = rest.find(|character| {
        let is_end = character == quote && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(rest.len())
}
