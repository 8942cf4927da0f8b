//! `mcp-auth check`.

use serde_json::json;

use crate::{Files, ROOT};

#[test]
fn the_demo_policy_is_fine() {
    let ran = Files::new("demo").run(&["check", &format!("{ROOT}/demo/policy.yaml")]);
    assert_eq!(ran.stderr, "");
    ran.says(
        0,
        &["policy.yaml: ok: 2 roles, 1 issuer, 6 tool rules, 1 prompt rule\n"],
    );
}

#[test]
fn the_local_policy_is_fine() {
    let ran = Files::new("local").run(&["check", &format!("{ROOT}/envoy/local-policy.yaml")]);
    assert_eq!(ran.stderr, "");
    ran.says(
        0,
        &["local-policy.yaml: ok: 2 roles, local calls only, 1 tool rule\n"],
    );
}

#[test]
fn the_policies_to_start_from_are_fine() {
    for name in ["every-call", "exchange", "static-credential", "two-layers"] {
        let file = format!("{ROOT}/envoy/{name}-policy.yaml");
        let ran = Files::new(name).run(&["check", &file]);
        assert_eq!(ran.stderr, "");
        ran.says(0, &[&format!("{name}-policy.yaml: ok: ")]);
    }
}

#[test]
fn every_mistake_has_its_line() {
    let policy = r#"resource: http://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: keys}
    clock_skew: 10m
roles:
  support: {tools: [crm.get], extends: [manger]}
  manager: {tools: []}
tools:
  crm.refund:
    when: args.amount <=
arguments:
  user_id: {set: organization}
"#;
    let ran = Files::new("mistakes")
        .with("policy.yaml", policy)
        .run(&["check", "policy.yaml"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    let (_, next) = ran.stderr.split_once("Next: ").unwrap();
    let mistakes = ran.found();
    let places = [
        "policy.yaml:1:11: resource: ",
        "policy.yaml:4:34: issuers[0].jwks.path: ",
        "policy.yaml:5:17: issuers[0].clock_skew: ",
        "policy.yaml:7:41: roles.support.extends[0]: unknown role `manger`; did you mean `manager`?",
        "policy.yaml:11:25: tools.crm.refund.when: ",
        "policy.yaml:13:3: arguments.user_id: ",
    ];
    assert_eq!(mistakes.len(), places.len(), "{mistakes:?}");
    for (line, place) in mistakes.iter().zip(places) {
        assert!(line.starts_with(place), "{line}\n{place}");
    }
    assert!(
        next.contains("`mcp-auth check policy.yaml` again"),
        "{next}"
    );
}

#[test]
fn mistakes_of_form_and_of_meaning_are_reported_at_once() {
    let policy = r#"resource: https://crm.example.com/mcp
mode: enforced
issuers:
  - issuer: 5
    jwks: [login, /keys]
  - jwks: {cluster: login, path: keys}
roles:
  support: {tools: crm.get, extends: [manger]}
  manager:
    tool: []
tools:
  crm.refund:
    when: args.amount <=
    max_token_age: 5
arguments:
  user_id: {set: usr}
seal: [KEY]
compat: [true]
"#;
    let ran = Files::new("at_once")
        .with("policy.yaml", policy)
        .run(&["check", "policy.yaml"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    let mistakes = ran.found();
    let expected = [
        "policy.yaml:2:7: mode: unknown value `enforced`",
        "policy.yaml:4:13: issuers[0].issuer: found number `5`, expected a text",
        "policy.yaml:5:5: issuers[0].jwks: found a list, expected a mapping",
        "policy.yaml:6:5: issuers[1]: missing key `issuer`",
        "policy.yaml:6:34: issuers[1].jwks.path: ",
        "policy.yaml:8:20: roles.support.tools: found string \"crm.get\", expected a list",
        "policy.yaml:8:39: roles.support.extends[0]: unknown role `manger`",
        "policy.yaml:10:5: roles.manager.tool: unknown key `tool`",
        "policy.yaml:13:25: tools.crm.refund.when: not a CEL expression",
        "policy.yaml:14:20: tools.crm.refund.max_token_age: found number `5`",
        "policy.yaml:16:18: arguments.user_id.set: unknown value `usr`",
        "policy.yaml:17:1: seal: found a list, expected a mapping",
        "policy.yaml:18:1: compat: found a list, expected a mapping",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
    for (line, expected) in mistakes.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn a_long_report_is_cut() {
    let mut policy = String::from("resource: https://crm.example.com/mcp\nroles:\n");
    for index in 0..60 {
        policy.push_str(&format!("  r{index}: {{extends: [nobody]}}\n"));
    }
    let ran = Files::new("long")
        .with("policy.yaml", &policy)
        .run(&["check", "policy.yaml"]);
    assert_eq!(ran.found().len(), 50, "{}", ran.stderr);
    ran.says(1, &["policy.yaml:51:", "\nand 11 more\n"]);
}

#[test]
fn expressions_that_look_for_an_owner_are_checked() {
    let policy = |at: &str| {
        format!(
            "resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {{cluster: login, path: /keys}}
    identity: {{organization: org_id, roles: groups}}
roles: {{support: {{tools: [crm.get], resources: [\"crm://*\"]}}}}
arguments:
  account_ref: {{owner: {{is: organization, at: \"{at}\"}}}}
resources:
  \"crm://*\":
    owner: {{is: organization, at: \"{at}\"}}
"
        )
    };
    let files = Files::new("owners").with("policy.yaml", &policy("^a(b"));
    files.run(&["check", "policy.yaml"]).says(
        1,
        &[
            "policy.yaml:8:47: arguments.account_ref.owner.at: not a regular expression: ",
            "policy.yaml:11:35: resources.crm://*.owner.at: not a regular expression: ",
        ],
    );
    let files = files.with("policy.yaml", &policy("//([^/]+)/"));
    files.run(&["check", "policy.yaml"]).says(
        0,
        &[
            "policy.yaml:11:31: warning: resources.crm://*.owner.at: without `^` it also matches",
            "policy.yaml: ok, 2 warnings: 1 role, 1 issuer, 1 resource rule\n",
        ],
    );
    let ran = files.run(&["arguments", "--policy", "policy.yaml"]);
    ran.says(
        0,
        &["account_ref                owner: organization policy\n"],
    );
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    let policy = "resource: https://crm.example.com/mcp
issuers:
- issuer: https://login.example.com
  jwks: {cluster: login, path: /keys}
roles:
  support:
    tool: [crm.get]
";
    let ran = Files::new("unknown")
        .with("policy.yaml", policy)
        .run(&["check", "policy.yaml"]);
    ran.says(
        1,
        &[
            "policy.yaml:7:5: roles.support.tool: unknown ",
            "did you mean `tools`?",
        ],
    );
}

#[test]
fn what_is_missing_is_said_where_it_belongs() {
    let files = Files::new("missing").with("policy.yaml", "mode: enforce\n");
    files
        .run(&["check", "policy.yaml"])
        .says(1, &["policy.yaml:1:1: missing ", "`resource`"]);
}

#[test]
fn warnings_have_a_line_and_do_not_fail() {
    let policy = r#"resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: groups}
roles:
  support:
    tools: [crm.get]
    deny: ["crm.*"]
tools:
  crm.refund: {scopes: [crm:write]}
"#;
    let ran = Files::new("warnings")
        .with("policy.yaml", policy)
        .run(&["check", "policy.yaml"]);
    ran.says(
        0,
        &[
            "policy.yaml:8:13: warning: roles.support: `crm.get` can never match: `crm.*` denies it\n",
            "policy.yaml:11:3: warning: tools.crm.refund: no role allows it: nobody may call it\n",
            "policy.yaml: ok, 2 warnings: 1 role, 1 issuer, 1 tool rule\n",
        ],
    );
    assert_eq!(ran.found().len(), 2);
}

#[test]
fn b04_a_key_may_not_be_there_twice() {
    let files =
        Files::new("twice").with("policy.yaml", "mode: enforce\nroles: {}\nmode: observe\n");
    files
        .run(&["check", "policy.yaml"])
        .says(1, &["policy.yaml:3:1: this key is there twice"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let ran = Files::new("unread").run(&["check", "nowhere.yaml"]);
    ran.says(2, &["cannot read nowhere.yaml", "Next: "]);
    Files::new("unread").run(&["check"]).says(2, &["Usage"]);
}

#[test]
fn a_policy_in_json_and_from_standard_input_is_checked_too() {
    let policy = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"roles": "groups"},
        }],
        "roles": {"support": {"tools": ["crm.get"]}},
    });
    let ran = Files::new("stdin").run_with_input(&["check", "-"], &format!("{policy:#}"));
    ran.says(0, &["<stdin>: ok: 1 role, 1 issuer\n"]);
}

const TWO: &str = r#"policies:
  - resource: https://tools.example.com/crm/mcp
    issuers: [{issuer: https://login.example.com, jwks: {cluster: login, path: /keys}}]
    roles: {"*": {tools: [crm.get]}}
  - resource: https://tools.example.com/hr/mcp
    issuers: [{issuer: https://login.example.com, jwks: {cluster: login, path: /keys}}]
    roles:
      "*": {tools: [hr.holidays]}
    arguments: {employee: {set: user}}
"#;

#[test]
fn r1_the_buffer_that_envoy_needs_is_named() {
    let policy = std::fs::read_to_string(format!("{ROOT}/envoy/local-policy.yaml")).unwrap();
    for (size, buffer) in [("1MiB", 3 << 20), ("16MiB", 18 << 20)] {
        let policy = format!("{policy}\nmax_response: {size}\n");
        let ran = Files::new(&format!("buffer_{size}"))
            .with("policy.yaml", &policy)
            .run(&["check", "policy.yaml"]);
        ran.says(
            0,
            &[&format!(
                "per_connection_buffer_limit_bytes: {buffer} or more\n"
            )],
        );
    }
}

#[test]
fn several_policies_are_checked_together() {
    let ran = Files::new("several")
        .with("policy.yaml", TWO)
        .run(&["check", "policy.yaml"]);
    ran.says(
        0,
        &["policy.yaml: ok: 2 policies\n  \
           https://tools.example.com/crm/mcp: 1 role, 1 issuer\n  \
           https://tools.example.com/hr/mcp: 1 role, 1 issuer\n"],
    );
    let files = Files::new("several_wrong");
    let wrong = TWO.replace("[hr.holidays]}", "[hr.holidays], extends: [x]}");
    let wrong = wrong.replace("tools: [crm.get]", "tool: [crm.get]");
    let ran = files
        .with("policy.yaml", &wrong)
        .run(&["check", "policy.yaml"]);
    ran.says(
        1,
        &[
            "policy.yaml:4:19: policies[0].roles.*.tool: unknown ",
            "policy.yaml:8:45: policies[1].roles.*.extends[0]: unknown role `x`",
        ],
    );
    let same = TWO.replace("/hr/mcp", "/crm/mcp");
    let ran = Files::new("several_same")
        .with("policy.yaml", &same)
        .run(&["check", "policy.yaml"]);
    ran.says(1, &["policy.yaml:5:15: policies[1].resource: found "]);
}

#[test]
fn of_several_policies_one_is_asked() {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "hr.holidays", "arguments": {"employee": "bob"}}});
    let files = Files::to_explain("several_explained", &json!({"sub": "anna"}), &request)
        .with("policy.yaml", TWO);
    let ran = files.explain(&[]);
    ran.says(
        2,
        &[
            "there are several policies",
            "--path PATH",
            "`https://tools.example.com/hr/mcp`",
        ],
    );
    for named in ["/hr/mcp", "https://tools.example.com/hr/mcp"] {
        let ran = files.explain(&["--path", named]);
        ran.says(
            0,
            &["decision     approved (allowed)\n", "\"bob\" -> \"anna\""],
        );
    }
    files
        .explain(&["--path", "/crm/mcp"])
        .says(1, &["blocked (no_role)"]);
    let ran = files.explain(&["--path", "/nowhere"]);
    ran.says(2, &["no policy is for `/nowhere`", "there is `https://"]);
    let names = |path| files.run(&["arguments", "--policy", "policy.yaml", "--path", path]);
    names("/hr/mcp").says(
        0,
        &["employee                   set: user          policy\n"],
    );
    assert!(!names("/crm/mcp").stdout.contains("employee  "));
    files
        .run(&["arguments", "--policy", "policy.yaml"])
        .says(2, &["there are several policies"]);
}

#[test]
fn a_mistake_is_shown_with_its_line_and_the_mend() {
    let policy = "resource: https://crm.example.com/mcp\nroles:\n  support: {tools: [*]}\n";
    let ran = Files::new("shown")
        .with("policy.yaml", policy)
        .run(&["check", "policy.yaml"]);
    let expected = "  |
3 |   support: {tools: [*]}
  |                     ^
  |
  = help: quote the \"*\"

Next: mend it, then run `mcp-auth check policy.yaml`.
";
    assert!(
        ran.stderr.starts_with("error: not YAML: "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.ends_with(expected), "{}", ran.stderr);
}

#[test]
fn every_command_that_reads_a_policy_shows_its_mistakes() {
    let policy = "local: {user: me}\nroles: {a: {tool: [x]}}\nmode: enforced\nresource: http://127.0.0.1:8100/mcp\n";
    let files = Files::new("shown_everywhere")
        .with("policy.yaml", policy)
        .with("request.json", "{}")
        .with("tools.json", "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"tools\": [{\"name\": \"x\", \"inputSchema\": {}}]}}")
        .with(
            "cases.yaml",
            "policy: policy.yaml\ncases: [{name: a, list: tools, expect: {decision: approved}}]\n",
        );
    for arguments in [
        "check policy.yaml",
        "render policy.yaml --for istio",
        "explain --policy policy.yaml --request request.json",
        "test cases.yaml",
        "who --policy policy.yaml",
        "diff policy.yaml policy.yaml",
        "hash u --policy policy.yaml",
        "arguments --policy policy.yaml",
        "pin --tools tools.json --policy policy.yaml",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let ran = files.run(&arguments);
        assert_ne!(ran.status, 0);
        assert_eq!(ran.found().len(), 2, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr
                .contains("2 | roles: {a: {tool: [x]}}\n  |             ^^^^\n"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("  = help: did you mean `enforce`?"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn mistakes_in_json_for_programs() {
    let files = Files::new("check_json").with(
        "policy.yaml",
        "resource: http://127.0.0.1:8100/mcp\nroles: {a: {tool: [x]}}\nlocal: {user: me}\n",
    );
    let ran = files.run(&["check", "--json", "policy.yaml"]);
    assert_eq!(ran.status, 1);
    let json = ran.json();
    assert_eq!(json["loads"], false);
    let found = &json["found"][0];
    assert_eq!(found["severity"], "error");
    assert_eq!((&found["line"], &found["column"]), (&json!(2), &json!(13)));
    assert_eq!(found["help"], "did you mean `tools`?");
    let ran = files.run(&["check", "--json", &format!("{ROOT}/demo/policy.yaml")]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let json = ran.json();
    assert_eq!(json["policies"][0]["roles"], 2);
    assert_eq!(json["loads"], true);
    assert_eq!(json["per_connection_buffer_limit_bytes"], 10_485_760);
    files
        .run(&["check", "--json", "nowhere.yaml"])
        .says(2, &["cannot read"]);
}
