//! How fresh and how strong the sign-in of a page's user must be.

use super::sealed::{BrowserUser, PageLink};
use super::{PageContext, PageRefusal};
use policy::SignInNeeds;

impl PageContext {
    /// The sign-in that the page of a link needs.
    pub(super) fn sign_in_needs(&self, link: &PageLink) -> SignInNeeds {
        let needs = self.needs_of_issuer(&link.issuer);
        let connection = link
            .connection()
            .and_then(|name| self.policy.connection(name));
        match connection {
            Some(connection) => needs.with(&self.policy.sign_in_for_connection(connection)),
            None => needs,
        }
    }

    /// The sign-in that all pages need of an issuer's users.
    pub(super) fn needs_of_issuer(&self, issuer: &str) -> SignInNeeds {
        let mut both = self.policy.issuers.iter().zip(&self.policy.sign_ins);
        let found = both.find(|(known, _)| known.issuer == issuer);
        let sign_in = found.and_then(|(_, sign_in)| sign_in.as_ref());
        sign_in
            .map(|sign_in| sign_in.needs.clone())
            .unwrap_or_default()
    }

    /// The sign-in that an answer about a call of a tool needs.
    pub(super) fn needs_of_answer(&self, issuer: &str, tool: &str) -> SignInNeeds {
        self.needs_of_issuer(issuer)
            .with(&self.policy.sign_in_for_tool(tool))
    }

    /// Checks the sign-in of a browser's user.
    pub(super) fn check_sign_in(
        &self,
        browser: &BrowserUser,
        needs: &SignInNeeds,
    ) -> Result<(), PageRefusal> {
        let mut issuers = self.policy.issuers.iter();
        let issuer = issuers.find(|issuer| issuer.issuer == browser.issuer);
        let skew = issuer.map(|issuer| issuer.clock_skew).unwrap_or_default();
        let signed_in = (browser.auth_time, browser.acr.as_deref());
        let checked = needs.check(signed_in, skew, self.now());
        checked.map_err(PageRefusal::SignIn)
    }
}
