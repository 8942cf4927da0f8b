//! URLs of pages, servers and endpoints.

use url::Url;

/// Reads the URL of a page or server on the web.
///
/// # Errors
///
/// What was expected: an absolute URL with `https`, or with `http` on the local host.
pub fn web_url(text: &str) -> Result<Url, &'static str> {
    let Ok(url) = Url::parse(text) else {
        return Err("expected an absolute URL such as https://crm.example.com/mcp");
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("expected https (http is for localhost only)"),
    }
}

/// A URL's host, with its port if it has one: the `:authority` of a request.
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}
