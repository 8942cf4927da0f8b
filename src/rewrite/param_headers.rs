//! `Mcp-Param-*` headers follow the arguments they mirror (MCP 2026-07-28 "Custom Headers").
//!
//! Which header mirrors which argument stands in the tool's schema, which this filter does not
//! need: a header has to have the value of an argument, so that argument is the one it mirrors.

use super::arguments::Change;
use crate::mcp::headers::{Disagreement, HeaderEdit, Headers, PARAM_PREFIX, decode, encode};
use crate::mcp::json::{JsonError, Kind, Reader, Span};
use crate::mcp::names::fold;

/// What a disagreement calls them.
pub const PARAM_HEADERS: &str = "mcp-param-*";

/// A single value among the arguments.
struct Argument {
    folded_key: String,
    span: Span,
    text: String,
}

/// What becomes of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Gone,
    Set(String),
    Unchanged,
}

/// What has to change in the headers when these values of the arguments change.
///
/// # Errors
///
/// It cannot be told which of several arguments a header mirrors, or a header mirrors none and
/// `is_ruled` knows its folded name.
pub fn follow(
    headers: &Headers,
    body: &[u8],
    arguments: Option<Span>,
    changes: &[Change],
    is_ruled: impl Fn(&str) -> bool,
) -> Result<Vec<HeaderEdit>, Disagreement> {
    let mut edits = Vec::new();
    let mut known: Option<Vec<Argument>> = None;
    for (name, value) in headers.iter() {
        let Some(parameter) = name.strip_prefix(PARAM_PREFIX) else {
            continue;
        };
        let mismatch = Disagreement::Mismatch(PARAM_HEADERS);
        if headers.all(name).count() != 1 {
            return Err(mismatch);
        }
        let value = str::from_utf8(value)
            .ok()
            .and_then(|text| decode(text.trim()));
        let value = value.ok_or_else(|| mismatch.clone())?;
        let known = known.get_or_insert_with(|| {
            let read = |span: &Span| collect(body.get(span.clone())?, span.start).ok();
            arguments.as_ref().and_then(read).unwrap_or_default()
        });
        let fate = match outcome(known, parameter, &value, changes) {
            Mirrors::One(fate) => fate,
            // Not known here, so it is forwarded, unless its name says who is calling.
            Mirrors::Nothing if !is_ruled(&fold(parameter)) => Fate::Unchanged,
            Mirrors::Nothing | Mirrors::Several => return Err(mismatch),
        };
        match fate {
            Fate::Unchanged => {}
            Fate::Gone => edits.push(HeaderEdit::Remove(name.to_owned())),
            Fate::Set(value) => edits.push(HeaderEdit::Set(name.to_owned(), encode(&value))),
        }
    }
    Ok(edits)
}

/// The argument a header mirrors.
enum Mirrors {
    /// No argument has its value.
    Nothing,
    /// One has, or several that fare alike.
    One(Fate),
    /// Several have it and fare differently.
    Several,
}

fn outcome(known: &[Argument], parameter: &str, value: &str, changes: &[Change]) -> Mirrors {
    let folded = fold(parameter);
    let mirrored = || known.iter().filter(|argument| same(&argument.text, value));
    let named_alike = mirrored().filter(|argument| argument.folded_key == folded);
    match agreed(mirrored(), changes) {
        Mirrors::Several => match agreed(named_alike, changes) {
            Mirrors::Nothing => Mirrors::Several,
            named => named,
        },
        agreed => agreed,
    }
}

fn agreed<'k>(mut arguments: impl Iterator<Item = &'k Argument>, changes: &[Change]) -> Mirrors {
    let Some(first) = arguments.next().map(|argument| fate(argument, changes)) else {
        return Mirrors::Nothing;
    };
    if arguments.all(|argument| fate(argument, changes) == first) {
        return Mirrors::One(first);
    }
    Mirrors::Several
}

fn fate(argument: &Argument, changes: &[Change]) -> Fate {
    let holds = |change: &&Change| {
        change.span.start <= argument.span.start && argument.span.end <= change.span.end
    };
    match changes.iter().find(holds).map(|change| &change.value) {
        None => Fate::Unchanged,
        Some(None) => Fate::Gone,
        Some(Some(value)) => Fate::Set(value.clone()),
    }
}

/// Whether a header's text and an argument's are the same value; numbers by their amount.
fn same(argument: &str, header: &str) -> bool {
    argument == header
        || matches!(
            (argument.parse::<f64>(), header.parse::<f64>()),
            (Ok(one), Ok(other)) if one == other && one.abs() < 9e15
        )
}

fn collect(arguments: &[u8], start: usize) -> Result<Vec<Argument>, JsonError> {
    let mut found = Vec::new();
    walk(
        // They were read before, as part of the body.
        &mut Reader::new(arguments, usize::MAX),
        "",
        start,
        &mut found,
    )?;
    Ok(found)
}

fn walk(
    reader: &mut Reader<'_>,
    key: &str,
    start: usize,
    found: &mut Vec<Argument>,
) -> Result<(), JsonError> {
    let (span, text) = match reader.kind()? {
        Kind::Object => {
            return reader
                .object(|reader, member| walk(reader, &member.key.value, start, found))
                .map(drop);
        }
        Kind::Array => {
            return reader
                .array(|reader| walk(reader, key, start, found))
                .map(drop);
        }
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
    found.push(Argument {
        folded_key: fold(key).into_owned(),
        span: span.start.saturating_add(start)..span.end.saturating_add(start),
        text,
    });
    Ok(())
}
