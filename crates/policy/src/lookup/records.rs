//! The records that a call names, by its arguments.

use std::collections::HashSet;

use serde_json::Value as Json;
use thiserror::Error;

use super::{Lookup, LookupValue};
use crate::condition::Misspelled;
use base::json::tree::{Node, Value};
use base::json::{JsonError, Reader, Span};
use mcp::argument_names::fold;

/// The maximum number of records that one call may name.
const MAX_RECORDS: usize = 16;

/// A value of a look-up for one record.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordValue {
    /// An argument of the call, in JSON as the call writes it: a text or a number.
    Argument(String),
    /// A value of the policy.
    Constant(Json),
}

/// Why the arguments of a call name no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRecord {
    /// The argument is missing, empty, or neither a text nor a number, nor a list of these.
    #[error("`{0}` must be a text or a number, or a list of these with at least one")]
    Argument(String),
    /// A server could read another argument in its place.
    #[error(transparent)]
    Misspelled(#[from] Misspelled),
    /// Several arguments are lists.
    #[error("only one of the arguments that name records may be a list")]
    Lists,
    /// The call names more records than are asked for.
    #[error("the call names {0} records, and at most {MAX_RECORDS} are checked; send fewer")]
    TooMany(usize),
}

impl Lookup {
    /// The records that a call names: for each one, the values of the look-up in order. `arguments` is the
    /// object of the call's arguments, as the server will read it.
    ///
    /// # Errors
    ///
    /// The call names no record, or too many.
    pub fn records(&self, arguments: &[u8]) -> Result<Vec<Vec<RecordValue>>, NoRecord> {
        let mut found: Vec<Vec<RecordValue>> = Vec::new();
        let mut records = 1_usize;
        for value in self.values() {
            let values = match value {
                LookupValue::Constant(value) => vec![RecordValue::Constant(value.clone())],
                LookupValue::Argument(path) => arguments_at(path, arguments)?,
            };
            match (values.len(), records) {
                (1, _) => {}
                (many, 1) => records = many,
                _ => return Err(NoRecord::Lists),
            }
            found.push(values);
        }
        if records > MAX_RECORDS {
            return Err(NoRecord::TooMany(records));
        }
        let record = |at: usize| {
            let value = |values: &Vec<RecordValue>| values.get(at).or(values.first()).cloned();
            found.iter().filter_map(value).collect()
        };
        Ok((0..records).map(record).collect())
    }
}

/// The values of one argument, each once.
fn arguments_at(path: &[String], arguments: &[u8]) -> Result<Vec<RecordValue>, NoRecord> {
    let missing = || NoRecord::Argument(path.join("."));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let folded = fold(first);
    // Other arguments may be large. They are not read.
    let (mut at, mut other) = (None, false);
    let mut reader = Reader::new(arguments, usize::MAX);
    let read = reader.object(|reader, member| {
        let key = &*member.key.value;
        let value = reader.skip()?;
        match key == first {
            true => at = Some(value),
            false => other |= may_be_read_as(key, &folded),
        }
        Ok::<(), JsonError>(())
    });
    if other {
        return Err(Misspelled::Otherwise(first.clone()).into());
    }
    let text = read.ok().and(at).and_then(|span| arguments.get(span));
    let text = text.ok_or_else(missing)?;
    let node = Node::read(text, usize::MAX).map_err(|_| missing())?;
    let mut found: Vec<Span> = Vec::new();
    collect(rest, &node, &mut found)?.ok_or_else(missing)?;
    let mut known = HashSet::new();
    let texts = found.into_iter().filter_map(|span| text.get(span));
    let texts = texts.filter(|text| known.insert(*text));
    let values =
        texts.map(|text| RecordValue::Argument(String::from_utf8_lossy(text).into_owned()));
    let values: Vec<_> = values.collect();
    match values.is_empty() {
        true => Err(missing()),
        false => Ok(values),
    }
}

/// Collects the values at a path. A list stands for its elements. `None`: an element has none.
fn collect(path: &[String], node: &Node, found: &mut Vec<Span>) -> Result<Option<()>, Misspelled> {
    match (&node.value, path.split_first()) {
        (Value::Array(elements), _) => {
            for element in elements {
                if collect(path, &element.node, found)?.is_none() {
                    return Ok(None);
                }
            }
            Ok((!elements.is_empty()).then_some(()))
        }
        (Value::Object(members), Some((step, rest))) => {
            let folded = fold(step);
            let others = members.iter().filter(|member| member.key != *step);
            if others
                .into_iter()
                .any(|member| may_be_read_as(&member.key, &folded))
            {
                return Err(Misspelled::Otherwise(step.clone()));
            }
            match node.member(step) {
                Some(value) => collect(rest, value, found),
                None => Ok(None),
            }
        }
        (Value::Text(_) | Value::Number(_), None) => {
            found.push(node.span.clone());
            Ok(Some(()))
        }
        _ => Ok(None),
    }
}

/// Whether a server could read a key as this name, although it is spelled otherwise.
pub fn may_be_misread(key: &str, name: &str) -> bool {
    key != name && may_be_read_as(key, &fold(name))
}

/// Whether a server could read a key as the name that folds to this: it ignores case or separators, or reads
/// the key as a path.
fn may_be_read_as(key: &str, folded: &str) -> bool {
    let is_separator =
        |character: char| !character.is_alphanumeric() && !matches!(character, '_' | '-');
    let start = key.trim_start_matches(is_separator);
    let ends = [start.find(is_separator), start.find("__")];
    let mut firsts = ends
        .into_iter()
        .flatten()
        .filter_map(|end| start.get(..end));
    fold(key) == folded || firsts.any(|first| fold(first) == folded)
}
