//! A request for a page, read strictly: nothing in it is there twice.

use url::form_urlencoded;

use super::refusal::PageRefusal;
use mcp::headers::{Headers, media_type};
use policy::PAGES;

/// Larger forms and queries are none of this filter's.
const MAX_PARAMETERS: usize = 32 * 1024;

/// Which page, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// What authorization servers read about this filter.
    Client,
    /// The page that a ticket leads to.
    Connect,
    /// The user wants to go on to the resource.
    Go,
    /// The page that asks whether a call may be made.
    Confirm,
    /// The user's answer to that.
    Answer,
    /// A user other than the browser's wants to sign in.
    SignIn,
    /// The browser comes back from the first layer's issuer.
    SignedIn,
    /// No browser: an issuer says that a user signed out.
    Logout,
    /// The browser comes back from this resource.
    Callback(String),
}

/// A request for a page.
pub(super) struct PageRequest {
    pub(super) page: Page,
    parameters: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
}

/// Says which page: codes and tickets are in it.
impl std::fmt::Debug for PageRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.page.fmt(formatter)
    }
}

impl PageRequest {
    /// Reads a request. `origin` is where the pages are.
    pub(super) fn read(headers: &Headers, body: &[u8], origin: &str) -> Result<Self, PageRefusal> {
        let one = |name| headers.one(name).map_err(|_| PageRefusal::Request);
        let target = one(":path")?.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = one(":method")?.unwrap_or_default();
        let page = page(path, method)?;
        if matches!(page, Page::Go | Page::Answer) {
            check_own_form(headers, origin)?;
        } else if page == Page::Logout {
            check_form(headers)?;
        } else if !body.is_empty() {
            return Err(PageRefusal::Request);
        }
        let parameters = match page {
            Page::Go | Page::Answer | Page::Logout if !query.is_empty() => {
                return Err(PageRefusal::Request);
            }
            Page::Go | Page::Answer | Page::Logout => body,
            _ => query.as_bytes(),
        };
        if parameters.len() > MAX_PARAMETERS {
            return Err(PageRefusal::Request);
        }
        Ok(Self {
            page,
            parameters: form_urlencoded::parse(parameters).into_owned().collect(),
            cookies: cookies(headers),
        })
    }

    /// A parameter that may be there once (RFC 6749 section 3.1).
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, PageRefusal> {
        let mut values = self.parameters.iter().filter(|(other, _)| other == name);
        match (values.next(), values.next()) {
            (found, None) => Ok(found.map(|(_, value)| value.as_str())),
            _ => Err(PageRefusal::Request),
        }
    }

    /// A cookie, if the browser has exactly one of that name: which of several is whose cannot be
    /// told.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let mut values = self.cookies.iter().filter(|(other, _)| other == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Goes on as if the browser did not have a cookie.
    pub(super) fn forget(&mut self, cookie: &str) {
        self.cookies.retain(|(name, _)| name != cookie);
    }
}

/// Which page it is. Only the page itself may be asked for without effect: what scans links does so.
fn page(path: &str, method: &str) -> Result<Page, PageRefusal> {
    let name = path.strip_prefix(PAGES).ok_or(PageRefusal::NotFound)?;
    let page = match (name, method) {
        ("client.json", "GET" | "HEAD") => return Ok(Page::Client),
        ("connect", "GET" | "HEAD") => return Ok(Page::Connect),
        ("connect", "POST") => return Ok(Page::Go),
        ("confirm", "GET" | "HEAD") => return Ok(Page::Confirm),
        ("confirm", "POST") => return Ok(Page::Answer),
        ("logout", "POST") => return Ok(Page::Logout),
        ("client.json" | "connect" | "confirm" | "logout", _) => return Err(PageRefusal::Method),
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

/// Whether a form comes from one of this filter's own pages.
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

/// Every cookie. HTTP/2 may send them in several headers (RFC 9113 section 8.2.3).
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
