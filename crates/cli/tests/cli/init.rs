//! `mcp-auth init`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::Files;

fn list() -> Value {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    json!({"tools": [
        {"name": "crm.search", "annotations": {"readOnlyHint": true},
         "inputSchema": object(json!({"organization_id": {}, "query": {}}), json!(["organization_id"])),
         "outputSchema": object(json!({"items": {"type": "array", "items": object(json!({"org_id": {}, "ssn": {}}), json!([]))}}), json!([]))},
        {"name": "crm.note", "inputSchema": object(json!({"user_id": {}, "account_id": {}, "org_unit": {}}), json!(["user_id"]))},
        {"name": "crm.remove_user", "inputSchema": object(json!({"role": {}}), json!([]))},
        {"name": "crm.wipe", "annotations": {"readOnlyHint": true}, "inputSchema": {"type": "object"}},
        {"name": "crm.refresh", "annotations": {"destructiveHint": true}, "inputSchema": {"type": "object"}},
        {"name": "run: sql", "inputSchema": {"type": "object"}},
    ], "prompts": [{"name": "review"}],
       "resources": [{"uri": "crm://faq"}], "resourceTemplates": [{"uriTemplate": "crm://{org}/c/{id}"}]})
}

fn saved() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "result": list()}).to_string()
}

#[test]
fn roles_come_from_annotations_and_names_and_questions_are_asked() {
    let files = Files::new("init_saved").with("list.json", &saved());
    let _ = std::fs::remove_file(files.0.join("policy.yaml"));
    let ran = files.run(&["init", "--tools", "list.json", "--output", "policy.yaml"]);
    ran.says(
        0,
        &[
            "wrote policy.yaml",
            "read 6 tools, 1 prompt, 1 resource, 1 resource template",
            "questions",
            "Next: ",
        ],
    );
    let policy = std::fs::read_to_string(files.0.join("policy.yaml")).unwrap();
    for line in [
        "local: {user: me, organization: my-org, roles: [reader]}",
        "  reader:  # tools that only read\n    tools: [crm.search]\n    prompts: [review]\n    resources: [\"crm://faq\", \"crm://{organization}/c/*\"]\n",
        "    extends: [reader]\n    tools: [crm.note]\n",
        "    extends: [editor]\n    tools: [crm.remove_user, crm.wipe, crm.refresh, \"run: sql\"]\n",
        "  organization_id: {set: organization}  # identifies the caller",
        "  account_id: reject",
        "  role: remove",
        "  crm.note: {arguments: {user_id: {set: user}}}",
        "  crm.search: {arguments: {organization_id: {set: organization}}}",
        "  # crm.remove_user: {confirm: true}",
        "  - {tools: [crm.search], owner: {field: org_id, is: organization}}",
        "  - {tools: [crm.search], redact: [ssn], text: keep}",
        "`crm.wipe` says that it only reads",
        "Does `account_id` of crm.note identify",
        "Does `org_unit` of crm.note identify",
        "taken for tools that change something: crm.note.",
    ] {
        let unwrapped = policy.replace("\n#    ", " ");
        assert!(unwrapped.contains(line), "{line}\nis not in\n{policy}");
    }
    let checked = files.run(&["check", "policy.yaml"]);
    assert_eq!(checked.status, 0, "{}", checked.stderr);
    let again = files.run(&["init", "--tools", "list.json", "--output", "policy.yaml"]);
    again.says(2, &["policy.yaml exists"]);
}

#[test]
fn each_provider_gets_a_policy_that_loads() {
    let files = Files::new("init_provider").with("list.json", &saved());
    for (provider, line) in [
        ("keycloak", "roles: realm_access.roles"),
        ("entra", "organization: tid"),
        ("okta", "path: \"/oauth2/default/v1/keys\""),
        ("auth0", "issuer: https://my-tenant.auth0.com/"),
        ("google", "authority: www.googleapis.com"),
        (
            "cognito",
            "without_audience: {claim: client_id, values: [CLIENT_ID]}",
        ),
        ("zitadel", "urn:zitadel:iam:user:resourceowner:id"),
        ("generic", "cluster: login"),
    ] {
        let ran = files.run(&[
            "init",
            "--tools",
            "list.json",
            "--provider",
            provider,
            "--resource",
            "https://crm.example.com/mcp",
        ]);
        ran.says(
            0,
            &[
                line,
                "resource: https://crm.example.com/mcp",
                "Which is your issuer?",
            ],
        );
        let files = Files::new(&format!("init_{provider}")).with("policy.yaml", &ran.stdout);
        let checked = files.run(&["check", "policy.yaml"]);
        assert_eq!(checked.status, 0, "{provider}: {}", checked.stderr);
    }
}

/// A server that answers each request with what `answer` makes of its path and body.
fn serve(answer: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let message = serde_json::from_slice(&body).unwrap_or_default();
            let (status, body) = answer(first.split(' ').nth(1).unwrap(), &message);
            let kind = if body.starts_with("data:") {
                "text/event-stream"
            } else {
                "application/json"
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nMcp-Session-Id: s\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

/// An answer of an MCP server: all lists in pages of one version, as events.
fn mcp_answer(message: &Value, is_modern: bool) -> (u16, String) {
    let key = match message["method"].as_str().unwrap_or_default() {
        "initialize" if is_modern => return (400, json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32022, "message": "version"}}).to_string()),
        "initialize" => {
            let result = json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": "crm"}});
            return (200, json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string());
        }
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        _ => return (202, String::new()),
    };
    assert_eq!(message.pointer("/params/_meta").is_some(), is_modern);
    let items = list().get(key).unwrap().as_array().unwrap().clone();
    let at = message
        .pointer("/params/cursor")
        .and_then(Value::as_str)
        .map_or(0, |cursor| cursor.parse().unwrap());
    let mut result = json!({key: [items.get(at).unwrap()]});
    if at + 1 < items.len() {
        result
            .as_object_mut()
            .unwrap()
            .insert("nextCursor".to_owned(), json!((at + 1).to_string()));
    }
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    (200, format!("data: {answer}\n\n"))
}

#[test]
fn a_running_server_of_either_era_is_read() {
    for is_modern in [false, true] {
        let url = serve(move |_, message| mcp_answer(message, is_modern));
        let ran = Files::new("init_url").run(&["init", "--url", &format!("{url}/crm/mcp")]);
        ran.says(
            0,
            &[
                "resource: http://127.0.0.1:10000/crm/mcp",
                "read 6 tools, 1 prompt, 1 resource, 0 resource templates",
            ],
        );
    }
}

#[test]
fn a_server_that_cannot_be_read_is_explained() {
    let files = Files::new("init_refused");
    let url = serve(|_, _| (401, "{}".to_owned()));
    files
        .run(&["init", "--url", &url])
        .says(2, &["refuses the request with 401", "--header"]);
    let url = serve(|_, _| (404, "<html>".to_owned()));
    files
        .run(&["init", "--url", &url])
        .says(2, &["the server lists no tools"]);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    files
        .run(&["init", "--url", &format!("http://{closed}/mcp")])
        .says(2, &["does not answer"]);
    files
        .run(&["init"])
        .says(2, &["there is no server to read"]);
    files
        .run(&["init", "--", "/nowhere/server"])
        .says(2, &["cannot start `/nowhere/server`"]);
    files
        .run(&["init", "--", "true"])
        .says(2, &["the command does not answer"]);
}

#[test]
fn a_server_on_standard_input_and_output_is_read() {
    let script = format!(
        "while read -r line; do case \"$line\" in *initialize\\\"*) echo 'log'; echo '{}';; *tools/list*) echo '{}';; \
         *\\\"id\\\":*) id=${{line##*\\\"id\\\":}}; echo '{{\"jsonrpc\":\"2.0\",\"id\":'\"${{id%%,*}}\"',\"error\":{{\"code\":-32601,\"message\":\"x\"}}}}';; esac; done",
        json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "crm"}}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": list()["tools"]}}),
    );
    let ran = Files::new("init_stdio").run(&["init", "--", "sh", "-c", &script]);
    ran.says(0, &["# The policy for crm", "read 6 tools, 0 prompts"]);
}

#[test]
fn the_discovery_document_of_an_issuer_is_read() {
    let files = Files::new("init_discovery").with("list.json", &saved());
    let (sender, receiver) = std::sync::mpsc::channel::<String>();
    let url = serve(move |path, _| {
        let issuer = receiver.recv().unwrap();
        match path {
            "/realms/r/.well-known/openid-configuration" => (404, String::new()),
            "/.well-known/oauth-authorization-server/realms/r" => (
                200,
                json!({"issuer": issuer, "jwks_uri": format!("{issuer}/the/keys")}).to_string(),
            ),
            _ => (404, String::new()),
        }
    });
    let issuer = format!("{url}/realms/r");
    for _ in 0..2 {
        sender.send(issuer.clone()).unwrap();
    }
    let run = |issuer: &str| {
        files.run(&[
            "init",
            "--tools",
            "list.json",
            "--provider",
            "keycloak",
            "--issuer",
            issuer,
        ])
    };
    run(&issuer).says(
        0,
        &[
            "path: \"/realms/r/the/keys\"",
            &format!("issuer: {issuer}\n"),
        ],
    );
    for _ in 0..2 {
        sender.send("https://other.example.com".to_owned()).unwrap();
    }
    run(&issuer).says(2, &["is of the issuer https://other.example.com"]);
}
