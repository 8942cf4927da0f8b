//! A message of the server: read once, changed by each concern, written once.

use std::fmt::Display;

use super::changes::Changes;
use super::embedded::ValuesLeft;
use super::inspect::{Inspect, ResultOf};
use super::lists::{Filtered, ListFilter, NotFiltered};
use super::results::places::AnswerTo;
use super::results::{self, NotTheCallers};
use super::unreadable_items::without_unreadable_items;
use super::{Answering, error_texts, instructions, server_challenge, server_requests};
use crate::audit::{self, Record};
use crate::caller::Caller;
use crate::limits::MAX_DEPTH;
use crate::refusal::{OutsideRefusal, Refusal};
use base::json::tree::Node;
use base::json::{JsonError, JsonErrorKind, outline};
use base::time::UnixTime;
use mcp::message_ids::may_have_ids;
use policy::ServerErrors;

impl Answering {
    /// The changed message for the client. `None`: without changes.
    pub(super) fn inspect_message(
        &mut self,
        body: &[u8],
        failed: bool,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let changed = self.inspect_sized(body, failed, now, record)?;
        Ok(self.without_credential((body, changed), record))
    }

    /// The same without regard to the credential that the server received.
    fn inspect_sized(
        &mut self,
        body: &[u8],
        failed: bool,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if self.inspect.max_result.is_none() {
            return self.inspect_parts(body, failed, now, record);
        }
        if let Some(replaced) = self.replace_large_result(body, record) {
            if self.request.id.is_some() {
                return Ok(Some(replaced));
            }
            // The id is the one that the server knows the request by.
            let message = read(&ValuesLeft::default(), &replaced);
            let message = message.map_err(|error| unreadable(error, record))?;
            let mut changes = Changes::within(ValuesLeft::default());
            self.restore_id(&message, &mut changes)?;
            return Ok(Some(changes.apply(&replaced).unwrap_or(replaced)));
        }
        let changed = self.inspect_parts(body, failed, now, record)?;
        let passed = changed.as_deref().unwrap_or(body);
        let replaced = self.replace_large_task_result(passed, record);
        Ok(replaced.or(changed))
    }

    /// The same without regard to its size.
    fn inspect_parts(
        &mut self,
        body: &[u8],
        failed: bool,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(viewer) = self.list_viewer(failed) else {
            let inspected = self.inspect_anew(body, failed, now, record)?;
            return Ok(inspected.changed);
        };
        if let Some(known) = self.known_list(&viewer, body, record) {
            return Ok(known);
        }
        let before = (record.clone(), self.spellings.changes());
        let Inspected {
            changed,
            only_tools,
        } = self.inspect_anew(body, failed, now, record)?;
        if only_tools {
            self.remember_list(viewer, (body, changed.as_deref()), before, record);
        }
        Ok(changed)
    }

    /// The same without regard to what was read before. The message is read once. Each concern sees the changes of
    /// the ones before it.
    fn inspect_anew(
        &mut self,
        body: &[u8],
        failed: bool,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Inspected, Refusal> {
        let errors = self.inspect.errors && (failed || error_texts::may_have_texts(body));
        let challenges = !self.passes_credentials() && server_challenge::may_be_in(body);
        let handles = self.inspect.handles && may_have_ids(body);
        let id = self.may_have_own_id(body);
        let requests = self.inspect.requests && server_requests::may_be_in(body);
        let Inspect {
            lists,
            instructions,
            results,
            ..
        } = self.inspect;
        let others = lists || instructions || results || id || requests || handles;
        if !(others || errors || challenges) {
            return Ok(None.into());
        }
        if errors && !others && !body.trim_ascii_start().starts_with(b"{") && !looks_like_list(body)
        {
            return self.hide_in_words(body, now, record).map(Into::into);
        }
        // Without rules, a message that cannot be read passes. Only names are hidden in it.
        let has_rules = self.must_inspect() || instructions || id || challenges;
        let values = ValuesLeft::default();
        let mut mended = None;
        let read_as_is = read(&values, body);
        let mut message = match read_as_is {
            Ok(message) => message,
            Err(error) if !has_rules => {
                return match may_pass_unread(body, handles) {
                    true => self.hide_in_unreadable(body, now, record).map(Into::into),
                    false => Err(unreadable(error, record)),
                };
            }
            Err(error) => {
                mended = without_unreadable_items(body, lists, record);
                let mended = mended.as_deref().ok_or_else(|| unreadable(error, record))?;
                read(&values, mended).map_err(|error| unreadable(error, record))?
            }
        };
        let body = mended.as_deref().unwrap_or(body);
        let mut changes = Changes::within(values);
        let mut rewritten = None;
        let mut filtered = Filtered::default();
        if lists {
            filtered = self.filter_lists(&message, body, now, record, &mut changes)?;
        }
        if filtered.writes_data && results {
            // Rules for data apply also to the schemas of tools that a list rewrites.
            rewritten = changes.apply(body);
            let values = ValuesLeft::default();
            message = read(&values, rewritten.as_deref().unwrap_or(body))
                .map_err(|error| unreadable(error, record))?;
            changes = Changes::within(values);
        }
        let body = rewritten.as_deref().unwrap_or(body);
        if let (true, Some(text)) = (instructions, &self.policy.instructions) {
            let replaced = instructions::replace(text, &message, &mut changes);
            replaced.map_err(|error| uncheckable(error, record))?;
        }
        if let (true, Some(caller)) = (results, &self.caller) {
            self.judge_result(caller, &message, record, &mut changes)?;
        }
        if let (true, Some(caller)) = (errors, &self.caller) {
            let caller = caller.principal(now);
            let shown = error_texts::hide(&self.policy, caller, &message, failed, &mut changes);
            add(&mut record.hidden_names, shown.names);
            add(&mut record.withheld_errors, shown.withheld);
        }
        if challenges {
            server_challenge::remove(&message, &mut changes);
        }
        if id {
            self.restore_id(&message, &mut changes)?;
        }
        if requests {
            self.bind_request(&message, &mut changes)?;
        }
        if handles {
            self.seal_message(&message, now, &mut changes)?;
        }
        if changes.values().is_exceeded() {
            return match !has_rules && may_pass_unread(body, handles) {
                true => self.hide_in_unreadable(body, now, record).map(Into::into),
                false => Err(Refusal::TooManyValues),
            };
        }
        // Ids are sealed for one caller, and texts may name other targets.
        let more = instructions || self.inspect.requests || handles || errors;
        Ok(Inspected {
            changed: changes.apply(body).or(rewritten).or(mended),
            only_tools: filtered.only_tools && !more,
        })
    }

    /// A message that cannot be read and is under no rule: without the names of hidden tools.
    fn hide_in_unreadable(
        &self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        match (&self.caller, self.inspect.errors) {
            (Some(caller), true) => {
                let words = String::from_utf8_lossy(body);
                let principal = caller.principal(now);
                // Like a message that is too large to be read, one with too many names passes as it is.
                let hidden = error_texts::hide_in_words(&self.policy, principal, &words);
                let Some((changed, hidden)) = hidden else {
                    return Ok(None);
                };
                add(&mut record.hidden_names, hidden.names);
                Ok(changed.map(String::into_bytes))
            }
            _ => Ok(None),
        }
    }

    /// A text that is not JSON, without the names of hidden tools.
    pub(super) fn hide_in_words(
        &self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(caller) = &self.caller else {
            return Ok(None);
        };
        if self.withholds_errors() {
            return Err(uncheckable("an error that is not JSON", record));
        }
        let words = str::from_utf8(body).map_err(|error| uncheckable(error, record))?;
        let hidden = error_texts::hide_in_words(&self.policy, caller.principal(now), words);
        let too_many = || uncheckable("too many names of tools", record);
        let (changed, hidden) = hidden.ok_or_else(too_many)?;
        add(&mut record.hidden_names, hidden.names);
        Ok(changed.map(String::into_bytes))
    }

    /// Whether all texts of errors are inspected.
    pub(super) fn withholds_errors(&self) -> bool {
        self.inspect.errors && self.policy.errors == ServerErrors::Withhold
    }

    /// Removes data from a message that the caller may not see.
    fn judge_result(
        &self,
        caller: &Caller,
        message: &Node,
        record: &mut Record,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let mut rules = results::rules_for(&self.policy, Some(caller), &self.result_of);
        rules.extend(self.obliged.as_deref());
        let key = self.audit_key.as_deref();
        let to = self.answers();
        let judged = results::judge(
            &rules,
            caller.identity(),
            key,
            message,
            to,
            MAX_DEPTH,
            changes,
        );
        let judged = judged.map_err(|NotTheCallers| Refusal::NotOwned)?;
        add(&mut record.dropped_items, judged.dropped);
        for (reason, parts) in judged.withheld {
            record.withhold(reason, parts);
        }
        for field in judged.redacted {
            if !record.redacted.contains(&field) {
                record.redacted.push(field);
            }
        }
        Ok(())
    }

    /// The kind of request that the message answers.
    fn answers(&self) -> AnswerTo {
        match self.result_of {
            ResultOf::Anything => AnswerTo::Anything,
            ResultOf::Nothing if self.inspect.lists => AnswerTo::List,
            ResultOf::Nothing => AnswerTo::Server,
            ResultOf::Tool(_) | ResultOf::Prompt(_) | ResultOf::Resource(_) => AnswerTo::Call,
        }
    }

    /// Filters the lists of a message.
    fn filter_lists(
        &self,
        message: &Node,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
        changes: &mut Changes,
    ) -> Result<Filtered, Refusal> {
        let Some(caller) = &self.caller else {
            return Ok(Filtered::default());
        };
        let filter = ListFilter {
            policy: &self.policy,
            caller: caller.principal(now),
            seen: &self.seen,
            spellings: &self.spellings,
            memory: (&self.notes, now),
            era: self.request.era,
            with_own: self.adds_own_tools(caller),
            outside: &|list, name| self.is_allowed_outside(list, name),
        };
        let filtered = filter.filter(message, body, changes);
        let filtered = filtered.map_err(|error| match error {
            NotFiltered::Outside(fault) => Refusal::Outside(OutsideRefusal::Fault(fault)),
            error => uncheckable(error, record),
        })?;
        for (item, why) in &filtered.unreadable {
            record.note_unreadable(item, why);
        }
        let hidden = record.hidden_items.unwrap_or(0);
        record.hidden_items = Some(hidden.saturating_add(filtered.hidden));
        note_pins(&filtered, record);
        Ok(filtered)
    }
}

/// A message after the inspection.
struct Inspected {
    /// The changed message. `None`: without changes.
    changed: Option<Vec<u8>>,
    /// Whether only a list of tools was inspected in it.
    only_tools: bool,
}

impl From<Option<Vec<u8>>> for Inspected {
    fn from(changed: Option<Vec<u8>>) -> Self {
        Self {
            changed,
            only_tools: false,
        }
    }
}

/// Whether a message that cannot be read may pass if it is under no rule: it is no error, and has no id that
/// has to be sealed in a place of the protocol (`handles`).
fn may_pass_unread(body: &[u8], handles: bool) -> bool {
    const IDS: [&[u8]; 5] = [b"_meta", b"task", b"taskId", b"requestState", b"status"];
    let plain = |key: &[u8]| !key.contains(&b'\\');
    let Some(message) = outline::members(body, 0) else {
        return false;
    };
    !error_texts::has_escaped_letter(body)
        && message.iter().all(|member| {
            let key = member.key.as_slice();
            let is_error = key.eq_ignore_ascii_case(b"error");
            let inner = outline::members(body, member.value.start).unwrap_or_default();
            let has_id = |key: &[u8]| IDS.iter().any(|id| key.eq_ignore_ascii_case(id));
            let mut inner = inner.iter().map(|member| member.key.as_slice());
            plain(key) && !is_error && !(handles && inner.any(|key| has_id(key) || !plain(key)))
        })
}

fn looks_like_list(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"[")
}

/// Reads a message of the server.
fn read(values: &ValuesLeft, body: &[u8]) -> Result<Node, JsonError> {
    values.read(body, MAX_DEPTH)
}

/// The refusal of a message that cannot be read.
fn unreadable(error: JsonError, record: &mut Record) -> Refusal {
    match error.kind {
        JsonErrorKind::TooManyValues => Refusal::TooManyValues,
        _ => uncheckable(error, record),
    }
}

/// The refusal of a message that cannot be checked. The log has the reason.
pub(super) fn uncheckable(why: impl Display, record: &mut Record) -> Refusal {
    record.add_evidence("response", why);
    Refusal::UpstreamAnswer
}

fn add(count: &mut Option<usize>, more: usize) {
    if more > 0 {
        *count = Some(count.unwrap_or(0).saturating_add(more));
    }
}

/// Notes in the record the tools of a list that differ from their pins.
fn note_pins(filtered: &Filtered, record: &mut Record) {
    record.pins_full |= filtered.pins_full;
    for tool in filtered.pins_broken.iter().map(|tool| audit::name(tool)) {
        if !record.pins_broken.contains(&tool) {
            record.pins_broken.push(tool);
        }
    }
}
