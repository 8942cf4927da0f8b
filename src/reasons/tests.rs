use std::collections::HashSet;

use super::{Approval, Reason, Refused};

fn rows() -> Vec<(&'static str, &'static str)> {
    let refusals = Reason::ALL.iter().map(|reason| {
        let row = reason.row();
        (row.code, row.meaning)
    });
    let approvals = Approval::ALL.iter().map(|approval| {
        let row = approval.row();
        (row.code, row.meaning)
    });
    refusals.chain(approvals).collect()
}

#[test]
fn codes_are_unique_words_of_small_letters() {
    let mut seen = HashSet::new();
    for (code, _) in rows() {
        assert!(seen.insert(code), "{code} twice");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(code.bytes().all(plain), "{code}");
    }
}

#[test]
fn texts_fit_the_log_and_the_document() {
    for (code, meaning) in rows() {
        assert!(meaning.ends_with('.'), "{code}: {meaning}");
        assert!(meaning.is_ascii() && !meaning.contains('|'), "{code}");
    }
    for reason in Reason::ALL {
        let Refused {
            source, text, next, ..
        } = reason.row().outcome;
        for text in [source, text, next] {
            assert!(
                !text.is_empty() && !text.contains(['|', '"', '\n']),
                "{text}"
            );
        }
    }
}
