use super::*;
use crate::accounts::Clients;
use crate::accounts::discovery::read_server;
use crate::accounts::tests::world::{NOW, World, random};
use crate::accounts::tests::{discovering, metadata};
use policy::Server;

const BACK: &str = "https://crm.example.com/.mcp-auth/callback/notes";

fn answer(status: u16, body: &Value) -> HttpResponse {
    let body = body.to_string().into_bytes();
    HttpResponse { status, body }
}

fn registered(client_id: &str) -> HttpResponse {
    let body = json!({"client_id": client_id, "redirect_uris": [BACK],
        "token_endpoint_auth_method": "none"});
    answer(201, &body)
}

/// Drives a registration up to where it asks for something again: what it asks, or the client id.
fn next(registration: &Registration<'_>, stage: Stage, told: Told) -> Result<Stage, String> {
    match registration.told(stage, told).unwrap() {
        Next::Ask(stage) => Ok(stage),
        Next::Known(client_id) => Err(client_id),
    }
}

fn with_registration<T>(
    document: &Value,
    test: impl FnOnce(&Registration<'_>, &mut World) -> T,
) -> T {
    let (mut world, other) = (World::of(document), World::of(document));
    let clients = Clients::default();
    let around = PageContext {
        policy: &other.policy,
        sealer: &other.sealer,
        clients: &clients,
        random: crate::accounts::Random(random),
        now: NOW,
    };
    let connection = other.policy.connection("notes").unwrap();
    let Server::Discovered(discover) = &connection.server else {
        panic!("{connection:?}");
    };
    let server = (connection.issuer.as_str(), discover);
    let metadata = metadata().to_string();
    let (discovered, _) = read_server(around.policy, server, metadata.as_bytes()).unwrap();
    let place = Endpoint {
        cluster: "notes".into(),
        path: "/register".into(),
        authority: "notes.example.com".into(),
    };
    let registration = Registration {
        around,
        connection,
        discovered: &discovered,
        place: &place,
    };
    test(&registration, &mut world)
}

/// Does what a stage asks of the store.
fn stored(registration: &Registration<'_>, world: &mut World, stage: &Stage) -> Told {
    match registration.ask(stage).unwrap() {
        Ask::Store(operation) => Told::Store(world.stored(&operation)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_two_replicas_that_register_the_first_one_wins() {
    with_registration(&discovering(), |registration, world| {
        let looked = stored(registration, world, &Stage::Look);
        let mut replicas = ["one", "two"].map(|id| {
            let stage = next(registration, Stage::Look, looked.clone()).unwrap();
            assert_eq!(stage, Stage::Register { replaces: false });
            next(registration, stage, Told::Call(Some(registered(id)))).unwrap()
        });
        let used = replicas.each_mut().map(|stage| {
            loop {
                let told = stored(registration, world, stage);
                match next(registration, stage.clone(), told) {
                    Ok(again) => *stage = again,
                    Err(client_id) => return client_id,
                }
            }
        });
        assert_eq!(used, ["one", "one"]);
    });
}

#[test]
fn a_registration_says_what_is_asked_for() {
    with_registration(&discovering(), |registration, _| {
        let stage = Stage::Register { replaces: false };
        let Ask::Call(call) = registration.ask(&stage).unwrap() else {
            panic!("no call");
        };
        assert_eq!(call.cluster, "notes");
        for header in [
            (":method", "POST"),
            (":path", "/register"),
            (":authority", "notes.example.com"),
            ("content-type", "application/json"),
        ] {
            let header = (header.0, header.1.to_owned());
            assert!(call.headers.contains(&header), "{header:?}");
        }
        let said: Value = serde_json::from_slice(&call.body).unwrap();
        let expected = json!({
            "client_name": "https://crm.example.com",
            "client_uri": "https://crm.example.com",
            "redirect_uris": [BACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": "notes.read offline_access",
        });
        assert_eq!(said, expected);
    });
}

#[test]
fn what_is_kept_is_for_one_connection_scope_and_server() {
    let key = |change: fn(&mut Value)| {
        let mut document = discovering();
        change(&mut document);
        with_registration(&document, |registration, _| registration.key())
    };
    let own = key(|_| {});
    assert_eq!(key(|document| document["mode"] = json!("enforce")), own);
    for other in [
        key(|document| document["resource"] = json!("https://hr.example.com/mcp")),
        key(|document| document["connections"]["notes"]["scopes"] = json!(["notes.read"])),
    ] {
        assert_ne!(other, own);
    }
}

#[test]
fn what_is_kept_is_sealed_and_ends() {
    with_registration(&discovering(), |registration, _| {
        let stage = Stage::Keep {
            client_id: "one".into(),
            replaces: false,
        };
        let Ask::Store(Operation::Create(record)) = registration.ask(&stage).unwrap() else {
            panic!("not created");
        };
        assert_eq!(record.expires, NOW + 90 * 24 * 3600);
        assert_eq!(registration.open(&record.value).as_deref(), Some("one"));
        let at = |now: u64, resource: &str| {
            let mut document = discovering();
            document["resource"] = json!(resource);
            with_registration(&document, |other, _| {
                let around = PageContext {
                    now,
                    ..other.around
                };
                Registration { around, ..*other }.open(&record.value)
            })
        };
        let own = "https://crm.example.com/mcp";
        assert!(at(record.expires - 1, own).is_some());
        assert_eq!(at(record.expires, own), None);
        assert_eq!(at(NOW, "https://crm.example.com/other"), None);
    });
}

#[test]
fn what_cannot_be_opened_is_replaced() {
    with_registration(&discovering(), |registration, world| {
        let found = Told::Store(Ok(Stored::Value(Some("x".into()))));
        let stage = next(registration, Stage::Look, found).unwrap();
        assert_eq!(stage, Stage::Register { replaces: true });
        let stage = next(registration, stage, Told::Call(Some(registered("one")))).unwrap();
        assert!(matches!(
            registration.ask(&stage),
            Ok(Ask::Store(Operation::Put(_)))
        ));
        let told = stored(registration, world, &stage);
        assert_eq!(next(registration, stage, told), Err("one".into()));
    });
}

#[test]
fn answers_to_a_registration() {
    let read = |status: u16, body: &Value| read(Some(&answer(status, body)), BACK);
    for (status, body) in [
        (201, json!({"client_id": "one"})),
        (200, json!({"client_id": "one", "redirect_uris": [BACK]})),
        (
            201,
            json!({"client_id": "one", "client_secret": "x", "token_endpoint_auth_method": "none"}),
        ),
    ] {
        assert_eq!(read(status, &body), Ok("one".into()), "{status} {body}");
    }
    let long = "x".repeat(MAX_TEXT + 1);
    let elsewhere = json!(["https://evil.example/callback"]);
    for (status, body, error) in [
        (
            400,
            json!({"error": "invalid_redirect_uri"}),
            RegistrationError::Refused,
        ),
        (401, json!({}), RegistrationError::Refused),
        (500, json!({}), RegistrationError::Unavailable),
        (302, json!({}), RegistrationError::Unavailable),
        (201, json!([]), RegistrationError::Format),
        (201, json!({}), RegistrationError::Format),
        (201, json!({"client_id": ""}), RegistrationError::Format),
        (201, json!({"client_id": 1}), RegistrationError::Format),
        (201, json!({"client_id": "a\nb"}), RegistrationError::Format),
        (201, json!({"client_id": "é"}), RegistrationError::Format),
        (201, json!({"client_id": long}), RegistrationError::Format),
        (
            201,
            json!({"client_id": "one", "redirect_uris": elsewhere}),
            RegistrationError::Format,
        ),
        (
            201,
            json!({"client_id": "one", "redirect_uris": BACK}),
            RegistrationError::Format,
        ),
        (
            201,
            json!({"client_id": "one", "client_secret": "x"}),
            RegistrationError::Secret,
        ),
        (
            201,
            json!({"client_id": "one", "token_endpoint_auth_method": "client_secret_basic"}),
            RegistrationError::Secret,
        ),
    ] {
        assert_eq!(read(status, &body), Err(error), "{status} {body}");
    }
    let body = br#"{"client_id":"one","client_id":"two"}"#.to_vec();
    let twice = HttpResponse { status: 201, body };
    let found = super::read(Some(&twice), BACK);
    assert_eq!(found, Err(RegistrationError::Format));
    assert_eq!(super::read(None, BACK), Err(RegistrationError::Unavailable));
}
