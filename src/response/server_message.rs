//! One message of the server: read once, changed by each concern in turn, written once.

use super::changes::Changes;
use super::inspect::Inspect;
use super::lists::{Filtered, ListFilter};
use super::results::{self, NotTheCallers};
use super::{Answering, error_texts, instructions};
use crate::audit::{self, Record};
use crate::caller::Caller;
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use base::json::tree::Node;
use base::time::UnixTime;
use mcp::message_ids::may_have_ids;
use policy::ServerErrors;

impl Answering {
    /// A message of the server as the client may have it, if anything of it changes. It is read once;
    /// each concern sees what the ones before it changed.
    pub(super) fn inspect_message(
        &mut self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let errors = self.inspect.errors && error_texts::may_have_texts(body);
        let handles = self.inspect.handles && may_have_ids(body);
        let id = self.may_have_own_id(body);
        let Inspect {
            lists,
            instructions,
            results,
            ..
        } = self.inspect;
        if !(lists || instructions || results || errors || id || handles) {
            return Ok(None);
        }
        let mut message = read(body)?;
        let mut changes = Changes::default();
        let mut rewritten = None;
        if lists && self.filter_lists(&message, body, now, record, &mut changes)? && results {
            // Rules for data count in what lists write of a tool's schemas, too.
            rewritten = changes.apply(body);
            message = read(rewritten.as_deref().unwrap_or(body))?;
            changes = Changes::default();
        }
        let body = rewritten.as_deref().unwrap_or(body);
        if let (true, Some(text)) = (instructions, &self.policy.instructions) {
            let replaced = instructions::replace(text, &message, &mut changes);
            replaced.map_err(|_| Refusal::UpstreamAnswer)?;
        }
        if let (true, Some(caller)) = (results, &self.caller) {
            self.judge_result(caller, &message, record, &mut changes)?;
        }
        if let (true, Some(caller)) = (errors, &self.caller) {
            let caller = caller.principal(now);
            let shown = error_texts::hide(&self.policy, caller, &message, MAX_DEPTH, &mut changes);
            add(&mut record.hidden_names, shown.names);
            add(&mut record.withheld_errors, shown.withheld);
        }
        if id {
            self.restore_id(&message, &mut changes)?;
        }
        if handles {
            self.seal_message(&message, now, &mut changes)?;
        }
        Ok(changes.apply(body).or(rewritten))
    }

    /// Whether no text of an error may pass unread.
    pub(super) fn withholds_errors(&self) -> bool {
        self.inspect.errors && self.policy.errors == ServerErrors::Withhold
    }

    /// Takes out of a message what is not for the caller.
    fn judge_result(
        &self,
        caller: &Caller,
        message: &Node,
        record: &mut Record,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let rules = results::rules_for(&self.policy, Some(caller), &self.result_of);
        let key = self.audit_key.as_deref();
        let judged = results::judge(&rules, caller.identity(), key, message, MAX_DEPTH, changes);
        let judged = judged.map_err(|NotTheCallers| Refusal::NotOwned)?;
        add(&mut record.dropped_items, judged.dropped);
        for field in judged.redacted {
            if !record.redacted.contains(&field) {
                record.redacted.push(field);
            }
        }
        Ok(())
    }

    /// Filters the lists in a message. True if a part of the server's data is written anew.
    fn filter_lists(
        &self,
        message: &Node,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
        changes: &mut Changes,
    ) -> Result<bool, Refusal> {
        let Some(caller) = &self.caller else {
            return Ok(false);
        };
        let filter = ListFilter {
            policy: &self.policy,
            caller: caller.principal(now),
            seen: &self.seen,
            era: self.request.era,
            with_own: self.inspect.own_tools && caller.lists_own_tools(&self.policy),
        };
        let filtered = filter.filter(message, body, changes);
        let filtered = filtered.map_err(|_| Refusal::UpstreamAnswer)?;
        let hidden = record.hidden_items.unwrap_or(0);
        record.hidden_items = Some(hidden.saturating_add(filtered.hidden));
        note_pins(&filtered, record);
        Ok(filtered.writes_data)
    }
}

/// Reads a message of the server.
fn read(body: &[u8]) -> Result<Node, Refusal> {
    Node::read(body, MAX_DEPTH).map_err(|_| Refusal::UpstreamAnswer)
}

fn add(count: &mut Option<usize>, more: usize) {
    if more > 0 {
        *count = Some(count.unwrap_or(0).saturating_add(more));
    }
}

/// Puts into the record which tools of a list differ from their pins.
fn note_pins(filtered: &Filtered, record: &mut Record) {
    record.pins_full |= filtered.pins_full;
    for tool in filtered.pins_broken.iter().map(|tool| audit::name(tool)) {
        if !record.pins_broken.contains(&tool) {
            record.pins_broken.push(tool);
        }
    }
}
