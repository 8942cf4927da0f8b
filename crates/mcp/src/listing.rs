//! The answer to a list request: which items it holds, and where they stand in its bytes.

use super::message::{MessageError, refuse_look_alike};
use super::method::List;
use base::json::{Element, Kind, Reader, Span};

const ENVELOPE: &[&str] = &["jsonrpc", "id", "result", "error", "method", "params"];
const RESULT: &[&str] = &[
    "tools",
    "prompts",
    "resources",
    "resourceTemplates",
    "cacheScope",
];

/// A message of the server that holds lists.
#[derive(Debug, Default)]
pub struct Listing {
    /// The items, in their order.
    pub items: Vec<Item>,
    /// Where the array `tools` starts.
    pub tools: Option<usize>,
    /// Where the object `result` starts, and whether it has members.
    pub result: Option<(usize, bool)>,
    /// Whether the result is one that asks for more input, which nobody caches.
    pub asks_back: bool,
    /// The value of `cacheScope`.
    pub cache_scope: Option<Span>,
    /// The value of `ttlMs`.
    pub ttl: Option<Span>,
}

/// An item of a list.
#[derive(Debug)]
pub struct Item {
    /// The list it is in.
    pub list: List,
    /// Its name, URI or URI template.
    pub name: String,
    /// Where it stands in its list.
    pub element: Element,
}

impl Listing {
    /// Reads a message of the server. One without a list has no items.
    ///
    /// # Errors
    ///
    /// The message is not strict JSON, is a batch, or a list in it is not understood.
    pub fn read(body: &[u8], max_depth: usize) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body, max_depth);
        if reader.kind()? == Kind::Array {
            return Err(MessageError::Batch);
        }
        let mut listing = Self::default();
        reader.object(|reader, member| {
            refuse_look_alike(&member.key, ENVELOPE)?;
            if member.key.value == "result" && reader.kind()? == Kind::Object {
                return listing.read_result(reader);
            }
            reader.skip()?;
            Ok::<(), MessageError>(())
        })?;
        reader.end()?;
        Ok(listing)
    }

    fn read_result(&mut self, reader: &mut Reader<'_>) -> Result<(), MessageError> {
        let start = reader.position();
        let mut members = false;
        reader.object(|reader, member| {
            members = true;
            refuse_look_alike(&member.key, RESULT)?;
            match List::of_member(&member.key.value) {
                Some(list) => self.read_list(reader, list)?,
                None if member.key.value == "cacheScope" => self.cache_scope = Some(reader.skip()?),
                None if member.key.value == "ttlMs" => self.ttl = Some(reader.skip()?),
                None if member.key.value == "resultType" => {
                    let span = reader.skip()?;
                    self.asks_back = reader.bytes(span) == b"\"input_required\"";
                }
                None => {
                    reader.skip()?;
                }
            }
            Ok::<(), MessageError>(())
        })?;
        self.result = Some((start, members));
        Ok(())
    }

    fn read_list(&mut self, reader: &mut Reader<'_>, list: List) -> Result<(), MessageError> {
        if reader.kind()? != Kind::Array {
            return Err(MessageError::Type(list.member()));
        }
        if list == List::Tools {
            self.tools = Some(reader.position());
        }
        let mut index = 0_usize;
        let mut previous_end = None;
        reader.array(|reader| {
            if reader.kind()? != Kind::Object {
                return Err(MessageError::Type(list.member()));
            }
            let start = reader.position();
            if let (Some(previous), 1..) = (self.items.last_mut(), index) {
                previous.element.behind = Some(start);
            }
            let (name, span) = read_name(reader, list)?;
            self.items.push(Item {
                list,
                name,
                element: Element {
                    span: span.clone(),
                    index,
                    before: previous_end,
                    behind: None,
                },
            });
            previous_end = Some(span.end);
            index = index.saturating_add(1);
            Ok(())
        })?;
        Ok(())
    }
}

fn read_name(reader: &mut Reader<'_>, list: List) -> Result<(String, Span), MessageError> {
    let mut name = None;
    let span = reader.object(|reader, member| {
        refuse_look_alike(&member.key, &[list.key()])?;
        if member.key.value == list.key() && reader.kind()? == Kind::String {
            name = Some(reader.string()?.value.into_owned());
        } else {
            reader.skip()?;
        }
        Ok::<(), MessageError>(())
    })?;
    let name = name.ok_or(MessageError::Type(list.key()))?;
    Ok((name, span))
}
