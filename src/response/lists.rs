//! Lists, filtered for one caller.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use super::changes::Changes;
use super::pins::{Compared, SeenTools};
use super::results;
use super::schemas::{Arguments, Hidden, fit};
use super::security_schemes;
use super::spellings::Spellings;
use crate::authorize::{Decider, Principal, Target, operations};
use crate::decision_point::DecisionFault;
use crate::notes::Notes;
use crate::own_tools::definition;
use base::json::JsonError;
use base::json::edits::Edits;
use base::json::tree::Node;
use base::time::UnixTime;
use mcp::message::MessageError;
use mcp::method::{Era, List};
use mcp::pin::Pin;
use mcp::server_list::{Item, Listing};
use policy::OwnTool;
use policy::{BrokenPin, Policy};
use thiserror::Error;

/// The items that were removed from the lists of a message.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    /// The number of removed items.
    pub(super) hidden: usize,
    /// Tools that differ from their pins.
    pub(super) pins_broken: Vec<String>,
    /// Whether one of these tools could not be remembered.
    pub(super) pins_full: bool,
    /// Whether a part of the server's data was rewritten.
    pub(super) writes_data: bool,
    /// Whether the message has a result, and no other list than one of tools.
    pub(super) only_tools: bool,
    /// Items that cannot be read, with the reason.
    pub(super) unreadable: Vec<(String, String)>,
}

/// Why a list cannot be filtered.
#[derive(Debug, Error)]
pub(super) enum NotFiltered {
    /// It is malformed.
    #[error(transparent)]
    List(#[from] MessageError),
    /// A schema in it cannot be read.
    #[error(transparent)]
    Schema(#[from] JsonError),
    /// A decision point did not decide about an item.
    #[error(transparent)]
    Outside(#[from] DecisionFault),
}

impl Filtered {
    fn note_unreadable(&mut self, name: &str, why: &dyn Display) {
        self.hidden = self.hidden.saturating_add(1);
        self.unreadable.push((name.to_owned(), why.to_string()));
    }
}

/// Removes the items that a caller may not use from the lists of a message. Removes the identity arguments
/// from the others. Marks the message as private to this caller.
pub(super) struct ListFilter<'p> {
    pub(super) policy: &'p Policy,
    pub(super) caller: Principal<'p>,
    pub(super) seen: &'p SeenTools,
    pub(super) spellings: &'p Spellings,
    /// Writes to the proxy's memory, and the time.
    pub(super) memory: (&'p Notes, UnixTime),
    pub(super) era: Era,
    /// Whether the filter's own tools are added before the server's.
    pub(super) with_own: bool,
    /// Whether a decision point allows an item.
    pub(super) outside: &'p dyn Fn(List, &str) -> Result<bool, DecisionFault>,
}

impl ListFilter<'_> {
    /// Filters a message, which is `body`.
    ///
    /// # Errors
    ///
    /// A list in the message is malformed.
    pub(super) fn filter(
        &self,
        message: &Node,
        body: &[u8],
        changes: &mut Changes,
    ) -> Result<Filtered, NotFiltered> {
        let listing = Listing::of(message)?;
        let edits = changes.edits();
        let mut filtered = Filtered {
            only_tools: listing.result.is_some_and(has_only_tools),
            ..Filtered::default()
        };
        let mut compared = self.policy.has_pins().then(HashSet::new);
        let decider = Decider::new(self.policy, self.caller);
        let mut shown_tools = 0_usize;
        for (item, name, error) in &listing.unreadable {
            edits.remove_element(&item.element);
            filtered.note_unreadable(name, error);
        }
        for item in &listing.items {
            let pinned = match compare(self.policy, self.seen, item, compared.as_mut(), body) {
                Ok(pinned) => pinned,
                Err(error) => {
                    edits.remove_element(&item.item.element);
                    filtered.note_unreadable(item.name, &error);
                    continue;
                }
            };
            let is_as_pinned = pinned == Compared::Same;
            if !is_as_pinned {
                filtered.pins_broken.push(item.name.to_owned());
            }
            filtered.pins_full |= pinned == Compared::NoRoom;
            let may_be_listed = (is_as_pinned || self.policy.broken_pin == BrokenPin::Log)
                && !is_shadowed(self.policy, item);
            let target = Target::of_item(item.list, item.name);
            if may_be_listed && decider.may_see(target) && (self.outside)(item.list, item.name)? {
                shown_tools = shown_tools.saturating_add(usize::from(item.list == List::Tools));
                filtered.writes_data |= self.describe(item, target, body, edits)?;
            } else {
                edits.remove_element(&item.item.element);
                filtered.hidden = filtered.hidden.saturating_add(1);
            }
        }
        if let (Some(start), true) = (listing.tools, self.with_own) {
            let tools = own_tools(self.policy, shown_tools > 0);
            edits.insert(start.saturating_add(1), tools);
        }
        for (list, span) in &listing.nulls {
            let own = match *list == List::Tools && self.with_own {
                true => own_tools(self.policy, false),
                false => String::new(),
            };
            edits.replace(span.clone(), format!("[{own}]"));
        }
        if self.era == Era::Modern && !listing.needs_input {
            mark_private(&listing, edits);
            cap_ttl(&listing, self.policy.max_list_ttl, body, edits);
        }
        Ok(filtered)
    }

    /// Changes the description of an item's arguments and results. True: something changed.
    fn describe(
        &self,
        item: &Item<'_>,
        target: Target<'_>,
        body: &[u8],
        edits: &mut Edits,
    ) -> Result<bool, JsonError> {
        let Principal {
            identity, ceiling, ..
        } = self.caller;
        let operations = operations(self.policy, identity, target);
        let mut hidden = Hidden::new(self.policy, identity, operations);
        let arguments = Arguments::of(item, &hidden);
        if hidden.adds_some() {
            let all = arguments.added(&hidden);
            let differ = all.iter().any(|key| hidden.added(key) != Some(key));
            let of = (target, self.policy.resource.as_str());
            if !self.spellings.note(of, all, differ, self.memory) {
                hidden.show_other_spellings();
            }
        }
        let mut changes = arguments.hide(&hidden, body, edits);
        let rules = results::rules(self.policy, identity, ceiling, Some(target));
        changes |= fit(&rules, item, body, edits)?;
        if item.list == List::Tools && self.policy.anonymous.is_some() {
            security_schemes::add(self.policy, item.name, &item.item.node, edits);
            changes = true;
        }
        Ok(changes)
    }
}

fn has_only_tools(result: &Node) -> bool {
    let mut lists = result.members().iter();
    lists.all(|member| matches!(List::of_member(&member.key), None | Some(List::Tools)))
}

/// Whether a tool of the server has the name of one of the filter's own.
fn is_shadowed(policy: &Policy, item: &Item<'_>) -> bool {
    policy.auth_tools && item.list == List::Tools && OwnTool::named(item.name).is_some()
}

/// The filter's own tools, as the first elements of a list.
fn own_tools(policy: &Policy, others_follow: bool) -> String {
    let tools = OwnTool::ALL
        .into_iter()
        .filter(|tool| tool.is_listed(policy));
    let tools = tools.map(|tool| {
        let mut tool = definition(tool);
        if policy.anonymous.is_some() {
            security_schemes::say(&mut tool, &security_schemes::signed_in(&policy.scopes));
        }
        tool.to_string()
    });
    let tools: Vec<String> = tools.collect();
    let comma = if others_follow { "," } else { "" };
    format!("{}{comma}", tools.join(","))
}

/// Compares an item with its pin. Items without a pin always match. `before`: the names of the items before it, if the
/// policy has pins.
fn compare<'n>(
    policy: &Policy,
    seen: &SeenTools,
    item: &Item<'n>,
    before: Option<&mut HashSet<&'n str>>,
    body: &[u8],
) -> Result<Compared, JsonError> {
    let Some(before) = before else {
        return Ok(Compared::Same);
    };
    let is_first = before.insert(item.name);
    let pin = (item.list == List::Tools).then(|| policy.pin(item.name));
    let Some(rule) = pin.flatten() else {
        return Ok(Compared::Same);
    };
    let tool = body.get(item.item.node.span.clone()).unwrap_or_default();
    // The list was read with the depth limit before.
    let found = Pin::of(tool, usize::MAX)?;
    Ok(seen.compare(item.name, rule, found, is_first))
}

/// Limits the time for which a client caches a list, so that a lost role has effect. A value that is not a
/// number is replaced too.
fn cap_ttl(listing: &Listing<'_>, most: Duration, body: &[u8], edits: &mut Edits) {
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
fn mark_private(listing: &Listing<'_>, edits: &mut Edits) {
    const PRIVATE: &str = "\"private\"";
    match (listing.cache_scope, listing.result) {
        (Some(scope), _) if scope.text() == Some("private") => {}
        (Some(scope), _) => edits.replace(scope.span.clone(), PRIVATE),
        (None, Some(result)) => {
            let comma = if result.members().is_empty() { "" } else { "," };
            let text = format!("\"cacheScope\":{PRIVATE}{comma}");
            edits.insert(result.span.start.saturating_add(1), text);
        }
        (None, None) => {}
    }
}
