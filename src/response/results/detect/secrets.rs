//! Tokens and keys: JWTs, private keys, and the keys of well-known services.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{Class, Scan};

/// The part of a secret after its prefix.
#[derive(Clone, Copy)]
enum SecretForm {
    /// At least this number of bytes of a class. All of them belong to it.
    AtLeast(usize, Class),
    /// Exactly this number of bytes of a class.
    Exactly(usize, Class),
    /// The first part of a JWS or JWE. Other parts follow after dots.
    Jwt,
    /// The label of a private key, and the key (RFC 7468).
    PrivateKey,
}

use self::SecretForm::{AtLeast, Exactly, Jwt, PrivateKey};

/// The prefixes of secrets, and what follows. Each prefix has one form.
const SECRETS: &[(&[&str], SecretForm)] = &[
    (&["eyJ"], Jwt),
    (&["-----BEGIN "], PrivateKey),
    // AWS
    (&["AKIA", "ASIA"], Exactly(16, is_upper)),
    // GitHub
    (
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        AtLeast(20, is_alphanumeric),
    ),
    (&["github_pat_"], AtLeast(20, is_word)),
    // GitLab
    (&["glpat-"], AtLeast(16, is_base64url)),
    // Slack
    (
        &["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-"],
        AtLeast(10, is_dashed),
    ),
    // Stripe, OpenAI, Anthropic and others
    (
        &[
            "sk_live_", "sk_test_", "sk_proj_", "sk_ant_", "rk_live_", "rk_test_", "sk-live-",
            "sk-test-", "sk-proj-", "sk-ant-", "rk-live-", "rk-test-", "sk_live-", "sk_test-",
            "sk_proj-", "sk_ant-", "rk_live-", "rk_test-", "sk-live_", "sk-test_", "sk-proj_",
            "sk-ant_", "rk-live_", "rk-test_", "rk_proj_", "rk_ant_", "rk-proj-", "rk-ant-",
            "rk_proj-", "rk_ant-", "rk-proj_", "rk-ant_",
        ],
        AtLeast(10, is_base64url),
    ),
    // Google
    (&["AIza"], AtLeast(30, is_base64url)),
    // npm, PyPI
    (&["npm_"], AtLeast(30, is_alphanumeric)),
    (&["pypi-"], AtLeast(30, is_base64url)),
];

/// Finds all prefixes at once. An automaton that did not compile would find nothing; a test rules that out.
static STARTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let starts = SECRETS.iter().flat_map(|(starts, _)| *starts);
    AhoCorasick::new(starts).ok()
});

/// The forms, by the index of their prefix.
static FORMS: LazyLock<Vec<SecretForm>> = LazyLock::new(|| {
    let forms = SECRETS.iter();
    let forms = forms.flat_map(|(starts, form)| starts.iter().map(|_| *form));
    forms.collect()
});

const MIN_JWT_HEADER: usize = 8;
const MIN_JWT_PAYLOAD: usize = 4;
const DASHES: &str = "-----";

impl Scan<'_> {
    /// Tokens and keys.
    pub(super) fn secrets(&mut self) {
        let Some(starts) = &*STARTS else {
            return;
        };
        let mut jwts = Jwts::default();
        // The end of the last secret of each prefix: no other one of this prefix starts inside it.
        let mut done = vec![0; FORMS.len()];
        self.work = self.work.saturating_add(self.text.len());
        for start in starts.find_overlapping_iter(self.text) {
            let number = start.pattern().as_usize();
            let (Some(form), Some(done)) = (FORMS.get(number), done.get_mut(number)) else {
                continue;
            };
            if start.start() < *done {
                continue;
            }
            let end = match *form {
                AtLeast(least, class) => self.at_least(start.end(), least, class),
                Exactly(count, class) => self.exactly(start.end(), count, class),
                Jwt => jwts.end(self, start.end()),
                PrivateKey => self.private_key(start.end()),
            };
            if let Some(end) = end {
                *done = end;
                self.found.push(start.start()..end);
            }
        }
    }

    fn at_least(&mut self, from: usize, least: usize, class: Class) -> Option<usize> {
        let end = self.run(from, class);
        (end.saturating_sub(from) >= least).then_some(end)
    }

    fn exactly(&mut self, from: usize, count: usize, class: Class) -> Option<usize> {
        let end = from.checked_add(count)?;
        self.work = self.work.saturating_add(count);
        let bytes = self.text.as_bytes().get(from..end)?;
        bytes.iter().all(|byte| class(*byte)).then_some(end)
    }

    /// The end of the private key whose label starts here. Without an end it is the rest of the text.
    fn private_key(&mut self, from: usize) -> Option<usize> {
        let label_end = self.run(from, is_label);
        let label = self.text.get(from..label_end)?;
        let is_key = label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK");
        let body = label_end.checked_add(DASHES.len())?;
        if !is_key || self.text.get(label_end..body) != Some(DASHES) {
            return None;
        }
        let rest = self.text.get(body..)?;
        let length = rest.find("--").unwrap_or(rest.len());
        self.work = self.work.saturating_add(length);
        let end = body.saturating_add(length);
        let closing = format!("-----END {label}{DASHES}");
        let is_closed = self.text.get(end..)?.starts_with(&closing);
        let closing = if is_closed { closing.len() } else { 0 };
        Some(end.saturating_add(closing))
    }
}

/// The first parts of JWTs, which may start anywhere in one run of bytes.
#[derive(Default)]
struct Jwts {
    /// The end of the last first part.
    header_end: usize,
}

impl Jwts {
    fn end(&mut self, scan: &mut Scan<'_>, from: usize) -> Option<usize> {
        if from > self.header_end {
            self.header_end = scan.run(from, is_base64url);
        }
        let dot = self.header_end;
        let is_long = dot.saturating_sub(from) >= MIN_JWT_HEADER;
        if !is_long || scan.byte(dot) != Some(b'.') {
            return None;
        }
        let end = scan.at_least(dot.saturating_add(1), MIN_JWT_PAYLOAD, is_base64url)?;
        if scan.byte(end) != Some(b'.') {
            return Some(end);
        }
        Some(scan.run(end.saturating_add(1), is_base64url))
    }
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_dashed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_base64url(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn is_label(byte: u8) -> bool {
    is_upper(byte) || byte == b' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starts_compile() {
        assert!(STARTS.is_some());
    }
}
