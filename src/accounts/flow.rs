//! A page request from its arrival to its answer, as a state machine without I/O.

use std::rc::Rc;

use super::agreeing::{self, Agreeing};
use super::clients::Clients;
use super::connecting::{self, Connecting};
use super::discovering::{self, Discovering};
use super::discovery::Discovered;
use super::logout::{self, LoggingOut};
use super::page_request::{Page, PageRequest};
use super::pages::{self, Consent};
use super::refusal::PageRefusal;
use super::registration;
use super::sealed::{AuthorizationRequest, Form, LASTS, Seals, Ticket, digest, random_text};
use super::sign_in::{self, SigningIn};
use super::signed_out::{self, Looking};
use super::vault::Conversation;
use super::{Connection, Random};
use base::effect::{Ask, Told};
use base::http::Reply;
use base::seal::{Purpose, Sealer};
use base::secret::Secret;
use base::store::{Key, Operation, Record, Stored};
use mcp::headers::Headers;
use oauth::{IssuerId, PendingFetch, Verifier};
use policy::{PAGES, Policy, SignIn};

/// Who is signed in: sealed, so that nobody else can say it.
pub(super) const BROWSER: &str = "__Host-mcp-auth";
/// Which browser it is: what begins here ends here.
pub(super) const FLOW: &str = "__Host-mcp-auth-flow";

/// What a page request is judged with.
#[derive(Clone, Copy)]
pub struct PageContext<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What seals what goes through the browser and into the store.
    pub sealer: &'a Sealer,
    /// This filter's credentials at authorization servers.
    pub clients: &'a Clients,
    /// Where randomness comes from.
    pub random: Random,
    /// Unix seconds.
    pub now: u64,
}

/// A page request under way.
#[derive(Debug)]
pub struct Flow {
    /// What it waits for.
    waiting: Option<Waiting>,
}

/// What has to happen next.
#[derive(Debug)]
pub enum Next {
    /// The flow has to be told this.
    Ask(Ask),
    /// The flow goes on with [`Flow::keys_ready`] once this was fetched.
    Fetch(PendingFetch),
    /// This is the answer.
    Reply(Ended),
}

/// A page request that is over.
#[derive(Debug)]
pub struct Ended {
    /// The page.
    pub reply: Reply,
    /// What the log calls it.
    pub outcome: Result<&'static str, PageRefusal>,
    /// The user of the browser, if it is known: the `iss` and the user id.
    pub user: Option<(String, String)>,
    /// The connection it is about, by its name in the policy, and the account at the resource.
    pub connection: Option<(String, Option<String>)>,
    /// The tool whose call it is about.
    pub tool: Option<String>,
}

/// What a request waits for, and where it goes on.
#[derive(Debug)]
pub(super) enum Waiting {
    SignedOut(Looking),
    /// Whether its `state` is used for the first time.
    Once(Rc<AuthorizationRequest>, Secret, Leg),
    SignIn(SigningIn),
    Connect(Connecting),
    Discover(Box<Discovering>),
    Agree(Box<Agreeing>),
    Logout(LoggingOut),
}

/// Which of the two ways out and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    SignIn,
    Connect,
}

/// What comes of a step.
pub(super) enum Step {
    Ask(Waiting, Ask),
    Fetch(Waiting, PendingFetch),
    Done(Ended),
}

impl Flow {
    /// Begins with a request, whole.
    pub fn begin(
        around: PageContext<'_>,
        headers: &Headers,
        body: &[u8],
        verifier: &mut Verifier,
    ) -> (Self, Next) {
        let mut flow = Self { waiting: None };
        let visit = PageRequest::read(headers, body, around.policy.origin());
        let step = visit.and_then(|visit| signed_out::begin(around, visit, verifier));
        let next = flow.take(step);
        (flow, next)
    }

    /// Goes on with what was asked for.
    pub fn told(&mut self, around: PageContext<'_>, told: Told, verifier: &mut Verifier) -> Next {
        let step = match (self.waiting.take(), told) {
            (Some(Waiting::Once(attempt, code, leg)), Told::Store(outcome)) => match outcome {
                Ok(Stored::Created(true)) => match leg {
                    Leg::SignIn => sign_in::redeem(around, attempt, code.reveal()),
                    Leg::Connect => connecting::redeem(around, attempt, code.reveal()),
                },
                Ok(_) => match leg {
                    Leg::SignIn => Err(PageRefusal::StateUsed),
                    Leg::Connect => connecting::again(around, attempt),
                },
                Err(error) => Err(PageRefusal::Store(error)),
            },
            (Some(Waiting::SignedOut(looking)), told) => looking.told(around, told, verifier),
            (Some(Waiting::SignIn(signing_in)), Told::Call(answer)) => {
                signing_in.answered(around, answer.as_ref(), verifier)
            }
            (Some(Waiting::Connect(connecting)), told) => connecting.told(around, told),
            (Some(Waiting::Discover(discovering)), told) => discovering.told(around, told),
            (Some(Waiting::Agree(agreeing)), Told::Store(told)) => agreeing.told(around, told),
            (Some(Waiting::Logout(logout)), told) => Ok(logout.told(around, told)),
            _ => Err(PageRefusal::Request),
        };
        self.take(step)
    }

    /// Goes on after keys were fetched, or could not be.
    pub fn keys_ready(&mut self, around: PageContext<'_>, verifier: &mut Verifier) -> Next {
        let step = match self.waiting.take() {
            Some(Waiting::SignIn(signing_in)) => signing_in.keys_ready(around, verifier),
            Some(Waiting::Logout(logout)) => Ok(logout.keys_ready(around, verifier)),
            _ => Err(PageRefusal::Request),
        };
        self.take(step)
    }

    fn take(&mut self, step: Result<Step, PageRefusal>) -> Next {
        match step {
            Ok(Step::Ask(waiting, ask)) => {
                self.waiting = Some(waiting);
                Next::Ask(ask)
            }
            Ok(Step::Fetch(waiting, need)) => {
                self.waiting = Some(waiting);
                Next::Fetch(need)
            }
            Ok(Step::Done(ended)) => Next::Reply(ended),
            Err(refusal) => Next::Reply(Ended::refused(refusal)),
        }
    }
}

impl<'a> PageContext<'a> {
    /// Goes on with a request, once its user is known not to have signed out.
    pub(super) fn visited(
        self,
        visit: &PageRequest,
        verifier: &mut Verifier,
    ) -> Result<Step, PageRefusal> {
        match &visit.page {
            Page::Client => {
                let is_published = self.policy.publishes_document();
                let document = is_published.then(|| registration::client_document(self.policy));
                document.map(Step::Done).ok_or(PageRefusal::NotFound)
            }
            Page::Connect => self.connect(visit),
            Page::Logout => Ok(logout::begin(self, visit, verifier)),
            Page::SignIn => {
                let ticket = self.ticket(visit)?;
                sign_in::begin(self, visit, ticket, true)
            }
            Page::Go => self.go(visit),
            Page::Confirm => agreeing::begin(self, visit),
            Page::Answer => agreeing::answer(self, visit),
            Page::SignedIn => self.came_back(visit, Leg::SignIn, None),
            Page::Callback(name) => self.came_back(visit, Leg::Connect, Some(name)),
        }
    }

    /// The page a ticket leads to: only for the ticket's user.
    fn connect(self, visit: &PageRequest) -> Result<Step, PageRefusal> {
        let ticket = self.ticket(visit)?;
        let connection = self.connection(&ticket)?;
        let visitor = match self.arrives(visit, ticket)? {
            Ok(visitor) => visitor,
            Err(first) => return Ok(first),
        };
        let place = visitor.ticket.place(&self.policy.resource);
        let expires = self.now.saturating_add(LASTS);
        let consent = Consent {
            policy: self.policy,
            connection,
            name: &visitor.browser.name,
            one_conversation: place.is_some_and(|place| place.conversation != Conversation::User),
            ticket: &visitor.written,
            form: &visitor.form(self, &Form { expires }),
        };
        Ok(Step::Done(Ended {
            reply: consent.reply(),
            outcome: Ok("page_connect"),
            user: Some((visitor.browser.issuer, visitor.browser.user)),
            connection: Some((connection.name.clone(), None)),
            tool: None,
        }))
    }

    /// The user said yes: on to the resource.
    fn go(self, visit: &PageRequest) -> Result<Step, PageRefusal> {
        let ticket = self.ticket(visit)?;
        let connection = self.connection(&ticket)?;
        let visitor = self.sends(visit, ticket)?;
        let _: Form = visitor.open_form(self, visit)?;
        discovering::begin(self, visit.cookie(FLOW), visitor.ticket, connection)
    }

    /// The browser comes back. Nothing is done unless everything about it is right.
    fn came_back(
        self,
        visit: &PageRequest,
        leg: Leg,
        name: Option<&str>,
    ) -> Result<Step, PageRefusal> {
        let attempt = self.attempted(visit, leg)?;
        let flow = visit.cookie(FLOW).ok_or(PageRefusal::OtherBrowser)?;
        if digest(flow) != attempt.browser {
            return Err(PageRefusal::OtherBrowser);
        }
        if name.is_some() && name != attempt.ticket.connection() {
            return Err(PageRefusal::IssuerMismatch);
        }
        let (issuer, is_required) = self.expected_issuer(&attempt, leg)?;
        match visit.parameter("iss")? {
            Some(iss) if iss != issuer => return Err(PageRefusal::IssuerMismatch),
            None if is_required => return Err(PageRefusal::IssuerMismatch),
            _ => {}
        }
        if leg == Leg::Connect {
            let (_, browser) = self.browser(visit).ok_or(PageRefusal::NotSignedIn)?;
            if !browser.is_of(&attempt.ticket) {
                return Err(PageRefusal::OtherUser);
            }
        }
        match visit.parameter("error")? {
            Some("access_denied") => return Err(PageRefusal::Declined),
            Some(_) => return Err(PageRefusal::Authorization),
            None => {}
        }
        let code = visit.parameter("code")?.filter(|code| !code.is_empty());
        let code = Secret::new(code.ok_or(PageRefusal::Request)?.to_owned());
        let once = Operation::Create(Record {
            key: Key::of("state", &[&self.policy.resource, &attempt.id]),
            value: String::new(),
            expires: attempt.expires,
        });
        let waiting = Waiting::Once(Rc::new(attempt), code, leg);
        Ok(Step::Ask(waiting, Ask::Store(once)))
    }

    /// What the browser comes back from.
    pub(super) fn attempted(
        self,
        visit: &PageRequest,
        leg: Leg,
    ) -> Result<AuthorizationRequest, PageRefusal> {
        let state = visit.parameter("state")?.ok_or(PageRefusal::State)?;
        let attempt = self.seals().open(leg.purpose(), &[], state, self.now);
        attempt.ok_or(PageRefusal::State)
    }

    /// Whose answer it has to be, and whether it has to say so.
    fn expected_issuer(
        self,
        attempt: &AuthorizationRequest,
        leg: Leg,
    ) -> Result<(&'a str, bool), PageRefusal> {
        match leg {
            Leg::SignIn => {
                let (issuer, _) = self.sign_in(&attempt.ticket)?;
                let issuer = self.policy.issuers.get(issuer.0);
                let issuer = issuer.ok_or(PageRefusal::Ticket)?;
                // All come back to one place, so each has to say which it is.
                let several = self.policy.sign_ins.iter().flatten().nth(1).is_some();
                Ok((&issuer.issuer, several))
            }
            Leg::Connect => {
                let connection = self.connection(&attempt.ticket)?;
                let discovered = attempt.discovered.as_ref();
                let is_required = connection.iss == policy::Iss::Required
                    || discovered.is_some_and(|discovered| discovered.iss);
                Ok((&connection.issuer, is_required))
            }
        }
    }

    pub(super) fn seals(self) -> Seals<'a> {
        Seals {
            sealer: self.sealer,
            resource: &self.policy.resource,
        }
    }

    pub(super) fn connection(self, ticket: &Ticket) -> Result<&'a Connection, PageRefusal> {
        let name = ticket.connection().ok_or(PageRefusal::Ticket)?;
        self.policy.connection(name).ok_or(PageRefusal::Ticket)
    }

    /// How a ticket's user signs in.
    pub(super) fn sign_in(self, ticket: &Ticket) -> Result<(IssuerId, &'a SignIn), PageRefusal> {
        let issuers = self.policy.issuers.iter();
        let mut both = issuers.zip(&self.policy.sign_ins).enumerate();
        let found = both.find(|(_, (issuer, _))| issuer.issuer == ticket.issuer);
        let (index, (_, sign_in)) = found.ok_or(PageRefusal::Ticket)?;
        let sign_in = sign_in.as_ref().ok_or(PageRefusal::Ticket)?;
        Ok((IssuerId(index), sign_in))
    }

    /// An attempt about to leave, with its `state` and the cookie that binds it to this browser, which
    /// may have one.
    pub(super) fn attempt(
        self,
        flow: Option<&str>,
        ticket: Ticket,
        leg: Leg,
        discovered: Option<Discovered>,
    ) -> Result<(AuthorizationRequest, String, String), PageRefusal> {
        let known = flow.filter(|value| value.len() == 43);
        let flow = match known {
            Some(value) => value.to_owned(),
            None => random_text(self.random)?,
        };
        let attempt = AuthorizationRequest {
            ticket,
            verifier: random_text(self.random)?,
            id: random_text(self.random)?,
            browser: digest(&flow),
            discovered,
            expires: self.now.saturating_add(LASTS),
        };
        let state = self.seals().seal(leg.purpose(), &[], &attempt);
        Ok((attempt, state, set_cookie(FLOW, &flow)))
    }
}

impl Leg {
    fn purpose(self) -> Purpose {
        match self {
            Self::SignIn => Purpose::SignIn,
            Self::Connect => Purpose::Connecting,
        }
    }
}

impl Ended {
    /// The answer to what cannot be done.
    pub fn refused(refusal: PageRefusal) -> Self {
        Self {
            reply: pages::refused(refusal),
            outcome: Err(refusal),
            user: None,
            connection: None,
            tool: None,
        }
    }
}

/// Where the browser comes back to.
pub(super) fn redirect_uri(policy: &Policy, page: &str) -> String {
    format!("{}{PAGES}{page}", policy.origin())
}

/// A cookie only this origin sets and gets, and no script reads.
pub(super) fn set_cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age={LASTS}; Secure; HttpOnly; SameSite=Lax")
}
