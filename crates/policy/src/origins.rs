//! The web pages and applications that may call: values of the `Origin` header (RFC 6454 section 7).

use super::error::{Errors, PolicyError};
use url::Url;

/// Accepts all hosts of a scheme.
const ANY_HOST: &str = "*";
/// Schemes that do not belong to one application. Their origins must name one host, or none.
const WEB_SCHEMES: &[&str] = &[
    "http",
    "https",
    "ws",
    "wss",
    "ftp",
    "file",
    "data",
    "blob",
    "about",
    "javascript",
];

/// Origins that may call.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Checks the origins of a policy. `resource`: the server's own origin.
    pub(super) fn compile(
        written: &[String],
        resource: Option<String>,
        errors: &mut Errors,
    ) -> Self {
        for (index, origin) in written.iter().enumerate() {
            if !is_web_origin(origin) && !is_application_origin(origin) {
                let message = format!(
                    "found `{origin}`, expected an origin such as https://app.example.com, \
                     chrome-extension://ID or vscode-webview://*"
                );
                errors.push(PolicyError::new(format!("origins[{index}]"), message));
            }
        }
        Self(written.iter().cloned().chain(resource).collect())
    }

    /// Whether pages of this origin may call.
    pub fn allows(&self, origin: &str) -> bool {
        self.0.iter().any(|known| match application(known) {
            Some((scheme, ANY_HOST)) => {
                application(origin).is_some_and(|(found, host)| found == scheme && is_host(host))
            }
            _ => known == origin,
        })
    }
}

/// Whether it has the form in which browsers write the origin of a web page.
fn is_web_origin(text: &str) -> bool {
    if text.contains(ANY_HOST) {
        return false;
    }
    let origin = Url::parse(text).map(|url| url.origin());
    origin.is_ok_and(|origin| origin.is_tuple() && origin.ascii_serialization() == text)
}

/// Whether it is the origin of an extension or application, or of all of one scheme.
fn is_application_origin(text: &str) -> bool {
    application(text).is_some_and(|(_, host)| host == ANY_HOST || is_host(host))
}

/// The scheme and host of the origin of an extension or application.
fn application(origin: &str) -> Option<(&str, &str)> {
    let (scheme, host) = origin.split_once("://")?;
    let is_letter = |byte: u8| byte.is_ascii_lowercase();
    let is_plain = |byte: u8| is_letter(byte) || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let is_scheme = scheme.bytes().next().is_some_and(is_letter) && scheme.bytes().all(is_plain);
    (is_scheme && !WEB_SCHEMES.contains(&scheme)).then_some((scheme, host))
}

/// Whether it is exactly one host, with or without a port.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(written: &[&str]) -> (Origins, usize) {
        let written: Vec<String> = written.iter().map(|&origin| origin.to_owned()).collect();
        let mut errors = Errors::default();
        let origins = Origins::compile(&written, None, &mut errors);
        let count = errors.len();
        (origins, count)
    }

    #[test]
    fn pages_extensions_and_applications_can_be_named() {
        for origin in [
            "https://app.example.com",
            "http://localhost:6274",
            "http://[::1]:6274",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://7f1c7a0e-1111-2222-3333-444455556666",
            "vscode-webview://1a2b",
            "vscode-webview://*",
            "app://obsidian.md",
            "tauri://localhost",
            "capacitor://localhost:8080",
        ] {
            assert_eq!(origins(&[origin]).1, 0, "{origin}");
        }
        for wrong in [
            "*",
            "null",
            "https://*",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "HTTPS://a.example",
            "https://user@a.example",
            "file://*",
            "file:///tmp",
            "data://*",
            "chrome-extension://",
            "chrome-extension://id/",
            "chrome-extension://id/page.html",
            "chrome-extension://*.id",
            "Chrome-Extension://id",
            "*://id",
            "vscode-webview://*,https://evil.example",
            "app://a b",
            "app://a\r\nb",
        ] {
            assert_eq!(origins(&[wrong]).1, 1, "{wrong}");
        }
    }

    #[test]
    fn only_named_origins_may_call() {
        let (known, _) = origins(&[
            "vscode-webview://*",
            "chrome-extension://id",
            "https://a.example",
        ]);
        for origin in [
            "vscode-webview://0b1c",
            "chrome-extension://id",
            "https://a.example",
        ] {
            assert!(known.allows(origin), "{origin}");
        }
        for other in [
            "",
            "null",
            "*",
            "vscode-webview://",
            "vscode-webview://a/b",
            "vscode-webview://a, https://evil.example",
            "vscode-webview:a",
            "VSCODE-WEBVIEW://a",
            "vscode-webview2://a",
            "chrome-extension://id2",
            "chrome-extension://ID",
            "https://a.example:443",
            "https://a.example.evil.example",
        ] {
            assert!(!known.allows(other), "{other}");
        }
    }
}
