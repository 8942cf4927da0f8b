//! The JSON of each command has the form that docs/command-line.md says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Files, ROOT};

/// The members of each command's JSON in the table of the document: `[]` after a name stands for a list of
/// objects with the members that follow in parentheses.
fn documented() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(format!("{ROOT}/docs/command-line.md")).unwrap();
    let (_, section) = text.split_once("\n## JSON\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(command, shape)| {
        (
            command.to_owned(),
            shape.trim_end_matches(" |").replace('`', ""),
        )
    })
    .collect()
}

/// The members of an object, sorted; of a list, those of its first item.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            names.join(", ")
        }
        Value::Array(items) => format!("list: {}", items.first().map(shape).unwrap_or_default()),
        _ => String::new(),
    }
}

#[test]
fn the_json_of_each_command_is_as_documented() {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "crm.get_customer", "arguments": {}}});
    let list = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "crm.get_customer", "inputSchema": {"type": "object"}}]}});
    let log = "{\"decision\":\"blocked\",\"reason\":\"no_role\",\"mcp.method.name\":\"tools/call\",\"gen_ai.tool.name\":\"crm.refund\"}\n";
    let claims = json!({"sub": "u", "org_id": "o", "realm_access": {"roles": ["manager"]}});
    let files = Files::to_explain("json_shapes", &claims, &request)
        .with("policy.yaml", &policy.replace("resource: http", "audit: {subject: plain}\nresource: http"))
        .with("list.json", &list.to_string())
        .with("access.log", log)
        .with(
            "cases.yaml",
            "policy: policy.yaml\ncases: [{name: a, caller: {sub: u}, tool: crm.x, expect: {decision: blocked}}]\n",
        );
    let documented = documented();
    let commands = [
        ("check", "check policy.yaml"),
        ("render", "render policy.yaml --for istio"),
        (
            "explain",
            "explain --policy policy.yaml --claims claims.json --request request.json",
        ),
        (
            "explain --log-line",
            "explain --policy policy.yaml --log-line access.log",
        ),
        ("token", "token --policy policy.yaml --user dana"),
        ("token --jwks", "token --policy policy.yaml --jwks"),
        ("test", "test cases.yaml --coverage"),
        ("who", "who crm.refund --policy policy.yaml"),
        ("diff", "diff policy.yaml policy.yaml"),
        ("audit", "audit access.log"),
        ("hash", "hash dana --policy policy.yaml"),
        ("pin", "pin --tools list.json"),
        ("reasons", "reasons"),
        ("arguments", "arguments --policy policy.yaml"),
        ("init", "init --tools list.json"),
    ];
    for (name, command) in commands {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--json");
        let ran = files.run(&arguments);
        assert!(ran.status < 2, "{command}: {}", ran.stderr);
        let found = shape(&ran.json());
        assert_eq!(documented.get(name), Some(&found), "{name}");
    }
    let known = commands.iter().map(|(name, _)| *name).chain(["run"]);
    let known: Vec<&str> = known.collect();
    for name in documented.keys() {
        assert!(
            known.contains(&name.as_str()),
            "{name} is documented and not tried"
        );
    }
}
