//! The filter's web pages: users link accounts and agree to calls there.
//!
//! [`answer`] answers all requests below [`policy::PAGES`]. [`connect_link`] and [`question_link`] make the
//! links to the pages.

mod account_name;
mod approvals;
mod authorization_cookie;
mod confirm;
mod connect;
mod content;
mod find_client;
mod html;
mod logout;
mod overview;
mod page_refusal;
mod page_request;
mod sealed;
mod sign_in;
mod signed_in_user;
mod step_up;
mod tries;

#[cfg(test)]
pub(crate) mod fake_world;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

pub use self::page_refusal::PageRefusal;
use self::page_request::{Page, PageRequest};
use self::sealed::{BrowserUser, LIFETIME, LinkPurpose, PageLink, Seals};
pub use self::sealed::{connect_link, question_link};
use crate::accounts::sign_out::{has_left_pages, has_signed_out};
use crate::accounts::vault::ConversationId;
use crate::accounts::{AccountContext, Random};
use crate::reasons::Approval;
use base::http::Reply;
use base::seal::Purpose;
use base::time::UnixTime;
use mcp::headers::Headers;
use oauth::Verifier;
use oauth::client::{
    Prompt, TokenAnswerError, TokenClient, TokenGrant, Tokens, read_tokens, token_request,
};
use policy::{Connection, PAGES, Policy};

/// The start of the names of all cookies of the pages. They are not for the server.
pub(crate) const PAGE_COOKIES: &str = "__Host-mcp-auth";
/// The cookie of the user who is signed in.
const USER_COOKIE: &str = "__Host-mcp-auth";

/// What a page request needs. Clones share everything.
#[derive(Clone)]
pub struct PageContext {
    /// For work on linked accounts.
    pub accounts: AccountContext,
    /// Where randomness comes from.
    pub random: Random,
    /// Verifies ID tokens and logout tokens.
    pub verifier: Rc<RefCell<Verifier>>,
}

/// Without accounts and tokens.
impl fmt::Debug for PageContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PageContext")
    }
}

/// The answer to a page request.
#[derive(Debug)]
pub struct PageOutcome {
    /// The HTTP response.
    pub reply: Reply,
    /// The reason for the log.
    pub outcome: Result<Approval, PageRefusal>,
    /// The user of the browser, if known: the `iss` and the user id.
    pub user: Option<(String, String)>,
    /// The connection by its name in the policy, and the account's name at the resource.
    pub connection: Option<(String, Option<String>)>,
    /// The client for which an account is linked, or that calls.
    pub client: Option<String>,
    /// The tool of the call that the page is about.
    pub tool: Option<String>,
    /// The question to another person about that call: its id, and the caller.
    pub approval: Option<(String, String)>,
}

/// Answers a request for a page.
pub async fn answer(context: &PageContext, headers: &Headers, body: &[u8]) -> PageOutcome {
    let outcome = match PageRequest::read(headers, body, context.policy.origin()) {
        Ok(mut request) => {
            let header = context.policy.view_as.header.as_deref();
            request.asks_view = header.is_some_and(|name| headers.has(name));
            respond(context, request).await
        }
        Err(refusal) => Err(refusal),
    };
    outcome.unwrap_or_else(PageOutcome::refused)
}

async fn respond(
    context: &PageContext,
    mut request: PageRequest,
) -> Result<PageOutcome, PageRefusal> {
    forget_signed_out_user(context, &mut request).await?;
    match &request.page {
        Page::Client => find_client::document(context),
        Page::Connect => connect::show(context, &request).await,
        Page::Go => connect::go(context, &request).await,
        Page::Callback(connection) => connect::came_back(context, &request, connection).await,
        Page::Confirm => confirm::show(context, &request).await,
        Page::Answer => confirm::answer(context, &request).await,
        Page::Approvals => approvals::show(context, &request).await,
        Page::Decide => approvals::answer(context, &request),
        Page::Overview => overview::show(context, &request).await,
        Page::ActOnAccount => overview::act(context, &request).await,
        Page::SignIn => {
            let link = context.link(&request)?;
            sign_in::begin(context, &request, link, Some(Prompt::Login))
        }
        Page::SignedIn => sign_in::came_back(context, &request).await,
        Page::Logout => Ok(logout::log_out(context, &request).await),
    }
}

/// Removes the cookie of a user who signed out at the issuer since signing in here.
async fn forget_signed_out_user(
    context: &PageContext,
    request: &mut PageRequest,
) -> Result<(), PageRefusal> {
    let link = match request.page {
        Page::Connect | Page::Go | Page::Confirm | Page::Answer => context.link(request),
        Page::Callback(_) => {
            let authorization = context.authorization_request(request, Purpose::Connecting);
            authorization.map(|authorization| authorization.link)
        }
        Page::Approvals | Page::Decide | Page::Overview | Page::ActOnAccount => {
            Err(PageRefusal::Link)
        }
        _ => return Ok(()),
    };
    let has_link = matches!(
        request.page,
        Page::Connect | Page::Go | Page::Confirm | Page::Answer | Page::Callback(_)
    );
    let Some((_, browser)) = context
        .browser_user(request)
        .filter(|_| link.is_ok() || !has_link)
    else {
        return Ok(());
    };
    let conversation = match link.map(|link| link.purpose) {
        Ok(LinkPurpose::Connect { conversation, .. }) => conversation,
        _ => ConversationId::User,
    };
    let user = (browser.issuer.as_str(), browser.user.as_str());
    let since = browser.signed_in_at();
    let session = browser.session.as_deref();
    if has_signed_out(context, user, &conversation, since).await?
        || has_left_pages(context, user, session, since).await?
    {
        request.forget(USER_COOKIE);
    }
    Ok(())
}

impl PageContext {
    fn seals(&self) -> Seals<'_> {
        Seals {
            sealer: &self.sealer,
            resource: &self.policy.resource,
        }
    }

    /// The end of a value that is sealed now.
    fn expires(&self) -> UnixTime {
        self.now().saturating_add(LIFETIME)
    }

    fn connection(&self, link: &PageLink) -> Result<&Connection, PageRefusal> {
        let name = link.connection().ok_or(PageRefusal::Link)?;
        self.policy.connection(name).ok_or(PageRefusal::Link)
    }

    /// Requests tokens, and reads the response.
    async fn request_tokens(
        &self,
        client: &TokenClient,
        grant: TokenGrant<'_>,
    ) -> Result<Tokens, TokenAnswerError> {
        let credentials = self.clients.credentials(client, self.now());
        let request = token_request(client, credentials.as_ref(), grant);
        let response = self.effects.call(request).await;
        read_tokens(response.as_ref(), self.now())
    }
}

/// A page context is an account context with more in it.
impl Deref for PageContext {
    type Target = AccountContext;

    fn deref(&self) -> &AccountContext {
        &self.accounts
    }
}

impl PageOutcome {
    /// A page about a connection.
    fn of_connection(reply: Reply, outcome: Approval, link: &PageLink) -> Self {
        Self {
            reply,
            outcome: Ok(outcome),
            user: Some((link.issuer.clone(), link.user.clone())),
            connection: link.connection().map(|name| (name.to_owned(), None)),
            client: link.client().map(str::to_owned),
            tool: None,
            approval: None,
        }
    }

    /// A page of a user that no link led to.
    fn of_user(reply: Reply, outcome: Result<Approval, PageRefusal>, user: BrowserUser) -> Self {
        Self {
            reply,
            outcome,
            user: Some((user.issuer, user.user)),
            connection: None,
            client: None,
            tool: None,
            approval: None,
        }
    }

    /// The page that says why a request is refused.
    pub fn refused(refusal: PageRefusal) -> Self {
        Self {
            reply: content::refused(refusal),
            outcome: Err(refusal),
            user: None,
            connection: None,
            client: None,
            tool: None,
            approval: None,
        }
    }
}

/// The URL to which the browser comes back.
fn redirect_uri(policy: &Policy, page: &str) -> String {
    format!("{}{PAGES}{page}", policy.origin())
}

/// A cookie that only this origin sets and gets, and no script reads.
fn set_cookie(name: &str, value: &str) -> String {
    format!(
        "{name}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Lax",
        LIFETIME.as_secs()
    )
}
