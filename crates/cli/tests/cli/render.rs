//! `mcp-auth render`.

use crate::{Files, ROOT, Ran};

const DEMO: &str = "--upstream http://crm:8000/mcp --cluster login=http://login:9000";

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/envoy/{name}")).unwrap()
}

/// The demo's policy, for a server on the internet.
fn public_policy() -> String {
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    policy
        .replace("http://127.0.0.1:10000/mcp ", "https://crm.example.com/mcp")
        .replace("http://127.0.0.1:9000", "https://login.example.com")
        .replace("The policy of the demo.", "The policy.")
}

fn render(files: &Files, arguments: &str) -> Ran {
    let mut all = vec!["render"];
    all.extend(arguments.split_whitespace());
    files.run(&all)
}

#[test]
fn the_shipped_files_are_what_render_writes() {
    let demo = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    std::fs::create_dir_all(Files::new("shipped").0.join("demo")).unwrap();
    let files = Files::new("shipped")
        .with("demo/policy.yaml", &demo)
        .with("policy.yaml", &public_policy());
    let compose = format!("demo/policy.yaml --for compose {DEMO} --output out");
    assert_eq!(render(&files, &compose).status, 0);
    let compose = std::fs::read_to_string(files.0.join("out/compose.yaml")).unwrap();
    let public = |target: &str| render(&files, &format!("policy.yaml --for {target}")).stdout;
    let rendered = [
        ("compose.yaml", compose),
        (
            "envoy.yaml",
            render(&files, &format!("demo/policy.yaml --for envoy {DEMO}")).stdout,
        ),
        ("istio-envoyfilter.yaml", public("istio")),
        ("envoy-gateway.yaml", public("envoy-gateway")),
    ];
    for (name, text) in rendered {
        if std::env::var_os("WRITE_SHIPPED").is_some() {
            std::fs::write(format!("{ROOT}/envoy/{name}"), &text).unwrap();
        }
        assert!(
            text == shipped(name),
            "envoy/{name} is not what `mcp-auth render` writes: run `make shipped`"
        );
    }
}

#[test]
fn all_rendered_files_pass_the_check() {
    let files = Files::new("rendered").with("policy.yaml", &public_policy());
    let common = "--upstream http://crm:8000 --sha256 \
        5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    for (target, names) in [
        ("envoy", &["envoy.yaml"][..]),
        ("envoy-file", &["mcp_auth.yaml", "envoy.yaml"]),
        ("istio", &["istio-envoyfilter.yaml"]),
        ("envoy-gateway", &["envoy-gateway.yaml"]),
        ("compose", &["envoy.yaml"]),
    ] {
        let ran = render(
            &files,
            &format!("policy.yaml --for {target} {common} -o {target}"),
        );
        ran.says(0, &["wrote "]);
        for name in names {
            let ran = files.run(&["check", &format!("{target}/{name}")]);
            assert_eq!(ran.stderr, "", "{target}/{name}");
            ran.says(0, &["ok: 2 roles, 1 issuer, 6 tool rules"]);
        }
    }
}

#[test]
fn each_policy_to_start_from_gets_its_variables_and_clusters() {
    let files = Files::new("start_from");
    for (name, options, expected) in [
        (
            "local",
            "",
            &[
                "address: 127.0.0.1, port_value: 10000",
                "[MCP_AUTH_KEY, CRM_TOKEN]",
            ][..],
        ),
        ("static-credential", "", &["CRM_TOKEN"]),
        ("exchange", "", &["name: login"]),
        ("every-call", "", &["host_env_keys: [MCP_AUTH_"]),
        (
            "two-layers",
            "--cluster etcd=https://etcd.example.com:2379",
            &["address: etcd.example.com, port_value: 2379", "name: etcd"],
        ),
    ] {
        let arguments = format!(
            "{ROOT}/envoy/{name}-policy.yaml --for envoy --upstream http://crm:8000 {options}"
        );
        let ran = render(&files, &arguments);
        ran.says(0, expected);
        let files = Files::new(&format!("start_from_{name}")).with("envoy.yaml", &ran.stdout);
        let checked = files.run(&["check", "envoy.yaml"]);
        assert_eq!(checked.status, 0, "{name}: {}", checked.stderr);
    }
}

#[test]
fn several_policies_have_a_route_and_a_server_each() {
    let issuer =
        "issuers: [{issuer: https://login.example.com, jwks: {cluster: login, path: /keys}}]";
    let policies = format!(
        "policies:\n- resource: https://tools.example.com/crm/mcp\n  {issuer}\n  roles: {{\"*\": {{tools: [a]}}}}\n\
         - resource: https://tools.example.com/hr/mcp\n  {issuer}\n  roles: {{\"*\": {{tools: [b]}}}}\n"
    );
    let files = Files::new("several_rendered").with("policy.yaml", &policies);
    let ran = render(
        &files,
        "policy.yaml --for envoy --upstream /crm/mcp=http://crm:8000/mcp",
    );
    ran.says(
        2,
        &[
            "of https://tools.example.com/hr/mcp is not named",
            "--upstream /hr/mcp=URL",
        ],
    );
    let ran = render(
        &files,
        "policy.yaml --for envoy --upstream /crm/mcp=http://crm:8000/mcp --upstream /hr/mcp=https://hr.example.com/hr/mcp",
    );
    ran.says(
        0,
        &[
            "- match: {path: /crm/mcp}",
            "cluster: mcp_server_crm_mcp",
            "regex_rewrite: {pattern: {regex: \"^[^?]*\"}, substitution: /mcp}",
            "- match: {path: /hr/mcp}",
            "host_rewrite_literal: hr.example.com",
            "matcher: {exact: hr.example.com}",
        ],
    );
    let files = files.with("envoy.yaml", &ran.stdout);
    files
        .run(&["check", "envoy.yaml"])
        .says(0, &["ok: 2 policies"]);
}

#[test]
fn limits_fit_the_policy() {
    let policy = format!("{}max_response: 12MiB\n", public_policy());
    let files = Files::new("limits").with("policy.yaml", &policy);
    let envoy = render(&files, "policy.yaml --for envoy --upstream http://crm:8000");
    envoy.says(0, &["per_connection_buffer_limit_bytes: 14680064\n"]);
    let gateway = render(&files, "policy.yaml --for envoy-gateway");
    gateway.says(0, &["bufferLimit: 14680064\n"]);
    let small = envoy.stdout.replace(": 14680064\n", ": 1048576\n");
    let files = files.with("envoy.yaml", &small);
    files.run(&["check", "envoy.yaml"]).says(
        1,
        &["per_connection_buffer_limit_bytes: 1048576 bytes are less than the 14680064 bytes"],
    );
}

#[test]
fn names_of_envoy_gateway_are_put_everywhere() {
    let files = Files::new("gateway_names").with("policy.yaml", &public_policy());
    let ran = render(
        &files,
        "policy.yaml --for envoy-gateway --namespace hr --gateway edge --listener mcp --route hr-mcp --workload app=hr \
         --module oci://registry.example.com/mcp-auth:1",
    );
    ran.says(
        0,
        &[
            "kind: HTTPRoute, name: hr-mcp}",
            "kind: Gateway, name: edge}",
            "      name: hr/edge/mcp\n",
            "envoyextensionpolicy/hr/mcp-auth/wasm/0",
            "owning-gateway-namespace: hr, gateway.envoyproxy.io/owning-gateway-name: edge}",
            "  podSelector: {matchLabels: {app: hr}}\n",
            "        type: Image\n        image:\n          url: registry.example.com/mcp-auth:1  # yours",
        ],
    );
    let (_, resources) = ran.stdout.split_once("apiVersion").unwrap();
    for other in [
        "namespace: crm",
        "crm/eg",
        "name: eg}",
        "app: crm",
        "type: HTTP",
    ] {
        assert!(!resources.contains(other), "{other}");
    }
    let text = ran.stdout.replace(&"0".repeat(64), &"1".repeat(64));
    let checked = files
        .with("gateway.yaml", &text)
        .run(&["check", "gateway.yaml"]);
    assert_eq!((checked.status, checked.stderr.as_str()), (0, ""));
}

#[test]
fn a_policy_without_variables_is_rendered_for_envoy_gateway() {
    let policy = public_policy().replace("seal: {key_env: MCP_AUTH_KEY}", "");
    let files = Files::new("gateway_bare").with("policy.yaml", &policy);
    let ran = render(&files, "policy.yaml --for envoy-gateway");
    ran.says(
        0,
        &["env: {hostKeys: []}\n", "        container: {}\n---\n"],
    );
}

#[test]
fn what_is_missing_is_named() {
    let files = Files::new("render_missing").with("policy.yaml", &public_policy());
    for (arguments, says) in [
        ("policy.yaml --for envoy", "--upstream URL"),
        (
            "policy.yaml --for envoy --upstream crm:8000",
            "`crm:8000` is no URL",
        ),
        (
            "policy.yaml --for envoy --upstream http://c --cluster x=http://y",
            "it names `login`",
        ),
        (
            "policy.yaml --for envoy --upstream http://c --cluster login",
            "is no cluster with a URL",
        ),
        (
            "policy.yaml --for compose --upstream http://c",
            "--output DIRECTORY",
        ),
        (
            "policy.yaml --for envoy-gateway --namespace a/b",
            "`a/b` is no name of a resource",
        ),
        (
            "policy.yaml --for envoy-gateway --module mcp.wasm",
            "the module has no URL",
        ),
        (
            "policy.yaml --for istio --sha256 12",
            "64 hexadecimal digits",
        ),
    ] {
        render(&files, arguments).says(2, &[says]);
    }
    let two = format!("{ROOT}/envoy/two-layers-policy.yaml --for envoy --upstream http://c");
    render(&files, &two).says(
        2,
        &[
            "where the cluster `etcd` is (store.etcd.cluster)",
            "--cluster etcd=URL",
        ],
    );
    let local = format!("{ROOT}/envoy/local-policy.yaml --for compose --upstream http://c -o out");
    render(&files, &local).says(2, &["`local` accepts connections of its own machine only"]);
}

#[test]
fn a_policy_in_json_is_rendered_too() {
    let policy = r#"{"resource": "http://127.0.0.1:8100/mcp", "local": {"user": "me"}, "roles": {"*": {"tools": ["x"]}}}"#;
    let files = Files::new("render_json").with("policy.json", policy);
    let ran = render(
        &files,
        "policy.json --for envoy --upstream http://127.0.0.1:8000/other",
    );
    ran.says(
        0,
        &[
            "port_value: 8100",
            "host_env_keys: []",
            "\"resource\": \"http://127.0.0.1:8100/mcp\"",
            "substitution: /other}",
        ],
    );
    let files = files.with("envoy.yaml", &ran.stdout);
    files
        .run(&["check", "envoy.yaml"])
        .says(0, &["ok: 1 role, local calls only"]);
}
