//! Claims that identify the caller, tenants, and tokens without `aud`.

use super::*;

#[test]
fn r8_claims_have_several_forms() {
    for identity in [
        json!({"user": {"claims": ["sub", "client_id"]}}),
        json!({"roles": {"claims": ["a.b", ["c.d", "e"]]}}),
        json!({"roles": {"claims": ["a"], "separator": ","}}),
        json!({"roles": {"claims": ["a"], "member": "key"}}),
        json!({"organization": {"claims": ["a"], "keys": true}}),
        json!({"scopes": {"claims": ["scope", "scp"]}}),
    ] {
        let policy = with("/issuers/0/identity", identity.clone());
        assert_eq!(parse(&policy).issuers.len(), 1, "{identity}");
    }
    for (identity, expected) in [
        (
            json!({"roles": {"claims": []}}),
            "issuers[0].identity.roles: `claims` has no claim",
        ),
        (
            json!({"roles": {"claims": ["a"], "keys": true, "member": "b"}}),
            "issuers[0].identity.roles: one of `separator`, `member` and `keys` may be set",
        ),
        (
            json!({"roles": {"claims": ["a"], "separator": " or "}}),
            "issuers[0].identity.roles: `separator` has no letters and digits",
        ),
    ] {
        let policy = with("/issuers/0/identity", identity);
        assert_eq!(errors(&policy.to_string()), [expected]);
    }
}

#[test]
fn r8_a_url_that_is_split_at_its_dots_is_a_warning() {
    let policy = with("/roles", json!({"*": {"tools": ["*"]}}));
    for (identity, is_warned) in [
        (json!({"roles": "https://example.com/roles"}), true),
        (
            json!({"roles": {"claims": ["roles", "https://example.com/roles"]}}),
            true,
        ),
        (json!({"organization": "urn:example.com:org"}), true),
        (json!({"roles": ["https://example.com/roles"]}), false),
        (
            json!({"roles": ["https://example.com/roles", "names"]}),
            false,
        ),
        (json!({"roles": "urn:zitadel:iam:org:project:roles"}), false),
        (json!({"roles": "realm_access.roles"}), false),
        (json!({"roles": "cognito:groups"}), false),
    ] {
        let policy = edited(policy.clone(), "/issuers/0/identity", identity.clone());
        assert_eq!(
            warnings(&policy).len(),
            usize::from(is_warned),
            "{identity}"
        );
    }
    let policy = edited(
        policy,
        "/issuers/0/identity",
        json!({"roles": "https://example.com/roles"}),
    );
    assert_eq!(
        warnings(&policy),
        [
            "issuers[0].identity.roles: `https://example.com/roles` is split at its dots; as one claim it is \
          written `[\"https://example.com/roles\"]`"
        ]
    );
}

#[test]
fn r8_tenants_are_listed() {
    let entra = |changes: Value| {
        let mut policy = with(
            "/issuers/0/issuer",
            json!("https://login.microsoftonline.com/{tenantid}/v2.0"),
        );
        for (key, value) in changes.as_object().unwrap() {
            policy["issuers"][0][key] = value.clone();
        }
        policy
    };
    let good = parse(&entra(json!({"tenants": ["t-1", "t-2"]})));
    let [issuer] = good.issuers.as_slice() else {
        panic!("one issuer")
    };
    assert_eq!(issuer.tenants, ["t-1", "t-2"]);
    assert_eq!(
        issuer.authorization_server,
        "https://login.microsoftonline.com/organizations/v2.0"
    );
    let written = json!({"tenants": ["t-1"], "authorization_server": "https://login.example.com"});
    let written = parse(&entra(written));
    assert_eq!(
        written.issuers[0].authorization_server,
        "https://login.example.com"
    );
    for (changes, expected) in [
        (
            json!({}),
            "issuers[0].tenants: found none, expected the tenants that `{tenantid}` stands for",
        ),
        (
            json!({"tenants": []}),
            "issuers[0].tenants: found none, expected at least one",
        ),
        (
            json!({"tenants": ["*"]}),
            "issuers[0].tenants: expected ids of tenants: letters, digits and dashes",
        ),
        (
            json!({"tenants": ["t-1"], "issuer": "https://login.example.com"}),
            "issuers[0].issuer: with `tenants`, expected `{tenantid}` once in place of the tenant",
        ),
        (
            json!({"tenants": ["t-1"], "authorization_server": "login"}),
            "issuers[0].authorization_server: expected a URL",
        ),
    ] {
        assert_eq!(errors(&entra(changes).to_string()), [expected]);
    }
}

#[test]
fn r8_clients_without_aud_are_listed() {
    let clients = |values: Value| {
        with(
            "/issuers/0/without_audience",
            json!({"claim": "client_id", "values": values}),
        )
    };
    assert!(
        parse(&clients(json!(["4mcp"]))).issuers[0]
            .without_audience
            .is_some()
    );
    for values in [json!([]), json!([""])] {
        assert_eq!(
            errors(&clients(values).to_string()),
            [
                "issuers[0].without_audience.values: expected at least one client, and none that is empty"
            ]
        );
    }
    let introspecting = edited(
        introspecting(),
        "/issuers/0/without_audience",
        json!({"claim": "client_id", "values": ["4mcp"]}),
    );
    assert_eq!(
        errors(&introspecting.to_string()),
        ["issuers[0].without_audience: goes with `jwks`: an introspection response has `aud`"]
    );
}

#[test]
fn r17_a_local_caller_is_not_asked_for_a_token() {
    let mut policy = with("/observe", json!({"sign_in": true}));
    assert!(parse(&policy).observe.sign_in);
    policy["local"] = json!({"user": "u"});
    policy.as_object_mut().unwrap().remove("issuers");
    policy["resource"] = json!("http://127.0.0.1:10000/mcp");
    assert_eq!(
        errors(&policy.to_string()),
        ["observe.sign_in: goes with `issuers`: a local caller has no token"]
    );
}
