//! Who is at a page, and for what: the ticket, and the user of the browser.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::flow::{BROWSER, Ended, PageContext, Step};
use super::page_request::PageRequest;
use super::pages;
use super::refusal::PageRefusal;
use super::sealed::{Browser, Ends, Ticket};
use super::sign_in;
use base::seal::Purpose;

/// The user of a browser, who is the ticket's.
pub(super) struct SignedInUser {
    pub(super) ticket: Ticket,
    /// The ticket, sealed.
    pub(super) written: String,
    cookie: String,
    pub(super) browser: Browser,
}

impl PageContext<'_> {
    /// The ticket of a link or form.
    pub(super) fn ticket(self, visit: &PageRequest) -> Result<Ticket, PageRefusal> {
        let ticket = visit.parameter("ticket")?.ok_or(PageRefusal::Ticket)?;
        let ticket: Option<Ticket> = self.seals().open(Purpose::Ticket, &[], ticket, self.now);
        let is_of_policy = |ticket: &Ticket| match ticket.connection() {
            Some(name) => self.policy.connection(name).is_some(),
            None => true,
        };
        ticket.filter(is_of_policy).ok_or(PageRefusal::Ticket)
    }

    /// Who is signed in in the browser, with the cookie that says so.
    pub(super) fn browser(self, visit: &PageRequest) -> Option<(String, Browser)> {
        let cookie = visit.cookie(BROWSER)?;
        let browser = self.seals().open(Purpose::Browser, &[], cookie, self.now)?;
        Some((cookie.to_owned(), browser))
    }

    /// The ticket's user, who opens its page; or what comes first.
    pub(super) fn arrives(
        self,
        visit: &PageRequest,
        ticket: Ticket,
    ) -> Result<Result<SignedInUser, Step>, PageRefusal> {
        let Some((cookie, browser)) = self.browser(visit) else {
            return sign_in::begin(self, visit, ticket, false).map(Err);
        };
        let written = self.seals().seal(Purpose::Ticket, &[], &ticket);
        if !browser.is_of(&ticket) {
            let sign_in = format!("sign-in?ticket={written}");
            return Ok(Err(Step::Done(Ended {
                reply: pages::other_user(&browser.name, &sign_in),
                outcome: Err(PageRefusal::OtherUser),
                user: Some((browser.issuer, browser.user)),
                connection: ticket.connection().map(|name| (name.to_owned(), None)),
                tool: None,
            })));
        }
        Ok(Ok(SignedInUser {
            ticket,
            written,
            cookie,
            browser,
        }))
    }

    /// The ticket's user, who sends the form of its page.
    pub(super) fn sends(
        self,
        visit: &PageRequest,
        ticket: Ticket,
    ) -> Result<SignedInUser, PageRefusal> {
        let (cookie, browser) = self.browser(visit).ok_or(PageRefusal::NotSignedIn)?;
        if !browser.is_of(&ticket) {
            return Err(PageRefusal::OtherUser);
        }
        let written = self.seals().seal(Purpose::Ticket, &[], &ticket);
        Ok(SignedInUser {
            ticket,
            written,
            cookie,
            browser,
        })
    }
}

/// Says nothing: the cookie and the ticket are in it.
impl std::fmt::Debug for SignedInUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SignedInUser")
    }
}

impl SignedInUser {
    /// A form for this browser and this ticket.
    pub(super) fn form<T: Serialize>(&self, around: PageContext<'_>, form: &T) -> String {
        around.seals().seal(Purpose::Form, &self.bound(), form)
    }

    /// The form that was sent, if it is one made for them.
    pub(super) fn open_form<T: DeserializeOwned + Ends>(
        &self,
        around: PageContext<'_>,
        visit: &PageRequest,
    ) -> Result<T, PageRefusal> {
        let form = visit.parameter("form")?.ok_or(PageRefusal::Form)?;
        let seals = around.seals();
        let form = seals.open(Purpose::Form, &self.bound(), form, around.now);
        form.ok_or(PageRefusal::Form)
    }

    fn bound(&self) -> [&[u8]; 2] {
        [self.cookie.as_bytes(), self.written.as_bytes()]
    }
}
