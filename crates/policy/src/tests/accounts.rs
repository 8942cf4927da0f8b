//! The kinds of accounts, and the headers in which the server receives their credentials.

use super::connections::connecting;
use super::*;
use crate::{ConnectionKind, UnusableCredential, UsedCredential};
use base::secret::Secret;

/// A connection with a key that users type.
fn tickets() -> Value {
    json!({"kind": "key", "check": {"cluster": "tickets", "path": "/me", "field": "login"}})
}

fn with_tickets(change: Value) -> Value {
    let mut policy = connecting();
    let mut tickets = tickets();
    for (key, value) in change.as_object().unwrap() {
        match value {
            Value::Null => tickets.as_object_mut().unwrap().remove(key),
            value => tickets
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), value.clone()),
        };
    }
    policy["connections"]["tickets"] = tickets;
    policy
}

#[track_caller]
fn refuses(change: Value, expected: &str) {
    let found = errors(&with_tickets(change.clone()).to_string());
    assert_eq!(found, [expected], "{change}");
}

#[test]
fn a_key_is_checked_at_the_resource() {
    let policy = parse(&with_tickets(json!({})));
    let connection = policy.connection("tickets").unwrap();
    let ConnectionKind::Typed(typed) = &connection.kind else {
        panic!("{connection:?}");
    };
    assert!(!connection.is_password());
    assert_eq!(typed.check.status, 200);
    assert_eq!(typed.check.endpoint.authority, "tickets");
    assert_eq!(
        (connection.accounts, connection.oauth().is_none()),
        (1, true)
    );
}

#[test]
fn a_credential_is_written_into_headers() {
    let key = Secret::new("k-1".into());
    let password = Secret::new("pä:ss".into());
    let key = UsedCredential::Key(&key);
    let password = UsedCredential::Password("dana", &password);
    let plain = Secret::new("p".into());
    let plain = UsedCredential::Password("dana", &plain);
    for (kind, apply, credential, expected) in [
        (
            "key",
            Value::Null,
            key,
            json!({"authorization": "Bearer k-1"}),
        ),
        (
            "key",
            json!("bearer"),
            key,
            json!({"authorization": "Bearer k-1"}),
        ),
        (
            "key",
            json!({"headers": {"authorization": "Token token={key}"}}),
            key,
            json!({"authorization": "Token token=k-1"}),
        ),
        (
            "key",
            json!({"headers": {"x-api-key": "{key}"}}),
            key,
            json!({"x-api-key": "k-1"}),
        ),
        (
            "key",
            json!({"headers": {"x-app": "crm", "x-api-key": "{key}"}}),
            key,
            Value::Null,
        ),
        (
            "password",
            Value::Null,
            password,
            json!({"authorization": "Basic ZGFuYTpww6Q6c3M="}),
        ),
        (
            "password",
            json!({"headers": {"x-user": "{user}", "x-password": "a{password}z"}}),
            plain,
            json!({"x-user": "dana", "x-password": "apz"}),
        ),
        (
            "password",
            json!({"headers": {"x-auth": "{user}/{basic}"}}),
            plain,
            json!({"x-auth": "dana/ZGFuYTpw"}),
        ),
    ] {
        let policy = with_tickets(json!({"kind": kind, "apply": apply}));
        if expected.is_null() {
            // All headers have a part of the credential.
            assert_eq!(errors(&policy.to_string()).len(), 1);
            continue;
        }
        let policy = parse(&policy);
        let found = policy
            .connection("tickets")
            .unwrap()
            .apply
            .headers(credential)
            .unwrap();
        let found = found.headers.iter();
        let found = found.map(|(name, value)| (name.clone(), json!(value.reveal())));
        assert_eq!(Value::Object(found.collect()), expected, "{kind} {apply}");
    }
}

#[test]
fn a_credential_that_no_header_can_have_is_refused() {
    let secret = |text: &str| Secret::new(text.to_owned());
    let of = |kind: &str, apply: Value| {
        let policy = parse(&with_tickets(json!({"kind": kind, "apply": apply})));
        policy.connection("tickets").unwrap().apply.clone()
    };
    let raw = json!({"headers": {"x-api-key": "{key}"}});
    for key in ["", " k", "k ", "k\n", "k\r\nx-mcp-user: eve", "ü", "k\0"] {
        let key = secret(key);
        let found = of("key", raw.clone()).headers(UsedCredential::Key(&key));
        assert_eq!(found, Err(UnusableCredential), "{:?}", key.reveal());
    }
    for (user, password) in [("a:b", "c"), ("a\n", "c"), ("a", "c\0"), ("a", "c\r\n")] {
        let password = secret(password);
        let used = UsedCredential::Password(user, &password);
        assert_eq!(
            of("password", Value::Null).headers(used),
            Err(UnusableCredential)
        );
    }
}

#[test]
fn a19_a_typed_text_does_not_become_another_part_of_a_header() {
    let (no, yes) = (false, true);
    for (kind, template, user, secret, is_used) in [
        ("password", "{user}:{password}", "dana", "a:b", yes),
        ("password", "{user}:{password}", "dana:a", "b", no),
        ("password", "{user} {password}", "da na", "p", no),
        ("password", "u={user},p={password}", "dana", "p", yes),
        (
            "password",
            "u={user},p={password}",
            "dana,role=admin",
            "p",
            no,
        ),
        (
            "password",
            "u={user},p={password}",
            "dana",
            "p,role=admin",
            no,
        ),
        (
            "password",
            "u={user};p={password}",
            "dana",
            "p;role=admin",
            no,
        ),
        (
            "password",
            "u=\"{user}\", p=\"{password}\"",
            "dana",
            "a, b",
            yes,
        ),
        (
            "password",
            "u=\"{user}\", p=\"{password}\"",
            "dana\", r=\"x",
            "p",
            no,
        ),
        (
            "password",
            "u=\"{user}\", p=\"{password}\"",
            "dana",
            "p\", r=\"x",
            no,
        ),
        (
            "password",
            "u=\"{user}\", p=\"{password}\"",
            "dana\\",
            "p",
            no,
        ),
        ("key", "Token token={key}", "", "abc+/=", yes),
        ("key", "Token token={key}", "", "abc, admin=1", no),
        ("key", "Token token={key}, v=2", "", "abc\"", no),
        ("key", "{key}", "", "a, b=c; d", yes),
    ] {
        let apply = json!({"headers": {"x-auth": template}});
        let policy = parse(&with_tickets(json!({"kind": kind, "apply": apply})));
        let secret = Secret::new(secret.to_owned());
        let used = match kind {
            "key" => UsedCredential::Key(&secret),
            _ => UsedCredential::Password(user, &secret),
        };
        let apply = &policy.connection("tickets").unwrap().apply;
        let found = apply.headers(used);
        assert_eq!(found.is_ok(), is_used, "{template} {user} {secret:?}");
    }
}

#[test]
fn keys_of_another_kind_are_refused() {
    refuses(
        json!({"issuer": "https://tickets.example.com"}),
        "connections.tickets.issuer: goes with `kind: oauth`",
    );
    refuses(
        json!({"refresh": false}),
        "connections.tickets.refresh: goes with `kind: oauth`",
    );
    refuses(
        json!({"check": null}),
        "connections.tickets.check: found none, expected the request that checks what a user types, or `credentials`",
    );
    refuses(
        json!({"check": {"cluster": "tickets", "path": "/me", "status": 401}}),
        "connections.tickets.check.status: expected a status from 200 to 299",
    );
    refuses(
        json!({"kind": "password", "apply": "bearer"}),
        "connections.tickets.apply: found `bearer`, expected `basic` or `headers`: there is no key",
    );
    refuses(
        json!({"apply": "basic"}),
        "connections.tickets.apply: found `basic`, expected `bearer` or `headers`: there is no password",
    );
    refuses(
        json!({"accounts": 9}),
        "connections.tickets.accounts: found number `9`, expected a number from 1 to 8",
    );
    let expected = "connections.notes.help: goes with `kind: key` or `kind: password`";
    let found = errors(&edited(connecting(), "/connections/notes/help", json!("x")).to_string());
    assert_eq!(found, [expected]);
    let found = errors(&edited(connecting(), "/connections/notes/issuer", Value::Null).to_string());
    assert!(
        found
            .iter()
            .any(|error| error.starts_with("connections.notes.issuer: found none")),
        "{found:?}"
    );
}

#[test]
fn headers_of_credentials_are_checked() {
    const NAME: &str = "expected a header name of lower-case letters, digits and dashes that neither HTTP nor the protocol uses";
    for name in [
        "",
        "X-Api-Key",
        "host",
        ":path",
        "mcp-session-id",
        "x-mcp-user",
        "x-envoy-internal",
        "content-type",
        "a b",
        "proxy-authorization",
    ] {
        refuses(
            json!({"apply": {"headers": {name: "{key}"}}}),
            &format!("connections.tickets.apply.headers.{name}: {NAME}"),
        );
    }
    for value in [
        "", "none", "{user}", "{basic}", "{key", "key}", "{key}\n", "{key}é", "{}", "{{key}}",
    ] {
        refuses(
            json!({"apply": {"headers": {"x-api-key": value}}}),
            &format!(
                "connections.tickets.apply.headers.x-api-key: found `{value}`, expected a text of visible ASCII characters with `{{key}}`"
            ),
        );
    }
    refuses(
        json!({"apply": {"headers": {}}}),
        "connections.tickets.apply: found no header, expected one with its value",
    );
    let mut policy = with_tickets(json!({"apply": {"headers": {"x-caller": "{key}"}}}));
    policy["headers"] = json!({"user": "x-caller"});
    assert_eq!(
        errors(&policy.to_string()),
        [
            "connections.tickets.apply: found `x-caller`, which names the caller to the server (`headers`)"
        ],
    );
}

#[test]
fn assigned_credentials_need_no_user() {
    let mut policy = short();
    policy["roles"]["lead"] = json!({"tools": ["*"]});
    policy["connections"] = json!({"search": {"kind": "key", "credentials": [
        {"organization": "acme", "role": "lead", "env": "ACME_LEAD"},
        {"organization": "acme", "env": "ACME"},
        {"env": "REST", "account": "shared"},
    ]}});
    let connection = parse(&policy).connections.remove(0);
    assert!(!connection.is_connected_by_users());
    let ConnectionKind::Assigned(credentials) = &connection.kind else {
        panic!("{connection:?}");
    };
    let of = |organization: &str, role: &str| {
        let identity = Identity {
            organization: Some(organization.to_owned()),
            ..Identity::default()
        };
        let mut fitting = credentials
            .iter()
            .filter(|each| each.is_for(&identity, |name| name == role));
        fitting.next().unwrap().env.clone()
    };
    assert_eq!(of("acme", "lead"), "ACME_LEAD");
    assert_eq!(of("acme", "support"), "ACME");
    assert_eq!(of("globex", "lead"), "REST");

    let mut refuses = |credentials: Value, expected: &str| {
        policy["connections"]["search"]["credentials"] = credentials;
        assert_eq!(errors(&policy.to_string()), [expected]);
    };
    refuses(
        json!([{"organization": "acme", "env": "A"}, {"organization": "acme", "env": "B"}]),
        "connections.search.credentials[1]: is never used: one before it is for the same callers",
    );
    refuses(
        json!([{"env": "A"}, {"organization": "acme", "env": "B"}]),
        "connections.search.credentials[1]: is never used: one before it is for the same callers",
    );
    refuses(
        json!([{"role": "leed", "env": "A"}]),
        "connections.search.credentials[0].role: unknown role `leed`; did you mean `lead`?",
    );
}

#[test]
fn all_requests_can_need_an_account() {
    let mut policy = connecting();
    policy["upstream"] = json!({"authorization": "connection", "connection": "notes"});
    let found = parse(&policy);
    assert_eq!(found.upstream.connection(), Some("notes"));
    let (connection, _) = found.connection_for(&[]).unwrap();
    assert_eq!(connection.name, "notes");
    for (upstream, expected) in [
        (
            json!({"authorization": "connection"}),
            "upstream.connection: found none, expected the connection whose account all requests need",
        ),
        (
            json!({"authorization": "connection", "connection": "note"}),
            "upstream.connection: unknown connection `note`; did you mean `notes`?",
        ),
        (
            json!({"connection": "notes"}),
            "upstream.connection: goes with `authorization: connection`",
        ),
    ] {
        policy["upstream"] = upstream;
        assert_eq!(errors(&policy.to_string()), [expected]);
    }
}
