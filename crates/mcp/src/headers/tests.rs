use super::*;

#[test]
fn b12_media_types_ignore_case_and_refuse_other_parameters_than_utf8() {
    for (content_type, media) in [
        ("application/json", Some("application/json")),
        ("Application/JSON", Some("application/json")),
        ("application/json; charset=utf-8", Some("application/json")),
        (
            "application/json ;\tCharset = \"UTF-8\"",
            Some("application/json"),
        ),
        ("text/event-stream", Some("text/event-stream")),
        ("application/json; charset=iso-8859-1", None),
        ("application/json; charset=utf-8; charset=utf-16", None),
        ("application/json, text/plain", None),
        ("application/json; profile=x", None),
    ] {
        assert_eq!(media_type(content_type).as_deref(), media, "{content_type}");
    }
}

#[test]
fn b07_a_mirrored_value_has_one_encoding() {
    for (written, meaning) in [
        ("plain", Some("plain")),
        ("=?base64?Y3JtLmdldA==?=", Some("crm.get")),
        ("=?base64?w6k=?=", Some("é")),
        ("=?BASE64?Y3JtLmdldA==?=", Some("=?BASE64?Y3JtLmdldA==?=")),
        ("=?base64?Y3JtLmdldA==", Some("=?base64?Y3JtLmdldA==")),
        ("=?base64?Y3JtLmdldB==?=", None),
        ("=?base64?Y3JtLmdldA?=", None),
        ("=?base64?_w==?=", None),
        ("=?base64?/w==?=", None),
    ] {
        assert_eq!(decode(written).as_deref(), meaning, "{written}");
    }
    for value in ["plain", " edge", "é", "a\nb", "=?base64?x?=", ""] {
        let written = encode(value);
        assert_eq!(decode(&written).as_deref(), Some(value));
        assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}

#[test]
fn h05_repeated_and_unprintable_headers_are_errors() {
    let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let headers = Headers::new(vec![
        header("Origin", b" https://a.example "),
        header("mcp-name", b"a"),
        header("MCP-Name", b"b"),
        header("mcp-method", b"\xff"),
    ]);
    assert_eq!(headers.one("origin"), Ok(Some("https://a.example")));
    assert_eq!(
        headers.one("mcp-name"),
        Err(HeaderError::Repeated("mcp-name"))
    );
    assert_eq!(
        headers.one("mcp-method"),
        Err(HeaderError::NotText("mcp-method"))
    );
    assert_eq!(headers.one("accept"), Ok(None));
    assert!(
        !format!("{headers:?}").contains("a.example"),
        "values may be secrets"
    );
}
