//! Completions of variables in a resource's URI.

use super::arrived::Authenticated;
use super::understand::Understood;
use crate::authorize::may_complete;
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use base::json::tree::Node;
use mcp::argument_names::fold;
use mcp::message::Message;
use mcp::message::params::Reference;
use mcp::method::Method;

/// Checks that a completion is for the caller's own resources. The decision is based on what the server
/// will read: the variables that the client completed before (MCP 2025-06-18 "Completion").
pub(super) fn judge(
    authenticated: &Authenticated,
    understood: &Understood<'_>,
    sent: &[u8],
) -> Result<(), Refusal> {
    let policy = authenticated.request.policy();
    if understood.method != Some(Method::Complete) || policy.resources.is_empty() {
        return Ok(());
    }
    let message = Message::read(sent, &policy.names, MAX_DEPTH).map_err(Refusal::Message)?;
    let Some(Reference::Resource(template)) = &message.params.reference else {
        return Ok(());
    };
    let context = message.params.context.clone();
    let context = context.and_then(|span| sent.get(span));
    let context = context.and_then(|context| Node::read(context, MAX_DEPTH).ok());
    let filled_in = context
        .as_ref()
        .and_then(|context| only(context, "arguments"));
    let asked = fold(
        message
            .params
            .completed_argument
            .as_deref()
            .unwrap_or_default(),
    );
    let identity = authenticated.caller.identity();
    let allowed = may_complete(policy, identity, template, |variable| {
        let known = filled_in.filter(|_| fold(variable) != asked);
        only(known?, variable)?.text()
    });
    allowed.map_err(Refusal::Denied)
}

/// The member with this key, if no other key could be read as it.
fn only<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let folded = fold(key);
    let members = node.members().iter();
    let mut alike = members.filter(|member| fold(&member.key) == folded);
    let member = alike.next().filter(|member| member.key == key)?;
    alike.next().is_none().then_some(&member.node)
}
