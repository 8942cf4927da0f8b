//! Linking an account at an authorization server of which the policy has only the issuer.

use serde_json::{Value, json};

use crate::accounts::{Revocation, disconnect};
use crate::pages::fake_world::*;
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::http::HttpRequest;
use base::store::StoreError;
use oauth::client::{DiscoveryError, RegistrationError};

const DOCUMENT: &str = "https://crm.example.com/.mcp-auth/client.json";

/// What comes when dana says yes on the page, with what servers answer meanwhile.
fn pressed(world: &mut World, browser: &mut Browser, answers: &[(u16, Value)]) -> PageOutcome {
    let link = world.link("dana");
    let page = match browser.0.contains_key("__Host-mcp-auth") {
        true => world.get(browser, &link),
        false => world.open(browser, &link, "dana"),
    };
    world.calls.clear();
    for (status, body) in answers {
        world.answer(*status, body);
    }
    world.post(browser, &form(&page))
}

/// Metadata of a server that registers clients.
fn registering() -> Value {
    let mut metadata = metadata();
    metadata["client_id_metadata_document_supported"] = json!(false);
    metadata["registration_endpoint"] = json!("https://notes.example.com/register");
    metadata
}

fn registered(client_id: &str) -> Value {
    json!({"client_id": client_id, "token_endpoint_auth_method": "none"})
}

fn path(call: &HttpRequest) -> &str {
    let mut headers = call.headers.iter();
    let found = headers.find_map(|(name, value)| (*name == ":path").then_some(value));
    found.unwrap()
}

fn paths(world: &World) -> Vec<&str> {
    world.calls.iter().map(path).collect()
}

#[track_caller]
fn onward(ended: &PageOutcome) -> String {
    assert_eq!(
        ended.outcome,
        Ok(Approval::SentToConnect),
        "{}",
        html(ended)
    );
    onward_url(ended)
}

/// Comes back from the authorization server.
fn back(world: &mut World, browser: &mut Browser, authorize: &str, more: &str) -> PageOutcome {
    world.answer_tokens();
    let state = query(authorize, "state");
    let target = format!("/.mcp-auth/callback/notes?code=c&state={state}{more}");
    world.get(browser, &target)
}

const ISS: &str = "&iss=https://notes.example.com";

#[test]
fn an_account_is_linked_where_the_policy_has_only_the_issuer() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let page = pressed(&mut world, &mut browser, &[(200, metadata())]);
    let authorize = onward(&page);
    assert_eq!(paths(&world), ["/.well-known/oauth-authorization-server"]);
    assert!(authorize.starts_with("https://login.notes.example/authorize?tenant=1&"));
    assert_eq!(query(&authorize, "client_id"), DOCUMENT);
    let published = world.get(&mut browser, "/.mcp-auth/client.json");
    let published: Value = serde_json::from_slice(&published.reply.body).unwrap();
    assert_eq!(published["client_id"], DOCUMENT);

    world.calls.clear();
    let done = back(&mut world, &mut browser, &authorize, ISS);
    assert_eq!(done.outcome, Ok(Approval::Connected));
    // Nothing is asked for again: it goes on where it began.
    assert_eq!(paths(&world), ["/oauth/token"]);
    assert_eq!(world.calls[0].cluster, "notes");
    assert_eq!(
        said(&world.calls[0], "client_id").as_deref(),
        Some(DOCUMENT)
    );
    let connected = world.connection("dana").unwrap();
    assert!(connected.tokens().unwrap().has_found_client());
}

#[test]
fn a_token_is_revoked_at_the_discovered_endpoint() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let page = pressed(&mut world, &mut browser, &[(200, metadata())]);
    back(&mut world, &mut browser, &onward(&page), ISS);
    let place = world.place("dana");
    world.calls.clear();
    world.answer(200, &json!({}));
    let ended = world.run(|context| async move { disconnect(&context, &place).await });
    let ended = ended.unwrap().unwrap();
    assert_eq!(ended.revocation, Revocation::Confirmed);
    let [revoked] = &world.calls[..] else {
        panic!("{:?}", world.calls);
    };
    assert_eq!(path(revoked), "/oauth/revoke");
    assert_eq!(said(revoked, "client_id").as_deref(), Some(DOCUMENT));
}

#[test]
fn b42_iss_is_required_if_the_metadata_says_so() {
    let required = "authorization_response_iss_parameter_supported";
    for (says_so, more, outcome) in [
        (true, ISS, Ok(Approval::Connected)),
        (true, "", Err(PageRefusal::IssuerMismatch)),
        (
            true,
            "&iss=https://evil.example",
            Err(PageRefusal::IssuerMismatch),
        ),
        (false, "", Ok(Approval::Connected)),
    ] {
        let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
        let mut metadata = metadata();
        metadata[required] = json!(says_so);
        let page = pressed(&mut world, &mut browser, &[(200, metadata)]);
        let done = back(&mut world, &mut browser, &onward(&page), more);
        assert_eq!(done.outcome, outcome, "{says_so} {more}");
    }
}

#[test]
fn a_registration_is_made_once() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let answers = [(200, registering()), (201, registered("c-1"))];
    let page = pressed(&mut world, &mut browser, &answers);
    assert_eq!(query(&onward(&page), "client_id"), "c-1");
    let discovery = "/.well-known/oauth-authorization-server";
    assert_eq!(paths(&world), [discovery, "/register"]);
    let done = back(&mut world, &mut browser, &onward(&page), ISS);
    assert_eq!(done.outcome, Ok(Approval::Connected));
    let redeemed = world.calls.last().unwrap();
    assert_eq!(said(redeemed, "client_id").as_deref(), Some("c-1"));
    assert!(
        redeemed
            .headers
            .iter()
            .all(|(name, _)| *name != "authorization")
    );

    // The next time it is tried whether the client is still known, with a code that is none.
    for unknown in [(400, json!({"error": "invalid_grant"})), (500, json!({}))] {
        let answers = [(200, registering()), unknown];
        let page = pressed(&mut world, &mut browser, &answers);
        assert_eq!(query(&onward(&page), "client_id"), "c-1");
        assert_eq!(paths(&world), [discovery, "/oauth/token"]);
        let tried = &world.calls[1];
        assert_eq!(said(tried, "client_id").as_deref(), Some("c-1"));
        assert_eq!(said(tried, "code").map(|code| code.len()), Some(43));
    }
}

#[test]
fn an_unknown_client_is_registered_again() {
    for error in ["invalid_client", "unauthorized_client"] {
        let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
        let answers = [(200, registering()), (201, registered("c-1"))];
        onward(&pressed(&mut world, &mut browser, &answers));
        let answers = [
            (200, registering()),
            (401, json!({ "error": error })),
            (201, registered("c-2")),
        ];
        let page = pressed(&mut world, &mut browser, &answers);
        assert_eq!(query(&onward(&page), "client_id"), "c-2");
        let answers = [
            (200, registering()),
            (400, json!({"error": "invalid_grant"})),
        ];
        let page = pressed(&mut world, &mut browser, &answers);
        assert_eq!(query(&onward(&page), "client_id"), "c-2");
    }
}

#[test]
fn metadata_is_requested_at_each_path() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let answers = [(404, json!({})), (200, metadata())];
    onward(&pressed(&mut world, &mut browser, &answers));
    let places = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ];
    assert_eq!(paths(&world), places);
    for call in &world.calls {
        assert_eq!(call.cluster, "notes");
        let authority = (":authority", "notes.example.com".to_owned());
        assert!(call.headers.contains(&authority));
    }
}

#[test]
fn the_resources_metadata_is_requested_first() {
    let mut written = discovering();
    written["connections"]["notes"]["resource"] = json!("https://api.notes.example:8443/v1?a=b");
    written["connections"]["notes"]["discover"]["resource"] = json!({"cluster": "notes_api"});
    let said = |issuer: &str| {
        json!({
            "resource": "https://api.notes.example:8443/v1?a=b",
            "authorization_servers": [issuer],
        })
    };
    let (mut world, mut browser) = (World::of(&written), Browser::default());
    let answers = [(200, said("https://notes.example.com")), (200, metadata())];
    onward(&pressed(&mut world, &mut browser, &answers));
    let [asked, server] = &world.calls[..] else {
        panic!("{:?}", world.calls);
    };
    assert_eq!((&*asked.cluster, &*server.cluster), ("notes_api", "notes"));
    assert_eq!(path(asked), "/.well-known/oauth-protected-resource/v1?a=b");
    let authority = (":authority", "api.notes.example:8443".to_owned());
    assert!(asked.headers.contains(&authority));

    // B42: it cannot send users elsewhere.
    let page = pressed(
        &mut world,
        &mut browser,
        &[(200, said("https://evil.example"))],
    );
    let refusal = PageRefusal::Discovery(DiscoveryError::ResourceIssuer);
    assert_eq!(page.outcome, Err(refusal));
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn a_failed_discovery_names_its_reason() {
    let discovery = PageRefusal::Discovery;
    let none: &[(u16, Value)] = &[];
    let wrong = json!({"issuer": "https://evil.example"});
    let forbidden = json!({"error": "access_denied", "error_description": "<script>"});
    for (answers, refusal, reason, status) in [
        (
            none,
            discovery(DiscoveryError::Unavailable),
            "metadata_unavailable",
            503,
        ),
        (
            &[(500, json!({}))],
            discovery(DiscoveryError::Unavailable),
            "metadata_unavailable",
            503,
        ),
        (
            &[(404, json!({})), (404, json!({}))],
            discovery(DiscoveryError::NotOffered),
            "server_metadata_unusable",
            502,
        ),
        (
            &[(200, wrong)],
            discovery(DiscoveryError::Issuer),
            "server_metadata_unusable",
            502,
        ),
        (
            &[(200, registering()), (403, forbidden)],
            PageRefusal::Registration(RegistrationError::Refused),
            "registration_refused",
            502,
        ),
        (
            &[(200, registering())],
            PageRefusal::Registration(RegistrationError::Unavailable),
            "registration_unavailable",
            503,
        ),
        (
            &[(200, registering()), (201, json!({}))],
            PageRefusal::Registration(RegistrationError::Format),
            "registration_unusable",
            502,
        ),
    ] {
        let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
        let page = pressed(&mut world, &mut browser, answers);
        assert_eq!(page.outcome, Err(refusal));
        assert_eq!(
            (refusal.reason().row().code, page.reply.status),
            (reason, status)
        );
        assert_eq!(page.connection, Some(("notes".into(), None)));
        let help = match status {
            503 => "Try again later.",
            _ => "Tell the operator of this server.",
        };
        assert!(html(&page).contains(help) && !html(&page).contains("script"));
        assert_eq!(header(&page, "retry-after").is_some(), status == 503);
        // The user can try again with the same link.
        let page = pressed(&mut world, &mut browser, &[(200, metadata())]);
        onward(&page);
    }
}

#[test]
fn without_the_store_nothing_is_registered() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let link = world.link("dana");
    let asked = world.open(&mut browser, &link, "dana");
    world.store = Err(StoreError::Unavailable);
    world.calls.clear();
    world.answer(200, &registering());
    let page = world.post(&mut browser, &form(&asked));
    assert_eq!(
        page.outcome,
        Err(PageRefusal::Store(StoreError::Unavailable))
    );
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn an_authorization_request_stays_with_its_server_and_client() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let answers = [(200, registering()), (201, registered("c-1"))];
    let first = onward(&pressed(&mut world, &mut browser, &answers));
    let mut moved = registering();
    moved["token_endpoint"] = json!("https://notes.example.com/moved");
    let answers = [
        (200, moved),
        (401, json!({"error": "invalid_client"})),
        (201, registered("c-2")),
    ];
    let second = onward(&pressed(&mut world, &mut browser, &answers));
    for (authorize, path_asked, client_id) in
        [(first, "/oauth/token", "c-1"), (second, "/moved", "c-2")]
    {
        world.calls.clear();
        let done = back(&mut world, &mut browser, &authorize, ISS);
        assert_eq!(done.outcome, Ok(Approval::Connected));
        assert_eq!(paths(&world), [path_asked]);
        let asked = said(&world.calls[0], "client_id");
        assert_eq!(asked.as_deref(), Some(client_id));
    }
}
