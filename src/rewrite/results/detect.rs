//! Values recognised by their form, wherever they stand in a text.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::policy::Detector;

// None of them can take more than linear time; one that did not compile would find nothing, which a
// test rules out.
static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9._%+\-']+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)+").ok());
static CARD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[0-9](?:[ \-.]?[0-9]){12,18}").ok());
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

/// The values of these kinds in a text, as ranges of its bytes.
pub(super) fn find(detectors: &[Detector], text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for detector in detectors {
        let (regex, holds): (_, fn(&str) -> bool) = match detector {
            Detector::Email => (&EMAIL, |_| true),
            Detector::Card => (&CARD, is_card),
            Detector::Secret => (&SECRET, |_| true),
        };
        let matches = regex.iter().flat_map(|regex| regex.find_iter(text));
        found.extend(
            matches
                .filter(|found| holds(found.as_str()))
                .map(|found| found.range()),
        );
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
        assert!(EMAIL.is_some() && CARD.is_some() && SECRET.is_some());
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
