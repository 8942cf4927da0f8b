//! Lists of tools that a worker filtered before. Servers answer `tools/list` with the same bytes for hours, and all
//! callers of a role see the same part of it.
//!
//! A list counts as known only if everything that the filtered list depends on is the same: the policy (each has
//! its own known lists), the [`ListViewer`], the learned spellings of arguments, and all bytes of the answer but
//! its id. A list whose filtering did more than remove items and arguments is not remembered.

use std::cell::RefCell;
use std::rc::Rc;

use super::Answering;
use super::inspect::{Inspect, ResultOf};
use crate::audit::Record;
use crate::caller::Caller;
use base::json::outline;
use base::same_bytes::same_bytes;
use mcp::method::Era;
use oauth::Identity;
use policy::{IdentityField, Policy};

/// The maximum number of lists that one policy remembers in one worker.
const MAX_LISTS: usize = 32;
/// The maximum size of all these lists, as the server and as clients see them, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The lists that a worker remembers for one policy, the last used ones first. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct KnownLists {
    lists: Rc<RefCell<Vec<KnownList>>>,
    /// Whether two users or two organizations may see different tools although they have the same roles.
    differs_by_user: bool,
    differs_by_organization: bool,
    /// Whether a list may be remembered.
    remembers: bool,
}

/// What a filtered list depends on, beside the policy, the answer and the spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListViewer {
    era: Era,
    inspect: Inspect,
    /// Whether the filter's own tools are in it.
    with_own: bool,
    identity: SeenAs,
    /// The caller's own roles, if it acts with a view.
    ceiling: Option<SeenAs>,
}

/// The part of an identity that decides what it sees of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenAs {
    roles: Vec<String>,
    scopes: Vec<String>,
    is_anonymous: bool,
    /// `None` if lists do not depend on it.
    user: Option<String>,
    organization: Option<String>,
}

/// A message around its id.
#[derive(Debug, PartialEq, Eq)]
struct AroundId {
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

#[derive(Debug)]
struct KnownList {
    viewer: ListViewer,
    /// The number of changes of the spellings when it was filtered.
    spellings: u64,
    answer: AroundId,
    /// `None`: the filter changed nothing.
    shown: Option<AroundId>,
    hidden: usize,
}

/// The ids of a request, as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids<'a> {
    server: &'a [u8],
    client: &'a [u8],
}

impl KnownLists {
    /// No lists of a policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            lists: Rc::default(),
            differs_by_user: policy.names_in_tool_lists(IdentityField::User),
            differs_by_organization: policy.names_in_tool_lists(IdentityField::Organization),
            // A pin depends on what the worker saw before.
            remembers: !policy.has_pins(),
        }
    }

    fn seen_as(&self, identity: &Identity) -> SeenAs {
        let named = |value: &Option<String>, differs: bool| value.clone().filter(|_| differs);
        SeenAs {
            roles: identity.roles.clone(),
            scopes: identity.scopes.clone(),
            is_anonymous: identity.is_anonymous(),
            user: named(&identity.user, self.differs_by_user),
            organization: named(&identity.organization, self.differs_by_organization),
        }
    }

    /// The filtered list, and the number of hidden items.
    fn find(
        &self,
        viewer: &ListViewer,
        spellings: u64,
        body: &[u8],
        ids: Ids<'_>,
    ) -> Option<(Option<Vec<u8>>, usize)> {
        let lists = &mut *self.lists.borrow_mut();
        let is_same = |known: &KnownList| {
            known.spellings == spellings
                && known.answer.is(body, ids.server)
                && known.viewer == *viewer
        };
        let at = lists.iter().position(is_same)?;
        let found = lists.remove(at);
        let shown = found.shown.as_ref().map(|shown| shown.with(ids.client));
        let hidden = found.hidden;
        lists.insert(0, found);
        Some((shown, hidden))
    }

    /// The number of lists.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lists.borrow().len()
    }

    /// Remembers a list, and forgets those that were not used for the longest time.
    fn keep(&self, list: KnownList) {
        let lists = &mut *self.lists.borrow_mut();
        if list.size() > MAX_BYTES {
            return;
        }
        lists.insert(0, list);
        lists.truncate(MAX_LISTS);
        let mut bytes = 0_usize;
        lists.retain(|list| {
            bytes = bytes.saturating_add(list.size());
            bytes <= MAX_BYTES
        });
    }
}

impl KnownList {
    fn size(&self) -> usize {
        let shown = self.shown.as_ref().map_or(0, AroundId::size);
        self.answer.size().saturating_add(shown)
    }
}

impl AroundId {
    /// A message without its id. `None`: it has no such id.
    fn of(message: &[u8], id: &[u8]) -> Option<Self> {
        let (before, rest) = message.split_at_checked(outline::find(message, &["id"])?)?;
        let key = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
        // An escaped key is too rare to be remembered.
        key.ends_with(b"\"id\"").then_some(())?;
        let behind = rest.strip_prefix(id)?;
        // A longer number may start with the id.
        let is_whole = matches!(behind.first()?, b',' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        is_whole.then(|| Self {
            before: before.into(),
            behind: behind.into(),
        })
    }

    /// Whether a message is this one with an id.
    fn is(&self, message: &[u8], id: &[u8]) -> bool {
        let Some((before, rest)) = message.split_at_checked(self.before.len()) else {
            return false;
        };
        let is_behind = |rest| same_bytes(rest, &self.behind);
        same_bytes(before, &self.before) && rest.strip_prefix(id).is_some_and(is_behind)
    }

    fn with(&self, id: &[u8]) -> Vec<u8> {
        [&*self.before, id, &*self.behind].concat()
    }

    fn size(&self) -> usize {
        self.before.len().saturating_add(self.behind.len())
    }
}

impl Answering {
    /// The filtered list for the client, if this worker filtered it before. `Some(None)`: nothing is changed.
    pub(super) fn known_list(
        &self,
        viewer: &ListViewer,
        body: &[u8],
        record: &mut Record,
    ) -> Option<Option<Vec<u8>>> {
        let spellings = self.spellings.changes();
        let (shown, hidden) = self
            .known_lists
            .find(viewer, spellings, body, self.ids()?)?;
        let before = record.hidden_items.unwrap_or(0);
        record.hidden_items = Some(before.saturating_add(hidden));
        Some(shown)
    }

    /// Remembers a filtered list of tools. The filter must have inspected nothing else in its message. `before`: the record
    /// and the changes of the spellings before that.
    pub(super) fn remember_list(
        &self,
        viewer: ListViewer,
        (body, shown): (&[u8], Option<&[u8]>),
        (record_before, spellings): (Record, u64),
        record: &Record,
    ) {
        let hidden = record.hidden_items.unwrap_or(0);
        let hidden = hidden.saturating_sub(record_before.hidden_items.unwrap_or(0));
        let only_hid = Record {
            hidden_items: record.hidden_items,
            ..record_before
        };
        // These lists have each entry once, so that a second note of it cannot be seen.
        let notes_nothing = record.redacted.is_empty() && record.unreadable_items.is_empty();
        if only_hid != *record || !notes_nothing || spellings != self.spellings.changes() {
            return;
        }
        let Some(ids) = self.ids() else {
            return;
        };
        let answer = AroundId::of(body, ids.server);
        let shown = match shown {
            Some(shown) => AroundId::of(shown, ids.client).map(Some),
            None => (ids.server == ids.client).then_some(None),
        };
        if let (Some(answer), Some(shown)) = (answer, shown) {
            self.known_lists.keep(KnownList {
                viewer,
                spellings,
                answer,
                shown,
                hidden,
            });
        }
    }

    /// What the filtered list depends on. `None`: the answer to this request is not remembered.
    pub(super) fn list_viewer(&self, failed: bool) -> Option<ListViewer> {
        let caller = self.caller.as_ref()?;
        let is_list = self.request.method.as_deref() == Some("tools/list")
            && self.request.http_method == "POST"
            && matches!(self.result_of, ResultOf::Nothing);
        let is_decided_outside = self.points.is_some() || self.obliged.is_some();
        let may_remember = self.known_lists.remembers && self.inspect.lists && !failed;
        if !is_list || is_decided_outside || !may_remember {
            return None;
        }
        let seen_as = |identity| self.known_lists.seen_as(identity);
        Some(ListViewer {
            era: self.request.era,
            inspect: self.inspect,
            with_own: self.adds_own_tools(caller),
            identity: seen_as(caller.identity()),
            ceiling: caller.ceiling().map(seen_as),
        })
    }

    fn ids(&self) -> Option<Ids<'_>> {
        let client = self.request.id.as_deref()?;
        let renamed = self.request.renamed.as_ref();
        let server = renamed.map_or(client, |renamed| renamed.server.as_bytes());
        Some(Ids { server, client })
    }

    /// Whether the filter's own tools are added to a list.
    pub(super) fn adds_own_tools(&self, caller: &Caller) -> bool {
        self.inspect.own_tools && caller.lists_own_tools(&self.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(before: &str, behind: &str) -> AroundId {
        AroundId {
            before: before.as_bytes().into(),
            behind: behind.as_bytes().into(),
        }
    }

    #[test]
    fn a_message_is_compared_without_its_id() {
        let known = AroundId::of(br#"{"id":12,"result":{"id":3}}"#, b"12").unwrap();
        assert_eq!(known, around(r#"{"id":"#, r#","result":{"id":3}}"#));
        assert!(known.is(br#"{"id":7,"result":{"id":3}}"#, b"7"));
        for (other, id) in [
            (r#"{"id":8,"result":{"id":3}}"#, "7"),
            (r#"{"id":78,"result":{"id":3}}"#, "7"),
            (r#"{"id":7,"result":{"id":4}}"#, "7"),
            (r#"{"id":7,"result":{"id":3}} "#, "7"),
            (r#" {"id":7,"result":{"id":3}}"#, "7"),
            (r#"{"id":7"#, "7"),
            ("", ""),
        ] {
            assert!(!known.is(other.as_bytes(), id.as_bytes()), "{other}");
        }
        assert_eq!(known.with(b"\"a\""), br#"{"id":"a","result":{"id":3}}"#);
        for (message, id) in [
            (r#"{"result":{"id":12}}"#, "12"),
            (r#"{"id":12}"#, "1"),
            (r#"{"\u0069d":12}"#, "12"),
            ("[12]", "12"),
        ] {
            assert_eq!(
                AroundId::of(message.as_bytes(), id.as_bytes()),
                None,
                "{message}"
            );
        }
    }

    #[test]
    fn the_number_and_the_size_of_the_lists_have_a_limit() {
        let policy = br#"{"resource":"https://a.example/mcp","local":{"user":"u"}}"#;
        let policy = Policy::parse(policy).unwrap();
        let known = KnownLists::of(&policy);
        let viewer = |role: usize| ListViewer {
            era: Era::Legacy,
            inspect: Inspect::default(),
            with_own: false,
            identity: SeenAs {
                roles: vec![role.to_string()],
                scopes: Vec::new(),
                is_anonymous: false,
                user: None,
                organization: None,
            },
            ceiling: None,
        };
        let keep = |role: usize, size: usize| {
            known.keep(KnownList {
                viewer: viewer(role),
                spellings: 0,
                answer: around(&"x".repeat(size), ""),
                shown: None,
                hidden: role,
            });
        };
        let ids = Ids {
            server: b"",
            client: b"",
        };
        let find = |role: usize, size: usize| {
            let body = "x".repeat(size);
            known.find(&viewer(role), 0, body.as_bytes(), ids)
        };
        for role in 0..100 {
            keep(role, 10);
            assert_eq!(find(0, 10), Some((None, 0)), "the last used ones stay");
        }
        assert_eq!(known.count(), MAX_LISTS);
        assert_eq!((find(1, 10), find(99, 10)), (None, Some((None, 99))));
        keep(7, MAX_BYTES + 1);
        assert_eq!(known.count(), MAX_LISTS);
        for role in 200..210 {
            keep(role, MAX_BYTES / 3);
        }
        assert_eq!(known.count(), 3);
        assert!(find(209, MAX_BYTES / 3).is_some());
        assert_eq!(
            known.find(&viewer(209), 1, &[b'x'; MAX_BYTES / 3], ids),
            None
        );
    }
}
