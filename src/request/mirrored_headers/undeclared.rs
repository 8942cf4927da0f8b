//! Headers that the policy does not declare: each mirrors the argument that has its value.

use super::super::arguments::Change;
use super::{MISMATCH, Single, number};
use base::json::{JsonError, Kind, Reader, Span};
use mcp::argument_names::fold;
use mcp::headers::{HeaderEdit, HeaderMismatch, Headers, PARAM_PREFIX, decode, encode};
use policy::ParamHeader;

/// The maximum number of headers. Each is compared with each argument.
const MAX_HEADERS: usize = 32;

/// A single value among the arguments.
struct Argument {
    folded_key: String,
    value: Single,
    fate: ArgumentFate,
    /// Whether the policy has a rule for its name.
    ruled: bool,
}

/// The change of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ArgumentFate {
    Gone,
    Set(String),
    Unchanged,
}

/// The edits of undeclared headers, for these changes of arguments.
///
/// # Errors
///
/// A header may mirror one of several arguments that change in different ways. Or it mirrors no argument,
/// and `is_ruled` knows its name, or `holds_ruled` knows a name in its JSON.
pub(super) fn follow(
    headers: &Headers,
    body: &[u8],
    arguments: Option<Span>,
    changes: &[Change],
    declared: &[&ParamHeader],
    is_ruled: impl Fn(&str) -> bool,
    holds_ruled: impl Fn(&str) -> bool,
) -> Result<Vec<HeaderEdit>, HeaderMismatch> {
    let mut edits = Vec::new();
    let mut known: Option<Vec<Argument>> = None;
    let count = headers
        .iter()
        .filter(|(name, _)| name.starts_with(PARAM_PREFIX))
        .count();
    if count > MAX_HEADERS {
        return Err(MISMATCH);
    }
    for (name, value) in headers.iter() {
        let Some(parameter) = name.strip_prefix(PARAM_PREFIX) else {
            continue;
        };
        if declared.iter().any(|declared| declared.header == name) {
            continue;
        }
        if headers.all(name).count() != 1 {
            return Err(MISMATCH);
        }
        let value = str::from_utf8(value)
            .ok()
            .and_then(|text| decode(text.trim()));
        let value = value.ok_or(MISMATCH)?;
        let known = known.get_or_insert_with(|| {
            let mut collector = Collector {
                start: arguments.as_ref().map_or(0, |span| span.start),
                changes,
                is_ruled: &is_ruled,
                found: Vec::new(),
            };
            let read = arguments.as_ref().and_then(|span| body.get(span.clone()));
            if let Some(read) = read {
                // An error here has refused the request before.
                let _ = collector.value(&mut Reader::new(read, usize::MAX), "");
            }
            collector.found
        });
        let folded = fold(parameter);
        let stated = number(&value);
        let mirrored = || {
            let same = |argument: &&Argument| {
                let own = &argument.value;
                own.text == *value || stated.is_some() && own.number == stated
            };
            known.iter().filter(same)
        };
        let of_name = || mirrored().filter(|argument| argument.folded_key == folded);
        // A header whose name has a rule mirrors an argument with a rule. The value of another argument
        // does not identify it.
        let ruled = is_ruled(parameter);
        let mirrors = match agreed(mirrored().filter(|argument| argument.ruled || !ruled)) {
            // An unknown header is passed on.
            Mirrors::Nothing if !ruled && !holds_ruled(&value) => {
                Mirrors::One(ArgumentFate::Unchanged)
            }
            Mirrors::Several => agreed(of_name()),
            one => one,
        };
        let Mirrors::One(fate) = mirrors else {
            return Err(MISMATCH);
        };
        match fate {
            ArgumentFate::Unchanged => {}
            ArgumentFate::Gone => edits.push(HeaderEdit::Remove(name.to_owned())),
            ArgumentFate::Set(value) => {
                edits.push(HeaderEdit::Set(name.to_owned(), encode(&value)))
            }
        }
    }
    Ok(edits)
}

/// The arguments that have a header's value.
enum Mirrors {
    /// None.
    Nothing,
    /// One, or several with the same change.
    One(ArgumentFate),
    /// Several with different changes.
    Several,
}

fn agreed<'k>(mut arguments: impl Iterator<Item = &'k Argument>) -> Mirrors {
    let Some(first) = arguments.next() else {
        return Mirrors::Nothing;
    };
    if arguments.all(|argument| argument.fate == first.fate) {
        return Mirrors::One(first.fate.clone());
    }
    Mirrors::Several
}

/// The change of the value at a place. Changes are in the order of the body and do not overlap.
fn fate(span: &Span, changes: &[Change]) -> ArgumentFate {
    let next = changes.partition_point(|change| change.span.end < span.end);
    match changes
        .get(next)
        .filter(|change| change.span.start <= span.start)
    {
        None => ArgumentFate::Unchanged,
        Some(Change { value: None, .. }) => ArgumentFate::Gone,
        Some(Change {
            value: Some(value), ..
        }) => ArgumentFate::Set(value.clone()),
    }
}

/// Reads the arguments, which were read before as part of the body.
struct Collector<'c, R> {
    /// The start of the arguments in the body.
    start: usize,
    changes: &'c [Change],
    is_ruled: R,
    found: Vec<Argument>,
}

impl<R: Fn(&str) -> bool> Collector<'_, R> {
    fn value(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), JsonError> {
        let kind = reader.kind()?;
        let (span, text) = match kind {
            Kind::Object => {
                return reader
                    .object(|reader, member| self.value(reader, &member.key.value))
                    .map(drop);
            }
            Kind::Array => return reader.array(|reader| self.value(reader, key)).map(drop),
            Kind::Null => return reader.skip().map(drop),
            Kind::String => {
                let text = reader.string()?;
                (text.span, text.value.into_owned())
            }
            Kind::Bool | Kind::Number => {
                let span = reader.skip()?;
                let text = String::from_utf8_lossy(reader.bytes(span.clone())).into_owned();
                (span, text)
            }
        };
        let in_body = |at: usize| at.saturating_add(self.start);
        let fate = fate(&(in_body(span.start)..in_body(span.end)), self.changes);
        self.found.push(Argument {
            ruled: (self.is_ruled)(key),
            folded_key: fold(key).into_owned(),
            value: Single::new(text, kind == Kind::Number),
            fate,
        });
        Ok(())
    }
}
