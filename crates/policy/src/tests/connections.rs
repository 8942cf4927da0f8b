//! The second layer: sign-ins, connections, what tools say of them.

use super::*;
use base::http::Endpoint;
use oauth::client::{AuthorizationServer, IssParameter};
use oauth::{KeySource, TokenCheck};

fn sign_in() -> Value {
    json!({
        "authorize": "https://login.example.com/authorize",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": "mcp-pages",
    })
}

pub(super) fn notes() -> Value {
    json!({
        "issuer": "https://notes.example.com",
        "authorize": "https://notes.example.com:8443/authorize?tenant=1",
        "token": {"cluster": "notes", "path": "/token"},
        "client_id": "mcp",
        "scopes": ["notes.read"],
    })
}

/// The short policy with a connection.
pub(super) fn connecting() -> Value {
    let mut policy = short();
    policy["seal"] = json!({"key_env": "SEAL"});
    policy["issuers"][0]["sign_in"] = sign_in();
    policy["connections"] = json!({"notes": notes()});
    policy["tools"] = json!({
        "notes.*": {"connection": "notes"},
        "notes.pay": {"lifetime": "5m"},
    });
    policy
}

#[track_caller]
fn refuses(pointer: &str, value: Value, expected: &str) {
    let found = errors(&edited(connecting(), pointer, value).to_string());
    assert_eq!(found, [expected], "{pointer}");
}

#[test]
fn the_short_form_is_complete() {
    let policy = parse(&connecting());
    let connection = policy.connection("notes").unwrap();
    assert_eq!(connection.title, "notes");
    assert_eq!(connection.allows, ["notes.read"]);
    assert_eq!(connection.lifetime, Duration::from_secs(3600));
    let oauth = connection.oauth().unwrap();
    assert_eq!(oauth.iss, IssParameter::IfSent);
    assert!(oauth.refresh);
    let place = |cluster: &str, authority: &str| Endpoint {
        cluster: cluster.into(),
        path: "/token".into(),
        authority: authority.into(),
    };
    let AuthorizationServer::Written(client) = &oauth.server else {
        panic!("{connection:?}");
    };
    assert_eq!(
        client.token.endpoint,
        place("notes", "notes.example.com:8443")
    );
    let sign_in = policy.sign_ins[0].as_ref().unwrap();
    assert_eq!(
        sign_in.client.token.endpoint,
        place("login", "login.example.com")
    );
    assert_eq!(sign_in.scopes, ["openid"]);
    assert_eq!(policy.origin(), "https://crm.example.com");
}

#[test]
fn users_are_compared_by_the_claim_that_names_them_in_access_tokens() {
    let policy = edited(
        connecting(),
        "/issuers/0/identity",
        json!({"user": "ext.id"}),
    );
    let user = |policy: &Value| parse(policy).sign_ins[0].as_ref().unwrap().user.clone();
    assert_eq!(
        user(&policy),
        serde_json::from_value(json!("ext.id")).unwrap()
    );
    let policy = edited(policy, "/issuers/0/sign_in/user", json!("sub"));
    assert_eq!(user(&policy), serde_json::from_value(json!("sub")).unwrap());
}

#[test]
fn a_tool_gets_the_most_specific_connection_and_the_shortest_lifetime() {
    let mut written = connecting();
    written["connections"]["other"] = notes();
    written["connections"]["other"]["lifetime"] = json!("2m");
    written["tools"]["notes.pay"]["connection"] = json!("other");
    written["tools"]["notes.pay"]["lifetime"] = json!("1m");
    written["tools"]["notes.read"] = json!({"lifetime": "10m"});
    let policy = parse(&written);
    let of = |tool: &str| {
        let operations = policy.tools.iter();
        let operations =
            operations.filter(|operation| operation.pattern.matches(tool, Identity::anonymous()));
        let operations: Vec<&Operation> = operations.collect();
        let (connection, lifetime) = policy.connection_for(&operations)?;
        Some((connection.name.as_str(), lifetime.as_secs()))
    };
    assert_eq!(of("notes.list"), Some(("notes", 3600)));
    assert_eq!(of("notes.read"), Some(("notes", 600)));
    assert_eq!(of("notes.pay"), Some(("other", 60)));
    assert_eq!(of("crm.get"), None);
}

#[test]
fn what_connections_need_is_named() {
    refuses(
        "/seal",
        json!(null),
        "seal: `connections` needs it: tokens are kept sealed",
    );
    refuses(
        "/issuers/0/sign_in",
        json!(null),
        "issuers[0].sign_in: `connections` needs it, to identify the user of a page",
    );
    refuses(
        "/hold",
        json!("buffer_filter"),
        "hold: `buffer_filter` does not go with `connections`: which token a call gets is known after \
         its headers went on",
    );
}

#[test]
fn keys_of_id_tokens_are_known_from_one_place() {
    let sign_in = |jwks: Value| {
        let mut sign_in = sign_in();
        sign_in["jwks"] = jwks;
        sign_in
    };
    let introspection = |sign_in: Value| {
        json!([{
            "issuer": "https://login.example.com",
            "introspection": {
                "cluster": "login", "path": "/i", "client_id": "mcp", "client_secret_env": "S",
            },
            "sign_in": sign_in,
        }])
    };
    refuses(
        "/issuers",
        introspection(sign_in(json!(null))),
        "issuers[0].sign_in.jwks: found none, expected the keys of ID tokens: `introspection` does \
         not identify the user of a sign-in",
    );
    refuses(
        "/issuers",
        introspection(sign_in(json!({"cluster": "login"}))),
        "issuers[0].sign_in.jwks: expected `cluster` and `path`, or `inline`",
    );
    refuses(
        "/issuers",
        introspection(sign_in(json!({"inline": {"keys": []}}))),
        "issuers[0].sign_in.jwks.inline: no usable key in it",
    );
    let keys = json!({"cluster": "login", "path": "/keys"});
    refuses(
        "/issuers/0/sign_in/jwks",
        keys.clone(),
        "issuers[0].sign_in.jwks: does not go with the issuer's own `jwks`: these are the keys of ID \
         tokens, too",
    );
    let policy = parse(&edited(
        connecting(),
        "/issuers",
        introspection(sign_in(keys)),
    ));
    let TokenCheck::Introspection(_, Some(id_tokens)) = &policy.issuers[0].check else {
        panic!("{:?}", policy.issuers[0].check);
    };
    // None of them makes an access token.
    assert_eq!(id_tokens.types, []);
    assert!(matches!(&id_tokens.keys, KeySource::Fetch(fetch) if fetch.endpoint.path == "/keys"));
}

#[test]
fn mistakes_are_named() {
    let none = "found none, expected";
    for (pointer, value, expected) in [
        (
            "/connections/notes/issuer",
            json!("notes"),
            "connections.notes.issuer: found `notes`, expected an absolute URL such as \
             https://crm.example.com/mcp"
                .to_owned(),
        ),
        (
            "/connections/notes/authorize",
            json!("http://notes.example.com/"),
            "connections.notes.authorize: found `http://notes.example.com/`, expected https (http is \
             for localhost only)"
                .into(),
        ),
        (
            "/connections/notes/authorize",
            json!("https://notes.example.com/#a"),
            "connections.notes.authorize: found `https://notes.example.com/#a`, expected a URL without \
             fragment (RFC 6749 section 3.1)"
                .into(),
        ),
        (
            "/connections/notes/token/cluster",
            json!(""),
            format!("connections.notes.token.cluster: {none} the name of an Envoy cluster"),
        ),
        (
            "/connections/notes/revoke",
            json!({"cluster": "notes", "path": "revoke"}),
            "connections.notes.revoke.path: found `revoke`, expected a path that starts with `/`"
                .into(),
        ),
        (
            "/connections/notes/client_id",
            json!(""),
            format!("connections.notes.client_id: {none} a client id"),
        ),
        (
            "/connections/notes/client_secret_env",
            json!(""),
            format!("connections.notes.client_secret_env: {none} the name of an environment variable"),
        ),
        (
            "/connections/notes/lifetime",
            json!("9s"),
            "connections.notes.lifetime: expected 10s to 90d".into(),
        ),
        (
            "/issuers/0/sign_in/scopes",
            json!(["profile"]),
            "issuers[0].sign_in.scopes: expected `openid` among them: without it there is no ID token"
                .into(),
        ),
        (
            "/tools/notes.*/connection",
            json!("note"),
            "tools.notes.*.connection: `note` is not under `connections`; did you mean `notes`?".into(),
        ),
        (
            "/tools/notes.*/lifetime",
            json!("2h"),
            "tools.notes.*.lifetime: expected at most the lifetime of connections.notes".into(),
        ),
        (
            "/prompts",
            json!({"a": {"connection": "notes"}}),
            "prompts.a.connection: only tools have one".into(),
        ),
        (
            "/connections/notes",
            {
                let mut notes = notes();
                notes["client_id"] = json!("metadata");
                notes["client_secret_env"] = json!("SECRET");
                notes
            },
            "connections.notes.client_secret_env: does not go with `client_id: metadata`: a document \
             holds no secret"
                .into(),
        ),
        (
            "/vault",
            json!(["session"]),
            "vault: found a list, expected a mapping".into(),
        ),
        (
            "/vault",
            json!({"idle": "9s"}),
            "vault.idle: expected 10s to 90d".into(),
        ),
        (
            "/vault",
            json!({"conversations": 0}),
            "vault.conversations: found number `0`, expected a number from 1 to 64".into(),
        ),
        (
            "/vault",
            json!({"conversations": 65}),
            "vault.conversations: found number `65`, expected a number from 1 to 64".into(),
        ),
        (
            "/vault",
            json!({"sessions": "shared"}),
            "vault.sessions: `shared` needs a claim or `_meta` as `conversation`: with `session`, the \
             session is the conversation"
                .into(),
        ),
        (
            "/vault",
            json!({"conversation": {"meta": []}}),
            "vault.conversation.meta: expected a key of `_meta`, such as `openai/session`, or a list of keys"
                .into(),
        ),
        (
            "/vault",
            json!({"conversation": {"meta": [""]}}),
            "vault.conversation.meta: expected a key of `_meta`, such as `openai/session`, or a list of keys"
                .into(),
        ),
    ] {
        refuses(pointer, value, &expected);
    }
}

#[test]
fn a_name_is_part_of_a_redirect_uri() {
    for name in ["", "No", "a/b", "a.b", "é", "a b"] {
        let mut policy = connecting();
        policy["connections"][name] = notes();
        let expected = "expected a name of lower-case letters, digits, `-` and `_`";
        assert_eq!(
            errors(&policy.to_string()),
            [format!("connections.{name}: {expected}")]
        );
    }
}

#[test]
fn a_secret_is_not_written_into_the_policy() {
    for pointer in ["/connections/notes", "/issuers/0/sign_in"] {
        let policy = edited(
            connecting(),
            &format!("{pointer}/client_secret"),
            json!("x"),
        );
        let found = errors(&policy.to_string());
        assert!(
            found[0].contains("did you mean `client_secret_env`?"),
            "{found:?}"
        );
    }
}

#[test]
fn pages_have_a_place_of_their_own() {
    let expected = "found `/.mcp-auth/mcp`; what is under `/.mcp-auth/` is the filter's own";
    refuses(
        "/path",
        json!("/.mcp-auth/mcp"),
        &format!("path: {expected}"),
    );
}

#[test]
fn pages_are_those_of_the_host() {
    let at = |resource: &str, connects: bool| {
        let mut policy = connecting();
        policy["resource"] = json!(resource);
        if !connects {
            policy["connections"] = json!({});
            policy["tools"] = json!({});
        }
        policy
    };
    let (crm, hr) = ("https://a.example/crm", "https://a.example/hr");
    let other = "https://b.example/crm";
    let parse = |policies: [Value; 3]| {
        let configuration = json!({ "policies": policies }).to_string();
        Policies::parse(configuration.as_bytes())
    };
    let policies = parse([at(crm, false), at(hr, true), at(other, true)]).unwrap();
    let chosen = |authority: &str| {
        let policy = policies.choose("/.mcp-auth/connect?ticket=x", authority)?;
        Some(policy.resource.as_str())
    };
    assert_eq!(chosen("a.example"), Some(hr));
    assert_eq!(chosen("b.example"), Some(other));
    assert_eq!(chosen("c.example"), None);
    let errors = parse([at(crm, true), at(hr, true), at(other, true)]).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = "found `/.mcp-auth/`, which policies[0] has for that host";
    assert_eq!(errors, [format!("policies[1].connections: {expected}")]);
    // Those on which users agree to calls are pages, too.
    let asks = |resource: &str| {
        let mut policy = at(resource, false);
        policy["tools"] = json!({"crm.refund": {"confirm": true}});
        policy
    };
    let policies = parse([at(crm, false), asks(hr), at(other, true)]).unwrap();
    let chosen = policies.choose("/.mcp-auth/confirm?ticket=x", "a.example");
    assert_eq!(chosen.map(|policy| policy.resource.as_str()), Some(hr));
    let errors = parse([at(crm, true), asks(hr), at(other, true)]).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, [format!("policies[1].tools: {expected}")]);
}
