//! `mcp-auth audit`.

use crate::Files;

fn log() -> String {
    let mut log = String::new();
    for minute in 0..30 {
        let attack = if minute % 10 == 0 {
            "token_signature_invalid"
        } else {
            "no_role"
        };
        log.push_str(&format!(
            "2026-11-29T12:{minute:02}:00.000Z POST /mcp HTTP/1.1 200 - 1ms id {{\"decision\":\"approved\",\"reason\":\"allowed\",\
             \"mcp.method.name\":\"tools/call\",\"gen_ai.tool.name\":\"crm.get\",\"enduser.id\":\"aa\",\"enduser.roles\":[\"support\"]}}\n\
             2026-11-29T12:{minute:02}:30.000Z POST /mcp HTTP/1.1 200 - 1ms id {{\"decision\":\"blocked\",\"reason\":\"{attack}\",\
             \"mcp.method.name\":\"tools/call\",\"gen_ai.tool.name\":\"<b>crm.purge\",\"enduser.id\":\"bb\"}}\n"
        ));
    }
    log
}

#[test]
fn a_log_becomes_tables_json_and_a_page() {
    let files = Files::new("audit").with("access.log", &log());
    let ran = files.run(&["audit", "access.log", "--html", "page.html"]);
    ran.says(
        0,
        &[
            "from 2026-11-29T12:00:00Z to 2026-11-29T12:29:30Z\n",
            "60 requests: 30 approved, 0 need the caller, 30 refused; 3 with signs of attacks\n",
            "  no_role                             27  ",
            "! token_signature_invalid              3  ",
            "<b>crm.purge                                     0             0       30      3\n",
            "aa (support)                                    30             0        0      0\n",
            "wrote page.html",
        ],
    );
    let page = std::fs::read_to_string(files.0.join("page.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert!(
        page.contains("&lt;b&gt;crm.purge")
            && !page.contains("<b>crm")
            && !page.contains("<script")
    );
    let json = files.run(&["audit", "access.log", "--json"]).json();
    assert_eq!(json["total"]["signs_of_attacks"], 3);
    assert_eq!(json["reasons"]["no_role"], 27);
    assert!(json["over_time"].as_array().unwrap().len() > 10);
}

#[test]
fn one_caller_is_found() {
    let files = Files::new("audit_caller").with("access.log", &log());
    files
        .run(&["audit", "access.log", "--caller", "aa"])
        .says(0, &["30 requests: 30 approved"]);
    files
        .run(&["audit", "access.log", "--reason", "token_signature_invalid"])
        .says(0, &["3 requests: 0 approved"]);
    files
        .run(&["audit", "access.log", "--caller", "cc"])
        .says(2, &["no record is of this caller"]);
    let without_times = log().replace("2026-11-29T12:", "x");
    let files = files.with("other.log", &without_times);
    files
        .run(&["audit", "other.log", "--html", "page.html"])
        .says(0, &["60 requests"]);
}
