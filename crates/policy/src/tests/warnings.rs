//! What is allowed and can hardly be meant.

use super::*;

#[test]
fn warnings_name_rules_that_can_never_match() {
    assert_eq!(
        warnings(&short()),
        ["roles: there are none: nobody may call anything"]
    );
    let policy = with("/issuers/0/identity", json!({"roles": "roles"}));
    let policy = edited(
        policy,
        "/roles",
        json!({
            "a": {"tools": ["crm.*", "x"], "deny": ["crm.*"]},
            "b": {"extends": ["a"], "tools": ["crm.get"]},
        }),
    );
    let policy = edited(
        policy,
        "/tools",
        json!({"crm.*": {}, "c*get": {}, "x": {}, "y": {}, "*y": {}}),
    );
    let policy = edited(policy, "/prompts", json!({"crm.x": {}}));
    assert_eq!(
        warnings(&policy),
        [
            "roles.a: `crm.*` can never match: `crm.*` denies it",
            "roles.b: `crm.get` can never match: `crm.*` denies it",
            "roles.b: `crm.*` can never match: `crm.*` denies it",
            "tools.y: no role allows it: nobody may call it",
            "prompts.crm.x: no role allows it: nobody may call it",
        ]
    );
}

#[test]
fn warnings_name_roles_that_no_caller_can_have() {
    let policy = with(
        "/roles",
        json!({"*": {"tools": ["x"]}, "a": {"tools": ["x"]}}),
    );
    assert_eq!(
        warnings(&policy),
        ["roles.a: no issuer has `identity.roles`: nobody has this role"]
    );
    let policy = edited(policy, "/issuers/0/identity", json!({"roles": "roles"}));
    assert_eq!(warnings(&policy), [""; 0]);
}

#[test]
fn warnings_name_calls_whose_users_cannot_be_asked() {
    let policy = with("/roles", json!({"*": {"tools": ["x"]}}));
    let policy = edited(policy, "/seal", json!({"key_env": "SEAL"}));
    let policy = edited(policy, "/tools", json!({"x": {"confirm": true}}));
    assert_eq!(
        warnings(&policy),
        [
            "tools.x.confirm: without issuers[0].sign_in its callers cannot be asked on a page: clients \
             that have no form to ask in, as those before 2026-07-28, are refused"
        ]
    );
    let sign_in = json!({
        "authorize": "https://login.example.com/authorize",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": "mcp-pages",
    });
    let asks = edited(policy, "/issuers/0/sign_in", sign_in);
    assert_eq!(warnings(&asks), [""; 0]);
    let buffered = edited(asks, "/hold", json!("buffer_filter"));
    assert_eq!(
        warnings(&buffered),
        [
            "tools.x.confirm: with `hold: buffer_filter` there is no page to ask on: clients that have no \
             form to ask in, as those before 2026-07-28, are refused"
        ]
    );
}

#[test]
fn a_claim_that_names_conversations_should_say_what_sessions_are() {
    use super::connections::connecting;
    let warned = |vault: Value| {
        let policy = edited(connecting(), "/vault", vault);
        let warnings = warnings(&policy);
        warnings
            .iter()
            .any(|each| each.starts_with("vault.sessions"))
    };
    assert!(warned(json!({"conversation": {"claim": "sid"}})));
    for sessions in ["own", "shared"] {
        assert!(!warned(
            json!({"conversation": {"claim": "sid"}, "sessions": sessions})
        ));
    }
    assert!(!warned(json!({"conversation": "session"})));
    assert!(!warned(json!({"conversation": {"meta": "openai/session"}})));
    let policy = with("/vault", json!({"conversation": {"claim": "sid"}}));
    assert!(
        !warnings(&policy)
            .iter()
            .any(|each| each.starts_with("vault"))
    );
}
