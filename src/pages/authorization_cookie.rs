//! Authorization requests in cookies. Each request has its own cookie, so that a user can sign in and connect
//! accounts in several tabs. The cookie binds the request to the browser.

use super::page_request::PageRequest;
use super::sealed::{AuthorizationRequest, PageLink, random_text};
use super::{PageContext, PageRefusal, set_cookie};
use base::seal::Purpose;
use oauth::client::{DiscoveredServer, DiscoveryError};
use policy::SignInNeeds;

/// The start of the names of the cookies. The start of the `state` follows.
const COOKIE: &str = "__Host-mcp-auth-flow-";
/// The number of characters of `state` in the name of its cookie.
const NAMED_CHARACTERS: usize = 8;
/// The length of a `state`.
const STATE_CHARACTERS: usize = 43;
/// The number of authorization requests of one browser. The oldest make room, so that a page of another site
/// cannot fill the browser's requests with cookies.
const MAX_REQUESTS: usize = 4;
/// The maximum number of cookies that one answer removes. A browser sends at most this many requests' cookies, unless
/// its cookies were set by another program.
const MAX_DROPPED: usize = 16;
/// The maximum size of a cookie with its name, in bytes. Browsers drop larger ones.
const MAX_COOKIE_BYTES: usize = 4096;

/// A new authorization request, and the headers that set its cookie.
pub(super) struct NewAuthorizationRequest {
    pub(super) authorization: AuthorizationRequest,
    pub(super) cookies: Vec<(&'static str, String)>,
}

impl PageContext {
    /// A new authorization request in the browser of a page request.
    pub(super) fn new_authorization_request(
        &self,
        request: &PageRequest,
        link: PageLink,
        purpose: Purpose,
        (discovered, needs): (Option<DiscoveredServer>, SignInNeeds),
    ) -> Result<NewAuthorizationRequest, PageRefusal> {
        let authorization = AuthorizationRequest {
            link,
            verifier: random_text(self.random)?,
            id: random_text(self.random)?,
            discovered,
            needs,
            expires: self.expires(),
        };
        let name = cookie_name(&authorization.state()).ok_or(PageRefusal::Random)?;
        let sealed = self.seals().seal(purpose, &[], &authorization);
        if name.len().saturating_add(sealed.len()) >= MAX_COOKIE_BYTES {
            return Err(DiscoveryError::TooLong.into());
        }
        let dropped = self.requests_to_drop(request);
        let dropped = dropped.into_iter().filter(|other| *other != name);
        let dropped = dropped.map(|name| ("set-cookie", drop_cookie(&name)));
        let cookies = dropped.chain([("set-cookie", set_cookie(&name, &sealed))]);
        Ok(NewAuthorizationRequest {
            cookies: cookies.collect(),
            authorization,
        })
    }

    /// The names of the cookies that make room for one more: all that cannot be opened, and the oldest.
    fn requests_to_drop(&self, request: &PageRequest) -> Vec<String> {
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        let own = request
            .cookies_of(COOKIE)
            .filter(|(name, _)| name.strip_prefix(COOKIE).is_some_and(is_named));
        for (name, sealed) in own {
            let open = |purpose| {
                let opened: Option<AuthorizationRequest> =
                    self.seals().open(purpose, &[], sealed, self.now());
                opened
            };
            match open(Purpose::SignIn).or_else(|| open(Purpose::Connecting)) {
                Some(authorization) => kept.push((authorization.expires, name.to_owned())),
                None => dropped.push(name.to_owned()),
            }
        }
        kept.sort_unstable_by(|one, other| other.cmp(one));
        let oldest = kept.into_iter().skip(MAX_REQUESTS.saturating_sub(1));
        dropped.extend(oldest.map(|(_, name)| name));
        dropped.truncate(MAX_DROPPED);
        dropped
    }

    /// The authorization request from which the browser comes back. It began in this browser.
    pub(super) fn authorization_request(
        &self,
        request: &PageRequest,
        purpose: Purpose,
    ) -> Result<AuthorizationRequest, PageRefusal> {
        let state = request.parameter("state")?.ok_or(PageRefusal::State)?;
        let name = cookie_name(state).ok_or(PageRefusal::State)?;
        let sealed = request.cookie(&name).ok_or(PageRefusal::OtherBrowser)?;
        let found: Option<AuthorizationRequest> =
            self.seals().open(purpose, &[], sealed, self.now());
        let found = found.filter(|found| found.state() == state);
        found.ok_or(PageRefusal::State)
    }
}

/// The name of the cookie of a `state`. `None`: it is not one of this filter.
fn cookie_name(state: &str) -> Option<String> {
    let is_state = state.len() == STATE_CHARACTERS && is_base64url(state);
    let start = state.get(..NAMED_CHARACTERS).filter(|_| is_state)?;
    Some(format!("{COOKIE}{start}"))
}

/// Whether the rest of a cookie's name is the start of a `state`.
fn is_named(rest: &str) -> bool {
    rest.len() == NAMED_CHARACTERS && is_base64url(rest)
}

fn is_base64url(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn drop_cookie(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}
