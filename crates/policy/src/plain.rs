//! Texts with one meaning for all readers: URIs, and texts that are read as paths.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// Whether a URI has one meaning for all readers. It has no dot segments, plain or encoded, no encoded
/// separators, no characters that a parser drops or changes, no capitals in the scheme and no empty steps.
/// Where URLs have a host, the host has its normal form.
pub fn is_plain_uri(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let shouts = scheme.bytes().any(|byte| byte.is_ascii_uppercase());
    let odd =
        |character: char| character.is_control() || character.is_whitespace() || character == '\\';
    let empty_step = match uri.split_once("://") {
        Some((_, rest)) => rest.trim_start_matches('/').contains("//") || rest.starts_with("//"),
        None => uri.contains("//"),
    };
    let plain = !shouts && !empty_step && !uri.contains(odd) && !has_hidden_step(uri);
    plain && !hides_plain_letters(uri) && has_plain_host(scheme, uri)
}

/// Whether a text that may be a path or a URI has one meaning for all readers.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(letter)
    };
    match text.split_once("://") {
        Some((scheme, _)) if is_scheme(scheme) => is_plain_uri(text),
        _ => !text.contains('\0') && !has_hidden_step(text),
    }
}

/// Encodings that some readers decode before they split a path, and others after it: of dots, separators,
/// the percent sign and NUL, their overlong forms in UTF-8, and `%uXXXX`.
const HIDING: &[&str] = &[
    "%2e", "%2f", "%5c", "%25", "%00", "%c0", "%c1", "%e0%8", "%e0%9", "%f0%8", "%u", "%%",
];

/// Whether a path has a step that some readers read as `..`, or an encoded step.
fn has_hidden_step(text: &str) -> bool {
    if !text.contains(['.', '%']) && text.is_ascii() {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    if HIDING.iter().any(|code| lower.contains(code)) {
        return true;
    }
    // Readers that normalize Unicode read a full-width dot as a dot.
    let normal: Cow<'_, str> = match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfkc().collect()),
    };
    let decoded = percent_decode_str(&normal).decode_utf8_lossy();
    has_dot_segment(&normal) || has_dot_segment(&decoded)
}

/// Whether a step consists of dots. Parameters after `;` are ignored, and so is space, which some readers
/// strip.
fn has_dot_segment(path: &str) -> bool {
    const SEPARATORS: [char; 6] = ['/', '\\', '?', '#', '\u{2044}', '\u{2215}'];
    path.split(SEPARATORS).any(|segment| {
        let name = segment.split(';').next().unwrap_or_default();
        let is_blank = |character: char| {
            character.is_whitespace()
                || character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
        };
        let name = name.trim_matches(is_blank);
        !name.is_empty() && name.bytes().all(|byte| byte == b'.')
    })
}

/// Whether a URL of a scheme that readers normalize has the normal form of its host: readers read
/// `https:a`, `https://A:443` and `https://u@a` as `https://a` (URL Standard, section 4.4).
fn has_plain_host(scheme: &str, uri: &str) -> bool {
    if !["file", "ftp", "http", "https", "ws", "wss"].contains(&scheme) {
        return true;
    }
    let Some((_, rest)) = uri.split_once("://") else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    if scheme == "file" {
        return authority.is_empty() && rest.starts_with('/');
    }
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let normal = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    !host.is_empty() && !host.ends_with('.') && authority == normal
}

/// Whether a character is encoded that needs no encoding (RFC 3986 section 2.3), as `%73` for `s`, or a `%`
/// encodes nothing. Readers that normalize see another URI than other readers.
fn hides_plain_letters(uri: &str) -> bool {
    uri.split('%').skip(1).any(|behind| {
        let digits = behind
            .get(..2)
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b08_a_host_is_written_in_one_way() {
        for plain in [
            "https://secret.example.com/x",
            "https://secret.example.com",
            "https://secret.example.com:8443/x",
            "https://[::1]/x",
            "file:///srv/private/x",
            "crm://Acme/customers/1",
            "crm:customers",
            "urn:isbn:1",
        ] {
            assert!(is_plain_uri(plain), "{plain}");
        }
        for odd in [
            "https://SECRET.example.com/x",
            "https://secret.example.com:443/x",
            "https://secret.example.com:/x",
            "https://u@secret.example.com/x",
            "https:secret.example.com/x",
            "https:/secret.example.com/x",
            "https:///secret.example.com/x",
            "https://secret.example.com./x",
            "https://\u{ff46}iles.example.com/x",
            "https://0x7f.1/x",
            "https://secret.example.com//x",
            "file:/srv/private/x",
            "file:///srv//private/x",
            "file://localhost/srv/private/x",
            "file:////srv/private/x",
            "file:srv/private/x",
            "crm://acme//customers",
        ] {
            assert!(!is_plain_uri(odd), "{odd}");
        }
    }

    #[test]
    fn b28_uris_that_could_mean_something_else_are_not_plain() {
        assert!(is_plain_uri("crm://acme/customers/1?x=a.b"));
        assert!(is_plain_uri("crm://acme/caf%C3%A9%20x"));
        for uri in [
            "crm://acme/../globex",
            "crm://acme/./x",
            "crm://acme/%2e%2E/globex",
            "crm://acme/..",
            "crm://acme%2fglobex",
            "crm:\\acme",
            "crm://acme/a\tb",
            "crm://a/%252e",
            "crm://acme/%73ecret",
            "crm://acme/100%",
            "crm://acme/%u0041",
            "..",
        ] {
            assert!(!is_plain_uri(uri), "{uri}");
        }
    }

    #[test]
    fn s6_steps_up_are_found_in_every_spelling() {
        for text in [
            "acme/../globex/x",
            "acme/..",
            "../globex",
            "..",
            ".",
            "acme/./x",
            "acme\\..\\globex",
            "acme/..\\globex",
            "acme/..;x=1/globex",
            "acme/.. /globex",
            "acme/..\t/globex",
            "acme/..\n/globex",
            "acme/..\0/globex",
            "acme/..\u{200b}/globex",
            "acme/..%20/globex",
            "acme/..%00/globex",
            "acme/%2e%2e/globex",
            "acme/.%2E/globex",
            "acme%2f..%2fglobex",
            "acme%5C..",
            "acme/%252e%252e/globex",
            "acme/%%32%65",
            "acme/%u002e%u002e/globex",
            "acme/%c0%ae%c0%ae/globex",
            "acme/..%c0%afglobex",
            "acme/%e0%80%ae./globex",
            "acme/....//globex",
            "acme/.../globex",
            "acme/\u{ff0e}\u{ff0e}/globex",
            "acme/\u{2025}/globex",
            "acme\u{ff0f}..\u{ff0f}globex",
            "acme/\u{2024}\u{2024}/globex",
            "acme\u{2215}..\u{2215}globex",
            "acme?/../globex",
            "crm://acme/../globex",
            "s3://acme//globex",
            "https://acme.example.com\\@globex.example.com",
        ] {
            assert!(!is_plain_text(text), "{text:?}");
        }
    }

    #[test]
    fn other_texts_are_plain() {
        for text in [
            "",
            "acct-acme-7",
            "acct:acme:7",
            "note/user-anna/1",
            "acme/reports/2026.11.pdf",
            "acme/.hidden/file",
            "acme/a..b/c...d",
            "acme/100%/x",
            "acme/caf%C3%A9",
            "acme/caf\u{e9}",
            "acme: see reports, then ... and so on.",
            "acme and/or globex...",
            "acme\\reports\\1.txt",
            "acme/x y/z",
            "acct-acme-1 acct-acme-2\nacct-acme-3",
            "https://acme.example.com/x?y=1.5",
            "acme/v1.2/x",
        ] {
            assert!(is_plain_text(text), "{text:?}");
        }
    }
}
