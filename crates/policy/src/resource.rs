//! The server's URL, and other URLs that a policy publishes.

use url::Url;

use super::error::{Errors, PolicyError};
use oauth::client::web_url;

pub(super) fn parse_resource(resource: &str, errors: &mut Errors) -> Option<Url> {
    // The URL is compared and published as written. A URL parser removes or changes these characters.
    let odd = |each: char| each.is_whitespace() || each.is_control() || "\"\\".contains(each);
    let url = web_url(resource).and_then(|url| {
        if resource.contains(odd) {
            return Err("expected a URL without spaces, quotes and backslashes");
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if url.fragment().is_some() || url.query().is_some() || has_user {
            return Err("expected a URL without query, fragment and user (RFC 8707 section 2)");
        }
        Ok(url)
    });
    match url {
        Ok(url) => Some(url),
        Err(message) => {
            let message = format!("found `{resource}`, {message}");
            errors.push(PolicyError::new("resource", message));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_parser_drops_or_a_header_cannot_quote_is_refused() {
        for resource in [
            " https://a.example/mcp",
            "https://a.example/mcp\n",
            "https://a.example/m\tcp",
            "https://a.example/m cp",
            "https://a.example/\"mcp",
            "https://a.example\\mcp",
        ] {
            let mut errors = Errors::new();
            assert_eq!(parse_resource(resource, &mut errors), None, "{resource:?}");
            assert_eq!(errors.len(), 1);
        }
    }
}
