//! The registration at an authorization server, and the record that keeps it.

use serde_json::{Value, json};

use crate::pages::fake_world::*;
use crate::pages::find_client::Registration;
use base::http::Endpoint;
use base::store::{StoreOperation, StoreRecord};
use base::time::UnixTime;
use oauth::client::{AuthorizationServer, read_metadata};

const BACK: &str = "https://crm.example.com/.mcp-auth/callback/notes";

fn registered(client_id: &str) -> Value {
    json!({"client_id": client_id, "redirect_uris": [BACK], "token_endpoint_auth_method": "none"})
}

/// Runs a test with the registration of a policy.
fn with_registration<T: 'static>(
    world: &mut World,
    test: impl AsyncFnOnce(&Registration<'_>) -> T + 'static,
) -> T {
    world.run(|context| async move {
        let connection = context.policy.connection("notes").unwrap();
        let oauth = connection.oauth().unwrap();
        let AuthorizationServer::Discovered(discover) = &oauth.server else {
            panic!("{connection:?}");
        };
        let server = (oauth.issuer.as_str(), discover);
        let metadata = metadata().to_string();
        let (discovered, _) =
            read_metadata(server, &context.policy.document_url(), metadata.as_bytes()).unwrap();
        let endpoint = Endpoint {
            cluster: "notes".into(),
            path: "/register".into(),
            authority: "notes.example.com".into(),
        };
        let registration = Registration {
            context: &context,
            connection,
            oauth,
            discovered: &discovered,
            endpoint: &endpoint,
        };
        test(&registration).await
    })
}

/// The client id that a replica uses, where the authorization server registers this one.
fn client_id(world: &mut World, registers: &str) -> String {
    world.answer(201, &registered(registers));
    let found = with_registration(world, async |registration| registration.client_id().await);
    found.unwrap()
}

fn record(world: &mut World) -> StoreRecord {
    with_registration(world, async |registration| registration.record("one"))
}

fn opened(world: &mut World, record: &StoreRecord) -> Option<String> {
    let value = record.value.clone();
    with_registration(world, async move |registration| registration.open(&value))
}

#[test]
fn of_two_replicas_that_register_the_first_one_wins() {
    let mut world = World::of(&discovering());
    // Another replica registers while this one does.
    let first = record(&mut world);
    world.before_create = Some(StoreOperation::Create(first));
    assert_eq!(client_id(&mut world, "two"), "one");
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn the_request_has_the_metadata_of_the_client() {
    let mut world = World::of(&discovering());
    assert_eq!(client_id(&mut world, "one"), "one");
    let [call] = &world.calls[..] else {
        panic!("{:?}", world.calls);
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
    let sent: Value = serde_json::from_slice(&call.body).unwrap();
    let expected = json!({
        "client_name": "https://crm.example.com",
        "client_uri": "https://crm.example.com",
        "redirect_uris": [BACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "notes.read offline_access",
    });
    assert_eq!(sent, expected);
}

#[test]
fn a_record_is_for_one_connection_scope_and_server() {
    let key = |change: fn(&mut Value)| {
        let mut document = discovering();
        change(&mut document);
        record(&mut World::of(&document)).key
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
fn a_record_is_sealed_and_ends() {
    let kept = record(&mut World::of(&discovering()));
    assert_eq!(kept.expires, UnixTime::from_secs(NOW + 90 * 24 * 3600));
    let at = |now: u64, resource: &str| {
        let mut document = discovering();
        document["resource"] = json!(resource);
        let mut world = World::of(&document);
        world.now = now;
        opened(&mut world, &kept)
    };
    let own = "https://crm.example.com/mcp";
    assert_eq!(at(NOW, own).as_deref(), Some("one"));
    assert!(at(kept.expires.as_secs() - 1, own).is_some());
    assert_eq!(at(kept.expires.as_secs(), own), None);
    assert_eq!(at(NOW, "https://crm.example.com/other"), None);
}

#[test]
fn a_record_that_cannot_be_opened_is_replaced() {
    let mut world = World::of(&discovering());
    let mut broken = record(&mut world);
    broken.value = "x".into();
    world.stored(&StoreOperation::Put(broken)).unwrap();
    assert_eq!(client_id(&mut world, "two"), "two");
    let [put] = &world.puts.clone()[..] else {
        panic!("{:?}", world.puts);
    };
    assert_eq!(opened(&mut world, put).as_deref(), Some("two"));
}
