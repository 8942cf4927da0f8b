//! `mcp-auth check` of the configuration of a proxy.

use crate::{Files, ROOT};

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/envoy/{name}")).unwrap()
}

/// Each change of a shipped file, whether it is an error, and what the check says.
fn check_changes(name: &str, base: &str, changes: &[(&str, &str, bool, &str)]) {
    for (index, (from, to, is_error, says)) in changes.iter().enumerate() {
        assert!(base.contains(from), "{from}");
        let files = Files::new(&format!("change_{name}_{index}"));
        let files = files.with(name, &base.replacen(from, to, 1));
        let ran = files.run(&["check", name]);
        let kind = if *is_error { "" } else { "warning: " };
        let found = ran.found();
        let line = found.iter().find(|line| line.contains(says));
        let line =
            line.unwrap_or_else(|| panic!("{from} -> {to}: {says}\nis not in\n{}", ran.stderr));
        let place = line.strip_prefix(&format!("{name}:")).unwrap();
        let message = place.splitn(3, ':').nth(2).unwrap().trim_start();
        assert_eq!(message.starts_with("warning: "), !is_error, "{line}");
        assert!(
            message.strip_prefix(kind).unwrap().starts_with(says),
            "{line}"
        );
        assert_eq!(ran.status, i32::from(*is_error), "{line}");
    }
}

#[test]
fn the_shipped_files_are_fine() {
    let files = Files::new("shipped_checked");
    for name in ["envoy.yaml", "istio-envoyfilter.yaml", "envoy-gateway.yaml"] {
        let text = shipped(name).replace(&"0".repeat(64), &"1".repeat(64));
        let files = Files::new(&format!("shipped_checked_{name}")).with(name, &text);
        let ran = files.run(&["check", name]);
        assert_eq!(ran.stderr, "", "{name}");
        ran.says(0, &["ok: 2 roles, 1 issuer, 6 tool rules, 1 prompt rule\n"]);
    }
    let placeholder = files.run(&["check", &format!("{ROOT}/envoy/istio-envoyfilter.yaml")]);
    placeholder.says(1, &["sha256: this is the placeholder"]);
}

#[test]
fn each_mistake_in_an_envoy_file_has_its_line() {
    let changes = [
        (
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_OPEN",
            true,
            "failure_policy: expected `FAIL_RELOAD`",
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "fail_open: true",
            true,
            "fail_open: ",
        ),
        ("failure_policy: FAIL_RELOAD", "{}", true, "not YAML"),
        (
            "allow_on_headers_stop_iteration: true",
            "allow_on_headers_stop_iteration: false",
            true,
            "missing `allow_on_headers_stop_iteration: true`",
        ),
        (
            "vm_id: mcp_auth",
            "vm_id: \"\"",
            true,
            "missing `vm_id: mcp_auth`",
        ),
        (
            "runtime: envoy.wasm.runtime.v8",
            "runtime: envoy.wasm.runtime.wamr",
            true,
            "runtime: expected",
        ),
        (
            "proxy_on_request_body: {}",
            "# left out",
            true,
            "allowed_capabilities: missing proxy_on_request_body: requests may pass",
        ),
        (
            "proxy_log: {}",
            "proxy_log: {}\n                            proxy_grpc_call: {}",
            false,
            "allowed_capabilities: the module does not need `proxy_grpc_call`",
        ),
        (
            "host_env_keys: [MCP_AUTH_KEY]",
            "host_env_keys: [OTHER]",
            true,
            "environment_variables: missing `host_env_keys: [MCP_AUTH_KEY]`",
        ),
        (
            "host_env_keys: [MCP_AUTH_KEY]",
            "key_values: {MCP_AUTH_KEY: x}",
            false,
            "`MCP_AUTH_KEY` is a secret in a file",
        ),
        (
            "per_connection_buffer_limit_bytes: ",
            "per_connection_buffer_limit_bytes: 1024 # ",
            true,
            "per_connection_buffer_limit_bytes: 1024 bytes are less",
        ),
        (
            "normalize_path: true",
            "normalize_path: false",
            false,
            "missing `normalize_path: true`",
        ),
        (
            "merge_slashes: true\n",
            "\n",
            false,
            "missing `merge_slashes: true`",
        ),
        (
            "REJECT_REQUEST",
            "KEEP_UNCHANGED",
            false,
            "missing `path_with_escaped_slashes_action: REJECT_REQUEST`",
        ),
        (
            "headers_with_underscores_action: REJECT_REQUEST",
            "headers_with_underscores_action: ALLOW",
            false,
            "missing `headers_with_underscores_action",
        ),
        (
            "use_remote_address: true",
            "use_remote_address: false",
            false,
            "missing `use_remote_address: true`",
        ),
        (
            "%FILTER_STATE(wasm.mcp_auth:PLAIN)%",
            "-",
            false,
            "no access log prints the record",
        ),
        (
            "%PATH(NQ:ORIG_OR_PATH)%",
            "%REQ(:PATH)%",
            false,
            "the access log prints the path with its query",
        ),
        (
            "idle_timeout: 0s",
            "# left out",
            false,
            "missing `idle_timeout: 0s`",
        ),
        (
            " timeout: 0s",
            " timeout: 60s",
            false,
            "missing `timeout: 0s`",
        ),
        (
            "cluster: mcp_server\n",
            "cluster: crm\n",
            true,
            "no cluster has the name `crm`",
        ),
        (
            "cluster: mcp_server\n",
            "cluster: mcp_server\n                            retry_policy: {retry_on: 5xx}\n",
            false,
            "retry_policy: Envoy would send a call again",
        ),
        (
            "- match: {prefix: /}",
            "- match: {prefix: /}\n                          typed_per_filter_config: {mcp_auth: {\"@type\": x, disabled: true}}",
            true,
            "the filter is turned off here",
        ),
        (
            "- match: {prefix: /}",
            "- match: {prefix: /}\n                          request_headers_to_add: [{header: {key: X-Mcp-User, value: root}}]",
            true,
            "`X-Mcp-User` tells the server who is calling",
        ),
        (
            "- name: login\n",
            "- name: sign-in\n",
            true,
            "the policy names the cluster `login` (issuers[0].jwks.cluster)",
        ),
        (
            "address: 127.0.0.1, port_value: 9901",
            "address: 0.0.0.0, port_value: 9901",
            false,
            "admin: ",
        ),
        (
            "- name: envoy.filters.http.router\n",
            "- name: cors\n                    typed_config: {\"@type\": x}\n                  - name: envoy.filters.http.router\n",
            true,
            "`cors` stands between the filter and the router",
        ),
        (
            "resource: http://127.0.0.1:10000/mcp",
            "resource: crm",
            true,
            "resource: ",
        ),
        (
            "tools: [\"crm.*\"]\n",
            "tool: [\"crm.*\"]\n",
            true,
            "roles.manager.tool: unknown key `tool`, expected one of",
        ),
        (
            "normalize_path: true",
            "normalize_path: true\n                normalize_path: true",
            true,
            "this key is there twice",
        ),
        (
            "deny: [crm.purge_customer]",
            "deny: [crm.purge_customer]\n                                deny: []",
            true,
            "this key is there twice",
        ),
        (
            "google.protobuf.Struct",
            "google.protobuf.Any",
            true,
            "configuration: expected the type",
        ),
        (
            "seal: {key_env: MCP_AUTH_KEY}",
            "hold: buffer_filter",
            true,
            "the policy says `hold: buffer_filter`: missing",
        ),
    ];
    check_changes("envoy.yaml", &shipped("envoy.yaml"), &changes);
}

#[test]
fn each_mistake_in_an_istio_file_has_its_line() {
    let base = shipped("istio-envoyfilter.yaml").replace(&"0".repeat(64), &"1".repeat(64));
    let changes = [
        (
            "operation: INSERT_BEFORE",
            "operation: INSERT_FIRST",
            true,
            "the filter has to stand directly before the router",
        ),
        (
            "initial_fetch_timeout: 0s",
            "initial_fetch_timeout: 15s",
            false,
            "missing `initial_fetch_timeout: 0s`",
        ),
        (
            "vm_id: mcp_auth",
            "configuration: {}",
            true,
            "missing `vm_id",
        ),
        (
            "\"outbound|443||login.example.com\"",
            "login",
            true,
            "the policy names the cluster `login`: Istio's clusters",
        ),
        (
            "hosts: [login.example.com]",
            "hosts: [other.example.com]",
            false,
            "no ServiceEntry in this file has the host login.example.com",
        ),
        (
            "tls: {mode: SIMPLE",
            "other: {mode: SIMPLE",
            false,
            "no DestinationRule in this file sets TLS for login.example.com",
        ),
        (
            "applyTo: NETWORK_FILTER",
            "applyTo: OTHER",
            false,
            "no patch with `applyTo: NETWORK_FILTER`",
        ),
        (
            "applyTo: HTTP_FILTER",
            "applyTo: OTHER",
            true,
            "no patch with `applyTo: HTTP_FILTER`",
        ),
        (
            "  workloadSelector:\n",
            "  other:\n",
            false,
            "missing `workloadSelector`",
        ),
        (
            "merge_slashes: true",
            "merge_slashes: false",
            false,
            "missing `merge_slashes: true`",
        ),
        (
            "random_get: {}",
            "# left out",
            true,
            "allowed_capabilities: missing random_get",
        ),
    ];
    check_changes("istio.yaml", &base, &changes);
}

#[test]
fn each_mistake_in_a_file_for_envoy_gateway_has_its_line() {
    let base = shipped("envoy-gateway.yaml").replace(&"0".repeat(64), &"1".repeat(64));
    let changes = [
        (
            "bufferLimit: ",
            "bufferLimit: 64Ki # ",
            true,
            "`connection: {bufferLimit: ...}` of a ClientTrafficPolicy: 65536",
        ),
        (
            "kind: ClientTrafficPolicy",
            "kind: Other",
            true,
            "`connection: {bufferLimit: ...}` of a ClientTrafficPolicy: 32768",
        ),
        (
            "      name: login\n",
            "      name: sign-in\n",
            false,
            "the policy names the cluster `login`",
        ),
        (
            "path: /failure_policy",
            "path: /other",
            false,
            "no EnvoyPatchPolicy in this file sets `failure_policy: FAIL_RELOAD`",
        ),
        (
            "value: FAIL_RELOAD",
            "value: FAIL_CLOSED",
            true,
            "failure_policy: expected `FAIL_RELOAD`",
        ),
        (
            "value: true",
            "value: false",
            true,
            "an EnvoyExtensionPolicy cannot set `allow_on_headers_stop_iteration`",
        ),
        (
            "path: /allow_on_headers_stop_iteration",
            "path: /allow_on_headers_stop",
            true,
            "an EnvoyExtensionPolicy cannot set `allow_on_headers_stop_iteration`",
        ),
        (
            "path: /capability_restriction_config",
            "path: /other",
            false,
            "no EnvoyPatchPolicy in this file sets `capability_restriction_config`",
        ),
        (
            "proxy_on_done: {}",
            "# left out",
            true,
            "allowed_capabilities: missing proxy_on_done",
        ),
        (
            "envoyextensionpolicy/crm/mcp-auth/wasm/0",
            "envoyextensionpolicy/crm/mcp-auth/wasm/1",
            true,
            "this patch is for another filter: the name of this one ends with `envoyextensionpolicy/crm/mcp-auth/wasm/0`",
        ),
        (
            "envoyextensionpolicy/crm/mcp-auth/wasm/0",
            "envoyextensionpolicy/other/mcp-auth/wasm/0",
            true,
            "this patch is for another filter",
        ),
        (
            "failOpen: false",
            "failOpen: true",
            true,
            "failOpen: after a crash",
        ),
        (
            "hostKeys: [MCP_AUTH_KEY]",
            "hostKeys: []",
            true,
            "env: missing `hostKeys: [MCP_AUTH_KEY]`",
        ),
        (
            &"1".repeat(64),
            &"0".repeat(64),
            true,
            "sha256: this is the placeholder",
        ),
        ("      code:\n", "      other:\n", true, "missing `code`"),
        (
            "seal: {key_env: MCP_AUTH_KEY}",
            "hold: buffer_filter #",
            true,
            "the policy says `hold: buffer_filter`: missing a BackendTrafficPolicy with `requestBuffer",
        ),
        (
            "tools: [\"crm.*\"]\n",
            "tool: [\"crm.*\"]\n",
            true,
            "roles.manager.tool: unknown key `tool`",
        ),
    ];
    check_changes("gateway.yaml", &base, &changes);
}

#[test]
fn resources_that_cannot_hold_the_filter_are_refused_and_their_policy_is_checked() {
    let policy =
        "resource: https://crm.example.com/mcp, local: {user: me}, roles: {\"*\": {tool: [x]}}";
    let wasm = format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec:\n  url: oci://x\n  pluginConfig: {{{policy}}}\n"
    );
    let extension = format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - name: x\n    config: {{{policy}}}\n"
    );
    for (name, text, says) in [
        ("wasm.yaml", wasm, "a WasmPlugin cannot set"),
        (
            "extension.yaml",
            extension,
            "an EnvoyExtensionPolicy cannot set",
        ),
    ] {
        let ran = Files::new("no_place")
            .with(name, &text)
            .run(&["check", name]);
        ran.says(1, &[&format!("{name}:2:1: {says}"), "unknown key `tool`"]);
    }
}

/// The demo's policy, indented.
fn indented(policy: &str, spaces: usize) -> String {
    let line = |line: &str| format!("{}{line}\n", " ".repeat(spaces));
    policy.lines().map(line).collect()
}

#[test]
fn policies_that_kubernetes_holds_are_checked_with_the_lines_of_the_file() {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let wrong = policy.replace("extends: [support]", "extends: [suport]");
    let line = wrong
        .lines()
        .position(|line| line.contains("suport"))
        .unwrap()
        + 1;
    let column = wrong.lines().nth(line - 1).unwrap().find("suport").unwrap() + 1;
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: policy}\ndata:\n  other: \"1\"\n  policy.yaml: |\n";
    let secret = config_map
        .replace("ConfigMap", "Secret")
        .replace("data:", "stringData:");
    let base =
        "apiVersion: mcp-auth.local/v1\nkind: McpAuthPolicy\nmetadata: {name: policy}\nspec:\n";
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data:\n    policy.yaml: |-\n";
    let text = "proxy: istio-sidecar\npolicy: |\n";
    let map = "proxy: istio-sidecar\nvariables: [MCP_AUTH_KEY]\nissuers: []\npolicy:\n";
    for (name, head, spaces) in [
        ("config_map", config_map, 4),
        ("secret", &secret, 4),
        ("base", base, 2),
        ("list", list, 6),
        ("values_text", text, 2),
        ("values_map", map, 2),
    ] {
        let file = |policy: &str| format!("{head}{}", indented(policy, spaces));
        let files = Files::new(&format!("held_{name}")).with("held.yaml", &file(&wrong));
        let place = format!(
            "held.yaml:{}:{}: ",
            head.lines().count() + line,
            spaces + column
        );
        let says = format!(
            "{place}roles.manager.extends[0]: unknown role `suport`; did you mean `support`?"
        );
        files
            .run(&["check", "held.yaml"])
            .says(1, &[&says, "    extends: [suport]"]);
        if name == "values_text" {
            continue;
        }
        let files = files.with("held.yaml", &file(&policy));
        files
            .run(&["check", "held.yaml"])
            .says(0, &["held.yaml: ok", "2 roles, 1 issuer"]);
        let broken = policy.replace("tools: [\"crm.*\"]", "tools: [*]");
        let files = files.with("held.yaml", &file(&broken));
        files
            .run(&["check", "held.yaml"])
            .says(1, &["quote the \"*\""]);
    }
}

#[test]
fn the_shipped_policy_of_the_overlays_is_fine() {
    let ran = Files::new("held_base").run(&[
        "check",
        &format!("{ROOT}/deploy/kubernetes/base/policy.yaml"),
    ]);
    assert_eq!(ran.stderr, "");
    ran.says(
        0,
        &["policy.yaml: ok: 2 roles, 1 issuer, 5 tool rules, 1 prompt rule\n"],
    );
}

#[test]
fn a_config_map_with_the_file_that_envoy_watches_is_checked() {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let files = Files::new("held_filter").with("policy.yaml", &policy);
    let arguments = "render policy.yaml --for envoy-file --upstream http://crm:8000 --cluster login=http://login:9000 --output out";
    assert_eq!(
        files.run(&arguments.split(' ').collect::<Vec<_>>()).status,
        0
    );
    let filter = std::fs::read_to_string(files.0.join("out/mcp_auth.yaml")).unwrap();
    let head = "apiVersion: v1\nkind: ConfigMap\ndata:\n  mcp_auth.yaml: |\n";
    let file = |filter: &str| format!("{head}{}", indented(filter, 4));
    let files = files.with("held.yaml", &file(&filter));
    files
        .run(&["check", "held.yaml"])
        .says(0, &["2 roles, 1 issuer"]);
    let wrong = filter.replace("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN");
    let line = wrong
        .lines()
        .position(|line| line.contains("failure_policy: FAIL_OPEN"))
        .unwrap();
    let files = files.with("held.yaml", &file(&wrong));
    let says = format!("held.yaml:{}:", line + 5);
    files
        .run(&["check", "held.yaml"])
        .says(1, &[&says, "failure_policy: expected `FAIL_RELOAD`"]);
}

#[test]
fn values_of_the_chart_fit_the_policy() {
    let policy =
        std::fs::read_to_string(format!("{ROOT}/deploy/kubernetes/base/policy.yaml")).unwrap();
    let (_, policy) = policy.split_once("spec:\n").unwrap();
    let values = "proxy: istio-sidecar\nvariables: [MCP_AUTH_KEY]\nbufferLimit: 10485760\n\
                  issuers: [{name: login, host: login.example.com}]\npolicy:\n";
    let base = format!("{values}{policy}");
    let files = Files::new("values").with("values.yaml", &base);
    let ran = files.run(&["check", "values.yaml"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let changes = [
        (
            "variables: [MCP_AUTH_KEY]",
            "variables: []",
            true,
            "variables: missing MCP_AUTH_KEY",
        ),
        (
            "bufferLimit: 10485760",
            "bufferLimit: 1048576",
            true,
            "bufferLimit: 1048576 bytes are less",
        ),
        (
            "host: login.example.com",
            "host: other.example.com",
            false,
            "issuers: no issuer of the chart has the cluster",
        ),
    ];
    check_changes("values.yaml", &base, &changes);
    let shipped = format!("{ROOT}/deploy/kubernetes/chart/values.yaml");
    files
        .run(&["check", &shipped])
        .says(1, &["policy: there is none here", "--set-file"]);
}

#[test]
fn a_port_of_istio_without_a_protocol_is_found() {
    let base = shipped("istio-envoyfilter.yaml").replace(&"0".repeat(64), &"1".repeat(64));
    for (index, (port, is_found)) in [
        ("{port: 8000}", true),
        ("{port: 8000, name: mcp}", true),
        ("{port: 8000, name: http, appProtocol: tcp}", true),
        ("{port: 8000, appProtocol: http}", false),
        ("{port: 8000, name: http-mcp}", false),
    ]
    .iter()
    .enumerate()
    {
        let text = format!("{base}---\napiVersion: v1\nkind: Service\nspec: {{ports: [{port}]}}\n");
        let ran = Files::new(&format!("protocol_{index}"))
            .with("istio.yaml", &text)
            .run(&["check", "istio.yaml"]);
        assert_eq!(
            (
                ran.status,
                ran.stderr.contains("missing `appProtocol: http`")
            ),
            (0, *is_found),
            "{port}"
        );
    }
}

#[test]
fn a_policy_in_json_text_inside_envoys_file_is_checked() {
    let base = shipped("envoy.yaml");
    let (head, rest) = base.split_once("google.protobuf.Struct\n").unwrap();
    let (_, tail) = rest
        .split_once("                  - name: envoy.filters.http.router\n")
        .unwrap();
    let file = |policy: &str| {
        format!(
            "{head}google.protobuf.StringValue\n                          value: '{policy}'\n\
             \x20                 - name: envoy.filters.http.router\n{tail}"
        )
    };
    let good = r#"{"resource": "http://127.0.0.1:10000/mcp", "local": {"user": "me"}}"#;
    let listening = file(good).replace("address: 0.0.0.0", "address: 127.0.0.1");
    let files = Files::new("string_value").with("envoy.yaml", &listening);
    files
        .run(&["check", "envoy.yaml"])
        .says(0, &["roles: there are none", "local calls only"]);
    let files = files.with("envoy.yaml", &file(good));
    files
        .run(&["check", "envoy.yaml"])
        .says(1, &["the policy says `local`: listen on 127.0.0.1"]);
    let files = files.with("envoy.yaml", &file("{\"resource\": 5}"));
    files
        .run(&["check", "envoy.yaml"])
        .says(1, &["resource: found number `5`"]);
}

#[test]
fn a_mistake_in_a_policy_inside_envoys_file_has_the_line_of_that_file() {
    let base = shipped("envoy.yaml");
    let (head, rest) = base.split_once("google.protobuf.Struct\n").unwrap();
    let (_, tail) = rest
        .split_once("                  - name: envoy.filters.http.router\n")
        .unwrap();
    let lines = head.lines().count();
    let indent = " ".repeat(26);
    let policy = |line: &str| {
        format!(
            "{head}google.protobuf.StringValue\n{indent}value: |\n{indent}  {{\n{indent}    {line}\n{indent}  }}\n\
             \x20                 - name: envoy.filters.http.router\n{tail}"
        )
    };
    let files = Files::new("inner_place").with("envoy.yaml", &policy("\"resource\": 5"));
    let ran = files.run(&["check", "envoy.yaml"]);
    let place = format!("envoy.yaml:{}:{}", lines + 3, 26 + 4 + 13);
    ran.says(
        1,
        &[
            &format!("{place}: resource: found number `5`"),
            "   \"resource\": 5\n",
        ],
    );
    let number = policy("").replace("value: |", "value: 5 #");
    let number: Vec<&str> = number
        .lines()
        .filter(|line| !matches!(line.trim(), "{" | "}" | ""))
        .collect();
    let files = files.with("envoy.yaml", &number.join("\n"));
    files
        .run(&["check", "envoy.yaml"])
        .says(1, &["expected a text with the policy, in YAML or JSON"]);
    // The filter reads YAML, too.
    let files = files.with("envoy.yaml", &policy("resource: 5"));
    let ran = files.run(&["check", "envoy.yaml"]);
    let place = format!("envoy.yaml:{}:", lines + 3);
    ran.says(1, &[&place, "resource: found number `5`"]);
    let good = "resource: http://127.0.0.1:10000/mcp, local: {user: me}";
    let good = policy(good).replace("address: 0.0.0.0", "address: 127.0.0.1");
    let files = files.with("envoy.yaml", &good);
    files
        .run(&["check", "envoy.yaml"])
        .says(0, &["local calls only"]);
}

#[test]
fn a_secret_in_a_file_is_not_printed() {
    let text = shipped("envoy.yaml").replace(
        "host_env_keys: [MCP_AUTH_KEY]",
        "key_values: {MCP_AUTH_KEY: 7c1f9e}",
    );
    let files = Files::new("secret_line").with("envoy.yaml", &text);
    let ran = files.run(&["check", "envoy.yaml"]);
    ran.says(0, &["is a secret in a file", "{MCP_AUTH_KEY: ***"]);
    assert!(!ran.stderr.contains("7c1f9e"), "{}", ran.stderr);
}

#[test]
fn files_without_the_filter_are_not_fine() {
    for (name, text) in [
        ("envoy.yaml", "static_resources: {listeners: []}\n"),
        ("mcp_auth.yaml", "resources: [{name: mcp_auth}]\n"),
        ("service.yaml", "apiVersion: v1\nkind: Service\n"),
    ] {
        let ran = Files::new("without").with(name, text).run(&["check", name]);
        ran.says(
            1,
            &[
                &format!("{name}:1:1: the filter is not in this file"),
                "mcp-auth render",
            ],
        );
    }
}

#[test]
fn other_commands_ask_for_the_policy_alone() {
    let files = Files::new("other");
    for (file, what) in [
        ("envoy/envoy.yaml", "this is a whole Envoy configuration"),
        (
            "envoy/istio-envoyfilter.yaml",
            "this is an Istio EnvoyFilter",
        ),
    ] {
        let ran = files.run(&["arguments", "--policy", &format!("{ROOT}/{file}")]);
        ran.says(1, &[what, "a file of its own"]);
    }
}
