//! Detectors: values that are recognised by their form, anywhere in a text.

mod secrets;

use std::ops::Range;

use memchr::memchr_iter;

use policy::Detector;

/// The values of these kinds in a text, as byte ranges. They may overlap.
pub(in crate::response) fn find(detectors: &[Detector], text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan::new(text);
    for detector in detectors {
        match detector {
            Detector::Card => scan.cards(),
            Detector::Email => scan.emails(),
            Detector::Secret => scan.secrets(),
        }
    }
    scan.found
}

/// Whether a number is one of these values.
pub(super) fn is_hidden_number(detectors: &[Detector], number: &str) -> bool {
    detectors.contains(&Detector::Card) && !find(&[Detector::Card], number).is_empty()
}

/// A search through one text. Attackers can craft texts. So no search reads a part of the text twice for
/// one kind: the work is linear in the text.
struct Scan<'t> {
    text: &'t str,
    found: Vec<Range<usize>>,
    /// The number of bytes read, for the tests of the cost.
    work: usize,
}

/// A set of bytes.
type Class = fn(u8) -> bool;

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
            work: 0,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The end of the bytes of a class at this place.
    fn run(&mut self, from: usize, class: Class) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| !class(*byte));
        let length = length.unwrap_or(rest.len());
        self.work = self.work.saturating_add(length).saturating_add(1);
        from.saturating_add(length)
    }

    /// The start of the bytes of a class before this place.
    fn run_before(&mut self, to: usize, class: Class) -> usize {
        let before = self.text.as_bytes().get(..to).unwrap_or_default();
        let length = before.iter().rev().position(|byte| !class(*byte));
        let length = length.unwrap_or(before.len());
        self.work = self.work.saturating_add(length).saturating_add(1);
        to.saturating_sub(length)
    }

    /// E-mail addresses. Neither part of an address has an `@`, so two of them share no byte.
    fn emails(&mut self) {
        let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte);
        for at in memchr_iter(b'@', self.text.as_bytes()) {
            let start = self.run_before(at, is_local);
            let end = self.domain(at.saturating_add(1));
            if let (true, Some(end)) = (start < at, end) {
                self.found.push(start..end);
            }
        }
    }

    /// The end of a domain with at least one dot.
    fn domain(&mut self, from: usize) -> Option<usize> {
        let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let mut end = None;
        let mut label = from;
        loop {
            let label_end = self.run(label, is_label);
            if label_end == label {
                return end;
            }
            end = (label > from).then_some(label_end);
            if self.byte(label_end) != Some(b'.') {
                return end;
            }
            label = label_end.saturating_add(1);
        }
    }

    /// Card numbers: 13 to 19 digits, with at most one separator between two of them.
    fn cards(&mut self) {
        let mut run: Vec<usize> = Vec::new();
        for (at, byte) in self.text.bytes().enumerate() {
            self.work = self.work.saturating_add(1);
            let is_digit = byte.is_ascii_digit();
            let last = run.last().map_or(at, |last| last.saturating_add(1));
            let goes_on = is_digit && at.saturating_sub(last) <= 1;
            if is_digit && goes_on {
                run.push(at);
            } else if is_digit || !b" -.".contains(&byte) {
                self.cards_in(&run);
                run.clear();
                if is_digit {
                    run.push(at);
                }
            }
        }
        self.cards_in(&run);
    }

    /// Card numbers in a run of digits. Digits next to a number may look like the start of another one. So
    /// all candidates are found, and overlapping ones count as a whole.
    fn cards_in(&mut self, digits: &[usize]) {
        let mut found: Vec<Range<usize>> = Vec::new();
        let candidates = (0..digits.len()).flat_map(|from| {
            let lengths = MIN_CARD..=MAX_CARD;
            lengths.filter_map(move |length| digits.get(from..from.checked_add(length)?))
        });
        for card in candidates {
            let (Some(first), Some(last)) = (card.first(), card.last()) else {
                continue;
            };
            let span = *first..last.saturating_add(1);
            let digit = |at: Option<usize>| {
                let byte = at.and_then(|at| self.byte(at));
                byte.is_some_and(|byte| byte.is_ascii_digit())
            };
            let is_part = digit(span.start.checked_sub(1)) || digit(Some(span.end));
            if is_part {
                continue;
            }
            self.work = self.work.saturating_add(span.len());
            if !self.text.get(span.clone()).is_some_and(is_card) {
                continue;
            }
            match found.last_mut().filter(|before| before.end > span.start) {
                Some(before) => before.end = before.end.max(span.end),
                None => found.push(span),
            }
        }
        self.found.append(&mut found);
    }
}

const MIN_CARD: usize = 13;
const MAX_CARD: usize = 19;

/// The checksum of payment card numbers (ISO/IEC 7812-1, Luhn).
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .collect();
    let weighted = digits.iter().rev().enumerate().map(|(index, digit)| {
        let doubled = digit.saturating_mul(2);
        match (index % 2, doubled) {
            (0, _) => *digit,
            (_, 10..) => doubled.saturating_sub(9),
            _ => doubled,
        }
    });
    let sum = weighted.fold(0_u32, u32::saturating_add);
    sum % 10 == 0 && digits.iter().any(|digit| *digit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Detector] = &[Detector::Email, Detector::Card, Detector::Secret];

    fn found(text: &str) -> Vec<&str> {
        find(ALL, text)
            .into_iter()
            .filter_map(|range| text.get(range))
            .collect()
    }

    #[test]
    fn values_are_found_by_their_form() {
        assert!(found("4111111111111111 12/28")[0].starts_with("4111111111111111"));
        let beside = "on 2026-11-22 4111111111111111";
        assert!(
            found(beside)
                .iter()
                .any(|card| card.ends_with("4111111111111111"))
        );
        assert_eq!(found("write to dana@acme.example."), ["dana@acme.example"]);
        assert_eq!(found("é o'neil+x@a-b.co.uk é"), ["o'neil+x@a-b.co.uk"]);
        assert_eq!(
            found("card 4111 1111 1111 1111, ok"),
            ["4111 1111 1111 1111"]
        );
        assert_eq!(found("5500-0000-0000-0004"), ["5500-0000-0000-0004"]);
        assert_eq!(
            found("use sk_live_abcdefghijkl now"),
            ["sk_live_abcdefghijkl"]
        );
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
        assert_eq!(found(jwt), [jwt]);
        let key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("x {key} y")), [key]);
        for text in [
            "4111 1111 1111 1112",
            "order 1234567890123456",
            "0000000000000000",
            "@home, a@b",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn s14_secrets_of_every_service_are_found() {
        let tail = "a1B2c3D4e5".repeat(4);
        for start in [
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xoxb-",
            "xoxp-",
            "sk_live_",
            "rk-test-",
            "sk-proj-",
            "sk-ant-",
            "AIza",
            "npm_",
            "pypi-",
        ] {
            let secret = format!("{start}{tail}");
            assert_eq!(found(&format!("key={secret};")), [&secret]);
            assert!(found(&format!("{start}x")).is_empty(), "{start}");
        }
        for start in ["AKIA", "ASIA"] {
            let secret = format!("{start}ABCDEFGHIJKLMNO1");
            assert_eq!(found(&format!("x{secret}Y")), [&secret]);
        }
        for label in ["", "OPENSSH ", "EC ", "ENCRYPTED "] {
            let key = format!(
                "-----BEGIN {label}PRIVATE KEY-----\nA-b\n-----END {label}PRIVATE KEY-----"
            );
            assert_eq!(found(&format!("x {key} y")), [&key]);
        }
        let pgp = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc\n";
        assert_eq!(found(pgp), [pgp]);
    }

    #[test]
    fn s14_a_secret_inside_what_is_no_secret_is_found() {
        let key = "AKIAABCDEFGHIJKLMNO1";
        assert_eq!(found(&format!("eyJ{key}{key}")), [key, key]);
        assert_eq!(found(&format!("-----BEGIN {key} x")), [key]);
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.sig";
        assert_eq!(found(&format!("eyJ.{jwt}")), [jwt]);
    }

    /// Texts in which many values start and few end.
    fn hostile() -> Vec<String> {
        let parts = [
            "eyJAKIA",
            "eyJAKIAABCDEFGHIJKLMNO1",
            "eyJ",
            "eyJeyJeyJ.",
            "eyJaaaaaaaa.",
            "eyJaaaaaaaa.bbbb",
            "-----BEGIN ",
            "-----BEGIN AKIAABCDEFGHIJKLMNO1 ",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----a-",
            "ghp_",
            "ghp_aaaaaaaaaaaaaaaaaaaa",
            "github_pat_",
            "sk-ant-",
            "xoxb-",
            "AIza",
            "npm_",
            "AKIA",
            "a@",
            "a@b",
            "a@b.",
            "@",
            "a.a@a-a",
            "4",
            "41",
            "4 1",
            "4111 1111 1111 1111 ",
            "4111-",
            "0",
            "é",
        ];
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn s14_the_work_grows_with_the_text_only() {
        // Each byte is read a few times for each kind, a digit once for each length of a card number.
        const MOST_PER_BYTE: usize = 400;
        for part in hostile() {
            for before in ["", "eyJ", "-----BEGIN ", "a@"] {
                let work = |size: usize| {
                    let text = format!("{before}{}", part.repeat(size / part.len()));
                    let mut scan = Scan::new(&text);
                    scan.emails();
                    scan.cards();
                    scan.secrets();
                    scan.work
                };
                let [one, two, four, eight] = [1, 2, 4, 8].map(|times| work(times * 4_000));
                assert!(one <= 4_000 * MOST_PER_BYTE, "{before}{part}: {one}");
                for (less, more) in [(one, two), (two, four), (four, eight)] {
                    assert!(
                        more <= less * 2 + less / 8 + 1_000,
                        "{before}{part}: {less} {more}"
                    );
                }
            }
        }
    }
}
