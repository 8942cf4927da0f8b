use super::*;
use proptest::prelude::*;

fn check(input: &[u8]) -> Result<Span, JsonError> {
    let mut reader = Reader::new(input, 64);
    let span = reader.skip()?;
    reader.end()?;
    Ok(span)
}

fn error(input: &[u8]) -> JsonErrorKind {
    check(input).unwrap_err().kind
}

#[test]
fn b04_duplicate_keys_are_refused_at_any_depth_and_in_any_spelling() {
    for input in [
        r#"{"a":1,"a":2}"#,
        r#"{"name":1,"n\u0061me":2}"#,
        r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
    ] {
        assert_eq!(
            error(input.as_bytes()),
            JsonErrorKind::DuplicateKey,
            "{input}"
        );
    }
    let mut many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
    assert!(check(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
    many.push(r#""k\u0031":0"#.to_owned());
    assert_eq!(
        error(format!("{{{}}}", many.join(",")).as_bytes()),
        JsonErrorKind::DuplicateKey
    );
    assert!(check(br#"{"a":{"b":1},"b":{"a":1}}"#).is_ok());
}

#[test]
fn b05_texts_that_lenient_parsers_accept_are_refused() {
    assert_eq!(error(b"\xEF\xBB\xBF{}"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"{} {}"), JsonErrorKind::Trailing);
    assert_eq!(error(b"{}\0"), JsonErrorKind::Trailing);
    assert_eq!(error(b"NaN"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"[Infinity]"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"[-Infinity]"), JsonErrorKind::Number);
    assert_eq!(error(b"[1,]"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"{\"a\":1,}"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"{a:1}"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"{'a':1}"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"[1]//x"), JsonErrorKind::Trailing);
    assert_eq!(error(b"/*x*/1"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"\"\xff\""), JsonErrorKind::Utf8);
    assert_eq!(error(b"\"\xed\xa0\x80\""), JsonErrorKind::Utf8);
    assert_eq!(error(b"\"tab\there\""), JsonErrorKind::ControlCharacter);
    assert_eq!(error(b"tru"), JsonErrorKind::Unexpected);
    assert_eq!(error(b"truex"), JsonErrorKind::Trailing);
    assert_eq!(error(b""), JsonErrorKind::End);
    assert_eq!(error(b"{\"a\""), JsonErrorKind::End);
    for nested in ["[".repeat(65), "[".repeat(100_000), "{\"a\":".repeat(65)] {
        assert_eq!(error(nested.as_bytes()), JsonErrorKind::TooDeep);
    }
    assert!(check(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
}

#[test]
fn b03_nul_and_lone_surrogates_are_refused() {
    assert_eq!(error(br#"{"na\u0000me":1}"#), JsonErrorKind::NulInKey);
    for lone in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
    ] {
        assert_eq!(error(lone.as_bytes()), JsonErrorKind::Escape, "{lone}");
    }
    assert_eq!(error(br#""\x41""#), JsonErrorKind::Escape);
    assert_eq!(error(br#""\u12""#), JsonErrorKind::Escape);
}

#[test]
fn b10_numbers_are_checked_and_kept_as_text() {
    for good in ["0", "-0", "1.0", "1e400", "9223372036854775809", "-1.5E-3"] {
        assert_eq!(check(good.as_bytes()), Ok(0..good.len()), "{good}");
    }
    for bad in ["01", "+1", "1.", ".5", "1e", "--1", "0x10", "-"] {
        assert!(check(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn strings_are_resolved() {
    for (text, meaning) in [
        (r#""plain""#, "plain"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9""#, "Aé"),
        (r#""\ud83d\ude00\udbff\udfff""#, "😀\u{10FFFF}"),
        (
            r#""long enough for words \u0041 and more""#,
            "long enough for words A and more",
        ),
    ] {
        assert_eq!(
            Reader::new(text.as_bytes(), 4).string().unwrap().value,
            meaning
        );
    }
}

/// A text made of JSON tokens, so that many are almost JSON.
pub(super) fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\"a\"",
        b"\"\\u0061\"",
        b"\"b\"",
        b"\"\\ud83d\\ude00\"",
        b"\"\\ud83d\"",
        b"\"\xc3\xa9 and some more text\"",
        b"\"\xff\"",
        b"0",
        b"-1.5e3",
        b"01",
        b"true",
        b"null",
        b"\n",
        b"\"",
        b"\\",
    ];
    let token = proptest::sample::select(tokens.to_vec());
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

proptest! {
    /// `serde_json` accepts every text that this reader accepts. Texts that only `serde_json` accepts have
    /// duplicate keys or NUL in a key.
    #[test]
    fn agrees_with_serde_json(input in prop_oneof![nearly_json(), any::<Vec<u8>>()]) {
        let ours = check(&input);
        let theirs = serde_json::from_slice::<serde_json::Value>(&input);
        match ours {
            Ok(_) => prop_assert!(theirs.is_ok()),
            Err(JsonError { kind: JsonErrorKind::DuplicateKey | JsonErrorKind::NulInKey, .. }) => {}
            Err(_) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn strings_mean_what_serde_json_says(text in any::<String>()) {
        let written = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(Reader::new(written.as_bytes(), 4).string().unwrap().value, text);
    }
}
