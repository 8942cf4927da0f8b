//! `mcp-auth token`, and `mcp-auth explain` of tokens.

use serde_json::{Value, json};

use crate::{Files, ROOT, Ran};

const TOKEN: &str = "token --policy policy.yaml --user dana --organization org-acme --role manager";

fn run(files: &Files, arguments: &str) -> Ran {
    files.run(&arguments.split(' ').collect::<Vec<_>>())
}

/// A directory with the demo's policy, a request, a token, and the key set.
fn minted(test: &str, more: &str) -> Files {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "crm.search_customers", "arguments": {"organization_id": "org-globex"}}});
    let files = Files::to_explain(test, &json!({}), &request);
    let _ = std::fs::remove_file(files.0.join("mcp-auth-test-key.pem"));
    let token = run(&files, &format!("{TOKEN}{more}"));
    let keys = run(&files, "token --policy policy.yaml --jwks");
    assert_eq!((token.status, keys.status), (0, 0), "{}", token.stderr);
    files
        .with("token.txt", &token.stdout)
        .with("keys.json", &keys.stdout)
}

const EXPLAIN: &str = "explain --policy policy.yaml --token token.txt --request request.json";

#[test]
fn a_minted_token_is_the_given_caller_to_the_filter() {
    let files = minted("minted", "");
    let token = std::fs::read_to_string(files.0.join("token.txt")).unwrap();
    assert_eq!((token.lines().count(), token.split('.').count()), (1, 3));
    let checked = run(&files, &format!("{EXPLAIN} --jwks keys.json"));
    checked.says(
        0,
        &[
            "decision     approved (allowed)\n",
            "token        signature verifies with keys.json\n",
            "the policy reads: user dana; organization org-acme; roles manager; scopes none\n",
            "it expires at ",
            "params.arguments.organization_id: \"org-globex\" -> \"org-acme\"\n",
            "token: verified, ",
        ],
    );
    assert!(!checked.stdout.contains("NOT"), "{}", checked.stdout);
    assert!(!checked.stdout.contains(token.trim()));
    let json = run(&files, &format!("{EXPLAIN} --jwks keys.json --json")).json();
    assert_eq!(json["claims_verified"], true);
    assert_eq!(json["token"]["user"], "dana");
    assert_eq!(json["token"]["expired"], false);

    let unchecked = run(&files, EXPLAIN);
    unchecked.says(
        0,
        &[
            "signature NOT checked: give the key set of its issuer with --jwks FILE\n",
            "claims as given, NOT verified, ",
        ],
    );
    assert_eq!(
        run(&files, &format!("{EXPLAIN} --json")).json()["claims_verified"],
        false
    );
}

#[test]
fn a_token_is_read_as_its_header_has_it() {
    let files = minted("header", "");
    let token = std::fs::read_to_string(files.0.join("token.txt")).unwrap();
    for text in [
        format!("Bearer {token}"),
        format!("Authorization: Bearer {token}\r\n"),
        format!("\n{token}\n"),
    ] {
        let input = [
            "explain",
            "--policy",
            "policy.yaml",
            "--token",
            "-",
            "--jwks",
            "keys.json",
            "--request",
            "request.json",
        ];
        files
            .run_with_input(&input, &text)
            .says(0, &["signature verifies"]);
    }
    files
        .with("token.txt", "2YotnFZFEjr1zCsicMWpAA")
        .run(&EXPLAIN.split(' ').collect::<Vec<_>>())
        .says(2, &["token.txt holds no JWT", "--claims FILE"]);
}

#[test]
fn a_refused_token_is_explained() {
    for (name, more, keys, reason, says) in [
        (
            "expired",
            " --claim exp=1000",
            true,
            "token_expired",
            "it expired at 1970-01-01T00:16:40Z, ",
        ),
        (
            "expired_unchecked",
            " --claim exp=1000",
            false,
            "token_expired",
            "it expired at 1970-01-01T00:16:40Z, ",
        ),
        (
            "audience",
            " --audience https://other.example",
            false,
            "token_audience_wrong",
            "`aud` must have",
        ),
        (
            "issuer",
            " --claim iss=https://evil.example",
            false,
            "token_issuer_untrusted",
            "its issuer is not in the policy",
        ),
        (
            "roles",
            " --claim realm_access={\"roles\":[\"manager\",1]}",
            true,
            "",
            "",
        ),
    ] {
        if reason.is_empty() {
            let files = Files::to_explain(name, &json!({}), &json!({}));
            run(&files, &format!("{TOKEN}{more}"))
                .says(2, &["the policy reads no caller from these claims"]);
            continue;
        }
        let files = minted(&format!("refused_{name}"), more);
        let keys = if keys { " --jwks keys.json" } else { "" };
        let ran = run(&files, &format!("{EXPLAIN}{keys}"));
        ran.says(1, &[&format!("({reason})"), says]);
        let signature = if keys.is_empty() {
            "signature NOT checked"
        } else {
            "signature verifies with keys.json"
        };
        ran.says(1, &[signature]);
        assert!(!ran.stdout.contains("fresh token's"), "{}", ran.stdout);
    }
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let files = minted("other_key", "");
    let other = run(&files, "token --policy policy.yaml --jwks --key other.pem");
    let files = files.with("other.json", &other.stdout);
    run(&files, &format!("{EXPLAIN} --jwks other.json")).says(
        1,
        &[
            "decision     needs_review (token_key_unknown)",
            "signature NOT checked: other.json does not have its key",
        ],
    );
    let token = std::fs::read_to_string(files.0.join("token.txt")).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let files = files.with(
        "token.txt",
        &format!("{signed}.{first}{}", signature.split_at(1).1),
    );
    run(&files, &format!("{EXPLAIN} --jwks keys.json")).says(
        1,
        &[
            "(token_signature_invalid)",
            "signature does NOT verify with keys.json",
        ],
    );
    // An expired token is refused before its signature is checked.
    let token = run(&files, &format!("{TOKEN} --claim exp=1000")).stdout;
    let (signed, _) = token.rsplit_once('.').unwrap();
    let files = files.with("token.txt", &format!("{signed}.AAAA"));
    let ran = run(&files, &format!("{EXPLAIN} --jwks keys.json --json"));
    let json = ran.json();
    assert_eq!(json["record"]["reason"], "token_expired");
    assert_eq!(
        (&json["token"]["signature"], &json["claims_verified"]),
        (&json!("does_not_verify"), &json!(false))
    );
    let files = files.with("keys.json", "{\"keys\": []}");
    run(&files, &format!("{EXPLAIN} --jwks keys.json")).says(2, &["the key set is not accepted"]);
}

#[test]
fn the_header_of_a_token_is_judged_although_its_signature_is_not() {
    let files = minted("judged_header", "");
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    for (from, to, reason) in [
        ("types: [at+jwt]", "types: [JWT]", "token_type_wrong"),
        (
            "algorithms: [ES256]",
            "algorithms: [RS256]",
            "token_algorithm_not_accepted",
        ),
    ] {
        assert!(policy.contains(from));
        let changed = policy.replace(from, to);
        std::fs::write(files.0.join("policy.yaml"), changed).unwrap();
        run(&files, EXPLAIN).says(1, &[&format!("({reason})")]);
    }
}

#[test]
fn the_keys_of_the_policy_check_a_token() {
    let files = minted("inline_keys", "");
    let keys: Value =
        serde_json::from_str(&std::fs::read_to_string(files.0.join("keys.json")).unwrap()).unwrap();
    let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
    let inline = policy.replace(
        "jwks: {cluster: login, path: /jwks}",
        &format!("jwks: {{inline: {keys}}}"),
    );
    assert_ne!(policy, inline);
    let files = files.with("policy.yaml", &inline);
    run(&files, EXPLAIN).says(
        0,
        &["token        signature verifies with the policy's key set\n"],
    );
    let ran = run(&files, TOKEN);
    ran.says(0, &["note: this key is for tests"]);
    assert!(!ran.stderr.contains("jwks"), "{}", ran.stderr);
    let other = run(&files, &format!("{TOKEN} --key other.pem"));
    other.says(
        0,
        &["the policy does not have this key under `jwks: {inline: ...}`"],
    );
}

#[test]
fn each_form_of_claims_and_each_algorithm_is_minted() {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "crm.get", "arguments": {"org": "org-globex"}}});
    for (index, (identity, issuer)) in [
        ("organization: org_id, roles: realm_access.roles", "algorithms: [ES256]"),
        ("user: oid, organization: tid, roles: roles, scopes: scp", "algorithms: [EdDSA]\n    types: [JWT]"),
        ("user: {claims: [username, sub]}, organization: {claims: [o], member: id}, roles: {claims: [\"cognito:groups\"]}", "types: [absent]\n    without_audience: {claim: client_id, values: [app]}"),
        ("organization: {claims: [\"urn:zitadel:org\"], keys: true}, roles: {claims: [[urn:roles]], keys: true}", "delegation: required\n    actors: [agent]"),
        ("organization: [\"https://example.com/org\"], roles: {claims: [groups], separator: \",\"}", "max_lifetime: 10m"),
    ]
    .iter()
    .enumerate()
    {
        let policy = format!(
            "resource: https://crm.example.com/mcp\nissuers:\n  - issuer: https://login.example.com\n    \
             jwks: {{cluster: login, path: /keys}}\n    identity: {{{identity}}}\n    {issuer}\n\
             roles: {{manager: {{tools: [crm.get]}}}}\narguments: {{org: {{set: organization}}}}\n\
             tools: {{crm.get: {{scopes: [\"crm:read\"]}}}}\n"
        );
        let files = Files::to_explain(&format!("forms_{index}"), &json!({}), &request).with("policy.yaml", &policy);
        let token = run(&files, &format!("{TOKEN} --role auditor --scope crm:read --scope x"));
        token.says(0, &["the policy reads keys from the cluster `login`"]);
        let keys = run(&files, "token --policy policy.yaml --jwks");
        let files = files.with("token.txt", &token.stdout).with("keys.json", &keys.stdout);
        for keys in ["", " --jwks keys.json"] {
            run(&files, &format!("{EXPLAIN}{keys}")).says(
                0,
                &["user dana; organization org-acme; roles ", "\"org-globex\" -> \"org-acme\""],
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_new_key() {
    use std::os::unix::fs::PermissionsExt;
    let files = minted("key_mode", "");
    let path = files.0.join("mcp-auth-test-key.pem");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let pem = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = run(&files, TOKEN);
    ran.says(
        0,
        &["other users may read mcp-auth-test-key.pem: run `chmod 600 mcp-auth-test-key.pem`"],
    );
    assert!(!ran.stdout.contains("PRIVATE") && !ran.stderr.contains("PRIVATE"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), pem);
}

#[test]
fn a_token_that_the_policy_would_not_read_is_not_made() {
    let files = minted("not_made", "");
    let local = std::fs::read_to_string(format!("{ROOT}/envoy/local-policy.yaml")).unwrap();
    let bare = "resource: https://crm.example.com/mcp\nissuers: [{issuer: https://a.example, jwks: {cluster: c, path: /k}}]\n";
    let opaque = "resource: https://crm.example.com/mcp\nissuers: [{issuer: https://a.example, introspection: \
                  {cluster: c, path: /i, client_id: x, client_secret_env: S}}]\n";
    let files = files
        .with("local.yaml", &local)
        .with("bare.yaml", bare)
        .with("opaque.yaml", opaque)
        .with("broken.pem", "no key");
    for (arguments, says) in [
        ("token --policy local.yaml --user dana", "under `local`"),
        (
            "token --policy bare.yaml --user dana --organization x",
            "no organization from the tokens",
        ),
        (
            "token --policy bare.yaml --user dana --role x",
            "name the claim under `identity.roles`",
        ),
        (
            "token --policy opaque.yaml --user dana",
            "introspects its tokens",
        ),
        (
            "token --policy policy.yaml --user dana --issuer https://b.example",
            "the policy has no issuer",
        ),
        (
            "token --policy policy.yaml --user dana --lifetime 90d",
            "valid for at most 1day",
        ),
        (
            "token --policy policy.yaml --user dana --key broken.pem",
            "broken.pem: no private key",
        ),
        (
            "token --policy policy.yaml --user dana --algorithm EdDSA",
            "has a key for ES256, not for EdDSA",
        ),
        (
            "token --policy policy.yaml --user dana --key new.pem --algorithm EdDSA",
            "does not accept EdDSA",
        ),
        (
            "token --policy policy.yaml --user dana --claim x",
            "`x` is no claim",
        ),
        (
            "token --policy policy.yaml --user dana --claim sub=eve",
            "would read another caller",
        ),
        ("token --policy policy.yaml", "--user"),
    ] {
        run(&files, arguments).says(2, &[says]);
    }
}

#[test]
fn a_token_in_json_has_its_claims() {
    let files = minted("token_json", "");
    let json = run(
        &files,
        &format!("{TOKEN} --json --claim amr=[\"mfa\"] --claim note=plain --lifetime 1h"),
    )
    .json();
    assert_eq!(json["claims"]["amr"], json!(["mfa"]));
    assert_eq!(json["claims"]["note"], "plain");
    let (issued, expires) = (&json["claims"]["iat"], &json["expires"]);
    assert_eq!(expires.as_u64().unwrap() - issued.as_u64().unwrap(), 3600);
    assert_eq!(json["token"].as_str().unwrap().split('.').count(), 3);
}

#[test]
fn the_signature_of_a_token_that_is_introspected_is_checked_apart() {
    let files = minted("introspected", "");
    let policy = "resource: http://127.0.0.1:10000/mcp\nissuers:\n  - issuer: http://127.0.0.1:9000\n    \
                  introspection: {cluster: c, path: /i, client_id: x, client_secret_env: S}\n    \
                  identity: {organization: org_id, roles: realm_access.roles}\n\
                  roles: {manager: {tools: [\"crm.*\"]}}\n";
    let files = files.with("policy.yaml", policy);
    let ran = run(&files, &format!("{EXPLAIN} --jwks keys.json"));
    ran.says(
        0,
        &[
            "token        signature verifies with keys.json\n",
            "claims as given, NOT verified",
        ],
    );
}
