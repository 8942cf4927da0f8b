//! Values recognised by their form, wherever they stand in a text.

use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

use policy::Detector;

// None of them can take more than linear time; one that did not compile would find nothing, which a
// test rules out.
static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9._%+\-']+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)+").ok());
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        // JWTs, and what is signed like one
        r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^-]|-[^-])*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
        // AWS, GitHub, GitLab, Slack, Stripe and others, Google, npm, PyPI
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}",
        r"|xox[abeprs]-[A-Za-z0-9\-]{10,}",
        r"|[rs]k[_\-](?:live|test|proj|ant)[_\-][A-Za-z0-9_\-]{10,}",
        r"|AIza[A-Za-z0-9_\-]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_\-]{30,}",
    ))
    .ok()
});

/// What every text with a secret has somewhere: most texts need no closer look.
const SECRETS_START: &[&str] = &[
    "eyJ",
    "-----BEGIN",
    "AKIA",
    "ASIA",
    "gh",
    "glpat-",
    "xox",
    "k_",
    "k-",
    "AIza",
    "npm_",
    "pypi-",
];

/// The values of these kinds in a text, as ranges of its bytes.
pub(in crate::response) fn find(detectors: &[Detector], text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for detector in detectors {
        match detector {
            Detector::Card => found.extend(cards(text)),
            Detector::Email if !text.contains('@') => {}
            Detector::Email => found.extend(matches(&EMAIL, text)),
            Detector::Secret if !SECRETS_START.iter().any(|start| text.contains(start)) => {}
            Detector::Secret => found.extend(matches(&SECRET, text)),
        }
    }
    found
}

/// Whether a number is one of these values.
pub(super) fn is_hidden_number(detectors: &[Detector], number: &str) -> bool {
    let card = !cards(number).is_empty();
    detectors.contains(&Detector::Card) && card
}

fn matches(regex: &LazyLock<Option<Regex>>, text: &str) -> Vec<Range<usize>> {
    let found = regex.iter().flat_map(|regex| regex.find_iter(text));
    found.map(|found| found.range()).collect()
}

const MIN_CARD: usize = 13;
const MAX_CARD: usize = 19;

/// Card numbers: 13 to 19 digits, with at most one separator between two of them.
fn cards(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut run: Vec<usize> = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        let is_digit = byte.is_ascii_digit();
        let last = run.last().map_or(at, |last| last.saturating_add(1));
        let goes_on = is_digit && at.saturating_sub(last) <= 1;
        if is_digit && goes_on {
            run.push(at);
        } else if is_digit || !b" -.".contains(&byte) {
            found.extend(cards_in(text, &run));
            run.clear();
            if is_digit {
                run.push(at);
            }
        }
    }
    found.extend(cards_in(text, &run));
    found
}

/// Card numbers among digits that stand together. Other digits beside one may pass for the start of
/// another, so whatever could be one is found, and what overlaps counts as a whole.
fn cards_in(text: &str, digits: &[usize]) -> Vec<Range<usize>> {
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
            let byte = at.and_then(|at| text.as_bytes().get(at));
            byte.is_some_and(u8::is_ascii_digit)
        };
        let is_part = digit(span.start.checked_sub(1)) || digit(Some(span.end));
        if is_part || !text.get(span.clone()).is_some_and(is_card) {
            continue;
        }
        match found.last_mut().filter(|before| before.end > span.start) {
            Some(before) => before.end = before.end.max(span.end),
            None => found.push(span),
        }
    }
    found
}

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
        assert!(EMAIL.is_some() && SECRET.is_some());
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
}
