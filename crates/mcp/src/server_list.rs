//! The server's response to a list request: its items and their positions.

use super::message::{MessageError, refuse_look_alike_members, refuse_non_object};
use super::method::List;
use base::json::Span;
use base::json::tree::{Child, Node, Value};

const ENVELOPE: &[&str] = &["jsonrpc", "id", "result", "error", "method", "params"];
const RESULT: &[&str] = &[
    "tools",
    "prompts",
    "resources",
    "resourceTemplates",
    "cacheScope",
];

/// A message of the server, with the items of its lists.
#[derive(Debug, Default)]
pub struct Listing<'n> {
    /// The items, in order.
    pub items: Vec<Item<'n>>,
    /// Items that are no items of their list, with their names, if they have one.
    pub unreadable: Vec<(&'n Child, &'n str, MessageError)>,
    /// Lists that are `null`, as some servers write an empty list.
    pub nulls: Vec<(List, Span)>,
    /// The start of the array `tools`.
    pub tools: Option<usize>,
    /// The object `result`.
    pub result: Option<&'n Node>,
    /// Whether the result asks for input (`resultType: input_required`). Clients do not cache it.
    pub needs_input: bool,
    /// The value of `cacheScope`.
    pub cache_scope: Option<&'n Node>,
    /// The value of `ttlMs`.
    pub ttl: Option<Span>,
}

/// An item of a list.
#[derive(Debug)]
pub struct Item<'n> {
    /// The list it is in.
    pub list: List,
    /// Its name, URI or URI template.
    pub name: &'n str,
    /// The item.
    pub item: &'n Child,
}

impl<'n> Listing<'n> {
    /// Finds the lists in a message of the server. A message without a list has no items.
    ///
    /// # Errors
    ///
    /// The message is no object, or holds a malformed list.
    pub fn of(message: &'n Node) -> Result<Self, MessageError> {
        refuse_non_object(message)?;
        refuse_look_alike_members(message, ENVELOPE)?;
        let mut listing = Self::default();
        let result = message.member("result");
        let is_object = |result: &&Node| matches!(result.value, Value::Object(_));
        if let Some(result) = result.filter(is_object) {
            listing.read_result(result)?;
        }
        Ok(listing)
    }

    fn read_result(&mut self, result: &'n Node) -> Result<(), MessageError> {
        refuse_look_alike_members(result, RESULT)?;
        self.result = Some(result);
        for Child { key, node, .. } in result.members() {
            match (List::of_member(key), key.as_str()) {
                (Some(list), _) => self.read_list(node, list)?,
                (None, "cacheScope") => self.cache_scope = Some(node),
                (None, "ttlMs") => self.ttl = Some(node.span.clone()),
                (None, "resultType") => self.needs_input = node.text() == Some("input_required"),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn read_list(&mut self, node: &'n Node, list: List) -> Result<(), MessageError> {
        let items = match &node.value {
            Value::Array(items) => items,
            Value::Null => {
                self.nulls.push((list, node.span.clone()));
                return Ok(());
            }
            _ => return Err(MessageError::Type(list.member())),
        };
        if list == List::Tools {
            self.tools = Some(node.span.start);
        }
        self.items.reserve(items.len());
        for item in items {
            let name = item.node.member(list.key()).and_then(Node::text);
            match (check_item(&item.node, list), name) {
                (Ok(()), Some(name)) => self.items.push(Item { list, name, item }),
                (Ok(()), None) => {
                    let error = MessageError::Type(list.key());
                    self.unreadable.push((item, "", error));
                }
                (Err(error), name) => {
                    self.unreadable
                        .push((item, name.unwrap_or_default(), error));
                }
            }
        }
        Ok(())
    }
}

fn check_item(item: &Node, list: List) -> Result<(), MessageError> {
    match item.value {
        Value::Object(_) => refuse_look_alike_members(item, &[list.key()]),
        _ => Err(MessageError::Type(list.member())),
    }
}
