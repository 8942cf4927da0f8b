//! For tests: browsers, an issuer and a resource around the pages and the linked accounts, without I/O.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use url::Url;

use super::{PageContext, PageOutcome, answer, connect_link};
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::of_user::UserPlace;
use crate::accounts::unkept::UnkeptAccounts;
use crate::accounts::vault::{
    AccountCredential, AccountPlace, AccountTokens, ConversationId, LinkedAccount,
};
use crate::accounts::{AccountContext, Clients, Ends, Random, refresh};
use crate::consent::ShownArguments;
use crate::consent::call_question::{AskedCall, CallQuestion, QuestionPlace};
use crate::effect::{Effect, Outcome, Progress, Task, Work, Worked};
use crate::reasons::Approval;
use base::http::{HttpRequest, HttpResponse};
use base::seal::{Owner, Sealer};
use base::secret::Secret;
use base::store::{StoreError, StoreOperation, StoreRecord, Stored, memory};
use base::time::UnixTime;
use mcp::headers::Headers;
use oauth::client::Tokens;
use oauth::signing::SigningKey;
use oauth::{Algorithm, PendingFetch, Verifier};
use policy::{Connection, Policy};

pub(crate) const NOW: u64 = 1_900_000_000;
pub(crate) const ORIGIN: &str = "https://crm.example.com";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    key.with_key_id("k1")
});

/// A policy, what it keeps, and what the servers around it answer.
pub(crate) struct World {
    pub policy: Rc<Policy>,
    pub sealer: Rc<Sealer>,
    pub verifier: Rc<RefCell<Verifier>>,
    pub random: Random,
    pub ends: Ends,
    pub now: u64,
    /// What is kept, unless the store is down.
    pub store: Result<Vec<u8>, StoreError>,
    /// What servers answer, in turn. Nothing: they do not.
    pub answers: VecDeque<HttpResponse>,
    /// What servers were asked.
    pub calls: Vec<HttpRequest>,
    /// The records that were written at the place of an account, or without a comparison.
    pub puts: Vec<StoreRecord>,
    /// The `sid` of ID tokens.
    pub sid: Option<&'static str>,
    /// Further claims of ID tokens, by user.
    pub claims: BTreeMap<String, Value>,
    /// Whether the issuer's keys can be fetched.
    pub keys: bool,
    /// Whether the store fails to write these.
    pub puts_fail: bool,
    /// The number of operations of tasks until the store fails, if it does.
    pub store_fails_after: Option<usize>,
    /// What the store does with the operation that fails, and with those after it.
    pub store_failure: StoreFailure,
    /// Another replica does this just before a record is created.
    pub before_create: Option<StoreOperation>,
    /// Another replica does this just before a record is taken.
    pub before_take: Option<StoreOperation>,
    /// Another replica does this just before one of these is written.
    pub before_put: Option<StoreOperation>,
    /// This happens during the next call.
    pub during_call: Option<fn(&mut Self)>,
    /// This happens during the next pause.
    pub during_pause: Option<fn(&mut Self)>,
    /// The pauses of tasks so far. Ten last a second.
    pub pauses: u64,
    /// Renewed tokens that are not in the store yet.
    pub unkept: Rc<UnkeptAccounts>,
}

/// How the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFailure {
    /// One operation is not done.
    Once,
    /// One operation is done, and its answer is lost.
    AnswerLost,
    /// No operation is done from then on.
    FromThenOn,
}

/// A browser: its cookies.
#[derive(Clone, Default)]
pub(crate) struct Browser(pub BTreeMap<String, String>);

impl World {
    pub(crate) fn new() -> Self {
        Self::of(&document())
    }

    pub(crate) fn of(document: &Value) -> Self {
        let policy = policy(document);
        Self {
            verifier: Rc::new(RefCell::new(Verifier::new(policy.issuers.clone()).unwrap())),
            policy,
            sealer: Rc::new(Sealer::new(&"s".repeat(32)).unwrap()),
            random: Random(random),
            ends: Ends::default(),
            now: NOW,
            store: Ok(Vec::new()),
            answers: VecDeque::new(),
            calls: Vec::new(),
            puts: Vec::new(),
            sid: None,
            claims: BTreeMap::new(),
            keys: true,
            puts_fail: false,
            store_fails_after: None,
            store_failure: StoreFailure::Once,
            before_create: None,
            before_take: None,
            before_put: None,
            during_call: None,
            during_pause: None,
            pauses: 0,
            unkept: Rc::default(),
        }
    }

    pub(crate) fn place(&self, user: &str) -> AccountPlace {
        AccountPlace {
            resource: self.policy.resource.clone(),
            issuer: "https://login.example.com".into(),
            user: user.into(),
            conversation: ConversationId::Session("s-1".into()),
            connection: "notes".into(),
            client: String::new(),
            test_user: String::new(),
            kept: String::new(),
        }
    }

    /// The link a user is sent to, as a path.
    pub(crate) fn link(&self, user: &str) -> String {
        let link = connect_link(
            &self.policy,
            &self.sealer,
            &self.place(user),
            UnixTime::from_secs(self.now),
        );
        link.strip_prefix(ORIGIN).unwrap().to_owned()
    }

    pub(crate) fn get(&mut self, browser: &mut Browser, target: &str) -> PageOutcome {
        self.send(browser, &[(":method", "GET"), (":path", target)], "")
    }

    /// Sends a form as a browser does from one of the pages.
    pub(crate) fn post(&mut self, browser: &mut Browser, form: &str) -> PageOutcome {
        let headers = [
            (":method", "POST"),
            (":path", "/.mcp-auth/connect"),
            ("origin", ORIGIN),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(browser, &headers, form)
    }

    pub(crate) fn send(
        &mut self,
        browser: &mut Browser,
        headers: &[(&str, &str)],
        body: &str,
    ) -> PageOutcome {
        let mut map: Vec<(String, Vec<u8>)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        for (name, value) in &browser.0 {
            map.push(("cookie".into(), format!("{name}={value}").into_bytes()));
        }
        let (headers, body) = (Headers::new(map), body.as_bytes().to_vec());
        let ended = self.run(|context| async move { answer(&context, &headers, &body).await });
        for (name, value) in &ended.reply.headers {
            if *name == "set-cookie" {
                let (pair, rest) = value.split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                if rest == " Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax" {
                    browser.0.remove(name);
                    continue;
                }
                assert_eq!(rest, " Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
                assert!(pair.len() < 4096, "{}", pair.len());
                assert!(name.starts_with("__Host-"));
                browser.0.insert(name.into(), value.into());
            }
        }
        ended
    }

    /// The context of a task; its effects are those of no task.
    pub(crate) fn context(&self) -> PageContext {
        PageContext {
            accounts: AccountContext {
                policy: Rc::clone(&self.policy),
                sealer: Rc::clone(&self.sealer),
                clients: Rc::new(clients()),
                unkept: Rc::clone(&self.unkept),
                effects: Default::default(),
                ends: self.ends.clone(),
            },
            random: self.random,
            verifier: Rc::clone(&self.verifier),
        }
    }

    /// Runs a task to its end.
    pub(crate) fn run<T, F>(&mut self, task: impl FnOnce(PageContext) -> F) -> T
    where
        F: Future<Output = T> + 'static,
    {
        let mut context = self.context();
        let now_ms = self.now * 1000;
        let (mut task, mut progress) = Task::start(UnixTime::from_millis(now_ms), |effects| {
            context.accounts.effects = effects;
            task(context)
        });
        loop {
            let effect = match progress {
                Progress::Done(value) => break value,
                Progress::Waits(effect) => effect,
            };
            let outcome = self.perform(effect);
            progress = task.resume(outcome, UnixTime::from_millis(self.now * 1000));
        }
    }

    fn put<'o>(&self, operation: &'o StoreOperation) -> Option<&'o StoreRecord> {
        match operation {
            StoreOperation::Put(record) => Some(record),
            StoreOperation::Create(record) | StoreOperation::Replace(_, record) => {
                (record.key == self.place("dana").key()).then_some(record)
            }
            StoreOperation::Get(_)
            | StoreOperation::Delete(_)
            | StoreOperation::DeleteRecord(_) => None,
        }
    }

    pub(crate) fn perform(&mut self, effect: Effect) -> Outcome {
        match effect {
            Effect::Call(call) => {
                self.calls.push(call);
                if let Some(happens) = self.during_call.take() {
                    happens(self);
                }
                Outcome::Call(self.answers.pop_front())
            }
            Effect::Store(operation) => {
                let put = self.put(&operation).cloned();
                let creates = matches!(operation, StoreOperation::Create(_));
                if let Some(other) = self.before_create.take_if(|_| creates) {
                    self.stored(&other).unwrap();
                }
                let takes = matches!(operation, StoreOperation::DeleteRecord(_));
                if let Some(other) = self.before_take.take_if(|_| takes) {
                    self.stored(&other).unwrap();
                }
                if let Some(other) = self.before_put.take_if(|_| put.is_some()) {
                    self.stored(&other).unwrap();
                }
                self.puts.extend(put);
                Outcome::Store(self.stored_or_failed(&operation))
            }
            Effect::Work(Work::Fetch(fetch)) => {
                self.fetch(fetch);
                Outcome::Work(Worked::Done)
            }
            Effect::Work(Work::Refresh(pending)) => {
                let refreshed = self.run(|context| refresh(context.accounts, *pending));
                Outcome::Work(Worked::Refreshed(refreshed))
            }
            Effect::Pause => {
                self.pauses += 1;
                if let Some(happens) = self.during_pause.take() {
                    happens(self);
                }
                self.now += u64::from(self.pauses.is_multiple_of(10));
                Outcome::Paused
            }
            Effect::Client => Outcome::Client(oauth::ClientNetwork::UNKNOWN),
            other => panic!("{other:?}"),
        }
    }

    /// An operation of a task.
    fn stored_or_failed(&mut self, operation: &StoreOperation) -> Result<Stored, StoreError> {
        let Some(left) = self.store_fails_after else {
            return self.stored(operation);
        };
        self.store_fails_after = match (left, self.store_failure) {
            (0, StoreFailure::FromThenOn) => Some(0),
            (0, _) => None,
            (left, _) => Some(left - 1),
        };
        if left > 0 {
            return self.stored(operation);
        }
        if self.store_failure == StoreFailure::AnswerLost {
            let _ = self.stored(operation);
        }
        Err(StoreError::Unavailable)
    }

    pub(crate) fn stored(&mut self, operation: &StoreOperation) -> Result<Stored, StoreError> {
        let held = self.store.as_ref().map_err(|error| *error)?;
        if self.puts_fail && self.put(operation).is_some() {
            return Err(StoreError::Unavailable);
        }
        let (outcome, held) = memory::apply(held, operation, UnixTime::from_secs(self.now))?;
        if let Some(held) = held {
            self.store = Ok(held);
        }
        Ok(outcome)
    }

    fn fetch(&mut self, need: PendingFetch) {
        let mut verifier = self.verifier.borrow_mut();
        assert!(matches!(verifier.start(need), oauth::FetchStart::Call(_)));
        let keys = key_set();
        let document = self.keys.then_some(keys.as_bytes());
        verifier
            .fetched(need, document, UnixTime::from_secs(self.now), 1.0)
            .unwrap();
    }

    /// Lets a token endpoint answer.
    pub(crate) fn answer(&mut self, status: u16, body: &Value) {
        let body = body.to_string().into_bytes();
        self.answers.push_back(HttpResponse::json(status, body));
    }

    /// Lets the issuer's token endpoint answer for a user.
    pub(crate) fn answer_sign_in(&mut self, user: &str, nonce: &str) {
        let more = self.claims.get(user).cloned().unwrap_or_default();
        let id_token = id_token(user, nonce, (self.sid, &more), self.now);
        let body = json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token});
        self.answer(200, &body);
    }

    /// Lets the resource's token endpoint answer.
    pub(crate) fn answer_tokens(&mut self) {
        let body = json!({
            "access_token": "at-1", "token_type": "Bearer", "refresh_token": "rt-1",
            "expires_in": 300,
        });
        self.answer(200, &body);
    }

    /// Opens a link and signs in as a user; the page of the link.
    pub(crate) fn open(&mut self, browser: &mut Browser, link: &str, user: &str) -> PageOutcome {
        let away = self.get(browser, link);
        let (state, nonce) = (
            query(&location(&away), "state"),
            query(&location(&away), "nonce"),
        );
        self.answer_sign_in(user, &nonce);
        let back = self.get(
            browser,
            &format!("/.mcp-auth/signed-in?code=c-1&state={state}"),
        );
        assert_eq!(back.outcome, Ok(Approval::SignedIn));
        self.get(browser, &location(&back))
    }

    /// The same up to the resource's authorization endpoint, whose URL it is.
    pub(crate) fn go(&mut self, browser: &mut Browser, user: &str) -> String {
        let link = self.link(user);
        let page = self.open(browser, &link, user);
        let onward = self.post(browser, &form(&page));
        assert_eq!(onward.outcome, Ok(Approval::SentToConnect));
        onward_url(&onward)
    }

    /// An account that is linked now.
    pub(crate) fn account(&self) -> LinkedAccount {
        let tokens = Tokens {
            access_token: Secret::new("at-1".into()),
            refresh_token: Some(Secret::new("rt-1".into())),
            expires: None,
            scope: None,
            id_token: None,
        };
        let connection = self.policy.connection("notes").unwrap();
        let tokens = AccountTokens::new(connection.oauth().unwrap(), tokens);
        let credential = AccountCredential::Tokens(tokens);
        LinkedAccount::new(connection, credential, UnixTime::from_secs(self.now))
    }

    /// Links an account now.
    pub(crate) fn connect(&mut self, place: &AccountPlace) {
        let connected = self.account();
        let put = place.put(&self.sealer, &connected);
        self.stored(&put).unwrap();
        let noted = ConversationPlace::linked(&self.sealer, place, connected.ends);
        self.stored(&noted).unwrap();
        let place = place.clone();
        let noted = self.run(|context| async move {
            let user = UserPlace::of(&place);
            user.note_linked(&context, &place, connected.ends).await?;
            ConversationPlace::watch(&context, &place, connected.ends);
            Ok::<(), StoreError>(())
        });
        noted.unwrap();
    }

    /// Does what no request waits for, as a worker at each tick.
    pub(crate) fn tick(&mut self) {
        let now = UnixTime::from_secs(self.now);
        let ends = self.ends.clone();
        for conversation in ends.due(now) {
            let ends = ends.clone();
            self.run(|context| async move {
                if let Ok(again) = conversation.end_what_is_over(&context).await {
                    ends.looked_at(&conversation, again);
                }
            });
        }
        for pending in ends.revocations() {
            self.run(|context| async move { pending.run(&context).await });
        }
    }

    pub(crate) fn disconnect(&mut self, place: &AccountPlace) {
        self.stored(&place.delete()).unwrap();
    }

    /// The linked account of a user.
    pub(crate) fn connection(&mut self, user: &str) -> Option<LinkedAccount> {
        self.connection_at(&self.place(user))
    }

    pub(crate) fn connection_at(&mut self, place: &AccountPlace) -> Option<LinkedAccount> {
        match self.stored(&place.get()).unwrap() {
            Stored::Value(found) => {
                place.open(&self.sealer, &found?, UnixTime::from_secs(self.now))
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn random() -> Option<[u8; 32]> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Some(bytes)
}

fn key_set() -> String {
    KEY.key_set().to_string()
}

fn id_token(user: &str, nonce: &str, (sid, more): (Option<&str>, &Value), now: u64) -> String {
    let mut claims = json!({
        "iss": "https://login.example.com", "sub": user, "aud": "mcp-pages", "nonce": nonce,
        "iat": now, "exp": now + 300, "preferred_username": format!("{user}@example.com"),
    });
    if let Some(sid) = sid {
        claims["sid"] = sid.into();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    KEY.sign(&json!({}), &claims).unwrap()
}

/// A logout token of the issuer, with these claims besides.
pub(crate) fn logout_token(claims: &Value, now: u64) -> String {
    let mut all = json!({
        "iss": "https://login.example.com", "aud": "mcp-pages", "iat": now, "exp": now + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    KEY.sign(&json!({}), &all).unwrap()
}

pub(crate) fn header<'e>(ended: &'e PageOutcome, name: &str) -> Option<&'e str> {
    let mut headers = ended.reply.headers.iter();
    headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
}

pub(crate) fn location(ended: &PageOutcome) -> String {
    header(ended, "location").unwrap().to_owned()
}

pub(crate) fn html(ended: &PageOutcome) -> &str {
    std::str::from_utf8(&ended.reply.body).unwrap()
}

pub(crate) fn query(url: &str, name: &str) -> String {
    let url = Url::parse(ORIGIN).unwrap().join(url).unwrap();
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(other, _)| other == name);
    found.map_or(String::new(), |(_, value)| value.into_owned())
}

/// The hidden field of a page's form.
pub(crate) fn field(ended: &PageOutcome, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html(ended).split_once(&start).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// A page's form as a browser sends it.
pub(crate) fn form(ended: &PageOutcome) -> String {
    format!(
        "ticket={}&form={}",
        field(ended, "ticket"),
        field(ended, "form")
    )
}

/// Where the page on the way leads.
pub(crate) fn onward_url(ended: &PageOutcome) -> String {
    let (_, rest) = html(ended).split_once("0;url=").unwrap();
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// What the body of a call says.
pub(crate) fn said(call: &HttpRequest, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(&call.body);
    pairs.find_map(|(other, value)| (other == name).then(|| value.into_owned()))
}

/// The name of the cookie of an authorization request.
pub(crate) fn flow_cookie(state: &str) -> String {
    let start: String = state.chars().take(8).collect();
    format!("__Host-mcp-auth-flow-{start}")
}

/// A policy with one connection.
pub(crate) fn document() -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "seal": {"key_env": "SEAL"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "mcp-pages",
            },
        }],
        "connections": {
            "notes": {
                "title": "Notes",
                "issuer": "https://notes.example.com",
                "authorize": "https://notes.example.com/authorize?tenant=1",
                "token": {"cluster": "notes", "path": "/token"},
                "revoke": {"cluster": "notes", "path": "/revoke"},
                "client_id": "mcp",
                "client_secret_env": "NOTES_SECRET",
                "scopes": ["notes.read", "offline_access"],
                "allows": ["Read your notes"],
                "lifetime": "10m",
            },
        },
        "tools": {"notes.*": {"connection": "notes"}},
    })
}

/// The same, with an authorization server whose metadata is fetched.
pub(crate) fn discovering() -> Value {
    let mut document = document();
    document["connections"]["notes"] = json!({
        "title": "Notes",
        "issuer": "https://notes.example.com",
        "discover": {"cluster": "notes"},
        "scopes": ["notes.read", "offline_access"],
        "lifetime": "10m",
    });
    document
}

/// The metadata of that authorization server.
pub(crate) fn metadata() -> Value {
    json!({
        "issuer": "https://notes.example.com",
        "authorization_endpoint": "https://login.notes.example/authorize?tenant=1",
        "token_endpoint": "https://notes.example.com/oauth/token",
        "revocation_endpoint": "https://notes.example.com/oauth/revoke",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
}

pub(crate) fn policy(document: &Value) -> Rc<Policy> {
    Rc::new(Policy::parse(document.to_string().as_bytes()).unwrap())
}

pub(crate) fn connection() -> Connection {
    policy(&document()).connection("notes").unwrap().clone()
}

pub(crate) fn clients() -> Clients {
    let environment = |name: &str| (name == "NOTES_SECRET").then(|| "s 1".to_owned());
    Clients::of(&policy(&document()), &environment).unwrap()
}

/// The tool of a call that a user is asked about.
pub(crate) const TOOL: &str = "crm.refund";

/// Where the question about a call with these arguments is kept.
pub(crate) fn question_place(user: &str, arguments: &str) -> QuestionPlace {
    let owner = Owner {
        resource: "https://crm.example.com/mcp",
        issuer: "https://login.example.com",
        user,
        view: "",
    };
    let digest = hmac_sha256::Hash::hash(arguments.as_bytes());
    QuestionPlace::of(owner, (&ConversationId::User, ""), TOOL, digest)
}

impl World {
    /// Asks a user about a call; the link, as a path.
    pub(crate) fn ask(&mut self, user: &str, tool: &str, arguments: &str) -> String {
        let call = AskedCall {
            tool: tool.into(),
            view: String::new(),
            client: String::new(),
            arguments: ShownArguments::of(arguments.as_bytes()).unwrap(),
        };
        self.ask_about(user, call, arguments)
    }

    pub(crate) fn ask_about(&mut self, user: &str, call: AskedCall, arguments: &str) -> String {
        let question = CallQuestion::new(call, UnixTime::from_secs(self.now));
        let place = question_place(user, arguments);
        self.stored(&place.put(&self.sealer, &question)).unwrap();
        let link = super::question_link(&self.policy, &self.sealer, &place, question.ends());
        link.strip_prefix(ORIGIN).unwrap().to_owned()
    }

    /// Sends the answer to the question of a page.
    pub(crate) fn say(
        &mut self,
        browser: &mut Browser,
        page: &PageOutcome,
        answer: &str,
    ) -> PageOutcome {
        let form = format!("{}&answer={answer}", form(page));
        self.send_answer(browser, &form, ORIGIN)
    }

    pub(crate) fn send_answer(
        &mut self,
        browser: &mut Browser,
        form: &str,
        origin: &str,
    ) -> PageOutcome {
        let headers = [
            (":method", "POST"),
            (":path", "/.mcp-auth/confirm"),
            ("origin", origin),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(browser, &headers, form)
    }
}
