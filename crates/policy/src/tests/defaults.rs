//! What the short form means.

use super::*;
use base::http::Endpoint;

#[test]
fn a_short_policy_is_a_safe_one() {
    let policy = parse(&short());
    assert_eq!(policy.path, "/mcp");
    assert_eq!(policy.mode, Mode::Enforce);
    assert!(policy.scopes.is_empty() && policy.roles.is_empty());
    assert!(policy.tools.is_empty() && policy.prompts.is_empty());
    assert_eq!(policy.refusals, Refusals::Hidden);
    assert!(policy.allows_origin("https://crm.example.com"));
    assert!(!policy.allows_origin("https://app.example.com"));
    assert_eq!(policy.headers.user, "x-mcp-user");
    assert_eq!(policy.headers.organization, "x-mcp-organization");
    assert_eq!(policy.headers.roles, "x-mcp-roles");
    assert_eq!(policy.upstream.authorization, Authorization::Remove);
    assert!(policy.upstream.remove_headers.is_empty());
    assert_eq!(policy.audit.subject, Subject::Hash);
    assert_eq!(policy.audit.key_env, None);
    assert_eq!(policy.max_body, 256 * 1024);
    assert_eq!(policy.max_response, 8 * 1024 * 1024);
    assert_eq!(policy.envoy_buffer(), 10 * 1024 * 1024);
    assert_eq!(policy.max_list_ttl, Duration::from_secs(300));
    assert_eq!(policy.instructions, None);
    assert_eq!(policy.hold, Hold::StopIteration);

    let [issuer] = policy.issuers.as_slice() else {
        panic!()
    };
    assert_eq!(issuer.audiences, ["https://crm.example.com/mcp"]);
    let TokenCheck::Signature(signatures) = &issuer.check else {
        panic!()
    };
    assert_eq!(signatures.algorithms, Algorithm::ALL);
    assert_eq!(signatures.types, [TokenType::AccessToken, TokenType::Jwt]);
    assert_eq!(issuer.clock_skew, Duration::from_secs(30));
    assert_eq!(issuer.max_lifetime, Duration::from_secs(24 * 3600));
    let fetch = fetch(issuer);
    assert_eq!(
        (
            fetch.endpoint.cluster.as_str(),
            fetch.endpoint.path.as_str()
        ),
        ("login", "/keys")
    );
    assert_eq!(fetch.endpoint.authority, "login.example.com");
    assert_eq!(fetch.refresh, Duration::from_secs(300));
    assert_eq!(fetch.keep, Duration::from_secs(3600));
}

#[test]
fn what_envoy_hands_over_has_numbers_with_fractions() {
    assert_eq!(parse(&with("/max_body", json!(1024.0))).max_body, 1024);
    assert_eq!(
        parse(&with("/max_body", json!("1MiB"))).max_body,
        1024 * 1024
    );
    assert_eq!(
        parse(&with("/max_response", json!("16 MiB"))).max_response,
        16 * 1024 * 1024
    );
}

#[test]
fn resources_for_this_machine_may_be_http() {
    for resource in [
        "http://localhost:8080/mcp",
        "http://127.0.0.1/",
        "http://[::1]:1/mcp",
    ] {
        parse(&with("/resource", json!(resource)));
    }
    assert_eq!(
        parse(&with("/resource", json!("https://a.example"))).path,
        "/"
    );
}

#[test]
fn the_metadata_url_keeps_the_resources_path() {
    for (resource, expected) in [
        (
            "https://a.example",
            "https://a.example/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example/",
            "https://a.example/.well-known/oauth-protected-resource",
        ),
        (
            "https://a.example:8443/x/mcp/",
            "https://a.example:8443/.well-known/oauth-protected-resource/x/mcp",
        ),
    ] {
        assert_eq!(
            parse(&with("/resource", json!(resource))).metadata_url(),
            expected
        );
    }
}

#[test]
fn an_issuers_port_is_part_of_the_fetchs_authority() {
    let policy = with("/issuers/0/issuer", json!("http://login.local:9000/realm"));
    let policy = parse(&policy);
    let fetch = fetch(&policy.issuers[0]);
    assert_eq!(fetch.endpoint.authority, "login.local:9000");
}

#[test]
fn the_most_specific_rule_for_an_argument_comes_first() {
    let policy = edited(
        with(
            "/arguments",
            json!({"userId": "remove", "ticket": "reject"}),
        ),
        "/tools",
        json!({
            "*": {"arguments": {"ticket": "remove"}},
            "crm.*": {"arguments": {"user-id": "reject"}},
            "crm.assign": {"arguments": {"user_id": "keep"}},
        }),
    );
    let policy = parse(&policy);
    let patterns: Vec<&str> = policy
        .tools
        .iter()
        .map(|tool| tool.pattern.written())
        .collect();
    assert_eq!(patterns, ["crm.assign", "crm.*", "*"]);
    let all: Vec<&Operation> = policy.tools.iter().collect();
    let rule = |name: &str, operations: &[&Operation]| {
        policy
            .argument_rule(policy.names.find(&fold(name)).unwrap(), operations)
            .clone()
    };
    assert_eq!(rule("user_id", &all), ArgumentRule::Keep);
    assert_eq!(rule("USER.ID", &all[1..]), ArgumentRule::Reject);
    assert_eq!(rule("user_id", &[]), ArgumentRule::Remove);
    assert_eq!(rule("ticket", &all), ArgumentRule::Remove);
    assert_eq!(rule("ticket", &[]), ArgumentRule::Reject);
    // A built-in name, and one that is only an operation's.
    assert_eq!(rule("org_id", &[]), ArgumentRule::Reject);
    assert_eq!(rule("is_admin", &[]), ArgumentRule::Remove);
}

#[test]
fn built_in_names_follow_the_identity_and_can_be_turned_off() {
    let policy = with("/issuers/0/identity", json!({"organization": "org"}));
    let rule = |policy: &Policy, name: &str| {
        let id = policy.names.find(&fold(name))?;
        Some(policy.argument_rule(id, &[]).clone())
    };
    let organization = Some(ArgumentRule::Set(IdentityField::Organization));
    assert_eq!(rule(&parse(&policy), "tenant_id"), organization);
    assert_eq!(
        rule(&parse(&short()), "tenant_id"),
        Some(ArgumentRule::Reject)
    );
    let user = Some(ArgumentRule::Set(IdentityField::User));
    assert_eq!(rule(&parse(&short()), "userId"), user);
    assert_eq!(
        rule(&parse(&with("/builtin_arguments", json!(false))), "user_id"),
        None
    );
}

fn fetch(issuer: &TrustedIssuer) -> &KeyFetch {
    match &issuer.check {
        TokenCheck::Signature(Signatures {
            keys: KeySource::Fetch(fetch),
            ..
        }) => fetch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_introspected_issuer_is_asked_at_its_own_host_and_believed_for_a_minute() {
    let policy = parse(&introspecting());
    let TokenCheck::Introspection(endpoint, None) = &policy.issuers[0].check else {
        panic!()
    };
    let expected = Introspection {
        client: oauth::client::TokenClient {
            endpoint: Endpoint {
                cluster: "login".into(),
                path: "/introspect".into(),
                authority: "login.example.com".into(),
            },
            client_id: "mcp".into(),
            auth: oauth::client::ClientAuth::Secret {
                env: "MCP_SECRET".into(),
                method: oauth::client::SecretMethod::Basic,
            },
        },
        cache: Duration::from_secs(60),
    };
    assert_eq!(*endpoint, expected);
}

#[test]
fn a_seal_has_a_key_and_some_time() {
    refuse(vec![
        (
            "/seal",
            json!({"key_env": ""}),
            "seal.key_env: found none, expected the name of an environment variable",
        ),
        (
            "/seal",
            json!({"key_env": "KEY", "lifetime": "999ms"}),
            "seal.lifetime: expected at least 1s",
        ),
        (
            "/audit",
            json!({"key_env": ""}),
            "audit.key_env: found none, expected the name of an environment variable",
        ),
    ]);
    parse(&with("/seal", json!({"key_env": "KEY", "lifetime": "1s"})));
}
