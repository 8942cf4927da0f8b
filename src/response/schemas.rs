//! Arguments a caller has nothing to say about, taken out of what a list says of its tools and
//! prompts.
//!
//! What is shown accepts every call the server's own schema accepts, less those arguments: where
//! taking a name out would make a schema stricter (`not`, `if`, `oneOf`, counts of members), the
//! keyword goes too. The server still checks its own, and what of it is not understood here is left
//! as it is: whatever a call says of its caller is replaced or removed, shown or not.

mod cuts;
mod data;
mod hidden;
mod keywords;
mod output;
mod references;
mod walk;
mod weaken;
mod write;

pub use self::hidden::Hidden;

use self::cuts::Cuts;
use self::hidden::Place;
use self::walk::Walk;
use base::json::edits::Edits;
use base::json::tree::{Node, Value};
use base::json::{JsonError, Reader, Span};
use mcp::listing::Item;
use mcp::method::List;
use policy::ResultRule;

/// Takes hidden arguments out of a tool's `inputSchema` or a prompt's `arguments`.
///
/// # Errors
///
/// The item is not strict JSON.
pub fn hide(
    hidden: &Hidden<'_>,
    item: &Item,
    body: &[u8],
    edits: &mut Edits,
) -> Result<(), JsonError> {
    let key = match item.list {
        List::Tools => "inputSchema",
        List::Prompts => "arguments",
        List::Resources | List::ResourceTemplates => return Ok(()),
    };
    let Some(span) = member(body, &item.element.span, key)? else {
        return Ok(());
    };
    let described = body.get(span.clone()).unwrap_or_default();
    // The list was read strictly already, so nothing in it is too deep.
    let tree = Node::read(described, usize::MAX)?;
    let shown = match item.list {
        List::Tools => without(hidden, &tree, described),
        _ => without_arguments(hidden, &tree, described),
    };
    if let Some(shown) = shown {
        edits.replace(span, shown);
    }
    Ok(())
}

/// Says in a tool's `outputSchema` what its results are once the rules were applied to them.
///
/// # Errors
///
/// The item is not strict JSON.
pub fn fit(
    rules: &[&ResultRule],
    item: &Item,
    body: &[u8],
    edits: &mut Edits,
) -> Result<(), JsonError> {
    if rules.is_empty() || item.list != List::Tools {
        return Ok(());
    }
    let Some(span) = member(body, &item.element.span, "outputSchema")? else {
        return Ok(());
    };
    let described = body.get(span.clone()).unwrap_or_default();
    if let Some(shown) = output::after(rules, described)? {
        edits.replace(span, shown);
    }
    Ok(())
}

/// A schema without hidden arguments, or `None` if it has none.
fn without(hidden: &Hidden<'_>, root: &Node, schema: &[u8]) -> Option<Vec<u8>> {
    let walk = Walk::through(root, hidden);
    let mut cuts = Cuts::of_names(&walk, hidden);
    if cuts.is_empty() {
        return None;
    }
    weaken::weaken(&walk, &mut cuts);
    Some(write::write(root, &walk, &cuts, schema))
}

/// A prompt's list of arguments without hidden ones, or `None` if it has none.
fn without_arguments(hidden: &Hidden<'_>, root: &Node, arguments: &[u8]) -> Option<Vec<u8>> {
    let Value::Array(elements) = &root.value else {
        return None;
    };
    let is_hidden = |argument: &Node| {
        let name = argument.member("name").and_then(Node::text);
        name.is_some_and(|name| hidden.hides(name, &Place::arguments()))
    };
    let mut edits = Edits::default();
    let found = elements.iter().filter(|child| is_hidden(&child.node));
    for (cut_before, child) in found.enumerate() {
        edits.remove(child.element.cut(cut_before));
    }
    edits.apply(arguments)
}

/// Where a member of an object in the body has its value.
fn member(body: &[u8], object: &Span, key: &str) -> Result<Option<Span>, JsonError> {
    let mut found = None;
    let mut reader = Reader::new(body.get(object.clone()).unwrap_or_default(), usize::MAX);
    reader.object(|reader, member| {
        let value = reader.skip()?;
        if member.key.value == key {
            let in_body = |at: usize| at.saturating_add(object.start);
            found = Some(in_body(value.start)..in_body(value.end));
        }
        Ok::<(), JsonError>(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
