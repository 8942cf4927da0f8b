//! Items of a list that the strict reader refuses, such as a tool whose schema is nested too deeply. The item
//! is removed, and the rest of the list passes.

use super::embedded::MAX_VALUES;
use crate::audit::Record;
use crate::limits::MAX_DEPTH;
use base::json::outline;
use base::json::{JsonError, JsonErrorKind, Reader, Span};
use mcp::method::List;

/// The depth of an item: it stands in a message, its result and a list.
const ITEM_DEPTH: usize = 3;

/// The message without the items of its lists that cannot be read. `None`: the fault is elsewhere. The caller
/// must read the result again: only the strict reader decides what a list is.
pub(super) fn without_unreadable_items(
    body: &[u8],
    has_lists: bool,
    record: &mut Record,
) -> Option<Vec<u8>> {
    if !has_lists {
        return None;
    }
    let message = outline::members(body, 0)?;
    let result = message.iter().find(|member| member.key == b"result")?;
    let mut mended = Vec::with_capacity(body.len());
    let mut copied = 0;
    for member in outline::members(body, result.value.start)? {
        let list = str::from_utf8(&member.key).ok().and_then(List::of_member);
        let elements =
            list.and_then(|list| Some((list, outline::elements(body, member.value.start)?)));
        let Some((list, (items, span))) = elements else {
            continue;
        };
        let readable = readable(body, &items, list, record)?;
        if readable.len() == items.len() {
            continue;
        }
        mended.extend_from_slice(body.get(copied..span.start)?);
        mended.push(b'[');
        mended.extend(readable.join(&b','));
        mended.push(b']');
        copied = span.end;
    }
    if copied == 0 {
        return None;
    }
    mended.extend_from_slice(body.get(copied..)?);
    Some(mended)
}

/// The items that can be read. `None`: the list has too many values.
fn readable<'b>(
    body: &'b [u8],
    items: &[Span],
    list: List,
    record: &mut Record,
) -> Option<Vec<&'b [u8]>> {
    if items.len() > MAX_VALUES {
        return None;
    }
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let item = body.get(item.clone())?;
        match check(item) {
            Ok(()) => kept.push(item),
            Err(error) if error.kind == JsonErrorKind::TooManyValues => return None,
            Err(error) => {
                record.note_unreadable(&name(item, list), error.kind);
                record.hidden_items = Some(record.hidden_items.unwrap_or(0).saturating_add(1));
            }
        }
    }
    Some(kept)
}

fn check(item: &[u8]) -> Result<(), JsonError> {
    let mut reader = Reader::new(item, MAX_DEPTH.saturating_sub(ITEM_DEPTH));
    reader.skip()?;
    reader.end()
}

/// The name of an item for the log, as written.
fn name(item: &[u8], list: List) -> String {
    let members = outline::members(item, 0).unwrap_or_default();
    let name = members
        .iter()
        .find(|member| member.key == list.key().as_bytes());
    let name = name.and_then(|member| item.get(member.value.clone()));
    String::from_utf8_lossy(name.unwrap_or_default())
        .trim_matches('"')
        .to_owned()
}
