//! What pages get to read, and what they do not.

use serde_json::json;

use super::*;

fn policy() -> Policy {
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{"issuer": "https://login.example.com", "jwks": {"cluster": "login", "path": "/keys"}}],
        "origins": ["https://app.example.com"],
        "origin_headers": ["x-trace"],
    });
    let mut policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    policy.view_as.header = Some("x-view-as".to_owned());
    policy
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Headers::new(pairs.iter().map(pair).collect())
}

fn allowed(asked: &str) -> String {
    let reply = preflight(
        "https://app.example.com",
        &headers(&[("access-control-request-headers", asked)]),
        Some(&policy()),
    );
    let mut found = reply
        .headers
        .into_iter()
        .filter(|(name, _)| *name == "access-control-allow-headers");
    found.next().map_or(String::new(), |(_, value)| value)
}

/// The changes of an answer with these headers, sorted.
fn edits(origin: Option<&str>, received: &[(&str, &str)]) -> Vec<String> {
    let mut edits: Vec<String> = answer_headers(&policy(), origin, &headers(received))
        .iter()
        .map(|edit| match edit {
            HeaderEdit::Remove(name) => format!("-{name}"),
            HeaderEdit::Set(name, value) => format!("{name}: {value}"),
        })
        .collect();
    edits.sort_unstable();
    edits
}

#[test]
fn b43_only_headers_of_mcp_clients_are_allowed() {
    assert_eq!(
        allowed("authorization,content-type, MCP-Protocol-Version"),
        "authorization, content-type, mcp-protocol-version"
    );
    assert_eq!(allowed("mcp-param-org,x-mcp-user"), "mcp-param-org");
    assert_eq!(allowed("X-View-As,x-view-at"), "x-view-as");
    assert_eq!(allowed("X-Trace,x-trace2"), "x-trace");
    for nothing in [
        "",
        ",",
        "*",
        "x-mcp-user",
        "cookie",
        "mcp-param-",
        "mcp-param-a b",
        "mcp-param-a\r\nx: y",
        "mcp-param-\u{e9}",
        "mcp-other",
    ] {
        assert_eq!(allowed(nothing), "", "{nothing:?}");
    }
    let many = vec!["accept"; 1000].join(",");
    assert_eq!(allowed(&many).split(", ").count(), MAX_HEADERS);
}

#[test]
fn b43_only_what_asks_first_is_a_preflight() {
    let both = headers(&[("origin", "x"), ("access-control-request-method", "POST")]);
    assert!(is_preflight("OPTIONS", &both));
    assert!(!is_preflight("POST", &both));
    assert!(!is_preflight("OPTIONS", &headers(&[("origin", "x")])));
    let nobody = headers(&[("access-control-request-method", "POST")]);
    assert!(!is_preflight("OPTIONS", &nobody));
}

#[test]
fn b43_what_the_server_says_of_pages_never_survives() {
    let received = [
        ("content-type", "application/json"),
        ("Access-Control-Allow-Origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "*"),
    ];
    let removed = [
        "-access-control-allow-credentials",
        "-access-control-allow-origin",
        "-access-control-expose-headers",
    ];
    for origin in [None, Some("https://evil.example"), Some("null"), Some("")] {
        assert_eq!(edits(origin, &received), removed, "{origin:?}");
    }
    let mut with_own = removed.map(str::to_owned).to_vec();
    with_own.extend([
        "access-control-allow-origin: https://app.example.com".to_owned(),
        format!("access-control-expose-headers: {RESPONSE_HEADERS}"),
        "vary: Origin".to_owned(),
    ]);
    assert_eq!(edits(Some("https://app.example.com"), &received), with_own);
}

#[test]
fn what_the_answer_varies_by_is_added_to() {
    let vary = |values: &[(&str, &str)]| {
        let edits = edits(Some("https://crm.example.com"), values);
        edits.into_iter().find(|edit| edit.starts_with("vary"))
    };
    for (own, expected) in [
        ("accept", "vary: accept, Origin"),
        ("ORIGIN, accept", "vary: accept, Origin"),
        ("*", "vary: *, Origin"),
        ("caf\u{e9}", "vary: Origin"),
    ] {
        assert_eq!(vary(&[("vary", own)]).as_deref(), Some(expected), "{own}");
    }
    assert_eq!(
        vary(&[("vary", "a"), ("vary", "b,c")]).as_deref(),
        Some("vary: a, b, c, Origin")
    );
    assert_eq!(edits(None, &[("vary", "accept")]), [""; 0]);
}
