//! The URL of a proof.

use std::fmt::Write;

use url::Url;

/// A URL in the form in which `htu` is compared (RFC 9449 section 4.3): without query and fragment,
/// normalized by RFC 3986 sections 6.2.2 and 6.2.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofUrl(String);

impl ProofUrl {
    /// Reads a URL. `None` unless it is an absolute http or https URL without user information, in printable
    /// ASCII without backslashes.
    pub fn of(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        let url = Url::parse(text).ok().filter(|_| text.bytes().all(plain))?;
        let is_http = matches!(url.scheme(), "http" | "https");
        if !is_http || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        // `Url` has lower-cased scheme and host and resolved dot segments.
        let mut normal = format!(
            "{}://{}:{}",
            url.scheme(),
            url.host_str()?,
            url.port_or_known_default()?
        );
        push_path(&mut normal, url.path());
        Some(Self(normal))
    }
}

/// Writes a path. Decodes unreserved characters and upper-cases the digits of other percent-encodings.
fn push_path(normal: &mut String, path: &str) {
    let mut parts = path.split('%');
    normal.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let encoded = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (encoded, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    normal.push(char::from(byte));
                } else {
                    // Writing to a String does not fail.
                    let _ = write!(normal, "%{byte:02X}");
                }
                normal.push_str(rest);
            }
            _ => {
                normal.push('%');
                normal.push_str(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_equal() {
        for same in [
            "https://crm.example.com/mcp",
            "HTTPS://CRM.Example.COM/mcp",
            "https://crm.example.com:443/mcp",
            "https://crm.example.com/mcp?a=b",
            "https://crm.example.com/mcp#part",
            "https://crm.example.com/x/../mcp",
            "https://crm.example.com/./mcp",
            "https://crm.example.com/%6Dcp",
            "https://crm.example.com/m%63p?x#y",
        ] {
            let expected = ProofUrl("https://crm.example.com:443/mcp".into());
            assert_eq!(ProofUrl::of(same), Some(expected), "{same}");
        }
        let root = ProofUrl::of("https://crm.example.com/");
        assert_eq!(ProofUrl::of("https://crm.example.com"), root);
        let reserved = ProofUrl::of("https://crm.example.com/a%2Fb");
        assert_eq!(ProofUrl::of("https://crm.example.com/a%2fb"), reserved);
        assert_ne!(ProofUrl::of("https://crm.example.com/a/b"), reserved);
    }

    #[test]
    fn other_urls_are_not_equal() {
        let own = ProofUrl::of("https://crm.example.com/mcp").unwrap();
        for other in [
            "http://crm.example.com/mcp",
            "https://crm.example.com:8443/mcp",
            "https://crm.example.com/mcp/",
            "https://crm.example.com/MCP",
            "https://crm.example.com/",
            "https://crm.example.com.evil.example/mcp",
            "https://evil.example/mcp",
            "https://crm.example.com/mcp%2F",
            "https://crm.example.com/mcp%",
            "https://crm.example.com//mcp",
        ] {
            let found = ProofUrl::of(other);
            assert!(found.is_some_and(|found| found != own), "{other}");
        }
    }

    #[test]
    fn relative_and_unusual_urls_are_refused() {
        for odd in [
            "",
            "mcp",
            "/mcp",
            "//crm.example.com/mcp",
            "https:",
            "https://user@crm.example.com/mcp",
            "https://user:password@crm.example.com/mcp",
            "https:\\\\crm.example.com\\mcp",
            " https://crm.example.com/mcp",
            "https://crm.example.com/mcp\n",
            "https://crm.example.com/m\tcp",
            "https://crm.example.com/m cp",
            "https://crm.example.com/\u{ff4d}cp",
            "ftp://crm.example.com/mcp",
            "data:text/plain,x",
        ] {
            assert_eq!(ProofUrl::of(odd), None, "{odd}");
        }
    }
}
