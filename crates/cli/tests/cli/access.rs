//! `mcp-auth who`, `mcp-auth diff`, `mcp-auth check --tools`, `mcp-auth hash`, `completion` and `man`.

use serde_json::json;

use crate::{Files, ROOT};

fn demo() -> String {
    std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap()
}

fn list(names: &[&str]) -> String {
    let tools: Vec<_> = names
        .iter()
        .map(|name| json!({"name": name, "inputSchema": {"type": "object", "properties": {"org_id": {}, "amount": {}}}}))
        .collect();
    json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string()
}

#[test]
fn each_role_and_one_caller_are_answered() {
    let claims =
        json!({"sub": "dana", "org_id": "org-acme", "realm_access": {"roles": ["support"]}});
    let files = Files::new("who")
        .with("policy.yaml", &demo())
        .with("claims.json", &claims.to_string())
        .with(
            "list.json",
            &list(&["crm.get_customer", "crm.purge_customer"]),
        );
    let who = |arguments: &str| {
        let mut all = vec!["who", "--policy", "policy.yaml"];
        all.extend(arguments.split_whitespace());
        files.run(&all)
    };
    who("crm.refund").says(
        0,
        &[
            "crm.refund  manager  yes  roles.manager: `crm.*` allows it; with scope crm:write; if args.amount <= 100\n",
            "            support  no   no role allows it\n",
        ],
    );
    who("crm.purge_customer").says(
        1,
        &["manager  no   roles.manager.deny: `crm.purge_customer` denies it"],
    );
    who("--tools list.json --user claims.json").says(
        0,
        &[
            "crm.get_customer    dana    yes  allowed: ",
            "crm.purge_customer  dana    no   no_role: ",
        ],
    );
    let rows = who("crm.get_customer --json").json();
    assert_eq!(rows[0]["caller"], "manager");
    assert_eq!(rows[0]["allowed"], true);
}

#[test]
fn anonymous_and_local_callers_are_named() {
    let anonymous = demo().replace("roles:   ", "anonymous: {tools: [docs.read]}\nroles:   ");
    let files = Files::new("who_anonymous").with("policy.yaml", &anonymous);
    let ran = files.run(&["who", "docs.read", "--policy", "policy.yaml"]);
    ran.says(0, &["(no token)  yes  anonymous: "]);
    let local = format!("{ROOT}/envoy/local-policy.yaml");
    let ran = files.run(&["who", "crm.purge_customer", "--policy", &local]);
    ran.says(1, &["crm.purge_customer"]);
}

#[test]
fn what_a_role_gains_is_an_error() {
    let files = Files::new("diff").with("old.yaml", &demo());
    for (from, to, status, says) in [
        (
            "deny: [crm.purge_customer]",
            "deny: []",
            1,
            "manager  gains  tool crm.purge_customer  (roles.manager: `crm.*` allows it)",
        ),
        (
            "crm.add_note]",
            "crm.refund]",
            1,
            "support  loses  tool crm.add_note  (no role allows it)",
        ),
        (
            "\"crm.list_*\", crm.add_note",
            "\"crm.list_*\"",
            0,
            "support  loses  tool crm.add_note",
        ),
        (
            "args.amount <= 100",
            "args.amount <= 500",
            1,
            "manager  keeps  tool crm.refund  (with scope crm:write; if args.amount <= 100 -> with scope crm:write; if args.amount <= 500)",
        ),
        (
            "prompts: [\"crm.*\"]",
            "prompts: [\"crm.*\", hr.x]",
            1,
            "manager  gains  prompt hr.x",
        ),
        (
            "redact: [ssn, card_number]",
            "redact: [ssn]",
            1,
            "other changes, which may let callers do or see more:\n  results[1].redact",
        ),
        (
            "# an Envoy cluster",
            "# another comment",
            0,
            "no role gains or loses a tool, prompt or resource\n",
        ),
    ] {
        assert!(demo().contains(from), "{from}");
        let files = Files::new("diff").with("new.yaml", &demo().replacen(from, to, 1));
        files
            .run(&["diff", "old.yaml", "new.yaml"])
            .says(status, &[says]);
    }
    files
        .run(&["diff", "old.yaml", "old.yaml"])
        .says(0, &["no role gains"]);
}

#[test]
fn a_list_and_a_log_are_compared() {
    let record = |tool: &str, role: &str| {
        json!({"decision": "approved", "reason": "allowed", "gen_ai.tool.name": tool, "enduser.roles": [role]}).to_string()
    };
    let log = [
        record("crm.add_note", "support"),
        record("crm.add_note", "support"),
        record("crm.get_x", "support"),
    ];
    let new = demo().replace(", crm.add_note]", "]");
    let files = Files::new("diff_replay")
        .with("old.yaml", &demo())
        .with("new.yaml", &new)
        .with("list.json", &list(&["crm.add_note"]))
        .with("access.log", &log.join("\n"));
    let ran = files.run(&[
        "diff",
        "old.yaml",
        "new.yaml",
        "--tools",
        "list.json",
        "--replay",
        "access.log",
    ]);
    ran.says(
        0,
        &[
            "support  loses  tool crm.add_note",
            "2 recorded calls of crm.add_note by support, * are refused now",
        ],
    );
    let json = files
        .run(&[
            "diff",
            "old.yaml",
            "new.yaml",
            "--replay",
            "access.log",
            "--json",
        ])
        .json();
    assert_eq!(json["replayed"][0]["calls"], 2);
    assert_eq!(json["changes"][0]["after"]["allowed"], false);
}

#[test]
fn rules_that_meet_no_tool_are_warned_about() {
    let policy = "resource: https://crm.example.com/mcp
issuers:
- issuer: https://login.example.com
  jwks: {cluster: login, path: /keys}
  identity: {roles: roles}
roles:
  support: {tools: [crm.get_custmer, \"crm.list?\", crm.refund]}
arguments:
  account_ref: {set: user}
tools:
  crm.refund: {arguments: {user_name: {set: user}}}
  crm.rfund: {when: args.amount < 1}
";
    let list = list(&["crm.get_customer", "crm.refund", "crm.Get-Customer"]);
    let files = Files::new("check_tools")
        .with("policy.yaml", policy)
        .with("list.json", &list);
    let ran = files.run(&["check", "policy.yaml", "--tools", "list.json"]);
    ran.says(
        0,
        &[
            "policy.yaml:7:21: warning: roles.support.tools[0]: no tool of the server matches `crm.get_custmer`; did you mean `crm.get_customer`?",
            "roles.support.tools[1]: no tool of the server matches `crm.list?`; only `*` is a wildcard",
            "policy.yaml:9:3: warning: arguments.account_ref: no tool of the server has this argument",
            "tools.crm.refund.arguments.user_name: no tool that matches has this argument, and `set` adds it",
            "tools.crm.rfund: no tool of the server matches `crm.rfund`; did you mean `crm.refund`?",
            "the server has `crm.get_customer` and `crm.Get-Customer`, which differ only in their spelling",
            "roles: no role allows `crm.get_customer`, `crm.Get-Customer` of the server",
            "the built-in list has a rule for `org_id` of crm.get_customer, crm.refund, crm.Get-Customer: calls with it are refused",
        ],
    );
    files
        .run(&["check", "policy.yaml", "--tools", "list.json", "--strict"])
        .says(1, &["warning: "]);
    files
        .run(&["check", "policy.yaml", "--strict"])
        .says(1, &["tools.crm.rfund: no role allows it"]);
}

#[test]
fn the_name_of_a_user_in_the_log_is_printed() {
    let files = Files::new("hash").with("policy.yaml", &demo());
    let ran = files.run(&["hash", "dana", "--policy", "policy.yaml"]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.stdout.trim().len(), 16, "{}", ran.stdout);
    let keyed = format!("{}audit: {{key_env: NO_SUCH_KEY_IS_SET}}\n", demo());
    let files = files.with("keyed.yaml", &keyed);
    files
        .run(&["hash", "dana", "--policy", "keyed.yaml"])
        .says(2, &["in `NO_SUCH_KEY_IS_SET`, and it is not set"]);
    for (subject, status, says) in [("plain", 0, "dana\n"), ("omit", 2, "names no users")] {
        let policy = format!("{}audit: {{subject: {subject}}}\n", demo());
        let files = Files::new(&format!("hash_{subject}")).with("policy.yaml", &policy);
        files
            .run(&["hash", "dana", "--policy", "policy.yaml"])
            .says(status, &[says]);
    }
}

#[test]
fn completion_and_manual_know_each_command() {
    let files = Files::new("shell");
    for shell in ["bash", "zsh", "fish"] {
        files
            .run(&["completion", shell])
            .says(0, &["render", "explain"]);
    }
    let manual = files.run(&["man"]);
    manual.says(
        0,
        &["mcp\\-auth\\-render", "mcp\\-auth\\-test", ".SH OPTIONS"],
    );
}

#[test]
fn who_writes_a_page_that_needs_no_other_file() {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let policy = policy.replace(
        "  manager:\n",
        "  \"<b>boss\": {tools: [crm.refund]}\n  manager:\n",
    );
    let files = Files::new("who_page").with("policy.yaml", &policy);
    let ran = files.run(&["who", "--policy", "policy.yaml", "--html", "who.html"]);
    ran.says(0, &["crm.refund", "wrote who.html\n"]);
    let page = std::fs::read_to_string(files.0.join("who.html")).unwrap();
    for part in [
        "<title>Who may call what</title>",
        "width=device-width",
        "color-scheme:light dark",
        "default-src 'none'",
        "<th class=\"m\">&lt;b&gt;boss</th><th class=\"m\">manager</th><th class=\"m\">support</th>",
        "<b class=\"ask\">if</b> manager",
        "<code>crm.*</code> allows it; with scope crm:write; if args.amount &lt;= 100",
    ] {
        assert!(page.contains(part), "{part}\nis not in\n{page}");
    }
    for part in ["<script", "<link", "<img", "<b>boss", "url("] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(!page.contains("<details open"));
    let ran = files.run(&[
        "who",
        "crm.refund",
        "--policy",
        "policy.yaml",
        "--html",
        "one.html",
        "--json",
    ]);
    assert_eq!(ran.json()[0]["tool"], "crm.refund");
    assert!(
        std::fs::read_to_string(files.0.join("one.html"))
            .unwrap()
            .contains("<details open")
    );
    files
        .run(&[
            "who",
            "--policy",
            "policy.yaml",
            "--html",
            "nowhere/who.html",
        ])
        .says(2, &["cannot write nowhere/who.html"]);
}
