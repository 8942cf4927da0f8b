//! Browsers, an issuer and a resource around the pages, all without I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use url::Url;

use super::{clients, connection, document, policy};
use crate::accounts::token_request::Tokens;
use crate::accounts::vault::{Connected, Conversation, Place};
use crate::accounts::{Ended, Flow, Next, PageContext, Random, ticket};
use base::effect::{Ask, Told};
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::secret::Secret;
use base::store::{Operation, StoreError, Stored, memory};
use mcp::headers::Headers;
use oauth::signing::SigningKey;
use oauth::{Algorithm, PendingFetch, Verifier};
use policy::Policy;

pub(in crate::accounts) const NOW: u64 = 1_900_000_000;
pub(in crate::accounts) const ORIGIN: &str = "https://crm.example.com";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    key.with_key_id("k1")
});

/// A policy, what it keeps, and what the servers around it answer.
pub(in crate::accounts) struct World {
    pub policy: Policy,
    pub sealer: Sealer,
    pub verifier: Verifier,
    pub now: u64,
    /// What is kept, unless the store is down.
    pub store: Result<Vec<u8>, StoreError>,
    /// What servers answer, in turn. Nothing: they do not.
    pub answers: VecDeque<HttpResponse>,
    /// What servers were asked.
    pub calls: Vec<HttpRequest>,
    pub puts: Vec<base::store::Record>,
    /// Whether the issuer's keys can be fetched.
    pub keys: bool,
    /// Whether the store fails to write what may be there already.
    pub puts_fail: bool,
}

/// A browser: its cookies.
#[derive(Clone, Default)]
pub(in crate::accounts) struct Browser(pub BTreeMap<String, String>);

impl World {
    pub fn new() -> Self {
        Self::of(&document())
    }

    pub fn of(document: &Value) -> Self {
        let policy = policy(document);
        Self {
            verifier: Verifier::new(policy.issuers.clone()).unwrap(),
            policy,
            sealer: Sealer::new(&"s".repeat(32)).unwrap(),
            now: NOW,
            store: Ok(Vec::new()),
            answers: VecDeque::new(),
            calls: Vec::new(),
            puts: Vec::new(),
            keys: true,
            puts_fail: false,
        }
    }

    pub fn place(&self, user: &str) -> Place {
        Place {
            resource: self.policy.resource.clone(),
            issuer: "https://login.example.com".into(),
            user: user.into(),
            conversation: Conversation::Session("s-1".into()),
            connection: "notes".into(),
        }
    }

    /// The link a user is sent to, as a path.
    pub fn link(&self, user: &str) -> String {
        let link = ticket(&self.policy, &self.sealer, &self.place(user), self.now);
        link.strip_prefix(ORIGIN).unwrap().to_owned()
    }

    pub fn get(&mut self, browser: &mut Browser, target: &str) -> Ended {
        self.send(browser, &[(":method", "GET"), (":path", target)], "")
    }

    /// Sends a form as a browser does from one of the pages.
    pub fn post(&mut self, browser: &mut Browser, form: &str) -> Ended {
        let headers = [
            (":method", "POST"),
            (":path", "/.mcp-auth/connect"),
            ("origin", ORIGIN),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(browser, &headers, form)
    }

    pub fn send(&mut self, browser: &mut Browser, headers: &[(&str, &str)], body: &str) -> Ended {
        let mut map: Vec<(String, Vec<u8>)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        for (name, value) in &browser.0 {
            map.push(("cookie".into(), format!("{name}={value}").into_bytes()));
        }
        let ended = self.run(&Headers::new(map), body.as_bytes());
        for (name, value) in &ended.reply.headers {
            if *name == "set-cookie" {
                let (pair, rest) = value.split_once(';').unwrap();
                assert_eq!(rest, " Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
                let (name, value) = pair.split_once('=').unwrap();
                assert!(name.starts_with("__Host-"));
                browser.0.insert(name.into(), value.into());
            }
        }
        ended
    }

    fn run(&mut self, headers: &Headers, body: &[u8]) -> Ended {
        let clients = clients();
        let sealer = Sealer::new(&"s".repeat(32)).unwrap();
        let policy = std::mem::replace(&mut self.policy, policy(&document()));
        let around = PageContext {
            policy: &policy,
            sealer: &sealer,
            clients: &clients,
            random: Random(random),
            now: self.now,
        };
        let (mut flow, mut next) = Flow::begin(around, headers, body, &mut self.verifier);
        let ended = loop {
            next = match next {
                Next::Reply(ended) => break ended,
                Next::Ask(ask) => {
                    let told = self.told(ask);
                    flow.told(around, told, &mut self.verifier)
                }
                Next::Fetch(need) => {
                    self.fetch(need);
                    flow.keys_ready(around, &mut self.verifier)
                }
            };
        };
        self.policy = policy;
        ended
    }

    fn told(&mut self, ask: Ask) -> Told {
        match ask {
            Ask::Call(call) => {
                self.calls.push(call);
                Told::Call(self.answers.pop_front())
            }
            Ask::Store(operation) => {
                if let Operation::Put(record) = &operation {
                    self.puts.push(record.clone());
                }
                Told::Store(self.stored(&operation))
            }
            Ask::Wait => Told::Waited,
        }
    }

    pub fn stored(&mut self, operation: &Operation) -> Result<Stored, StoreError> {
        let held = self.store.as_ref().map_err(|error| *error)?;
        if self.puts_fail && matches!(operation, Operation::Put(_)) {
            return Err(StoreError::Unavailable);
        }
        let (outcome, held) = memory::apply(held, operation, self.now)?;
        if let Some(held) = held {
            self.store = Ok(held);
        }
        Ok(outcome)
    }

    fn fetch(&mut self, need: PendingFetch) {
        assert!(self.verifier.start(need).is_some());
        let keys = key_set();
        let document = self.keys.then_some(keys.as_bytes());
        self.verifier
            .fetched(need, document, self.now, 1.0)
            .unwrap();
    }

    /// Lets a token endpoint answer.
    pub fn answer(&mut self, status: u16, body: &Value) {
        let body = body.to_string().into_bytes();
        self.answers.push_back(HttpResponse { status, body });
    }

    /// Lets the issuer's token endpoint answer for a user.
    pub fn answer_sign_in(&mut self, user: &str, nonce: &str) {
        let id_token = id_token(user, nonce, self.now);
        let body = json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token});
        self.answer(200, &body);
    }

    /// Lets the resource's token endpoint answer.
    pub fn answer_tokens(&mut self) {
        let body = json!({
            "access_token": "at-1", "token_type": "Bearer", "refresh_token": "rt-1",
            "expires_in": 300,
        });
        self.answer(200, &body);
    }

    /// Opens a link and signs in as somebody: what comes is where the link leads then.
    pub fn open(&mut self, browser: &mut Browser, link: &str, user: &str) -> Ended {
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
        assert_eq!(back.outcome, Ok("signed_in"));
        self.get(browser, &location(&back))
    }

    /// The same up to the resource's authorization endpoint, whose URL it is.
    pub fn go(&mut self, browser: &mut Browser, user: &str) -> String {
        let link = self.link(user);
        let page = self.open(browser, &link, user);
        let onward = self.post(browser, &form(&page));
        assert_eq!(onward.outcome, Ok("page_onward"));
        onward_url(&onward)
    }

    /// Makes a connection of now.
    pub fn connect(&mut self, place: &Place) {
        let tokens = Tokens {
            access_token: Secret::new("at-1".into()),
            refresh_token: Some(Secret::new("rt-1".into())),
            expires: None,
            scope: None,
            id_token: None,
        };
        let connected = Connected::new(&connection(), tokens, None, self.now);
        let put = place.put(&self.sealer, &connected);
        self.stored(&put).unwrap();
    }

    pub fn disconnect(&mut self, place: &Place) {
        self.stored(&place.delete()).unwrap();
    }

    pub fn connection(&mut self, user: &str) -> Option<Connected> {
        self.connection_at(&self.place(user))
    }

    pub fn connection_at(&mut self, place: &Place) -> Option<Connected> {
        match self.stored(&place.get()).unwrap() {
            Stored::Value(found) => place.open(&self.sealer, &found?, self.now),
            other => panic!("{other:?}"),
        }
    }
}

pub(in crate::accounts) fn random() -> Option<[u8; 32]> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Some(bytes)
}

fn key_set() -> String {
    KEY.key_set().to_string()
}

fn id_token(user: &str, nonce: &str, now: u64) -> String {
    let claims = json!({
        "iss": "https://login.example.com", "sub": user, "aud": "mcp-pages", "nonce": nonce,
        "iat": now, "exp": now + 300, "preferred_username": format!("{user}@example.com"),
    });
    KEY.sign(&json!({}), &claims).unwrap()
}

/// A logout token of the issuer, with these claims besides.
pub(in crate::accounts) fn logout_token(claims: &Value, now: u64) -> String {
    let mut all = json!({
        "iss": "https://login.example.com", "aud": "mcp-pages", "iat": now, "exp": now + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    KEY.sign(&json!({}), &all).unwrap()
}

pub(in crate::accounts) fn header<'e>(ended: &'e Ended, name: &str) -> Option<&'e str> {
    let mut headers = ended.reply.headers.iter();
    headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
}

pub(in crate::accounts) fn location(ended: &Ended) -> String {
    header(ended, "location").unwrap().to_owned()
}

pub(in crate::accounts) fn html(ended: &Ended) -> &str {
    std::str::from_utf8(&ended.reply.body).unwrap()
}

pub(in crate::accounts) fn query(url: &str, name: &str) -> String {
    let url = Url::parse(ORIGIN).unwrap().join(url).unwrap();
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(other, _)| other == name);
    found.map_or(String::new(), |(_, value)| value.into_owned())
}

/// The hidden field of a page's form.
pub(in crate::accounts) fn field(ended: &Ended, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = html(ended).split_once(&start).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// A page's form as a browser sends it.
pub(in crate::accounts) fn form(ended: &Ended) -> String {
    format!(
        "ticket={}&form={}",
        field(ended, "ticket"),
        field(ended, "form")
    )
}

/// Where the page on the way leads.
pub(in crate::accounts) fn onward_url(ended: &Ended) -> String {
    let (_, rest) = html(ended).split_once("0;url=").unwrap();
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// What the body of a call says.
pub(in crate::accounts) fn said(call: &HttpRequest, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(&call.body);
    pairs.find_map(|(other, value)| (other == name).then(|| value.into_owned()))
}
