//! `mcp-auth test`.

use crate::{Files, ROOT};

/// The cases of the demo.
fn demo() -> String {
    std::fs::read_to_string(format!("{ROOT}/demo/cases.yaml")).unwrap()
}

fn files(test: &str, cases: &str) -> Files {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    Files::new(test)
        .with("policy.yaml", &policy)
        .with("cases.yaml", cases)
}

#[test]
fn cases_that_are_met_are_counted() {
    let files = files("cases_met", &demo());
    let ran = files.run(&["test", "cases.yaml"]);
    assert_eq!(ran.stdout, "6 cases: all met\n", "{}", ran.stderr);
    ran.says(0, &[]);
    // A directory: the policy in it has no cases.
    files.run(&["test", "."]).says(0, &["6 cases: all met"]);
    files
        .run(&["test", "cases.yaml", "--only", "purge"])
        .says(0, &["1 case: all met"]);
    files
        .run(&["test", "cases.yaml", "--only", "nothing"])
        .says(2, &["there are no cases"]);
}

#[test]
fn a_case_that_is_not_met_says_what_differs() {
    let wrong = demo()
        .replace(
            "arguments: {organization_id: org-acme}}",
            "arguments: {organization_id: org-x}}",
        )
        .replace("reason: denied", "reason: no_role")
        .replace(
            "shows: [crm.get_customer], hides: [refund]",
            "shows: [], hides: [get_customer]",
        );
    let files = files("cases_wrong", &wrong);
    let ran = files.run(&["test", "cases.yaml", "--junit", "junit.xml"]);
    ran.says(
        1,
        &[
            "cases.yaml:6: `another organization is replaced` is not met: it is approved (allowed)\n",
            "  arguments: expected {\"organization_id\":\"org-x\"}, found {\"organization_id\":\"org-acme\"}\n",
            "  reason: expected \"no_role\", found \"denied\"\n",
            "  shows: expected [], found [\"crm.get_customer\"]\n",
            "  hides: the caller receives \"get_customer\"\n",
            "6 cases: 3 met, 3 not\n",
        ],
    );
    let junit = std::fs::read_to_string(files.0.join("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"6\" failures=\"3\""), "{junit}");
    assert!(
        junit.contains("expected [], found [&quot;crm.get_customer&quot;]"),
        "{junit}"
    );
    let json = files.run(&["test", "cases.yaml", "--json"]).json();
    assert_eq!(json["cases"][0]["met"], false);
    assert_eq!(json["cases"][1]["decision"], "blocked (condition_not_met)");
}

#[test]
fn rules_that_no_case_reaches_are_named() {
    let files = files("cases_coverage", &demo());
    let ran = files.run(&["test", "cases.yaml", "--coverage"]);
    ran.says(
        0,
        &[
            "no case reaches policy.yaml: roles.support: `crm.add_note`",
            "no case reaches policy.yaml: arguments.role",
        ],
    );
    assert!(
        !ran.stdout.contains("tools.crm.refund.when"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("roles.manager.deny"), "{}", ran.stdout);
    files
        .run(&["test", "cases.yaml", "--min-coverage", "10"])
        .says(0, &["% of 11 rules reached"]);
    files
        .run(&["test", "cases.yaml", "--min-coverage", "95"])
        .says(1, &["all met"]);
}

#[test]
fn mistakes_in_a_file_of_cases_have_a_line() {
    for (from, to, says) in [
        (
            "tool: crm.purge_customer",
            "tol: crm.purge_customer",
            "cases.yaml:16:5: unknown field `tol`",
        ),
        (
            "caller: dana\n    tool: crm.refund",
            "caller: dora\n    tool: crm.refund",
            "`callers` has no `dora`",
        ),
        (
            "    tool: crm.get_customer\n",
            "",
            "one of `tool`, `prompt`, `resource`, `list` or `request`",
        ),
        ("policy: policy.yaml\n", "", "names no policy"),
        ("cases:", "cases: []\nother:", "unknown field `other`"),
    ] {
        assert!(demo().contains(from));
        let ran =
            files("cases_mistakes", &demo().replacen(from, to, 1)).run(&["test", "cases.yaml"]);
        ran.says(2, &[says, "Next: "]);
    }
}

#[test]
fn a_log_becomes_cases_that_are_met() {
    let record = |decision: &str, reason: &str, method: &str, target: &str, roles: &str| {
        format!(
            "2026-11-29T12:00:00Z POST /mcp HTTP/1.1 200 - 3ms id {{\"decision\":\"{decision}\",\"reason\":\"{reason}\",\
             \"mcp.method.name\":\"{method}\",{target},\"enduser.roles\":[{roles}]}}\n"
        )
    };
    let tool = |name: &str| format!("\"gen_ai.tool.name\":\"{name}\"");
    let log = [
        record(
            "approved",
            "allowed",
            "tools/call",
            &tool("crm.get_customer"),
            "\"support\"",
        ),
        record(
            "approved",
            "allowed",
            "tools/call",
            &tool("crm.get_customer"),
            "\"support\"",
        ),
        record(
            "blocked",
            "no_role",
            "tools/call",
            &tool("crm.export_customers"),
            "\"support\"",
        ),
        record(
            "blocked",
            "denied",
            "tools/call",
            &tool("crm.purge_customer"),
            "\"manager\"",
        ),
        record(
            "blocked",
            "no_role",
            "prompts/get",
            "\"gen_ai.prompt.name\":\"crm.account_review\"",
            "",
        ),
        record(
            "approved",
            "allowed",
            "tools/call",
            &tool("crm.refund"),
            "\"manager\"",
        ),
        record(
            "needs_review",
            "no_token",
            "tools/call",
            &tool("crm.refund"),
            "",
        ),
    ];
    let files = files("cases_recorded", &demo()).with("access.log", &log.concat());
    let ran = files.run(&["test", "--record", "access.log", "--policy", "policy.yaml"]);
    ran.says(0, &["2 records left out", "crm.export_customers"]);
    let files = files.with("recorded.yaml", &ran.stdout);
    files
        .run(&["test", "recorded.yaml"])
        .says(0, &["4 cases: all met"]);
    files
        .run(&["test", "--record", "policy.yaml", "--policy", "policy.yaml"])
        .says(2, &["has no record of the filter"]);
}

#[test]
fn the_cases_of_the_demo_are_met() {
    let ran = Files::new("cases_demo").run(&["test", &format!("{ROOT}/demo")]);
    ran.says(0, &["6 cases: all met\n"]);
}
