//! A request for a page. A repeated parameter is refused.

use url::form_urlencoded;

use super::page_refusal::PageRefusal;
use base::secret::Secret;
use mcp::headers::{Headers, media_type};
use policy::PAGES;

/// The maximum size of a form or query, in bytes.
const MAX_PARAMETERS_BYTES: usize = 32 * 1024;

/// A page, with the action on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The client metadata document of the filter, for authorization servers.
    Client,
    /// The page that asks the user to link an account.
    Connect,
    /// The user agreed there. The browser goes to the authorization server.
    Go,
    /// The page that asks the user to agree to a call.
    Confirm,
    /// The user's answer on that page.
    Answer,
    /// The page with the calls that wait for the user's approval.
    Approvals,
    /// The user's answer on that page.
    Decide,
    /// The page with the accounts of the user.
    Overview,
    /// The user ends or chooses an account there.
    ActOnAccount,
    /// The user signs in as another user.
    SignIn,
    /// The redirect from the sign-in at the issuer.
    SignedIn,
    /// A back-channel logout of an issuer. It does not come from a browser.
    Logout,
    /// The redirect from the authorization server of this connection.
    Callback(String),
}

/// A request for a page.
pub(super) struct PageRequest {
    pub(super) page: Page,
    /// Whether it asks to act with another identity (`view_as`).
    pub(super) asks_view: bool,
    parameters: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
}

/// Only the page: the parameters hold codes and sealed links.
impl std::fmt::Debug for PageRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.page.fmt(formatter)
    }
}

impl PageRequest {
    /// Reads a request. `origin` is the origin of the pages.
    pub(super) fn read(headers: &Headers, body: &[u8], origin: &str) -> Result<Self, PageRefusal> {
        let one = |name| headers.one(name).map_err(|_| PageRefusal::Request);
        let target = one(":path")?.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = one(":method")?.unwrap_or_default();
        let page = page(path, method)?;
        let is_own_form = matches!(
            page,
            Page::Go | Page::Answer | Page::Decide | Page::ActOnAccount
        );
        if is_own_form {
            check_own_form(headers, origin)?;
        } else if page == Page::Logout {
            check_form(headers)?;
        } else if !body.is_empty() {
            return Err(PageRefusal::Request);
        }
        let parameters = match page {
            Page::Logout if !query.is_empty() => return Err(PageRefusal::Request),
            _ if is_own_form && !query.is_empty() => return Err(PageRefusal::Request),
            Page::Logout => body,
            _ if is_own_form => body,
            _ => query.as_bytes(),
        };
        if parameters.len() > MAX_PARAMETERS_BYTES {
            return Err(PageRefusal::Request);
        }
        Ok(Self {
            asks_view: false,
            page,
            parameters: form_urlencoded::parse(parameters).into_owned().collect(),
            cookies: cookies(headers),
        })
    }

    /// A parameter, which must not be repeated (RFC 6749 section 3.1).
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, PageRefusal> {
        let mut values = self.parameters.iter().filter(|(other, _)| other == name);
        match (values.next(), values.next()) {
            (found, None) => Ok(found.map(|(_, value)| value.as_str())),
            _ => Err(PageRefusal::Request),
        }
    }

    /// A cookie, if exactly one has this name. Another site may have set a second one.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let mut values = self.cookies.iter().filter(|(other, _)| other == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The cookies whose names have this start.
    pub(super) fn cookies_of<'r>(
        &'r self,
        start: &'r str,
    ) -> impl Iterator<Item = (&'r str, &'r str)> {
        let cookies = self.cookies.iter();
        cookies
            .filter(move |(name, _)| name.starts_with(start))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Checks that the redirect comes from the expected authorization server (RFC 9207).
    pub(super) fn check_issuer(&self, issuer: &str, is_required: bool) -> Result<(), PageRefusal> {
        match self.parameter("iss")? {
            Some(iss) if iss == issuer => Ok(()),
            None if !is_required => Ok(()),
            _ => Err(PageRefusal::IssuerMismatch),
        }
    }

    /// The authorization code of the redirect (RFC 6749 section 4.1.2).
    pub(super) fn code(&self) -> Result<Secret, PageRefusal> {
        match self.parameter("error")? {
            Some("access_denied") => return Err(PageRefusal::Declined),
            Some(_) => return Err(PageRefusal::Authorization),
            None => {}
        }
        let code = self.parameter("code")?.filter(|code| !code.is_empty());
        Ok(Secret::new(code.ok_or(PageRefusal::Request)?.to_owned()))
    }

    /// Removes a cookie from the request.
    pub(super) fn forget(&mut self, cookie: &str) {
        self.cookies.retain(|(name, _)| name != cookie);
    }
}

/// The page of a path and method. `HEAD` is allowed only where a request changes nothing: link scanners
/// send it.
fn page(path: &str, method: &str) -> Result<Page, PageRefusal> {
    let name = path.strip_prefix(PAGES).ok_or(PageRefusal::NotFound)?;
    let page = match (name, method) {
        ("client.json", "GET" | "HEAD") => return Ok(Page::Client),
        ("connect", "GET" | "HEAD") => return Ok(Page::Connect),
        ("connect", "POST") => return Ok(Page::Go),
        ("confirm", "GET" | "HEAD") => return Ok(Page::Confirm),
        ("confirm", "POST") => return Ok(Page::Answer),
        ("approvals", "GET" | "HEAD") => return Ok(Page::Approvals),
        ("approvals", "POST") => return Ok(Page::Decide),
        ("", "GET" | "HEAD") => return Ok(Page::Overview),
        ("", "POST") => return Ok(Page::ActOnAccount),
        ("logout", "POST") => return Ok(Page::Logout),
        ("" | "client.json" | "connect" | "confirm" | "approvals" | "logout", _) => {
            return Err(PageRefusal::Method);
        }
        ("sign-in", _) => Page::SignIn,
        ("signed-in", _) => Page::SignedIn,
        _ => match name.strip_prefix("callback/") {
            Some(connection) => Page::Callback(connection.to_owned()),
            None => return Err(PageRefusal::NotFound),
        },
    };
    match method {
        "GET" => Ok(page),
        _ => Err(PageRefusal::Method),
    }
}

/// Checks that a form comes from a page of the filter.
fn check_own_form(headers: &Headers, origin: &str) -> Result<(), PageRefusal> {
    let one = |name| headers.one(name).map_err(|_| PageRefusal::Request);
    if one("origin")? != Some(origin) {
        return Err(PageRefusal::Origin);
    }
    if one("sec-fetch-site")?.is_some_and(|site| site != "same-origin") {
        return Err(PageRefusal::Origin);
    }
    check_form(headers)
}

fn check_form(headers: &Headers) -> Result<(), PageRefusal> {
    let one = |name| headers.one(name).map_err(|_| PageRefusal::Request);
    let form = one("content-type")?.and_then(media_type);
    match form.as_deref() {
        Some("application/x-www-form-urlencoded") => Ok(()),
        _ => Err(PageRefusal::Request),
    }
}

/// All cookies. HTTP/2 may send them in several headers (RFC 9113 section 8.2.3).
fn cookies(headers: &Headers) -> Vec<(String, String)> {
    let lines = headers
        .all("cookie")
        .filter_map(|line| str::from_utf8(line).ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
