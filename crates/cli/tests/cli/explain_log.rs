//! `mcp-auth explain --log-line`.

use serde_json::json;

use crate::{Files, ROOT, Ran};

fn explain(test: &str, line: &str, more: &[&str]) -> Ran {
    let policy = format!("{ROOT}/demo/policy.yaml");
    let mut arguments = vec!["explain", "--policy", &policy, "--log-line", "-"];
    arguments.extend(more);
    Files::new(test).run_with_input(&arguments, line)
}

#[test]
fn a_line_of_the_log_is_explained() {
    let line = r#"2026-11-29T12:00:00Z POST /mcp HTTP/1.1 200 - 3ms id {"decision":"blocked","reason":"no_role","mcp.method.name":"tools/call","gen_ai.tool.name":"crm.refund","enduser.id":"u_12ab","enduser.roles":["support"],"identified_by":"token","evidence":[{"source":"roles","summary":"no role allows it"}],"next_action":"ask the operator for a role"}"#;
    explain("log_refused", line, &[]).says(
        1,
        &[
            "recorded     blocked (no_role)\n",
            "asks for     tools/call crm.refund\n",
            "caller       u_12ab in the log, roles support\n",
            "evidence     roles: no role allows it\n",
            "meaning      ",
            "received     it does not exist",
            "next action  ask the operator for a role\n",
            "this policy  by this policy its roles do not allow it: no role allows it\n",
            "unknown      a record has no token, no claims and no arguments",
        ],
    );
    let managers = line.replace("support", "manager");
    explain("log_allowed", &managers, &[]).says(
        0,
        &["its roles allow it: roles.manager: `crm.*` allows it; with scope"],
    );
    let denied = managers.replace("crm.refund", "crm.purge_customer");
    explain("log_denied", &denied, &[]).says(
        1,
        &["do not allow it: roles.manager.deny: `crm.purge_customer`"],
    );
    let anonymous = line.replace(
        r#","enduser.roles":["support"],"identified_by":"token""#,
        r#","identified_by":"anonymous""#,
    );
    explain("log_anonymous", &anonymous, &[]).says(1, &["no roles", "needs a sign-in"]);
}

#[test]
fn a_refused_token_in_the_log_is_explained() {
    let line =
        r#"{"decision":"needs_review","reason":"token_expired","http.request.method":"POST"}"#;
    explain("log_token", line, &[]).says(
        1,
        &[
            "recorded     needs_review (token_expired)\n",
            "meaning      ",
            "received     HTTP 401",
            "next action  ",
            "names no tool",
        ],
    );
    let line =
        r#"{"decision":"approved","reason":"session_allowed","mcp.method.name":"tools/list"}"#;
    explain("log_session", line, &[]).says(0, &["received     the server's answer\n"]);
}

#[test]
fn lines_of_the_log_are_explained_in_json() {
    let lines = "{\"decision\":\"approved\",\"reason\":\"allowed\",\"gen_ai.tool.name\":\"crm.refund\",\"enduser.roles\":[\"manager\"],\"identified_by\":\"dpop\"}\n\
                 {\"decision\":\"blocked\",\"reason\":\"of_another_version\",\"mcp.resource.uri\":\"crm://x\"}\n";
    let ran = explain("log_json", lines, &["--json"]);
    assert_eq!(ran.status, 1);
    let json = ran.json();
    assert_eq!(json["records"][0]["roles_allow"], true);
    assert_eq!(json["records"][1]["roles_allow"], false);
    assert_eq!(json["records"][1]["meaning"], json!(null));
    assert_eq!(
        json["records"][0]["unknown"],
        json!(["token", "claims", "arguments"])
    );
}

#[test]
fn a_line_without_a_record_is_refused() {
    explain("log_nothing", "GET /\n", &[]).says(2, &["has no record of the filter"]);
    explain("log_both", "", &["--request", "x.json"]).says(2, &["cannot be used with"]);
}

#[test]
fn the_state_of_an_approval_is_explained() {
    for (line, state) in [
        (
            r#"{"decision":"needs_review","reason":"approval_needed","approval":"00ff","enduser.id":"u_1"}"#,
            "approval     00ff, waits for an answer\n",
        ),
        (
            r#"{"decision":"approved","reason":"call_approved","approval":"00ff","enduser.id":"u_2","requester":"u_1"}"#,
            "approval     00ff, approved by u_2\n",
        ),
        (
            r#"{"decision":"blocked","reason":"call_denied","approval":"00ff","enduser.id":"u_2","requester":"u_1"}"#,
            "approval     00ff, denied by u_2\n",
        ),
        (
            r#"{"decision":"blocked","reason":"approval_denied","approval":"00ff","enduser.id":"u_1","approver":"u_2"}"#,
            "approval     00ff, denied by u_2\n",
        ),
        (
            r#"{"decision":"approved","reason":"allowed","approval":"00ff","enduser.id":"u_1","approver":"u_2"}"#,
            "approval     00ff, approved by u_2\n",
        ),
    ] {
        let ran = explain("log_approval", line, &[]);
        assert!(ran.stdout.contains(state), "{}", ran.stdout);
    }
}
