//! The user of a page: signed in, and named by the link.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::page_request::PageRequest;
use super::sealed::{BrowserUser, Expires, PageLink};
use super::{PageContext, PageOutcome, PageRefusal, USER_COOKIE, content, sign_in};
use base::seal::Purpose;

/// A signed-in user, who is the user of the link.
pub(super) struct SignedInUser {
    pub(super) link: PageLink,
    /// The sealed link.
    pub(super) sealed_link: String,
    cookie: String,
    pub(super) browser: BrowserUser,
}

impl PageContext {
    /// The link of a request or form.
    pub(super) fn link(&self, request: &PageRequest) -> Result<PageLink, PageRefusal> {
        let sealed = request.parameter("ticket")?.ok_or(PageRefusal::Link)?;
        let link: Option<PageLink> = self.seals().open(Purpose::Ticket, &[], sealed, self.now());
        let is_of_policy = |link: &PageLink| {
            let name = link.connection();
            name.is_none_or(|name| self.policy.connection(name).is_some())
        };
        link.filter(is_of_policy).ok_or(PageRefusal::Link)
    }

    /// The signed-in user of the browser, with the cookie.
    pub(super) fn browser_user(&self, request: &PageRequest) -> Option<(String, BrowserUser)> {
        let cookie = request.cookie(USER_COOKIE)?;
        let browser = self
            .seals()
            .open(Purpose::Browser, &[], cookie, self.now())?;
        Some((cookie.to_owned(), browser))
    }

    /// The signed-in user, and the form of a page that no link led to. It was made for this sign-in and this page.
    pub(super) fn form_of_page<T: DeserializeOwned + Expires>(
        &self,
        request: &PageRequest,
        page: &str,
    ) -> Result<(BrowserUser, T), PageRefusal> {
        let (cookie, user) = self.browser_user(request).ok_or(PageRefusal::NotSignedIn)?;
        let form = request.parameter("form")?.ok_or(PageRefusal::Form)?;
        let bound: [&[u8]; 2] = [cookie.as_bytes(), page.as_bytes()];
        let form = self.seals().open(Purpose::Form, &bound, form, self.now());
        Ok((user, form.ok_or(PageRefusal::Form)?))
    }

    /// The user of the page of a link. `Err`: the page that is shown instead, to sign in or because the
    /// link is for another user.
    pub(super) fn user_of_page(
        &self,
        request: &PageRequest,
        link: PageLink,
    ) -> Result<Result<SignedInUser, PageOutcome>, PageRefusal> {
        let Some((cookie, browser)) = self.browser_user(request) else {
            return sign_in::begin(self, request, link, None).map(Err);
        };
        let user = self.user(link, cookie, browser);
        if user.browser.is_of(&user.link) {
            let needs = self.sign_in_needs(&user.link);
            return match self.check_sign_in(&user.browser, &needs) {
                Ok(()) => Ok(Ok(user)),
                // The user signs in again.
                Err(_) => sign_in::begin(self, request, user.link, None).map(Err),
            };
        }
        let sign_in = format!("sign-in?ticket={}", user.sealed_link);
        Ok(Err(PageOutcome {
            reply: content::other_user(&user.browser.name, &sign_in),
            outcome: Err(PageRefusal::OtherUser),
            connection: user.link.connection().map(|name| (name.to_owned(), None)),
            user: Some((user.browser.issuer, user.browser.user)),
            client: None,
            tool: None,
            approval: None,
        }))
    }

    /// The user of a form of a link's page.
    pub(super) fn user_of_form(
        &self,
        request: &PageRequest,
        link: PageLink,
    ) -> Result<SignedInUser, PageRefusal> {
        let (cookie, browser) = self.browser_user(request).ok_or(PageRefusal::NotSignedIn)?;
        if !browser.is_of(&link) {
            return Err(PageRefusal::OtherUser);
        }
        self.check_sign_in(&browser, &self.sign_in_needs(&link))?;
        Ok(self.user(link, cookie, browser))
    }

    fn user(&self, link: PageLink, cookie: String, browser: BrowserUser) -> SignedInUser {
        SignedInUser {
            sealed_link: self.seals().seal(Purpose::Ticket, &[], &link),
            link,
            cookie,
            browser,
        }
    }
}

/// Without the content, which has the cookie and the link.
impl std::fmt::Debug for SignedInUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SignedInUser")
    }
}

impl SignedInUser {
    /// A form for this sign-in and this link.
    pub(super) fn seal_form<T: Serialize>(&self, context: &PageContext, form: &T) -> String {
        context.seals().seal(Purpose::Form, &self.bound(), form)
    }

    /// The form of the request, if it was made for this sign-in and this link.
    pub(super) fn open_form<T: DeserializeOwned + Expires>(
        &self,
        context: &PageContext,
        request: &PageRequest,
    ) -> Result<T, PageRefusal> {
        let form = request.parameter("form")?.ok_or(PageRefusal::Form)?;
        let seals = context.seals();
        let form = seals.open(Purpose::Form, &self.bound(), form, context.now());
        form.ok_or(PageRefusal::Form)
    }

    fn bound(&self) -> [&[u8]; 2] {
        [self.cookie.as_bytes(), self.sealed_link.as_bytes()]
    }
}
