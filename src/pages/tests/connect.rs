//! Linking an account, with all pages on the way.

use serde_json::{Value, json};

use crate::accounts::Random;
use crate::accounts::token_request::TokenAnswerError;
use crate::pages::PageRefusal;
use crate::pages::fake_world::*;
use crate::pages::sealed::digest;
use crate::reasons::Approval;
use base::store::StoreError;
use oauth::TokenError;

#[test]
fn a_user_connects_an_account_once() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");

    let away = world.get(&mut browser, &link);
    assert_eq!(
        (away.reply.status, away.outcome),
        (303, Ok(Approval::SignInStarted))
    );
    let authorize = location(&away);
    assert!(authorize.starts_with("https://login.example.com/authorize?response_type=code&"));
    for (name, value) in [
        ("client_id", "mcp-pages"),
        (
            "redirect_uri",
            "https://crm.example.com/.mcp-auth/signed-in",
        ),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("prompt", ""),
    ] {
        assert_eq!(query(&authorize, name), value);
    }

    let (state, nonce) = (query(&authorize, "state"), query(&authorize, "nonce"));
    world.answer_sign_in("dana", &nonce);
    let back = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c-1&state={state}"),
    );
    assert_eq!(
        (back.reply.status, back.outcome),
        (303, Ok(Approval::SignedIn))
    );
    assert!(location(&back).starts_with("/.mcp-auth/connect?ticket="));
    let redeemed = world.calls.pop().unwrap();
    assert_eq!(redeemed.cluster, "login");
    let verifier = said(&redeemed, "code_verifier").unwrap();
    assert_eq!(digest(&verifier), query(&authorize, "code_challenge"));

    let page = world.get(&mut browser, &location(&back));
    assert_eq!(
        (page.reply.status, page.outcome),
        (200, Ok(Approval::ConnectPageShown))
    );
    for text in [
        "dana@example.com",
        "Connect Notes?",
        "crm.example.com",
        "Read your notes",
        "10 minutes</bdi></strong>, and for this conversation only",
    ] {
        assert!(html(&page).contains(text), "{text}");
    }

    let onward = world.post(&mut browser, &form(&page));
    let authorize = onward_url(&onward);
    assert!(authorize.starts_with("https://notes.example.com/authorize?tenant=1&"));
    for (name, value) in [
        ("client_id", "mcp"),
        (
            "redirect_uri",
            "https://crm.example.com/.mcp-auth/callback/notes",
        ),
        ("scope", "notes.read offline_access"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query(&authorize, name), value);
    }

    world.answer_tokens();
    let state = query(&authorize, "state");
    let done = world.get(
        &mut browser,
        &format!("/.mcp-auth/callback/notes?code=c-2&state={state}&iss=https://notes.example.com"),
    );
    assert_eq!(
        (done.reply.status, done.outcome),
        (200, Ok(Approval::Connected))
    );
    let redeemed = world.calls.pop().unwrap();
    assert_eq!(redeemed.cluster, "notes");
    let verifier = said(&redeemed, "code_verifier").unwrap();
    assert_eq!(digest(&verifier), query(&authorize, "code_challenge"));

    let connected = world.connection("dana").unwrap();
    assert_eq!(connected.access_token.reveal(), "at-1");
    assert_eq!(connected.ends, NOW + 600);
    assert_eq!(world.connection("eve"), None);
}

#[test]
fn the_accounts_name_is_requested_with_its_token() {
    let mut document = document();
    document["connections"]["notes"]["account"] =
        json!({"cluster": "notes", "path": "/me", "field": "user.email"});
    for (answer, expected) in [
        (
            json!({"user": {"email": "d@notes"}}),
            Ok(Approval::Connected),
        ),
        (json!({"user": {}}), Err(PageRefusal::Account)),
        (json!([]), Err(PageRefusal::Account)),
    ] {
        let (mut world, mut browser) = (World::of(&document), Browser::default());
        let state = query(&world.go(&mut browser, "dana"), "state");
        world.answer_tokens();
        world.answer(200, &answer);
        let done = world.get(
            &mut browser,
            &format!("/.mcp-auth/callback/notes?code=c&state={state}"),
        );
        assert_eq!(done.outcome, expected);
        let asked = world.calls.pop().unwrap();
        assert!(
            asked
                .headers
                .contains(&("authorization", "Bearer at-1".into()))
        );
        let account = world.connection("dana").map(|account| account.name);
        match expected {
            Ok(_) => {
                assert_eq!(account, Some(Some("d@notes".into())));
                assert!(html(&done).contains("d@notes"));
                assert_eq!(done.connection.unwrap().1, Some("d@notes".into()));
            }
            Err(_) => assert_eq!(account, None),
        }
    }
}

#[test]
fn an_account_is_not_linked_after_a_failure() {
    type Failure = (&'static str, fn(&mut World), PageRefusal);
    let failing: [Failure; 5] = [
        (
            "nobody",
            |_| {},
            PageRefusal::Tokens(TokenAnswerError::Unavailable),
        ),
        (
            "code",
            |world| world.answer(400, &json!({"error": "invalid_grant"})),
            PageRefusal::Tokens(TokenAnswerError::Grant),
        ),
        (
            "client",
            |world| world.answer(401, &json!({"error": "invalid_client"})),
            PageRefusal::Tokens(TokenAnswerError::UnknownClient),
        ),
        (
            "odd",
            |world| world.answer(200, &json!([])),
            PageRefusal::Tokens(TokenAnswerError::Format),
        ),
        (
            "store",
            |world| world.store = Err(StoreError::Unavailable),
            PageRefusal::Store(StoreError::Unavailable),
        ),
    ];
    for (name, fail, expected) in failing {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let state = query(&world.go(&mut browser, "dana"), "state");
        world.calls.clear();
        fail(&mut world);
        let done = world.get(
            &mut browser,
            &format!("/.mcp-auth/callback/notes?code=c&state={state}"),
        );
        assert_eq!(done.outcome, Err(expected), "{name}");
        assert!(world.puts.is_empty(), "{name}");
        // A code whose state cannot be used up is not redeemed.
        assert_eq!(world.calls.is_empty(), name == "store");
    }
}

#[test]
fn no_user_is_signed_in_without_the_issuers_keys() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.keys = false;
    let link = world.link("dana");
    let authorize = location(&world.get(&mut browser, &link));
    world.answer_sign_in("dana", &query(&authorize, "nonce"));
    let state = query(&authorize, "state");
    let back = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c&state={state}"),
    );
    let expected = PageRefusal::IdToken(TokenError::KeysUnavailable);
    assert_eq!(back.outcome, Err(expected));
    assert!(!browser.0.contains_key("__Host-mcp-auth"));
}

#[test]
fn a_sign_in_without_randomness_is_refused() {
    let mut world = World::new();
    world.random = Random::default();
    let link = world.link("dana");
    let ended = world.get(&mut Browser::default(), &link);
    assert_eq!(ended.outcome, Err(PageRefusal::Random));
}

#[test]
fn a_client_without_an_id_is_known_by_its_document() {
    let client = "/.mcp-auth/client.json";
    let (mut world, mut browser) = (World::new(), Browser::default());
    let none = world.get(&mut browser, client);
    assert_eq!(none.outcome, Err(PageRefusal::NotFound));

    let mut document = document();
    let notes = document["connections"]["notes"].as_object_mut().unwrap();
    notes.insert("client_id".into(), json!("metadata"));
    notes.remove("client_secret_env");
    let mut world = World::of(&document);
    let found = world.get(&mut browser, client);
    assert_eq!(found.outcome, Ok(Approval::ClientDocumentPublished));
    let about: Value = serde_json::from_slice(&found.reply.body).unwrap();
    let own = "https://crm.example.com/.mcp-auth";
    assert_eq!(about["client_id"], format!("{own}/client.json"));
    assert_eq!(about["token_endpoint_auth_method"], "none");
    let back = [format!("{own}/callback/notes"), format!("{own}/signed-in")];
    assert_eq!(about["redirect_uris"], json!(back));

    let authorize = world.go(&mut browser, "dana");
    assert_eq!(query(&authorize, "client_id"), format!("{own}/client.json"));
    assert_eq!(query(&authorize, "redirect_uri"), back[0]);
    world.answer_tokens();
    let state = query(&authorize, "state");
    world.get(
        &mut browser,
        &format!("/.mcp-auth/callback/notes?code=c&state={state}"),
    );
    let redeemed = world.calls.pop().unwrap();
    assert_eq!(
        said(&redeemed, "client_id"),
        Some(format!("{own}/client.json"))
    );
}
