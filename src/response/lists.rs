//! Lists as one caller may see them.

use std::collections::HashSet;
use std::time::Duration;

use super::pins::{Compared, SeenTools};
use super::results;
use super::schemas::{Hidden, fit, hide};
use super::security_schemes;
use crate::authorize::{Principal, Target, may_see, operations};
use crate::own_tools::definition;
use base::json::JsonError;
use base::json::edits::Edits;
use mcp::listing::{Item, Listing};
use mcp::message::MessageError;
use mcp::method::{Era, List};
use mcp::pin::Pin;
use policy::OwnTool;
use policy::{BrokenPin, Policy};

/// A message of the server, filtered for a caller.
#[derive(Debug, Default)]
pub struct Filtered {
    /// The message, if anything of it changed.
    pub body: Option<Vec<u8>>,
    /// How many items were taken out.
    pub hidden: usize,
    /// Tools that are not as their pins say.
    pub pins_broken: Vec<String>,
    /// Whether one of these is none that could be remembered.
    pub pins_full: bool,
}

/// Takes the items a caller may not use out of the lists in a message, and out of the others the
/// arguments that are not the caller's to choose. Marks the message as this caller's own.
/// `with_own`: the filter's own tools stand before the server's.
///
/// # Errors
///
/// The message is not strict JSON, or a list in it is not understood.
pub fn filter(
    policy: &Policy,
    caller: Principal<'_>,
    seen: &SeenTools,
    era: Era,
    with_own: bool,
    body: &[u8],
    max_depth: usize,
) -> Result<Filtered, MessageError> {
    let listing = Listing::read(body, max_depth)?;
    let mut edits = Edits::default();
    let mut hidden = 0_usize;
    let mut removed_in_list = 0_usize;
    let mut pins_broken: Vec<String> = Vec::new();
    let mut pins_full = false;
    let mut compared: HashSet<&str> = HashSet::new();
    let mut shown_tools = 0_usize;
    for item in &listing.items {
        if item.element.index == 0 {
            removed_in_list = 0;
        }
        let is_first = compared.insert(&item.name);
        let pinned = compare(policy, seen, item, is_first, body)?;
        let is_as_pinned = pinned == Compared::Same;
        if !is_as_pinned {
            pins_broken.push(item.name.clone());
        }
        pins_full |= pinned == Compared::NoRoom;
        let may_be_listed =
            (is_as_pinned || policy.broken_pin == BrokenPin::Log) && !is_shadowed(policy, item);
        let target = Target::of_item(item.list, &item.name);
        if may_be_listed && may_see(policy, caller, target) {
            shown_tools = shown_tools.saturating_add(usize::from(item.list == List::Tools));
            let operations = operations(policy, caller.identity, target);
            let hidden = Hidden::new(policy, caller.identity, operations);
            hide(&hidden, item, body, &mut edits)?;
            let rules = results::rules(policy, caller.identity, caller.ceiling, Some(target));
            fit(&rules, item, body, &mut edits)?;
            if item.list == List::Tools && policy.anonymous.is_some() {
                security_schemes::add(policy, &item.name, body, &item.element.span, &mut edits)?;
            }
            continue;
        }
        edits.remove(item.element.cut(removed_in_list));
        removed_in_list = removed_in_list.saturating_add(1);
        hidden = hidden.saturating_add(1);
    }
    if let (Some(start), true) = (listing.tools, with_own) {
        edits.insert(start.saturating_add(1), own_tools(policy, shown_tools > 0));
    }
    if era == Era::Modern && !listing.asks_back {
        mark_private(&listing, body, &mut edits);
        cap_ttl(&listing, policy.max_list_ttl, body, &mut edits);
    }
    Ok(Filtered {
        body: edits.apply(body),
        hidden,
        pins_broken,
        pins_full,
    })
}

/// Whether a tool of the server has the name of one of the filter's own.
fn is_shadowed(policy: &Policy, item: &Item) -> bool {
    policy.auth_tools && item.list == List::Tools && OwnTool::named(&item.name).is_some()
}

/// The filter's own tools, as elements of a list that others may follow in.
fn own_tools(policy: &Policy, others_follow: bool) -> String {
    let tools = OwnTool::ALL.map(|tool| {
        let mut tool = definition(tool);
        if policy.anonymous.is_some() {
            security_schemes::say(&mut tool, &security_schemes::signed_in(&policy.scopes));
        }
        tool.to_string()
    });
    let comma = if others_follow { "," } else { "" };
    format!("{}{comma}", tools.join(","))
}

/// An item beside what its pin says; one without a pin is what it is.
fn compare(
    policy: &Policy,
    seen: &SeenTools,
    item: &Item,
    is_first: bool,
    body: &[u8],
) -> Result<Compared, JsonError> {
    let pin = (item.list == List::Tools).then(|| policy.pin(&item.name));
    let Some(rule) = pin.flatten() else {
        return Ok(Compared::Same);
    };
    let tool = body.get(item.element.span.clone()).unwrap_or_default();
    // It was read strictly already, so nothing in it is too deep.
    let found = Pin::of(tool, usize::MAX)?;
    Ok(seen.compare(&item.name, rule, found, is_first))
}

/// Who lost a role is to see it before long: a list is kept no longer than the policy says. What is no
/// number could be read as any.
fn cap_ttl(listing: &Listing, most: Duration, body: &[u8], edits: &mut Edits) {
    let Some(span) = &listing.ttl else {
        return;
    };
    let written = body.get(span.clone()).unwrap_or_default();
    let written = str::from_utf8(written).unwrap_or_default();
    let is_short = written
        .parse::<f64>()
        .is_ok_and(|ttl| ttl <= most.as_secs_f64() * 1000.0);
    if written != "null" && !is_short {
        edits.replace(span.clone(), most.as_millis().to_string());
    }
}

/// A cache must not give one caller's list to another (MCP 2026-07-28 "Caching").
fn mark_private(listing: &Listing, body: &[u8], edits: &mut Edits) {
    const PRIVATE: &str = "\"private\"";
    match (&listing.cache_scope, listing.result) {
        (Some(span), _) if body.get(span.clone()) == Some(PRIVATE.as_bytes()) => {}
        (Some(span), _) => edits.replace(span.clone(), PRIVATE),
        (None, Some((start, members))) => {
            let comma = if members { "," } else { "" };
            let text = format!("\"cacheScope\":{PRIVATE}{comma}");
            edits.insert(start.saturating_add(1), text);
        }
        (None, None) => {}
    }
}
