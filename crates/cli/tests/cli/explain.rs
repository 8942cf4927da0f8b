//! `mcp-auth explain`.

use serde_json::{Value, json};

use crate::{Files, ROOT};

fn manager() -> Value {
    json!({"sub": "u-anna", "org_id": "acme", "realm_access": {"roles": ["manager"]}})
}

fn call(tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
}

#[test]
fn an_edited_request_is_explained_value_by_value() {
    let arguments = json!({
        "customer_id": "c-1", "filter": {"userId": "u-bob"},
        "organization_id": "globex", "role": "admin",
    });
    let files = Files::to_explain("edited", &manager(), &call("crm.get_customer", &arguments));
    let ran = files.explain(&[]);
    ran.says(
        0,
        &[
            "decision     approved (allowed)\n",
            "roles.manager: `crm.*` allows it\n",
            "NOT verified",
            "filled in: iss, aud, exp, iat\n",
            "  - authorization\n  + x-mcp-user: u-anna\n  + x-mcp-organization: acme\n",
            "  params.arguments.filter.userId: \"u-bob\" -> \"u-anna\"\n",
            "  params.arguments.organization_id: \"globex\" -> \"acme\"\n",
            "  params.arguments.role: \"admin\" -> taken out\n",
        ],
    );
    let lines = ran.stdout.lines();
    let prose = lines.take_while(|line| !line.starts_with("so that it is"));
    assert!(
        prose.into_iter().all(|line| line.len() <= 100),
        "{}",
        ran.stdout
    );

    let json = files.explain(&["--json"]).json();
    assert_eq!(json["claims_verified"], false);
    assert_eq!(json["record"]["decision"], "approved");
    let body: Value = serde_json::from_str(json["forward"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body["params"]["arguments"],
        json!({
            "customer_id": "c-1", "filter": {"userId": "u-anna"}, "organization_id": "acme",
        })
    );
}

#[test]
fn an_answer_is_explained_as_the_caller_receives_it() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {organization: org_id, roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"]}}
results:
  - {tools: [\"crm.*\"], owner: {field: organization_id, is: organization}, redact: [ssn]}
";
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"structuredContent": {"customers": [
        {"organization_id": "acme", "name": "Ann", "ssn": "1-2-3"},
        {"organization_id": "globex", "name": "Bob", "ssn": "4-5-6"},
    ]}}});
    let files = Files::to_explain(
        "answered",
        &manager(),
        &call("crm.get_customer", &json!({})),
    )
    .with("policy.yaml", policy)
    .with("answer.json", &answer.to_string());
    files.explain(&["--response", "answer.json"]).says(
        0,
        &[
            "The caller receives the answer with this changed\n",
            "customers[0].ssn: \"1-2-3\" -> \"***\"\n",
            "customers[1]: {\"name\":\"Bob\"",
            "  taken out, since another owns it: 1\n  hidden: ssn\n",
        ],
    );
    let json = files
        .explain(&["--response", "answer.json", "--json"])
        .json();
    assert!(
        !json["received"]["body"]
            .as_str()
            .unwrap()
            .contains("globex")
    );
}

#[test]
fn a_resource_of_another_owner_is_explained_with_the_expression() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {organization: org_id, roles: realm_access.roles}
roles: {manager: {resources: [\"crm://*\"]}}
resources: {\"crm://*\": {owner: {is: organization, at: \"^crm://([^/]+)/\"}}}
";
    let read = |owner: &str| {
        let params = json!({"uri": format!("crm://{owner}/1")});
        json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params})
    };
    let files = Files::to_explain("owned", &manager(), &read("globex"));
    let files = files.with("policy.yaml", policy);
    files.explain(&[]).says(
        1,
        &[
            "decision     blocked (resource_not_owned)\n",
            "resources.crm://*.owner: the URI names another owner than the caller\n",
            "next action  see resources.crm://*.owner\n",
            "note         the owner is what `^crm://([^/]+)/` finds\n",
        ],
    );
    let files = files.with("request.json", &read("acme").to_string());
    files.explain(&[]).says(0, &["approved (allowed)"]);
}

#[test]
fn an_answer_with_a_changed_tool_says_which_one() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"]}}
tools: {crm.get: {pin: \"sha256:1fbf88b706225c361e648acab486a6849105679dbafd0ab8cff614125e5443f3\"}}
";
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let tool = json!({"name": "crm.get", "inputSchema": {}});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [tool]}});
    let files = Files::to_explain("unpinned", &manager(), &request)
        .with("policy.yaml", policy)
        .with("answer.json", &answer.to_string());
    let ran = files.explain(&["--response", "answer.json"]);
    ran.says(0, &["Not as pinned: crm.get\n"]);
}

#[test]
fn an_untouched_request_goes_on_byte_for_byte() {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let files = Files::to_explain("untouched", &manager(), &request);
    files.explain(&[]).says(
        0,
        &[
            "approved (session_allowed)",
            "and the body byte for byte as it came",
        ],
    );
    assert_eq!(
        files.explain(&["--json"]).json()["forward"]["body"],
        json!(null)
    );
}

#[test]
fn a_blocked_request_is_explained_with_its_answer() {
    let request = call("crm.purge_customer", &json!({"customer_id": "c-1"}));
    let files = Files::to_explain("blocked", &manager(), &request);
    files.explain(&[]).says(
        1,
        &[
            "decision     blocked (denied)\n",
            "roles.manager.deny: ",
            "The client gets HTTP 200\n",
            "Unknown tool: crm.purge_customer",
        ],
    );
}

#[test]
fn a_request_of_2026_07_28_gets_its_headers_and_may_be_given_others() {
    let mut request = call("crm.refund", &json!({"amount": 500}));
    request["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let files = Files::to_explain("modern", &manager(), &request);
    files.explain(&[]).says(
        1,
        &[
            "asks for     tools/call crm.refund (2026-07-28)",
            "blocked (condition_not_met)",
            "the condition is `args.amount <= 100`",
        ],
    );
    let ran = files.explain(&["--header", "Mcp-Name: crm.get_customer"]);
    ran.says(
        1,
        &["blocked (header_mismatch)", "The client gets HTTP 400"],
    );
    let ran = files.explain(&["--header", "Authorization:"]);
    ran.says(1, &["needs_review (no_token)", "resource_metadata="]);
    let ran = files.explain(&["--header", "Authorization: Bearer x"]);
    ran.says(2, &["made of the claims"]);
    files
        .explain(&["--header", "nonsense"])
        .says(2, &["is no header"]);
}

#[test]
fn a_missing_scope_and_an_old_sign_in_are_explained() {
    let request = call("crm.refund", &json!({"amount": 5}));
    let files = Files::to_explain("scope", &manager(), &request);
    files.explain(&[]).says(
        1,
        &[
            "decision     needs_review (scope_missing)\n",
            "next action  sign in with scope crm:write\n",
            "The client gets HTTP 403\n",
        ],
    );
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let policy = policy.replace("scopes: [\"crm:write\"]", "max_token_age: 5m");
    let files = files.with("policy.yaml", &policy);
    files
        .explain(&["--age", "200"])
        .says(0, &["at most 300 s old"]);
    files
        .explain(&["--age", "400"])
        .says(1, &["needs_review (sign_in_too_old)", "HTTP 401"]);
}

#[test]
fn mistakes_in_the_claims_are_explained() {
    let request = call("crm.get_customer", &json!({}));
    for (test, claims, lines) in [
        (
            "expired",
            json!({"sub": "u-anna", "exp": 1_700_000_000}),
            ["needs_review (token_expired)", "without `exp`"],
        ),
        (
            "audience",
            json!({"sub": "u-anna", "aud": "https://other.example.com"}),
            [
                "needs_review (token_audience_wrong)",
                "`aud` must have `http://127.0.0.1:10000/mcp`",
            ],
        ),
        (
            "issuer",
            json!({"sub": "u-anna", "iss": "https://evil.example.com"}),
            [
                "needs_review (token_issuer_untrusted)",
                "`iss` must be `http://127.0.0.1:9000`",
            ],
        ),
        (
            "user",
            json!({"org_id": "acme"}),
            ["needs_review (token_claim_invalid)", "HTTP 401"],
        ),
        (
            "roles",
            json!({"sub": "u-anna", "org_id": "acme"}),
            [
                "blocked (no_role)",
                "the policy has the roles `manager` and `support`; the caller has none",
            ],
        ),
    ] {
        let files = Files::to_explain(test, &claims, &request);
        files.explain(&[]).says(1, &lines);
    }
}

#[test]
fn what_cannot_be_judged_is_a_failure_of_its_own() {
    let files = Files::to_explain("unjudged", &manager(), &json!({}));
    let files = files.with("claims.json", "{\"sub\": \"a\", \"sub\": \"b\"}");
    files
        .explain(&[])
        .says(2, &["claims.json holds no claims", "Next: "]);
    let files = files.with("policy.yaml", "mode: enforce\n");
    files.explain(&[]).says(2, &["policy.yaml:1:1: ", "Next: "]);
    let twice = [
        "explain",
        "--policy",
        "-",
        "--claims",
        "-",
        "--request",
        "x",
    ];
    files.run(&twice).says(2, &["only once"]);
}

#[test]
fn observe_mode_says_what_would_be() {
    let files = Files::to_explain(
        "observe",
        &manager(),
        &call("crm.purge_customer", &json!({})),
    );
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let files = files.with("policy.yaml", &format!("mode: observe\n{policy}"));
    files
        .explain(&[])
        .says(0, &["draft (denied)", "enforced it would be blocked"]);
}

#[test]
fn claims_stand_for_the_answer_of_an_issuer_that_is_asked() {
    let policy = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "introspection": {
                "cluster": "login", "path": "/introspect",
                "client_id": "mcp", "client_secret_env": "NOT_SET_HERE",
            },
            "identity": {"roles": "roles"},
        }],
        "roles": {"support": {"tools": ["crm.*"]}},
    });
    let answer = json!({"active": true, "sub": "u-anna", "roles": ["support"]});
    let request = call("crm.get_customer", &json!({}));
    let files = Files::to_explain("introspected", &answer, &request)
        .with("policy.yaml", &policy.to_string());
    files.explain(&[]).says(
        0,
        &[
            "decision     approved (allowed)\n",
            "issuer https://login.example.com\n",
            "  + x-mcp-user: u-anna\n",
        ],
    );
}

#[test]
fn claims_that_need_a_proof_get_one() {
    let policy = |dpop: &str| {
        let policy = json!({
            "resource": "https://crm.example.com/mcp",
            "dpop": dpop,
            "issuers": [{
                "issuer": "https://login.example.com",
                "jwks": {"cluster": "login", "path": "/keys"},
                "identity": {"roles": "roles"},
            }],
            "roles": {"support": {"tools": ["crm.*"]}},
        });
        policy.to_string()
    };
    let request = call("crm.get_customer", &json!({}));
    let plain = json!({"sub": "u-anna", "roles": ["support"]});
    let files = Files::to_explain("required", &plain, &request);
    files
        .with("policy.yaml", &policy("required"))
        .explain(&[])
        .says(
            0,
            &[
                "decision     approved",
                "with a DPoP",
                "cnf\n",
                "  - dpop\n",
            ],
        );
    let files = Files::to_explain("accepted", &plain, &request);
    let ran = files.with("policy.yaml", &policy("accepted")).explain(&[]);
    ran.says(0, &["decision     approved"]);
    assert!(!ran.stdout.contains("DPoP"), "{}", ran.stdout);

    let bound = json!({"sub": "u-anna", "roles": ["support"], "cnf": {"jkt": "x"}});
    let files = Files::to_explain("bound", &bound, &request);
    let files = files.with("policy.yaml", &policy("accepted"));
    files.explain(&[]).says(0, &["with a DPoP"]);
    files
        .explain(&["--header", "DPoP: x"])
        .says(1, &["(dpop_malformed)"]);
    let files = files.with("policy.yaml", &policy("refused"));
    files.explain(&[]).says(1, &["(token_bound)"]);
    let certificate = json!({"sub": "u-anna", "cnf": {"x5t#S256": "x"}});
    let files = Files::to_explain("certificate", &certificate, &request);
    let files = files.with("policy.yaml", &policy("required"));
    files.explain(&[]).says(1, &["(dpop_required)"]);
}

#[test]
fn b37_hidden_names_are_explained() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"], deny: [crm.purge]}}
";
    let error = json!({"code": -32602, "message": "Did you mean crm.purge?"});
    let answer = json!({"jsonrpc": "2.0", "id": 7, "error": error});
    let asked = call("crm.get_customer", &json!({}));
    let files = Files::to_explain("names", &manager(), &asked)
        .with("policy.yaml", policy)
        .with("answer.json", &answer.to_string());
    files.explain(&["--response", "answer.json"]).says(
        0,
        &[
            "  error.message: \"Did you mean crm.purge?\" -> \"Did you mean ***?\"\n",
            "  names of tools hidden: 1\n",
        ],
    );
}

#[test]
fn b34_a_fitted_output_schema_is_explained() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"]}}
results:
  - {tools: [\"crm.*\"], redact: [ssn], with: remove}
";
    let schema = json!({"type": "object", "required": ["id", "ssn"]});
    let tool = json!({"name": "crm.get_customer", "inputSchema": {}, "outputSchema": schema});
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": [tool]}});
    let asked = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    let files = Files::to_explain("fitted", &manager(), &asked)
        .with("policy.yaml", policy)
        .with("answer.json", &answer.to_string());
    files.explain(&["--response", "answer.json"]).says(
        0,
        &["  result.tools[0].outputSchema.required[1]: \"ssn\" -> taken out\n"],
    );
}

/// A call, explained with the policy for one's own machine.
fn explain_locally(test: &str, more: &[&str]) -> crate::Ran {
    let policy = std::fs::read_to_string(format!("{ROOT}/envoy/local-policy.yaml")).unwrap();
    let request = call("crm.get_customer", &json!({"customer_id": "c-1"}));
    let files = Files::new(test)
        .with("policy.yaml", &policy)
        .with("claims.json", &manager().to_string())
        .with("request.json", &request.to_string());
    let command = "explain --policy policy.yaml --request request.json";
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.extend(more);
    files.run(&arguments)
}

#[test]
fn a_local_call_needs_no_claims() {
    let ran = explain_locally("local_call", &[]);
    ran.says(
        0,
        &[
            "evidence     local: the caller of every local request\n",
            "arguments: organization_id: set from the policy\n",
            "  + x-mcp-user: user-dana\n",
            "  + authorization: Bearer (the value of CRM_TOKEN)\n",
        ],
    );
    assert!(!ran.stdout.contains("claims"), "{}", ran.stdout);
    let ran = explain_locally("local_claims", &["--claims", "claims.json"]);
    ran.says(
        2,
        &[
            "the policy names the caller",
            "leave --claims and --token away",
        ],
    );
    let ran = explain_locally("elsewhere", &["--header", ":authority: evil.example"]);
    ran.says(1, &["decision     blocked (host_not_allowed)\n"]);
}

#[test]
fn a_view_is_explained() {
    let ran = explain_locally("view", &["--view-as", "user:test-1"]);
    ran.says(
        0,
        &[
            "view_as: user:test-1, which `manager` allows\n",
            "  - x-view-as\n  + x-mcp-user: test-1\n  + x-mcp-organization: org-globex\n",
        ],
    );
    let ran = explain_locally("higher", &["--view-as", "role:manager"]);
    ran.says(
        1,
        &["decision     blocked (view_as_not_allowed)\n", "HTTP 403\n"],
    );
    let request = call("crm.get_customer", &json!({}));
    let files = Files::to_explain("no_view", &manager(), &request);
    files
        .explain(&["--view-as", "role:support"])
        .says(2, &["the policy has no header for --view-as"]);
    files
        .run(&[
            "explain",
            "--policy",
            "policy.yaml",
            "--request",
            "request.json",
        ])
        .says(2, &["the request has no caller", "--claims FILE"]);
}

#[test]
fn what_only_the_authorization_server_can_give_has_a_stand_in() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {organization: org_id, roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"]}}
upstream:
  authorization: exchange
  exchange: {cluster: login, path: /token, client_id: mcp, client_secret_env: MCP_SECRET, audience: crm}
";
    let request = call("crm.get_customer", &json!({}));
    let files = Files::to_explain("exchanged", &manager(), &request).with("policy.yaml", policy);
    files.explain(&[]).says(
        0,
        &["+ authorization: Bearer (what the caller's token is exchanged for at login/token)\n"],
    );
    let json = files.explain(&["--json"]).json();
    assert_eq!(json["record"]["upstream_credential"], "exchanged");
}

#[test]
fn a_call_that_needs_a_yes_is_explained() {
    let policy = |sign_in: &str| {
        format!(
            "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {{cluster: login, path: /keys}}
{sign_in}
roles: {{\"*\": {{tools: [crm.refund]}}}}
tools: {{crm.refund: {{confirm: true}}}}
seal: {{key_env: MCP_AUTH_KEY}}
"
        )
    };
    let sign_in = "    sign_in:
      authorize: https://login.example.com/authorize
      token: {cluster: login, path: /token}
      client_id: pages";
    let request = call("crm.refund", &json!({"amount": 70}));
    let files = Files::to_explain("agreed", &manager(), &request);
    let files = files.with("policy.yaml", &policy(sign_in));
    let page = "https://crm.example.com/.mcp-auth/confirm?ticket=";
    files.explain(&[]).says(
        1,
        &[
            "decision     needs_review (confirmation_needed)\n",
            "user: the user has to agree to this call\n",
            "next action  agree to it in the client, or open the link and agree there\n",
            page,
        ],
    );
    let files = files.with("policy.yaml", &policy(""));
    files.explain(&[]).says(
        1,
        &[
            "decision     blocked (confirmation_unsupported)\n",
            "give the caller's issuer `sign_in`",
        ],
    );
    let checked = files.run(&["check", "policy.yaml"]);
    assert!(
        checked.stderr.contains("without issuers[0].sign_in"),
        "{}",
        checked.stderr
    );
}

#[test]
fn r18_the_caller_has_the_hash_that_the_log_has() {
    // The first 8 bytes of HMAC-SHA256, with the name of the resource as the key.
    let hash = "267676c462b2034e";
    let files = Files::to_explain("hash", &manager(), &call("crm.get_customer", &json!({})));
    let ran = files.explain(&["--json"]).json();
    assert_eq!(ran["record"]["enduser.id"], hash);
    files
        .explain(&[])
        .says(0, &[&format!("caller       {hash} in the log\n")]);
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let with_key = |name: &str| format!("{policy}\naudit: {{key_env: {name}}}\n");
    // Cargo sets this variable for tests.
    let files = files.with("policy.yaml", &with_key("CARGO_PKG_NAME"));
    let keyed = files.explain(&["--json"]).json();
    let keyed = keyed["record"]["enduser.id"].as_str().unwrap().to_owned();
    assert!(keyed.len() == hash.len() && keyed != hash, "{keyed}");
    let files = files.with("policy.yaml", &with_key("NO_SUCH_VARIABLE"));
    let unknown = files.explain(&["--json"]).json();
    assert!(unknown["record"]["enduser.id"].is_null());
    files
        .explain(&[])
        .says(0, &["set the variable NO_SUCH_VARIABLE to see the hash"]);
}

#[test]
fn r8_a_refused_token_is_explained_by_its_claim_and_the_policy_key() {
    let claims =
        json!({"sub": "u-anna", "org_id": "acme", "realm_access": {"roles": {"manager": {}}}});
    let files = Files::to_explain("refused", &claims, &call("crm.get_customer", &json!({})));
    let ran = files.explain(&[]);
    let prose = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ran.status, 1);
    assert!(
        prose.contains("token.realm_access.roles: found an object; `issuers[0].identity.roles`"),
        "{prose}"
    );
    assert!(prose.contains("`keys: true`"), "{prose}");
}

#[test]
fn a_call_that_another_person_approves_waits() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: realm_access.roles}
    sign_in:
      authorize: https://login.example.com/authorize
      token: {cluster: login, path: /token}
      client_id: pages
roles: {support: {tools: [crm.refund]}, manager: {extends: [support]}}
tools:
  crm.refund:
    confirm: {by: {role: manager}, notify: {cluster: hooks, path: /new, authority: hooks.example.com, key_env: HOOK_KEY}}
seal: {key_env: MCP_AUTH_KEY}
";
    let request = call("crm.refund", &json!({"amount": 70}));
    let files = Files::to_explain("approval", &manager(), &request);
    let files = files.with("policy.yaml", policy);
    files.explain(&[]).says(
        1,
        &[
            "decision     needs_review (approval_needed)\n",
            "approval: the call waits for approval",
            "next action  a person with the role `manager` answers at",
            "https://crm.example.com/.mcp-auth/approvals",
        ],
    );
    let rendered = files.run(&[
        "render",
        "--for",
        "envoy",
        "--upstream",
        "http://127.0.0.1:9000",
        "policy.yaml",
    ]);
    for part in ["hooks.example.com", "HOOK_KEY"] {
        assert!(
            rendered.stdout.contains(part),
            "{part}: {} {}",
            rendered.stdout,
            rendered.stderr
        );
    }
}

#[test]
fn a_look_up_is_shown_and_decided_with_its_answer() {
    let policy = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {organization: org_id, roles: realm_access.roles}
roles: {manager: {tools: ['crm.*']}}
upstream: {cluster: crm}
tools:
  crm.close_ticket:
    owner:
      lookup: {tool: crm.get_ticket, arguments: {ticket_id: args.ticket_id}}
      field: organization_id
      is: organization
";
    let close = call("crm.close_ticket", &json!({"ticket_id": "t-4"}));
    let files = Files::to_explain("lookup", &manager(), &close).with("policy.yaml", policy);
    let explain = |more: &[&str]| {
        let mut arguments = vec![
            "explain",
            "--policy",
            "policy.yaml",
            "--claims",
            "claims.json",
        ];
        arguments.extend(["--request", "request.json"]);
        arguments.extend(more);
        files.run(&arguments)
    };
    let looks_up = "looks up     {\"jsonrpc\":\"2.0\",\"id\":";
    let asked = "\"name\":\"crm.get_ticket\",\"arguments\":{\"ticket_id\":\"t-4\"}";
    explain(&[]).says(
        1,
        &[
            "blocked (lookup_unavailable)",
            looks_up,
            asked,
            "--lookup FILE",
        ],
    );
    let record = |organization: &str| json!({"id": "t-4", "organization_id": organization});
    for (answer, status, expected) in [
        (record("acme"), 0, "approved (allowed)"),
        (record("globex"), 1, "blocked (lookup_not_owned)"),
        (
            json!({"structuredContent": record("acme")}),
            0,
            "approved (allowed)",
        ),
        (
            json!({"isError": true, "content": []}),
            1,
            "blocked (lookup_error)",
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}),
            1,
            "blocked (lookup_no_owner)",
        ),
    ] {
        std::fs::write(files.0.join("answer.json"), answer.to_string()).unwrap();
        explain(&["--lookup", "answer.json"]).says(status, &[expected, looks_up]);
    }
    let json = explain(&["--lookup", "answer.json", "--json"]).json();
    assert!(json["lookups"][0].as_str().unwrap().contains(asked));
    let cases = r#"
policy: policy.yaml
callers: {dana: {sub: u-anna, org_id: acme, realm_access: {roles: [manager]}}}
cases:
  - {name: own, caller: dana, tool: crm.close_ticket, arguments: {ticket_id: t-1},
     lookup: {organization_id: acme}, expect: {decision: approved}}
  - {name: other, caller: dana, tool: crm.close_ticket, arguments: {ticket_id: t-4},
     lookup: {organization_id: globex}, expect: {decision: blocked, reason: lookup_not_owned}}
"#;
    std::fs::write(files.0.join("cases.yaml"), cases).unwrap();
    files
        .run(&["test", "cases.yaml"])
        .says(0, &["2 cases: all met"]);
}

const DECIDED: &str = "
resource: https://crm.example.com/mcp
issuers:
  - issuer: https://login.example.com
    jwks: {cluster: login, path: /keys}
    identity: {roles: realm_access.roles}
roles: {manager: {tools: [\"crm.*\"]}}
decide:
  authzen: {cluster: pdp, path: /access/v1/evaluation, credential_env: PDP_TOKEN}
  arguments: [amount]
";

#[test]
fn the_answer_of_a_decision_point_is_given_and_its_question_is_shown() {
    let request = call("crm.refund", &json!({"amount": 80, "note": "confidential"}));
    let files = Files::to_explain("decided", &manager(), &request);
    let files = files
        .with("policy.yaml", DECIDED)
        .with("allow.json", r#"{"decision": true}"#)
        .with(
            "deny.json",
            r#"{"decision": false, "context": {"reason_user": "At most 50.", "reason_admin": "rule 7"}}"#,
        );
    let ran = files.explain(&["--decision", "allow.json"]);
    ran.says(
        0,
        &[
            "decision     approved (allowed)\n",
            "decision_point: authzen:pdp allows it\n",
            "question     pdp/access/v1/evaluation:\n",
            "{\"subject\":{",
        ],
    );
    assert!(!ran.stdout.contains("PDP_TOKEN") && !ran.stdout.contains("Bearer"));
    let ran = files.explain(&["--decision", "deny.json"]);
    ran.says(
        1,
        &[
            "decision     blocked (decision_denied)\n",
            "authzen:pdp does not allow it: rule 7",
            "At most 50.",
        ],
    );
    let ran = files.explain(&[]);
    ran.says(
        1,
        &[
            "(decision_unavailable)\n",
            "without --decision, the decision point does not answer",
        ],
    );
    let json = files
        .explain(&["--json", "--decision", "allow.json"])
        .json();
    let question = json["questions"][0]["body"].as_str().unwrap();
    let question: Value = serde_json::from_str(question).unwrap();
    assert_eq!(question["context"]["arguments"], json!({"amount": 80}));
    assert_eq!(json["record"]["decided_by"], "authzen:pdp");
}
