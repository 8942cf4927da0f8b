//! Hidden arguments: they are removed from the schemas of tools and from the arguments of prompts in lists.
//!
//! The shown schema accepts all calls that the server's own schema accepts, without those arguments. Where
//! the removal of a name would make a schema stricter (`not`, `if`, `oneOf`, counts of members), the
//! keyword is removed too. The server still checks its own schema, so keywords that are not understood here
//! stay. Identity arguments in a call are replaced or removed, whether they are shown or not.

mod arguments;
mod cuts;
mod data;
mod hidden;
mod keywords;
mod output;
mod references;
mod walk;
mod weaken;
mod write;

pub(super) use self::arguments::Arguments;
pub(crate) use self::hidden::Hidden;

use base::json::JsonError;
use base::json::edits::Edits;
use mcp::method::List;
use mcp::server_list::Item;
use policy::ResultRule;

/// Changes a tool's `outputSchema` so that it describes results after the rules. True: it changed.
///
/// # Errors
///
/// The item is not strict JSON.
pub(super) fn fit(
    rules: &[&ResultRule],
    item: &Item<'_>,
    body: &[u8],
    edits: &mut Edits,
) -> Result<bool, JsonError> {
    if rules.is_empty() || item.list != List::Tools {
        return Ok(false);
    }
    let Some(schema) = item.item.node.member("outputSchema") else {
        return Ok(false);
    };
    let shown = output::after(rules, schema, body)?;
    let is_other = shown.is_some();
    if let Some(shown) = shown {
        edits.replace(schema.span.clone(), shown);
    }
    Ok(is_other)
}

#[cfg(test)]
mod tests;
