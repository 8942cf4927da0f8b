//! Hidden values that other texts of the message repeat.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::HashSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;

use super::mask::STARS;
use super::new_keys::NewKeys;
use super::places::{DataForm, DataPlace};
use crate::response::changes::{Changes, EmbeddedEdits, Held, WITHHELD};
use crate::response::embedded::{Inside, decode, encode};
use base::json::Span;
use base::json::tree::{Node, Value};

/// The minimum length of a value that is searched. Shorter values are in every text.
const MIN_VALUE: usize = 4;
/// The bytes of a value in the automaton. The rest is compared at each match.
const MAX_START: usize = 256;
/// The maximum size of all values in the automaton, in bytes. It needs about 50 times the memory.
const MAX_STARTS: usize = 256 * 1024;
/// The bytes of values that may be compared for each byte of a message.
const WORK_PER_BYTE: usize = 16;
/// The cost of a match in addition to the value's length.
const WORK_PER_PLACE: usize = 16;
/// Up to so many values are searched one by one: to make an automaton costs more than a short message.
const MAX_SOUGHT_ALONE: usize = 4;
/// The maximum length of a text in which a few values are searched byte by byte, in bytes. In a longer one they are found
/// faster one by one.
const MAX_FILTERED: usize = 64;
/// The maximum length of a field's text that is never prose, in bytes.
const MAX_NAME: usize = 64;

/// Hidden values of a message that other texts of it may repeat.
#[derive(Debug, Default)]
pub(super) struct HiddenValues {
    /// Values of hidden fields.
    pub(super) hidden: Vec<String>,
    /// Values of removed objects.
    pub(super) taken_out: Vec<String>,
    /// Withheld texts.
    pub(super) withheld: Vec<String>,
}

impl HiddenValues {
    /// Without the caller's own values.
    pub(super) fn without(mut self, own: &HashSet<String>) -> Self {
        self.taken_out.retain(|value| !own.contains(value));
        self
    }
}

/// The parts of a withheld text that structured content may repeat: the text itself, and its lines and
/// sentences, if they are more than a name.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    let lines = lines.map(|line| {
        line.trim_start_matches(|c: char| !c.is_alphanumeric())
            .trim()
    });
    let lines = lines.filter(|line| line.contains(char::is_whitespace));
    let sentences = lines.clone().flat_map(|line| line.split_inclusive(". "));
    let sentences = sentences.map(str::trim);
    let is_long = |sentence: &&str| sentence.len() >= MIN_SENTENCE;
    std::iter::once(text.trim())
        .chain(lines)
        .chain(sentences.filter(is_long))
}

/// The minimum length of a sentence that is searched, in bytes.
const MIN_SENTENCE: usize = 24;

/// Values that no text of a message may repeat. All are searched at once, so the cost is linear in the
/// message. If there are too many, fields are compared with them as a whole, and prose is withheld.
pub(super) struct Repeated {
    values: Vec<Sought>,
    /// Texts that are withheld if they are the whole text.
    withheld: HashSet<String>,
    all: HashSet<String>,
    filter: StartFilter,
    /// Whether there are too many values to search.
    too_many: bool,
    /// Finds the starts of the values, and is made for the first text that may have one.
    starts: OnceCell<Option<AhoCorasick>>,
    /// The bytes that may still be compared.
    work: Cell<usize>,
    max_depth: usize,
}

/// Which words of four bytes start a value. Most texts have none of them, and need no search.
struct StartFilter([u64; 64]);

impl StartFilter {
    fn of(values: &[Sought]) -> Self {
        let mut bits = [0; 64];
        for start in values
            .iter()
            .filter_map(|value| value.text.as_bytes().first_chunk())
        {
            let (word, bit) = Self::place(u32::from_le_bytes(*start));
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Self(bits)
    }

    /// The place of the bit for four bytes. Others may share it.
    #[inline]
    fn place(start: u32) -> (usize, u64) {
        let hash = start.wrapping_mul(0x9E37_79B1) >> 20;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    /// False: no value is in the text.
    fn may_find(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let Some((first, rest)) = bytes.split_first_chunk::<4>() else {
            return false;
        };
        let has = |start: u32| {
            let (word, bit) = Self::place(start);
            self.0.get(word).is_some_and(|word| word & bit != 0)
        };
        let mut start = u32::from_le_bytes(*first);
        has(start)
            || rest.iter().any(|byte| {
                start = start >> 8 | u32::from(*byte) << 24;
                has(start)
            })
    }
}

/// A value to search.
struct Sought {
    text: String,
    /// Whether it is a hidden value of the caller's own data, and not one of a removed object.
    hidden: bool,
}

/// There are too many values to search.
struct TooMuch;

impl Repeated {
    /// Hidden values of the caller's own data are searched everywhere. Values of removed objects count only
    /// as whole words: "active" does not match "inactive", and "no-1" does not match "no-12". The same
    /// holds for withheld texts.
    pub(super) fn new(values: HiddenValues, max_depth: usize) -> Self {
        let long = |value: &String| value.chars().count() >= MIN_VALUE && value != STARS;
        let hidden: HashSet<String> = values.hidden.into_iter().filter(long).collect();
        let parts = values.withheld.iter().flat_map(|text| parts(text));
        let parts = parts.filter(|part| !is_word(part)).map(str::to_owned);
        let all = values.taken_out.into_iter().chain(parts).filter(long);
        let all: HashSet<String> = all.chain(hidden.iter().cloned()).collect();
        let withheld = values.withheld.iter().map(|text| text.trim().to_owned());
        let withheld = withheld.filter(|text| !text.is_empty()).collect();
        let sought = |text: &String| Sought {
            hidden: hidden.contains(text),
            text: text.clone(),
        };
        let values: Vec<Sought> = all.iter().map(sought).collect();
        Self {
            filter: StartFilter::of(&values),
            too_many: values.iter().map(|value| start(value).len()).sum::<usize>() > MAX_STARTS,
            starts: OnceCell::new(),
            values,
            withheld,
            all,
            work: Cell::new(0),
            max_depth,
        }
    }

    /// Hides the values in a message of this size.
    pub(super) fn hide(&self, places: &[DataPlace<'_>], size: usize, changes: &mut Changes) {
        if self.values.is_empty() && self.withheld.is_empty() {
            return;
        }
        self.work.set(size.saturating_mul(WORK_PER_BYTE));
        for place in places {
            if !changes.is_gone(place.node) {
                self.node(place.node, place.form, self.max_depth, changes);
            }
        }
    }

    /// Hides the values in a node that is not gone.
    fn node(&self, node: &Node, form: DataForm, max_depth: usize, changes: &mut Changes) {
        match (&node.value, form) {
            (Value::Text(_), DataForm::Blob | DataForm::Media) => {
                let text = changes.text(node);
                let changed = text.and_then(|text| self.blob(&text, max_depth, changes));
                if let Some(changed) = changed {
                    changes.set_text(node, changed);
                }
            }
            (Value::Text(_), _) => self.text(node, form, max_depth, changes),
            (Value::Number(_), DataForm::Answer | DataForm::Data | DataForm::Presented)
                if changes.number(node).is_some_and(|it| self.all.contains(it)) =>
            {
                changes.set_json(node, "0");
            }
            _ => {}
        }
        let mut keys = NewKeys::new(node.members());
        for child in node.children() {
            if changes.is_gone(&child.node) {
                continue;
            }
            if let Some(changed) = self.key(&changes.key(child)) {
                keys.rename(child, changed, changes);
            }
            self.node(&child.node, form, max_depth, changes);
        }
    }

    /// A key without the values. A key that is a plain word is a name, and not a value.
    fn key(&self, key: &str) -> Option<String> {
        // A plain word has no other values in it.
        if is_word(key) {
            return None;
        }
        match self.find(key, |value| !is_word(&value.text)) {
            Ok(found) => replace(key, found, |_| STARS.into()),
            Err(TooMuch) => self.all.contains(key).then(|| STARS.to_owned()),
        }
    }

    fn blob(&self, encoded: &str, max_depth: usize, around: &Changes) -> Option<String> {
        let bytes = decode(encoded)?;
        let text = String::from_utf8(bytes).ok()?;
        let changed = match around.values().look(&text, max_depth) {
            Inside::Json(inner) => {
                let mut inner = EmbeddedEdits::of(&text, inner, around);
                self.json(&mut inner, max_depth);
                inner.changed()
            }
            Inside::Nearly | Inside::Words => self.words(&text, DataForm::Text),
        };
        changed.map(|changed| encode(&changed))
    }

    fn text(&self, node: &Node, form: DataForm, max_depth: usize, changes: &mut Changes) {
        match changes.open(node, max_depth) {
            Some(Held::Json(mut inner)) => {
                self.json(&mut inner, max_depth);
                changes.close(inner);
            }
            Some(Held::Nearly(text) | Held::Words(text)) if self.is_withheld(&text) => {
                changes.withhold(node);
            }
            Some(Held::Nearly(text) | Held::Words(text)) => {
                if let Some(changed) = self.words(&text, form) {
                    changes.set_text(node, changed);
                }
            }
            None => {}
        }
    }

    fn json(&self, inner: &mut EmbeddedEdits, max_depth: usize) {
        let max_depth = max_depth.saturating_sub(1);
        self.node(&inner.node, DataForm::Data, max_depth, &mut inner.changes);
    }

    fn words(&self, text: &str, form: DataForm) -> Option<String> {
        if self.is_withheld(text) {
            return Some(WITHHELD.to_owned());
        }
        match self.find(text, |_| true) {
            Ok(found) => replace(text, found, |_| STARS.into()),
            Err(TooMuch) => self.whole(text, form).map(str::to_owned),
        }
    }

    /// Whether a text is withheld elsewhere.
    fn is_withheld(&self, text: &str) -> bool {
        !self.withheld.is_empty() && self.withheld.contains(text.trim())
    }

    /// The replacement of a text that cannot be searched.
    fn whole(&self, text: &str, form: DataForm) -> Option<&'static str> {
        if text.chars().count() < MIN_VALUE || text == STARS || text == WITHHELD {
            return None;
        }
        if self.all.contains(text) {
            return Some(STARS);
        }
        let mut words = text.split_whitespace();
        let is_prose = match form {
            DataForm::Answer | DataForm::Data | DataForm::Presented | DataForm::Link => {
                text.len() > MAX_NAME && text.contains(char::is_whitespace)
            }
            DataForm::Text | DataForm::Blob | DataForm::Media => true,
        };
        let is_value = |word: &str| self.all.contains(word.trim_matches(is_no_letter));
        (is_prose || words.any(is_value)).then_some(WITHHELD)
    }

    /// The places of the values in a text.
    fn find(&self, text: &str, counts: impl Fn(&Sought) -> bool) -> Result<Vec<Span>, TooMuch> {
        let is_few = self.values.len() <= MAX_SOUGHT_ALONE;
        if self.too_many && !is_few {
            return Err(TooMuch);
        }
        let mut found = Vec::new();
        if (!is_few || text.len() <= MAX_FILTERED) && !self.filter.may_find(text) {
            return Ok(found);
        }
        let mut note = |at: usize, value: &Sought| {
            let cost = value.text.len().saturating_add(WORK_PER_PLACE);
            let left = self.work.get().checked_sub(cost).ok_or(TooMuch)?;
            self.work.set(left);
            let span = at..at.saturating_add(value.text.len());
            if counts(value) && stands_at(text, &span, value) {
                found.push(span);
            }
            Ok(())
        };
        if is_few {
            for value in &self.values {
                for at in places(text, &value.text) {
                    note(at, value)?;
                }
            }
            return Ok(found);
        }
        let starts = self.starts.get_or_init(|| automaton(&self.values));
        let starts = starts.as_ref().ok_or(TooMuch)?;
        let starts = starts.try_find_overlapping_iter(text);
        for start in starts.map_err(|_| TooMuch)? {
            if let Some(value) = self.values.get(start.pattern().as_usize()) {
                note(start.start(), value)?;
            }
        }
        Ok(found)
    }
}

/// The places of a value in a text. They may overlap.
fn places(text: &str, value: &str) -> impl Iterator<Item = usize> {
    let (text, value) = (text.as_bytes(), value.as_bytes());
    let mut from = 0_usize;
    std::iter::from_fn(move || {
        let at = from.saturating_add(memmem::find(text.get(from..)?, value)?);
        from = at.saturating_add(1);
        Some(at)
    })
}

/// The automaton for the starts of the values.
fn automaton(values: &[Sought]) -> Option<AhoCorasick> {
    let mut builder = AhoCorasick::builder();
    let builder = builder.kind(Some(AhoCorasickKind::ContiguousNFA));
    builder.build(values.iter().map(start)).ok()
}

/// The part of a value that is in the automaton.
fn start(value: &Sought) -> &[u8] {
    let bytes = value.text.as_bytes();
    bytes.get(..MAX_START).unwrap_or(bytes)
}

fn is_word(text: &str) -> bool {
    // Most are ASCII, which is compared faster.
    text.bytes().all(|byte| byte.is_ascii_alphabetic()) || text.chars().all(char::is_alphabetic)
}

fn is_no_letter(char: char) -> bool {
    !char.is_alphanumeric()
}

/// Whether the match counts: a number inside a longer number does not.
fn stands_at(text: &str, span: &Span, value: &Sought) -> bool {
    let Sought {
        text: value,
        hidden,
    } = value;
    if text.get(span.clone()) != Some(value) {
        return false;
    }
    let before = text.get(..span.start).unwrap_or_default();
    let before = before.chars().next_back();
    let behind = text.get(span.end..).unwrap_or_default().chars().next();
    let both = |kind: fn(char) -> bool| {
        let both = |one: Option<char>, other: Option<char>| {
            one.is_some_and(kind) && other.is_some_and(kind)
        };
        both(before, value.chars().next()) || both(value.chars().next_back(), behind)
    };
    let is_number = value
        .chars()
        .all(|char| char.is_ascii_digit() || char == '.');
    let in_number = (is_number || !hidden) && both(|char| char.is_ascii_digit());
    let in_word = !hidden && is_word(value) && both(char::is_alphanumeric);
    !in_number && !in_word
}

/// The text with parts replaced. Overlapping parts are replaced as one.
pub(in crate::response) fn replace(
    text: &str,
    mut parts: Vec<Span>,
    with: impl Fn(&str) -> Cow<'static, str>,
) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    parts.sort_unstable_by_key(|part| part.start);
    let mut joined: Vec<Span> = Vec::with_capacity(parts.len());
    for part in parts {
        match joined.last_mut().filter(|last| part.start < last.end) {
            Some(last) => last.end = last.end.max(part.end),
            None => joined.push(part),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for part in joined {
        out.push_str(text.get(done..part.start)?);
        out.push_str(&with(text.get(part.clone())?));
        done = part.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_searched_one_by_one_are_found_where_an_automaton_finds_them() {
        let values = ["aaaa", "1234", "12345", "é-ünö", "u1-acme"];
        let texts = [
            "aaaaaaaaaa",
            "x 1234 12345 012345",
            "1234512345",
            "é-ünöé-ünö ",
            "u1-acmeu1-acme",
            "aaa",
            "",
        ];
        for text in texts {
            for first in 0..values.len() {
                let of = |values: &[&str]| {
                    let values = HiddenValues {
                        hidden: values.iter().map(|value| (*value).to_owned()).collect(),
                        ..HiddenValues::default()
                    };
                    let repeated = Repeated::new(values, 8);
                    repeated.work.set(1 << 20);
                    repeated.words(text, DataForm::Text)
                };
                let some = values.get(first..(first + 2).min(values.len())).unwrap();
                // Values that are in no text make an automaton.
                let many = [some, &["no-1", "no-2", "no-3", "no-4"]].concat();
                assert_eq!(of(some), of(&many), "{text} {some:?}");
            }
        }
    }

    #[test]
    fn s16_parts_that_overlap_are_replaced_as_one() {
        for (parts, expected) in [
            (vec![0..4, 2..6], "*6789"),
            (vec![2..6, 0..4], "*6789"),
            (vec![1..8, 2..3], "0*89"),
            (vec![0..2, 2..4], "**456789"),
            (vec![3..5, 3..9], "012*9"),
        ] {
            let replaced = replace("0123456789", parts, |_| "*".into());
            assert_eq!(replaced.as_deref(), Some(expected));
        }
    }
}
