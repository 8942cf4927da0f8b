//! Signing the user of a browser in with the issuer of the ticket (OpenID Connect, authorization
//! code with PKCE).

use std::rc::Rc;

use url::Url;

use super::flow::{
    BROWSER, Ended, FLOW, Leg, PageContext, Step, Waiting, redirect_uri, set_cookie,
};
use super::page_request::PageRequest;
use super::pages;
use super::refusal::PageRefusal;
use super::sealed::{AuthorizationRequest, Browser, LASTS, Ticket};
use super::token_request::{self, Redeemed};
use base::effect::Ask;
use base::http::HttpResponse;
use base::seal::Purpose;
use base::secret::Secret;
use oauth::{IdVerification, SignInAnswer, VerifiedIdToken, Verifier};
use policy::PAGES;

/// Where the browser comes back to.
pub(super) const PAGE: &str = "signed-in";

/// A sign-in whose code came back.
#[derive(Debug)]
pub(super) struct SigningIn {
    attempt: Rc<AuthorizationRequest>,
    /// Once the code was redeemed.
    id_token: Option<Secret>,
}

/// Sends the browser to the issuer. `again`: as somebody else than is signed in there.
pub(super) fn begin(
    around: PageContext<'_>,
    visit: &PageRequest,
    ticket: Ticket,
    again: bool,
) -> Result<Step, PageRefusal> {
    let (_, sign_in) = around.sign_in(&ticket)?;
    let connection = ticket.connection().map(str::to_owned);
    let client = &sign_in.client;
    let (attempt, state, cookie) = around.attempt(visit.cookie(FLOW), ticket, Leg::SignIn, None)?;
    let mut url = Url::parse(&client.authorize).map_err(|_| PageRefusal::Ticket)?;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.client_id)
        .append_pair("redirect_uri", &redirect_uri(around.policy, PAGE))
        .append_pair("scope", &sign_in.scopes.join(" "))
        .append_pair("state", &state)
        .append_pair("nonce", &attempt.id)
        .append_pair("code_challenge", &attempt.challenge())
        .append_pair("code_challenge_method", "S256");
    if again {
        query.append_pair("prompt", "login");
    }
    drop(query);
    let mut reply = pages::redirect(url.into());
    reply.headers.push(("set-cookie", cookie));
    Ok(Step::Done(Ended {
        reply,
        outcome: Ok("page_sign_in"),
        user: None,
        connection: connection.map(|connection| (connection, None)),
        tool: None,
    }))
}

/// Redeems the code at the issuer.
pub(super) fn redeem(
    around: PageContext<'_>,
    attempt: Rc<AuthorizationRequest>,
    code: &str,
) -> Result<Step, PageRefusal> {
    let (_, sign_in) = around.sign_in(&attempt.ticket)?;
    let redeemed = Redeemed {
        code,
        verifier: &attempt.verifier,
        redirect_uri: &redirect_uri(around.policy, PAGE),
        resource: None,
    };
    let call = token_request::redeem(&sign_in.client, around.clients, redeemed);
    let waiting = SigningIn {
        attempt,
        id_token: None,
    };
    Ok(Step::Ask(Waiting::SignIn(waiting), Ask::Call(call)))
}

impl SigningIn {
    /// Takes the answer of the token endpoint.
    pub(super) fn answered(
        mut self,
        around: PageContext<'_>,
        answer: Option<&HttpResponse>,
        verifier: &mut Verifier,
    ) -> Result<Step, PageRefusal> {
        let tokens = token_request::read_tokens(answer, around.now).map_err(PageRefusal::Tokens)?;
        self.id_token = tokens.id_token;
        match self.verify(around, verifier)? {
            IdVerification::Verified(token) => Ok(self.signed_in(around, &token)),
            IdVerification::PendingFetch(need) => Ok(Step::Fetch(Waiting::SignIn(self), need)),
        }
    }

    /// Verifies the ID token with keys that were fetched meanwhile.
    pub(super) fn keys_ready(
        self,
        around: PageContext<'_>,
        verifier: &mut Verifier,
    ) -> Result<Step, PageRefusal> {
        match self.verify(around, verifier)? {
            IdVerification::Verified(token) => Ok(self.signed_in(around, &token)),
            IdVerification::PendingFetch(need) => Err(PageRefusal::IdToken(need.unavailable())),
        }
    }

    fn verify(
        &self,
        around: PageContext<'_>,
        verifier: &mut Verifier,
    ) -> Result<IdVerification, PageRefusal> {
        let (issuer, sign_in) = around.sign_in(&self.attempt.ticket)?;
        let format = PageRefusal::Tokens(token_request::TokenAnswerError::Format);
        let answer = SignInAnswer {
            issuer,
            client_id: &sign_in.client.client_id,
            nonce: &self.attempt.id,
            user: &sign_in.user,
        };
        let id_token = self.id_token.as_ref().ok_or(format)?;
        let verified = verifier.verify_id_token(id_token, answer, around.now);
        verified.map_err(PageRefusal::IdToken)
    }

    /// The browser's user is known; whether it is the ticket's is for the page to say.
    fn signed_in(&self, around: PageContext<'_>, token: &VerifiedIdToken) -> Step {
        let ticket = &self.attempt.ticket;
        let browser = Browser {
            issuer: ticket.issuer.clone(),
            user: token.user().to_owned(),
            name: crate::audit::name(token.name()),
            expires: around.now.saturating_add(LASTS),
        };
        let cookie = around.seals().seal(Purpose::Browser, &[], &browser);
        let written = around.seals().seal(Purpose::Ticket, &[], ticket);
        let page = ticket.page();
        let mut reply = pages::redirect(format!("{PAGES}{page}?ticket={written}"));
        reply
            .headers
            .push(("set-cookie", set_cookie(BROWSER, &cookie)));
        Step::Done(Ended {
            reply,
            outcome: Ok("signed_in"),
            user: Some((browser.issuer, browser.user)),
            connection: ticket.connection().map(|name| (name.to_owned(), None)),
            tool: None,
        })
    }
}
