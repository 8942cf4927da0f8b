//! Sealed ids: ids of the server (session, event, task, request state) and states of the filter,
//! encrypted and bound to one caller. The filter does not store them, and every replica with the same
//! key opens them.

//!
//! A sealed id begins with the id of its key, so that keys can be replaced: the first key seals, and all keys
//! open.

mod key;

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub use self::key::SealKey;
use self::key::{ID_DIGITS, SealedForm};
use crate::store::StoreNames;

/// The minimum length of the secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;
/// The maximum length of a sealed id, in bytes: no request is larger.
const MAX_SEALED_BYTES: usize = 1024 * 1024;
/// The end of a key's id in a sealed id. It is not in the alphabet of the rest.
const ID_END: char = '.';
/// The purpose under which it is counted that the records of a store have other names.
pub const RECORD_NAMES: &str = "record names";
/// The maximum number of keys of a sealer.
pub const MAX_KEYS: usize = 4;

/// Seals ids with AES-SIV (RFC 5297). It needs no nonce, so an id has one sealed form for one caller and one
/// key: clients compare session ids.
pub struct Sealer {
    first: SealKey,
    /// The keys that only open.
    others: Vec<SealKey>,
    names: StoreNames,
    /// How many values were met, by the position of a key that is not the first, and by their purpose.
    /// Values of unknown keys have no position.
    met: RefCell<BTreeMap<(Option<usize>, &'static str), u64>>,
}

/// The key and the form of a sealed id. An id that a client knows keeps both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedBy {
    /// 0 is the first key.
    position: usize,
    form: SealedForm,
}

/// Values that were met and are not sealed with the first key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The id of the key that opened them. `None`: the sealer does not have their key.
    pub key: Option<String>,
    /// The name of their purpose.
    pub purpose: &'static str,
    /// Their number.
    pub count: u64,
}

/// Two keys of a sealer are the same, or there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeysError {
    /// Two keys come from the same secret.
    #[error("found the secret of another key of the list")]
    Repeated,
    /// There are too many keys.
    #[error("expected at most {MAX_KEYS} keys")]
    TooMany,
}

/// The secret is too short to derive a key from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a secret of at least {MIN_SECRET_BYTES} characters, such as `openssl rand -hex 32` prints"
)]
pub struct ShortSecret;

/// The purpose of a sealed id. It does not open for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `Mcp-Session-Id`.
    Session,
    /// An event id, which the client sends back as `Last-Event-ID`.
    Event,
    /// A task id.
    Task,
    /// `requestState`.
    RequestState,
    /// The id of a request of the server.
    ServerRequest,
    /// A linked account in the store.
    Connection,
    /// The link that a caller opens to link an account.
    Ticket,
    /// The cookie that names the user signed in in a browser.
    Browser,
    /// A form on a page of the filter.
    Form,
    /// The `state` of a sign-in at an issuer of the policy (RFC 6749 section 4.1.1).
    SignIn,
    /// The `state` of an account being linked (RFC 6749 section 4.1.1).
    Connecting,
    /// A `requestState` that the filter made.
    Question,
    /// The filter's client registration at an authorization server.
    Client,
    /// A question in the store that the user answers on a page.
    Answer,
    /// A question to another person about a call, in the store.
    Approval,
    /// The open questions of an organization, in the store.
    OpenApprovals,
    /// The open questions of a user, in the store.
    OpenQuestions,
    /// What is linked in a conversation, in the store.
    Conversation,
    /// The codes that were redeemed for a user's links, in the store.
    Tries,
    /// The conversations of a user, in the store.
    UserConversations,
}

/// The caller a sealed id belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The MCP server. An id of one server does not open at another.
    pub resource: &'a str,
    /// The `iss` of the caller's token; empty if there is none.
    pub issuer: &'a str,
    /// The user; empty for an anonymous caller. A user id is never empty.
    pub user: &'a str,
    /// The test user or role the caller acts as; empty without one.
    pub view: &'a str,
}

impl Sealer {
    /// A sealer with one key, which is derived from a secret (RFC 5869).
    ///
    /// # Errors
    ///
    /// The secret is too short.
    pub fn new(secret: &str) -> Result<Self, ShortSecret> {
        let first = SealKey::new(secret)?;
        let names = first.store_names();
        Ok(Self::of(first, Vec::new(), names))
    }

    /// A sealer that seals with the first key and opens with all. `names` does not depend on the order of the
    /// keys, so that records are found after a change of keys.
    ///
    /// # Errors
    ///
    /// Two keys are the same, or there are too many.
    pub fn with_keys(
        first: SealKey,
        others: Vec<SealKey>,
        names: StoreNames,
    ) -> Result<Self, KeysError> {
        if others.len() >= MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let mut ids: Vec<&str> = others.iter().map(SealKey::id).chain([first.id()]).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() <= others.len() {
            return Err(KeysError::Repeated);
        }
        Ok(Self::of(first, others, names))
    }

    fn of(first: SealKey, others: Vec<SealKey>, names: StoreNames) -> Self {
        Self {
            first,
            others,
            names,
            met: RefCell::default(),
        }
    }

    /// Seals an id. It opens only for the same purpose, owner and `bound` values.
    pub fn seal<T: Serialize>(
        &self,
        purpose: Purpose,
        owner: Owner<'_>,
        bound: &[&[u8]],
        id: &T,
    ) -> String {
        self.seal_by(SealedBy::default(), (purpose, owner, bound), id)
    }

    /// Seals an id with the key and in the form of another one.
    pub fn seal_by<T: Serialize>(
        &self,
        by: SealedBy,
        (purpose, owner, bound): (Purpose, Owner<'_>, &[&[u8]]),
        id: &T,
    ) -> String {
        let plain = serde_json::to_vec(id).unwrap_or_default();
        let key = self.key(by.position).unwrap_or(&self.first);
        let sealed = key.encrypt(by.form, associated(purpose, owner, bound), &plain);
        let mut text = match by.form {
            SealedForm::WithId => format!("{}{ID_END}", key.id()),
            SealedForm::WithoutId => String::new(),
        };
        BASE64_URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
        text
    }

    /// Opens a sealed id. `None`: the text is no sealed id, or has another purpose, owner or binding, or the
    /// sealer does not have its key.
    pub fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        owner: Owner<'_>,
        bound: &[&[u8]],
        sealed: &str,
    ) -> Option<T> {
        let opened = self.open_by((purpose, owner, bound), sealed);
        opened.map(|(id, _)| id)
    }

    /// Opens a sealed id, and tells its key.
    pub fn open_by<T: DeserializeOwned>(
        &self,
        (purpose, owner, bound): (Purpose, Owner<'_>, &[&[u8]]),
        sealed: &str,
    ) -> Option<(T, SealedBy)> {
        if sealed.len() > MAX_SEALED_BYTES {
            return None;
        }
        let (id, content) = match sealed.split_once(ID_END) {
            Some((id, content)) => (Some(id), content),
            None => (None, sealed),
        };
        let position = id.and_then(|id| self.position(id));
        if let (Some(id), None) = (id, position) {
            if is_key_id(id) {
                self.note(None, purpose);
            }
            return None;
        }
        let content = BASE64_URL_SAFE_NO_PAD.decode(content).ok()?;
        let form = match id {
            Some(_) => SealedForm::WithId,
            None => SealedForm::WithoutId,
        };
        // A value without the id of its key is from a version before key ids.
        let keys = self.keys().enumerate();
        let mut keys = keys.filter(|(at, _)| position.is_none_or(|position| position == *at));
        let (position, plain) = keys.find_map(|(at, key)| {
            let plain = key.decrypt(form, associated(purpose, owner, bound), &content)?;
            Some((at, plain))
        })?;
        if position > 0 {
            self.note(Some(position), purpose);
        }
        let id = serde_json::from_slice(&plain).ok()?;
        Some((id, SealedBy { position, form }))
    }

    /// Whether a text has the form in which this sealer seals now. If not, a record is sealed again.
    pub fn is_current(&self, sealed: &str) -> bool {
        let rest = sealed.strip_prefix(self.first.id());
        rest.is_some_and(|rest| rest.starts_with(ID_END))
    }

    /// Whether a text names a key that this sealer does not have.
    pub fn lacks_key_of(&self, sealed: &str) -> bool {
        let id = sealed.split_once(ID_END).map(|(id, _)| id);
        id.is_some_and(|id| is_key_id(id) && self.position(id).is_none())
    }

    /// Takes the numbers of values that were not sealed with the first key, since it was asked last.
    pub fn take_uses(&self) -> Vec<KeyUse> {
        if self.met.borrow().is_empty() {
            return Vec::new();
        }
        let met = self.met.take().into_iter();
        met.map(|((position, purpose), count)| KeyUse {
            key: position
                .and_then(|position| self.key(position))
                .map(|key| key.id().to_owned()),
            purpose,
            count,
        })
        .collect()
    }

    /// The ids of all keys, the first key's first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(SealKey::id)
    }

    /// The names that a store gives to records.
    pub fn store_names(&self) -> StoreNames {
        self.names.clone()
    }

    /// Counts that the records of a store have other names than this sealer's, as values of an unknown key.
    pub fn note_other_names(&self) {
        self.count(None, RECORD_NAMES);
    }

    fn keys(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn key(&self, position: usize) -> Option<&SealKey> {
        self.keys().nth(position)
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.keys().position(|key| key.id() == id)
    }

    fn note(&self, position: Option<usize>, purpose: Purpose) {
        self.count(position, purpose.name());
    }

    fn count(&self, position: Option<usize>, purpose: &'static str) {
        let mut met = self.met.borrow_mut();
        let count = met.entry((position, purpose)).or_default();
        *count = count.saturating_add(1);
    }
}

/// The first key, with its id.
impl Default for SealedBy {
    fn default() -> Self {
        Self {
            position: 0,
            form: SealedForm::WithId,
        }
    }
}

/// Whether a text has the form of a key's id.
fn is_key_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == ID_DIGITS && text.bytes().all(is_digit)
}

impl Purpose {
    /// Its name, in what is authenticated and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Event => "event",
            Self::Task => "task",
            Self::RequestState => "request state",
            Self::ServerRequest => "server request",
            Self::Connection => "connection",
            Self::Ticket => "ticket",
            Self::Browser => "browser",
            Self::Form => "form",
            Self::SignIn => "sign-in",
            Self::Connecting => "connecting",
            Self::Question => "question",
            Self::Client => "client",
            Self::Answer => "answer",
            Self::Approval => "approval",
            Self::OpenApprovals => "open approvals",
            Self::OpenQuestions => "open questions",
            Self::Conversation => "conversation",
            Self::Tries => "tries",
            Self::UserConversations => "user conversations",
        }
    }
}

/// The associated data. AES-SIV authenticates it as a list: `["ab", "c"]` differs from `["a", "bc"]`.
fn associated<'a>(purpose: Purpose, owner: Owner<'a>, bound: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let owner = [owner.resource, owner.issuer, owner.user, owner.view].map(str::as_bytes);
    [&[purpose.name().as_bytes()], &owner[..], bound].concat()
}

/// Without the key.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b24_a_sealed_id_opens_for_its_owner_and_purpose_only() {
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        let owner = Owner {
            resource: "https://a/mcp",
            issuer: "https://i",
            user: "dana",
            view: "",
        };
        let sealed = sealer.seal(Purpose::Session, owner, &[b"x"], &"id-1");
        let open = |sealer: &Sealer, purpose, owner, bound: &[&[u8]], sealed: &str| {
            sealer.open::<String>(purpose, owner, bound, sealed)
        };
        assert_eq!(
            open(&sealer, Purpose::Session, owner, &[b"x"], &sealed).as_deref(),
            Some("id-1")
        );
        assert_eq!(
            sealer.seal(Purpose::Session, owner, &[b"x"], &"id-1"),
            sealed
        );
        let other = |change: fn(&mut Owner<'_>)| {
            let mut owner = owner;
            change(&mut owner);
            owner
        };
        for owner in [
            other(|owner| owner.resource = "https://b/mcp"),
            other(|owner| owner.issuer = "https://j"),
            other(|owner| owner.view = "role:support"),
            other(|owner| (owner.resource, owner.issuer) = ("https://a/mc", "phttps://i")),
            Owner {
                user: "eve",
                ..owner
            },
        ] {
            assert_eq!(
                open(&sealer, Purpose::Session, owner, &[b"x"], &sealed),
                None
            );
        }
        for (purpose, bound) in [
            (Purpose::Task, &[&b"x"[..]][..]),
            (Purpose::Session, &[b"y"]),
            (Purpose::Session, &[]),
            (Purpose::Session, &[b"x", b""]),
        ] {
            assert_eq!(open(&sealer, purpose, owner, bound, &sealed), None);
        }
        let stranger = Sealer::new(&"t".repeat(32)).unwrap();
        assert_eq!(
            open(&stranger, Purpose::Session, owner, &[b"x"], &sealed),
            None
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                open(&sealer, Purpose::Session, owner, &[b"x"], &changed),
                None
            );
        }
    }

    const OWNER: Owner<'_> = Owner {
        resource: "https://a/mcp",
        issuer: "https://i",
        user: "dana",
        view: "",
    };

    fn key(letter: &str) -> SealKey {
        SealKey::new(&letter.repeat(32)).unwrap()
    }

    fn with_keys(letters: &[&str]) -> Sealer {
        let others = letters[1..].iter().map(|letter| key(letter)).collect();
        Sealer::with_keys(key(letters[0]), others, key("o").store_names()).unwrap()
    }

    fn sealed(sealer: &Sealer) -> String {
        sealer.seal(Purpose::Connection, OWNER, &[b"x"], &"tokens")
    }

    fn opened(sealer: &Sealer, sealed: &str) -> Option<String> {
        sealer.open(Purpose::Connection, OWNER, &[b"x"], sealed)
    }

    /// The order that the documents recommend: at each step replicas with the settings before and after it
    /// open what the others sealed.
    #[test]
    fn replicas_of_neighbouring_steps_open_each_others_values() {
        let steps: [&[&str]; 4] = [&["o"], &["o", "n"], &["n", "o"], &["n"]];
        for pair in steps.windows(2) {
            let (before, after) = (with_keys(pair[0]), with_keys(pair[1]));
            for (by, to) in [(&before, &after), (&after, &before)] {
                assert_eq!(
                    opened(to, &sealed(by)).as_deref(),
                    Some("tokens"),
                    "{pair:?}"
                );
            }
        }
        // A step that is left out ends what the other replicas sealed.
        let (old, new) = (with_keys(&["o"]), with_keys(&["n", "o"]));
        assert_eq!(opened(&new, &sealed(&old)).as_deref(), Some("tokens"));
        assert_eq!(opened(&old, &sealed(&new)), None);
        assert!(old.lacks_key_of(&sealed(&new)) && !new.lacks_key_of(&sealed(&old)));
    }

    #[test]
    fn values_of_other_keys_are_counted_by_key_and_purpose() {
        let (old, both) = (with_keys(&["o"]), with_keys(&["n", "o"]));
        assert_eq!(both.take_uses(), []);
        opened(&both, &sealed(&both));
        assert_eq!(both.take_uses(), []);
        for _ in 0..3 {
            opened(&both, &sealed(&old));
        }
        opened(&both, &sealed(&with_keys(&["z"])));
        // Texts of clients are no values of a key, unless they name one.
        for text in ["", ".", "x.y", "ABCDEF.x", "0000001.x", "é.x"] {
            assert_eq!(opened(&both, text), None);
        }
        let uses = both.take_uses();
        let uses: Vec<_> = uses
            .iter()
            .map(|it| (it.key.as_deref(), it.count))
            .collect();
        let old_id = old.key_ids().next();
        assert_eq!(uses, [(None, 1), (old_id, 3)]);
        assert_eq!(both.take_uses(), []);
    }

    #[test]
    fn only_the_first_key_is_current() {
        let (old, both) = (with_keys(&["o"]), with_keys(&["n", "o"]));
        assert!(both.is_current(&sealed(&both)) && !both.is_current(&sealed(&old)));
        assert!(!both.is_current("") && !both.is_current(both.key_ids().next().unwrap()));
    }

    /// Clients compare ids, so an id of a client keeps its form after a change of keys.
    #[test]
    fn an_id_is_sealed_again_in_the_form_that_the_client_knows() {
        let (old, both) = (with_keys(&["o"]), with_keys(&["n", "o"]));
        for known in [sealed(&old), sealed(&both), before_ids("o", "tokens")] {
            let of = (Purpose::Connection, OWNER, &[&b"x"[..]][..]);
            let (id, by) = both.open_by::<String>(of, &known).unwrap();
            assert_eq!(both.seal_by(by, of, &id), known);
        }
    }

    /// A value as versions before key ids sealed it.
    fn before_ids(letter: &str, value: &str) -> String {
        let by = SealedBy {
            position: 0,
            form: SealedForm::WithoutId,
        };
        let of = (Purpose::Connection, OWNER, &[&b"x"[..]][..]);
        with_keys(&[letter]).seal_by(by, of, &value)
    }

    #[test]
    fn a_value_from_before_key_ids_opens_with_each_key() {
        // Sealed by a build before key ids, with the secret `"s".repeat(32)`.
        const KNOWN: &str = "MgN4u5G3YPZqFY4eqDZ-K9sBk0FLbg";
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        let open = |sealer: &Sealer| sealer.open::<String>(Purpose::Session, OWNER, &[b"x"], KNOWN);
        assert_eq!(open(&sealer).as_deref(), Some("id-1"));
        for keys in [&["o", "n"], &["n", "o"]] {
            let value = before_ids("o", "tokens");
            assert_eq!(opened(&with_keys(keys), &value).as_deref(), Some("tokens"));
        }
        assert_eq!(opened(&with_keys(&["n"]), &before_ids("o", "tokens")), None);
    }

    /// Marks of single use are named by the sealed text, so that a value must have one text.
    #[test]
    fn a_value_without_its_key_id_or_with_another_one_does_not_open() {
        let both = with_keys(&["n", "o"]);
        let value = sealed(&both);
        let (id, content) = value.split_once('.').unwrap();
        let other = both.key_ids().nth(1).unwrap();
        for changed in [
            content.to_owned(),
            format!(".{content}"),
            format!("{other}.{content}"),
            format!("{}.{content}", id.to_uppercase()),
            format!("{id}.{content}."),
            format!("{id}.{content}="),
            format!("{id}.{id}.{content}"),
            format!(" {value}"),
        ] {
            assert_eq!(opened(&both, &changed), None, "{changed}");
        }
    }

    #[test]
    fn keys_are_few_and_different() {
        let keys = |letters: &[&str]| {
            let others = letters[1..].iter().map(|letter| key(letter)).collect();
            Sealer::with_keys(key(letters[0]), others, StoreNames::default()).err()
        };
        assert_eq!(keys(&["a", "b", "c", "d"]), None);
        assert_eq!(keys(&["a", "b", "a"]), Some(KeysError::Repeated));
        assert_eq!(keys(&["a", "b", "c", "d", "e"]), Some(KeysError::TooMany));
    }

    #[test]
    fn names_do_not_depend_on_the_order_of_keys() {
        use crate::store::{Key, RecordKind, StoreOperation};
        let name = |sealer: &Sealer| {
            let get = StoreOperation::Get(Key::of(RecordKind::Account, &["anna"], &[]));
            sealer.store_names().name(get).key().clone()
        };
        let old = Sealer::new(&"o".repeat(32)).unwrap();
        for keys in [&["o", "n"][..], &["n", "o"], &["n"]] {
            assert_eq!(name(&with_keys(keys)), name(&old));
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(Sealer::new(&"s".repeat(31)).err(), Some(ShortSecret));
    }

    #[test]
    fn b45_the_key_is_not_printed() {
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        assert_eq!(format!("{sealer:?}"), "Sealer");
        assert_eq!(
            format!("{:?}", key("s")),
            format!("SealKey({})", key("s").id())
        );
    }
}
