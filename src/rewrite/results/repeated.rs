//! Hidden values where other texts of the message repeat them.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::embedded::{Inside, decode, encode, look};
use super::mask::{STARS, WITHHELD, quoted};
use super::message::{Form, places};
use crate::mcp::json::tree::{Child, Node, Value};
use crate::mcp::json::{JsonError, Span};
use crate::rewrite::splice::Edits;

/// The shortest value that is looked for: shorter ones are in every text.
const MIN_VALUE: usize = 4;
/// The most values that are looked for in a text. With more, texts are withheld.
const MAX_VALUES: usize = 64;

/// Values that no text of a message may repeat.
pub(super) struct Repeated {
    /// The longest first.
    values: Vec<Sought>,
    all: HashSet<String>,
    max_depth: usize,
}

/// A value that is looked for.
struct Sought {
    text: String,
    /// Whether it counts inside a longer word, too.
    inside: bool,
}

impl Repeated {
    /// What is hidden of the caller's own is looked for everywhere. Of what was taken out as somebody
    /// else's a plain word counts as a word only: their "active" is not the caller's "inactive".
    pub(super) fn new(hidden: Vec<String>, taken_out: Vec<String>, max_depth: usize) -> Self {
        let long = |value: &String| value.chars().count() >= MIN_VALUE && value != STARS;
        let hidden: HashSet<String> = hidden.into_iter().filter(long).collect();
        let all: HashSet<String> = taken_out.into_iter().filter(long).collect();
        let all: HashSet<String> = all.union(&hidden).cloned().collect();
        let sought = |text: &String| Sought {
            inside: hidden.contains(text) || !is_word(text),
            text: text.clone(),
        };
        let mut values: Vec<Sought> = all.iter().map(sought).collect();
        values.sort_unstable_by_key(|value| Reverse(value.text.len()));
        Self {
            values,
            all,
            max_depth,
        }
    }

    /// The message without the values, if it changes.
    pub(super) fn hide(&self, body: &[u8]) -> Result<Option<Vec<u8>>, JsonError> {
        if self.values.is_empty() {
            return Ok(None);
        }
        let message = Node::read(body, self.max_depth)?;
        let mut edits = Edits::default();
        for place in places(&message) {
            self.node(place.node, place.form, self.max_depth, &mut edits);
        }
        Ok(edits.apply(body))
    }

    fn node(&self, node: &Node, form: Form, max_depth: usize, edits: &mut Edits) {
        let changed = match (&node.value, form) {
            (Value::Text(text), Form::Blob | Form::Media) => self.blob(text, max_depth),
            (Value::Text(text), _) => self.text(text, max_depth),
            (Value::Number(number), Form::Answer | Form::Data) if self.all.contains(number) => {
                edits.replace(node.span.clone(), "0");
                None
            }
            _ => None,
        };
        if let Some(changed) = changed {
            edits.replace(node.span.clone(), quoted(&changed));
        }
        for child in node.children() {
            if let Some(changed) = self.key(&child.key) {
                rename(child, node.children(), &changed, edits);
            }
            self.node(&child.node, form, max_depth, edits);
        }
    }

    /// A key without the values. One that is a plain word is a name, and no value.
    fn key(&self, key: &str) -> Option<String> {
        let values = self.values.iter();
        let values = values.filter(|value| !is_word(&value.text));
        let found = values.flat_map(|value| occurrences(key, value));
        replace(key, found.collect(), |_| STARS.to_owned())
    }

    fn blob(&self, encoded: &str, max_depth: usize) -> Option<String> {
        let bytes = decode(encoded)?;
        let text = String::from_utf8(bytes).ok()?;
        self.text(&text, max_depth).map(|changed| encode(&changed))
    }

    fn text(&self, text: &str, max_depth: usize) -> Option<String> {
        if let Inside::Json(inner) = look(text, max_depth) {
            let mut edits = Edits::default();
            self.node(&inner, Form::Data, max_depth.saturating_sub(1), &mut edits);
            let changed = edits.apply(text.as_bytes())?;
            return String::from_utf8(changed).ok();
        }
        if self.values.len() > MAX_VALUES {
            // A value by itself is easily told.
            let is_other = text.chars().count() < MIN_VALUE || text == STARS || text == WITHHELD;
            return (!is_other).then(|| WITHHELD.to_owned());
        }
        let found = self
            .values
            .iter()
            .flat_map(|value| occurrences(text, value));
        replace(text, found.collect(), |_| STARS.to_owned())
    }
}

/// Gives a member another key, which no other member has.
pub(in crate::rewrite) fn rename(member: &Child, members: &[Child], key: &str, edits: &mut Edits) {
    let position = members
        .iter()
        .position(|other| other.key_span == member.key_span);
    let others = || {
        members
            .iter()
            .filter(|other| other.key_span != member.key_span)
    };
    let taken = others().any(|other| other.key == key || other.key.len() == member.key.len());
    let number = position
        .filter(|_| taken)
        .map_or(String::new(), |at| at.to_string());
    edits.replace(member.key_span.clone(), quoted(&format!("{key}{number}")));
}

fn is_word(text: &str) -> bool {
    text.chars().all(char::is_alphabetic)
}

/// Where a value stands in a text: a number not inside another one.
fn occurrences(text: &str, value: &Sought) -> Vec<Span> {
    let Sought {
        text: value,
        inside,
    } = value;
    let is_number = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let found = memchr::memmem::find_iter(text.as_bytes(), value.as_bytes());
    let found = found.map(|at| at..at.saturating_add(value.len()));
    let whole = |span: &Span| {
        let before = span.start.checked_sub(1);
        let before = before.and_then(|at| text.as_bytes().get(at));
        let in_number = is_number && (digit(before) || digit(text.as_bytes().get(span.end)));
        let letter = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        let around = || {
            let before = text
                .get(..span.start)
                .and_then(|text| text.chars().next_back());
            let behind = text.get(span.end..).and_then(|text| text.chars().next());
            letter(before) || letter(behind)
        };
        !in_number && (*inside || !around())
    };
    found.filter(whole).collect()
}

/// A text with parts of it replaced; where parts overlap, the longer one counts.
pub(in crate::rewrite) fn replace(
    text: &str,
    mut parts: Vec<Span>,
    with: impl Fn(&str) -> String,
) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    parts.sort_unstable_by_key(|part| (part.start, Reverse(part.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for part in parts {
        if part.start < done {
            continue;
        }
        out.push_str(text.get(done..part.start)?);
        out.push_str(&with(text.get(part.clone())?));
        done = part.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}
