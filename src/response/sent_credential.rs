//! The caller's credential at the resource, in the server's answer. A server that repeats it, such as a tool that
//! shows the headers of its request or an error page, would give it to the client and the model.

use std::collections::BTreeSet;

use memchr::memmem;

use super::{Answering, remove};
use crate::audit::Record;
use base::secret::Secret;
use mcp::headers::{HeaderEdit, Headers};

/// The minimum length of a secret that is searched, in bytes. Shorter ones may be a part of other words.
const MIN_SECRET_BYTES: usize = 8;
/// The reason in the record.
const REASON: &str = "credential";

/// The secrets that the server received with a request.
pub(crate) struct SentCredential {
    /// As they may be written in an answer.
    written: Vec<String>,
}

impl SentCredential {
    /// `None`: no secret is long enough.
    pub(crate) fn of<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Option<Self> {
        let long = secrets.filter(|secret| secret.reveal().len() >= MIN_SECRET_BYTES);
        let written: BTreeSet<String> = long
            .flat_map(|secret| written_forms(secret.reveal()))
            .collect();
        let written: Vec<String> = written.into_iter().collect();
        (!written.is_empty()).then_some(Self { written })
    }

    /// An answer with stars in place of the secrets, and the number of places. `None`: it has none of them. The
    /// length stays the same, and JSON stays JSON.
    pub(crate) fn hide(&self, answer: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut hidden: Option<Vec<u8>> = None;
        let mut places = 0_usize;
        for written in &self.written {
            for at in memmem::find_iter(answer, written.as_bytes()) {
                let out = hidden.get_or_insert_with(|| answer.to_vec());
                if let Some(place) = out.get_mut(at..at.saturating_add(written.len())) {
                    place.fill(filler(written));
                    places = places.saturating_add(1);
                }
            }
        }
        hidden.map(|hidden| (hidden, places))
    }

    fn is_in(&self, value: &[u8]) -> bool {
        let mut written = self.written.iter();
        written.any(|written| memmem::find(value, written.as_bytes()).is_some())
    }
}

/// What stands in place of a secret. One of digits may be a number in JSON, which has no stars.
fn filler(written: &str) -> u8 {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    match written.bytes().all(is_of_number) {
        true => b'1',
        false => b'*',
    }
}

/// A secret as it is, and in JSON as known libraries write it.
fn written_forms(secret: &str) -> [String; 5] {
    // What all libraries escape. A secret of a header has no control characters.
    let json = secret.replace('\\', "\\\\").replace('"', "\\\"");
    let php = json.replace('/', "\\/");
    let escaped = |text: &str, names: &[char]| {
        let mut out = String::with_capacity(text.len());
        for character in text.chars() {
            match names.contains(&character) {
                true => out.push_str(&format!("\\u{:04x}", u32::from(character))),
                false => out.push(character),
            }
        }
        out
    };
    let go = escaped(&json, &['<', '>', '&']);
    // .NET writes hexadecimal digits in upper case.
    let net = escaped(secret, &['"', '&', '\'', '+', '<', '>', '`']);
    let net = net.replace("\\u002b", "\\u002B");
    let net = net
        .replace("\\u003c", "\\u003C")
        .replace("\\u003e", "\\u003E");
    [secret.to_owned(), json, php, go, net]
}

/// Without the secrets.
impl std::fmt::Debug for SentCredential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SentCredential")
    }
}

impl Answering {
    /// The message, changed or not, without the credential that the server received.
    pub(super) fn without_credential(
        &self,
        (message, changed): (&[u8], Option<Vec<u8>>),
        record: &mut Record,
    ) -> Option<Vec<u8>> {
        let sent = self.sent.as_ref();
        let hidden = sent.and_then(|sent| sent.hide(changed.as_deref().unwrap_or(message)));
        let Some((hidden, places)) = hidden else {
            return changed;
        };
        record.withhold(REASON, places);
        Some(hidden)
    }

    /// Removes the headers of an answer that repeat the credential.
    pub(super) fn headers_with_credential(
        &self,
        headers: &Headers,
        record: &mut Record,
    ) -> Vec<HeaderEdit> {
        let Some(sent) = &self.sent else {
            return Vec::new();
        };
        let repeating = headers.iter().filter(|(_, value)| sent.is_in(value));
        let names: BTreeSet<&str> = repeating.map(|(name, _)| name).collect();
        if !names.is_empty() {
            record.withhold(REASON, names.len());
        }
        names.into_iter().map(remove).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(secrets: &[&str]) -> Option<SentCredential> {
        let secrets = secrets
            .iter()
            .map(|secret| Secret::new((*secret).to_owned()));
        let secrets: Vec<Secret> = secrets.collect();
        SentCredential::of(secrets.iter())
    }

    fn hidden(secret: &str, answer: &str) -> Option<String> {
        let (hidden, _) = sent(&[secret])?.hide(answer.as_bytes())?;
        assert_eq!(hidden.len(), answer.len());
        Some(String::from_utf8(hidden).unwrap())
    }

    #[test]
    fn a17_each_known_way_to_write_a_secret_is_hidden() {
        for (secret, answer) in [
            ("abc-def_gh.i", r#"{"text":"Bearer <>"}"#),
            ("abc-def_gh.i", "token <> has ended"),
            ("ab+cd/ef==", r#"{"text":"<>"}"#),
            (r#"a"b\cdefgh"#, "<>"),
        ] {
            for written in written_forms(secret) {
                let answer = answer.replace("<>", &written);
                let expected = answer.replace(&written, &"*".repeat(written.len()));
                assert_eq!(hidden(secret, &answer), Some(expected), "{answer}");
            }
        }
        // What libraries write.
        for (secret, written) in [
            ("ab+cd/ef==", r"ab+cd/ef=="),
            ("ab+cd/ef==", r"ab+cd\/ef=="),
            ("ab+cd/ef==", r"ab\u002Bcd/ef=="),
            ("abcdef&<gh", r"abcdef\u0026\u003cgh"),
            ("abcdef&<gh", r"abcdef\u0026\u003Cgh"),
            (r#"abcde"fgh\"#, r#"abcde\"fgh\\"#),
        ] {
            let stars = "*".repeat(written.len());
            assert_eq!(hidden(secret, written), Some(stars), "{written}");
        }
    }

    #[test]
    fn what_is_not_the_secret_stays() {
        for answer in ["", "{}", "abc-def_gh.", "abc-def_gh,i", "ABC-DEF_GH.I"] {
            assert_eq!(hidden("abc-def_gh.i", answer), None, "{answer}");
        }
        // A short password may be a word of each answer.
        assert!(sent(&["secret1", ""]).is_none());
        let both = sent(&["secret-1", "secret-2"]).unwrap();
        let (hidden, places) = both.hide(b"secret-2 secret-1 secret-2 secret-3").unwrap();
        assert_eq!(hidden, b"******** ******** ******** secret-3");
        assert_eq!(places, 3);
    }

    #[test]
    fn a_message_stays_json() {
        for secret in [r#"a"b\c"d\e"#, "a/b+c<d>e&f'g`h"] {
            let answer = serde_json::json!({"a": secret, "b": [secret, format!("x {secret} y")]});
            let hidden = hidden(secret, &answer.to_string()).unwrap();
            let read: serde_json::Value = serde_json::from_str(&hidden).unwrap();
            assert_eq!(
                read["b"][1]
                    .as_str()
                    .unwrap()
                    .trim_matches(['x', ' ', 'y', '*']),
                ""
            );
        }
    }

    #[test]
    fn a_number_stays_a_number() {
        let answer = r#"{"id":12345678,"text":"12345678","other":-12345678.5}"#;
        let hidden = hidden("12345678", answer).unwrap();
        let read: serde_json::Value = serde_json::from_str(&hidden).unwrap();
        assert_eq!(read["id"], 11_111_111);
        assert_eq!(read["text"], "11111111");
    }

    #[test]
    fn b45_the_secrets_are_not_printed() {
        assert_eq!(
            format!("{:?}", sent(&["secret-1"]).unwrap()),
            "SentCredential"
        );
    }
}
