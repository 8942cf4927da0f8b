//! Lists that a decision point filters: each item is asked about before the list is passed on.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::{Answering, ResponseState};
use crate::audit::Record;
use crate::authorize::{Target, is_for_anonymous, may_see, operations};
use crate::decision_point::{
    Decided, DecisionContext, DecisionFault, DecisionQuestion, MAX_BATCH, PendingDecision,
};
use crate::limits::MAX_DEPTH;
use crate::refusal::Refusal;
use crate::response::unreadable_items::without_unreadable_items;
use base::json::tree::Node;
use base::time::UnixTime;
use mcp::method::List;
use mcp::server_list::Listing;
use mcp::sse;
use policy::{Decide, Mode};

/// The maximum number of items of one answer that are asked about. Others are not listed.
const MAX_ITEMS: usize = 500;

/// An item of a list.
type ListedItem = (List, String);

/// The questions of one identity to one decision point.
type Group = (Rc<Decide>, usize, Vec<(ListedItem, DecisionQuestion)>);

/// What a decision point said about the items of the lists of an answer.
#[derive(Debug, Default)]
pub(crate) struct ListDecisions {
    known: HashMap<ListedItem, bool>,
    fault: Option<DecisionFault>,
}

/// A call that asks about items.
#[derive(Debug)]
pub(crate) struct ListQuestions {
    pub(crate) pending: PendingDecision,
    items: Vec<ListedItem>,
}

impl Answering {
    /// The section that a decision about this item belongs to.
    fn decide_of(&self, target: Target<'_>) -> Option<&Rc<Decide>> {
        let caller = self.caller.as_ref()?;
        let identity = caller.identity();
        if identity.is_anonymous() && !is_for_anonymous(&self.policy, identity, target) {
            // Its call asks for a sign-in first. The client can offer that only if it sees the tool.
            return None;
        }
        let operations = operations(&self.policy, caller.identity(), target);
        let decide = self.policy.decide_for(&operations);
        decide.filter(|decide| decide.point.evaluations.is_some())
    }

    /// Whether the decision point allows an item of a list. Items that it is not asked about are allowed.
    pub(super) fn is_allowed_outside(&self, list: List, name: &str) -> Result<bool, DecisionFault> {
        let is_asked = self.points.is_some();
        if !is_asked || self.decide_of(Target::of_item(list, name)).is_none() {
            return Ok(true);
        }
        let ListDecisions { known, fault } = &self.decisions;
        match (fault, known.get(&(list, name.to_owned()))) {
            (Some(fault), _) => Err(*fault),
            (None, Some(is_allowed)) => Ok(*is_allowed),
            (None, None) if known.len() >= MAX_ITEMS => Ok(false),
            (None, None) => Err(DecisionFault::Unavailable),
        }
    }

    /// Whether a decision point filters the lists of this answer.
    pub(crate) fn may_ask_about_lists(&self) -> bool {
        self.points.is_some() && self.inspect.lists && self.policy.mode == Mode::Enforce
    }

    /// The questions about the lists in this part of the answer, as [`Self::response_body`] will get it.
    pub(crate) fn questions_about_lists(
        &mut self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Vec<ListQuestions> {
        if !self.may_ask_about_lists() {
            return Vec::new();
        }
        if self.decisions.fault.is_some() {
            // The list is refused, and asking again would not end.
            return Vec::new();
        }
        let mut decisions = std::mem::take(&mut self.decisions);
        let asked = self.ask_about_lists(body, now, record, &mut decisions);
        self.decisions = decisions;
        asked.unwrap_or_default()
    }

    fn ask_about_lists(
        &self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
        decisions: &mut ListDecisions,
    ) -> Option<Vec<ListQuestions>> {
        let (points, caller) = (self.points.as_ref()?, self.caller.as_ref()?);
        let principal = caller.principal(now);
        let mut asked: HashSet<ListedItem> = HashSet::new();
        // Each group has one decision point and one identity.
        let mut groups: Vec<Group> = Vec::new();
        for item in self.listed(body) {
            let is_full = decisions.known.len().saturating_add(asked.len()) >= MAX_ITEMS;
            let target = Target::of_item(item.0, &item.1);
            if is_full
                || decisions.known.contains_key(&item)
                || asked.contains(&item)
                || !may_see(&self.policy, principal, target)
            {
                continue;
            }
            let Some(decide) = self.decide_of(target) else {
                continue;
            };
            record.decided_by.get_or_insert_with(|| decide.point.name());
            let asking = DecisionContext {
                method: method_of(item.0),
                is_listing: true,
                ..caller.asking(record.version.as_deref(), now)
            };
            for (index, subject) in caller.subjects().into_iter().enumerate() {
                let question = DecisionQuestion::new(subject, asking, target, decide, None);
                // Only arguments can make a question impossible.
                let Ok(question) = question else {
                    continue;
                };
                if let Some(answer) = points.known(&question.key(&decide.point), now) {
                    decisions.note(item.clone(), answer.is_allowed);
                    continue;
                }
                let of_group = groups.iter_mut().find(|(other, identity, _)| {
                    Rc::ptr_eq(&other.point, &decide.point) && *identity == index
                });
                let entry = (item.clone(), question);
                match of_group {
                    Some((_, _, entries)) => entries.push(entry),
                    None => groups.push((Rc::clone(decide), index, vec![entry])),
                }
                asked.insert(item.clone());
            }
        }
        let mut all = Vec::new();
        for (decide, _, entries) in groups {
            let Some(endpoint) = &decide.point.evaluations else {
                continue;
            };
            for part in entries.chunks(MAX_BATCH) {
                let (items, questions): (Vec<_>, Vec<_>) = part.iter().cloned().unzip();
                let pending = points.ask_all(&decide.point, endpoint, &questions, decide.cache);
                all.push(ListQuestions { pending, items });
            }
        }
        Some(all)
    }

    /// Takes the answers to questions about lists.
    pub(crate) fn lists_decided(&mut self, asked: &ListQuestions, decided: Decided) {
        match decided {
            Ok(answers) => {
                for (item, answer) in asked.items.iter().zip(answers) {
                    self.decisions.note(item.clone(), answer.is_allowed);
                }
            }
            Err(fault) => self.decisions.fault = Some(fault),
        }
    }

    /// The items of the lists in a part of the answer.
    fn listed(&self, body: &[u8]) -> Vec<ListedItem> {
        match &self.state {
            ResponseState::Message { .. } => listed_in(body),
            // Only a line break ends an event.
            ResponseState::Events { .. } if memchr::memchr2(b'\n', b'\r', body).is_none() => {
                Vec::new()
            }
            ResponseState::Events { stream, .. } => {
                let events = match stream.clone().push(body) {
                    Ok(events) => events,
                    Err(error) => error.events,
                };
                let events = events.iter().map(|event| sse::data(event));
                events.flat_map(|data| listed_in(&data)).collect()
            }
            ResponseState::Pass | ResponseState::Replaced(_) => Vec::new(),
        }
    }
}

impl ListDecisions {
    /// Notes an answer. All answers must allow an item.
    fn note(&mut self, item: ListedItem, is_allowed: bool) {
        let known = self.known.entry(item).or_insert(true);
        *known &= is_allowed;
    }
}

/// The items of the lists in a message. A message that cannot be read has none: it is refused later.
fn listed_in(message: &[u8]) -> Vec<ListedItem> {
    let items = |message: &[u8]| {
        let message = Node::read(message, MAX_DEPTH).ok()?;
        let listing = Listing::of(&message).ok()?;
        let items = listing.items.iter();
        Some(
            items
                .map(|item| (item.list, item.name.to_owned()))
                .collect(),
        )
    };
    items(message)
        .or_else(|| items(&without_unreadable_items(message, true, &mut unused())?))
        .unwrap_or_default()
}

/// A record that is written nowhere: the items are noted when the list is filtered.
fn unused() -> Record {
    Record::new(Mode::Enforce, Refusal::ClientGone.decision())
}

/// The method that uses an item of a list.
fn method_of(list: List) -> &'static str {
    match list {
        List::Tools => "tools/call",
        List::Prompts => "prompts/get",
        List::Resources | List::ResourceTemplates => "resources/read",
    }
}
