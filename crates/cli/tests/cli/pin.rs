//! `mcp-auth pin`.

use crate::Files;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[
    {"name":"crm.get","description":"x","inputSchema":{"type":"object"}},
    {"inputSchema":{"type":"object"},"name":"on"},
    {"name":"hr.fire","inputSchema":{"type":"object"}},
    {"name":"a: b\n\u202e","inputSchema":{"type":"object"}}]}}"#;

const POLICY: &str = "resource: https://crm.example.com/mcp
issuers:
- issuer: https://login.example.com
  jwks: {cluster: login, path: /keys}
  identity: {roles: roles}
roles:
  support: {tools: [\"crm.*\"]}
";

fn pins(printed: &str) -> Vec<(&str, &str)> {
    let lines = printed.strip_prefix("tools:\n").unwrap().lines();
    let pins = lines.map(|line| line.trim().strip_suffix("\"}").unwrap());
    pins.map(|line| line.split_once(": {pin: \"").unwrap())
        .collect()
}

#[test]
fn every_tool_of_every_page_gets_a_pin() {
    let other = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"z","inputSchema":{}}]}}"#;
    let stream = format!("event: message\r\ndata: {{\"method\":\"x\"}}\r\n\r\ndata: {other}\r\n");
    let files = Files::new("pins")
        .with("one.json", LIST)
        .with("two.txt", &stream);
    let ran = files.run(&["pin", "--tools", "one.json", "--tools", "two.txt"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let names: Vec<&str> = pins(&ran.stdout).iter().map(|(name, _)| *name).collect();
    let expected = [
        r#""a: b\n\u202e""#,
        "crm.get",
        "hr.fire",
        r#""on""#,
        r#""z""#,
    ];
    assert_eq!(names, expected);
    for (_, pin) in pins(&ran.stdout) {
        assert!(pin.starts_with("sha256:") && pin.len() == 71, "{pin}");
    }
}

#[test]
fn what_is_printed_is_good_for_a_policy() {
    let files = Files::new("pasted")
        .with("list.json", LIST)
        .with("policy.yaml", POLICY);
    let ran = files.run(&["pin", "--tools", "list.json", "--policy", "policy.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let printed = ran.stdout;
    assert_eq!(pins(&printed).len(), 1, "{printed}");
    let pinned = format!("{POLICY}{printed}");
    let changed = LIST.replace("\"x\"", "\"y\"");
    let files = files
        .with("policy.yaml", &pinned)
        .with("changed.json", &changed);
    files
        .run(&["check", "policy.yaml"])
        .says(0, &["1 tool rule"]);

    let again = files.run(&["pin", "--tools", "list.json", "--policy", "policy.yaml"]);
    assert_eq!((again.status, again.stderr.as_str()), (0, ""));
    assert_eq!(again.stdout, printed);
    let changed = files.run(&["pin", "--tools", "changed.json", "--policy", "policy.yaml"]);
    assert_eq!(changed.status, 1);
    assert_ne!(changed.stdout, printed);
    assert!(
        changed.stderr.contains("`crm.get` is not what was pinned"),
        "{}",
        changed.stderr
    );
    // What was first seen is not written anywhere.
    let seen = format!("{POLICY}tools: {{crm.get: {{pin: first-seen}}}}\n");
    let files = files.with("policy.yaml", &seen);
    let unwritten = files.run(&["pin", "--tools", "changed.json", "--policy", "policy.yaml"]);
    assert_eq!((unwritten.status, unwritten.stderr.as_str()), (0, ""));
    let files = files.with("policy.yaml", &pinned);
    let other = r#"{"result":{"tools":[{"name":"crm.x"}]}}"#;
    let gone = files.with("other.json", other);
    let gone = gone.run(&["pin", "--tools", "other.json", "--policy", "policy.yaml"]);
    assert!(
        gone.stderr
            .contains("`crm.get` is pinned and not in the list"),
        "{}",
        gone.stderr
    );
}

#[test]
fn what_is_no_list_is_said() {
    let twice = r#"{"result":{"tools":[{"name":"a"},{"name":"a","title":"b"}]}}"#;
    for (list, why) in [
        ("", "there are no tools in it"),
        ("{}", "there are no tools in it"),
        ("{\"result\":", "unexpected end"),
        ("<html>", "there are no tools in it"),
        (r#"{"result":{"tools":{}}}"#, "`tools` has the wrong type"),
        (twice, "`a` is in the list twice"),
    ] {
        let ran =
            Files::new("no-list")
                .with("list.json", list)
                .run(&["pin", "--tools", "list.json"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{list}");
        assert!(ran.stderr.contains(why), "{list}: {}", ran.stderr);
    }
}
