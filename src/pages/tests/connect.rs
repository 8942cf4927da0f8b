//! Linking an account, with all pages on the way.

use serde_json::{Value, json};

use crate::accounts::conversation::ConversationPlace;
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::accounts::{Random, disconnect};
use crate::pages::fake_world::*;
use crate::pages::sealed::digest;
use crate::pages::{PageOutcome, PageRefusal, connect_link};
use crate::reasons::Approval;
use base::secret::Secret;
use base::store::StoreError;
use base::time::UnixTime;
use oauth::TokenError;
use oauth::client::TokenAnswerError;

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
    assert_eq!(connected.tokens().unwrap().access_token.reveal(), "at-1");
    assert_eq!(connected.ends, UnixTime::from_secs(NOW + 600));
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
        let mut calls = world.calls.iter();
        let asked = calls.find(|call| call.headers.contains(&(":path", "/me".into())));
        assert!(
            asked
                .unwrap()
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
            PageRefusal::Tokens(TokenAnswerError::TokenGrant),
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

/// The world after a user came back to a callback whose conversation may have ended meanwhile.
fn back_after(
    document: &Value,
    meanwhile: impl FnOnce(&mut World, &AccountPlace),
    answers: &[(u16, Value)],
) -> (World, PageOutcome) {
    let (mut world, mut browser) = (World::of(document), Browser::default());
    let state = query(&world.go(&mut browser, "dana"), "state");
    let place = world.place("dana");
    meanwhile(&mut world, &place);
    world.calls.clear();
    for (status, body) in answers {
        world.answer(*status, body);
    }
    let target = format!("/.mcp-auth/callback/notes?code=c&state={state}");
    let done = world.get(&mut browser, &target);
    (world, done)
}

fn tokens() -> (u16, Value) {
    let tokens = json!({
        "access_token": "at-1", "token_type": "Bearer", "refresh_token": "rt-1", "expires_in": 300,
    });
    (200, tokens)
}

/// The token that the authorization server was told to revoke.
fn revoked(world: &World) -> Option<String> {
    let call = world.calls.last()?;
    let path = call.headers.iter().find(|(name, _)| *name == ":path")?;
    (path.1 == "/revoke").then(|| said(call, "token"))?
}

#[test]
fn a5_a_callback_after_the_end_of_its_session_stores_nothing_and_revokes() {
    let end = |world: &mut World, place: &AccountPlace| {
        let session = ConversationPlace::of(place);
        let ended = world.run(|context| async move { session.end(&context).await });
        assert_eq!(ended.unwrap(), []);
    };
    let (mut world, done) = back_after(&document(), end, &[tokens()]);
    assert_eq!(done.outcome, Err(PageRefusal::ConversationEnded));
    assert_eq!(done.reply.status, 410);
    assert_eq!(world.connection("dana"), None);
    assert_eq!(revoked(&world).as_deref(), Some("rt-1"));
    assert!(world.puts.is_empty());

    // A disconnection ends what is under way as well.
    let disconnects = |world: &mut World, place: &AccountPlace| {
        let place = place.clone();
        world
            .run(|context| async move { disconnect(&context, &place).await })
            .unwrap();
    };
    let (mut world, done) = back_after(&document(), disconnects, &[tokens()]);
    assert_eq!(done.outcome, Err(PageRefusal::ConversationEnded));
    assert_eq!(
        (world.connection("dana"), revoked(&world).is_some()),
        (None, true)
    );

    // Another conversation's end does not.
    let other = |world: &mut World, place: &AccountPlace| {
        let session = ConversationPlace {
            conversation: ConversationId::Session("s-2".into()),
            ..ConversationPlace::of(place)
        };
        world
            .run(|context| async move { session.end(&context).await })
            .unwrap();
    };
    let (mut world, done) = back_after(&document(), other, &[tokens()]);
    assert_eq!(done.outcome, Ok(Approval::Connected));
    // And what was linked ends with its own.
    end_linked(&mut world);
}

fn end_linked(world: &mut World) {
    let place = world.place("dana");
    end_linked_at(world, &place);
}

fn end_linked_at(world: &mut World, place: &AccountPlace) {
    let session = ConversationPlace::of(place);
    let ended = world.run(|context| async move { session.end(&context).await });
    let ended = ended.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!((&*ended[0].0, world.connection_at(place)), ("notes", None));
    assert_eq!(revoked(world).as_deref(), Some("rt-1"));
}

#[test]
fn a5_a_session_that_ends_while_its_account_is_written_takes_the_account_with_it() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let state = query(&world.go(&mut browser, "dana"), "state");
    let session = ConversationPlace::of(&world.place("dana"));
    // Just after the check, and before the account is written.
    world.before_put = Some(session.forgotten());
    world.answer_tokens();
    let target = format!("/.mcp-auth/callback/notes?code=c&state={state}");
    let done = world.get(&mut browser, &target);
    assert_eq!(done.outcome, Err(PageRefusal::ConversationEnded));
    assert_eq!(
        (world.connection("dana"), revoked(&world).is_some()),
        (None, true)
    );
}

#[test]
fn a5_the_account_before_ends_with_the_session_too() {
    for accounts in [1, 2] {
        let mut document = document();
        document["connections"]["notes"]["accounts"] = json!(accounts);
        let (mut world, mut browser) = (World::of(&document), Browser::default());
        let place = world.place("dana");
        let state = query(&world.go(&mut browser, "dana"), "state");
        let mut before = world.account();
        before.name = Some("ops".into());
        let before =
            before.with_tokens(|tokens| tokens.refresh_token = Some(Secret::new("rt-0".into())));
        let put = place.put(&world.sealer, &before);
        world.stored(&put).unwrap();
        world.before_put = Some(ConversationPlace::of(&place).forgotten());
        world.answer_tokens();
        let target = format!("/.mcp-auth/callback/notes?code=c&state={state}");
        let done = world.get(&mut browser, &target);
        assert_eq!(done.outcome, Err(PageRefusal::ConversationEnded));
        assert_eq!(world.connection("dana"), None);
        let revoked = world.calls.iter().filter(|call| call.path() == "/revoke");
        let mut revoked: Vec<_> = revoked.filter_map(|call| said(call, "token")).collect();
        revoked.sort_unstable();
        assert_eq!(revoked, ["rt-0", "rt-1"], "{accounts}");
    }
}

#[test]
fn a5_a_token_that_is_not_kept_is_revoked() {
    let mut document = document();
    document["connections"]["notes"]["account"] =
        json!({"cluster": "notes", "path": "/me", "field": "email"});
    let nothing = |_: &mut World, _: &AccountPlace| {};
    let (world, done) = back_after(&document, nothing, &[tokens(), (200, json!({}))]);
    assert_eq!(done.outcome, Err(PageRefusal::Account));
    assert_eq!(revoked(&world).as_deref(), Some("rt-1"));
    let fails = |world: &mut World, _: &AccountPlace| world.puts_fail = true;
    let answers = [tokens(), (200, json!({"email": "d"}))];
    let (world, done) = back_after(&document, fails, &answers);
    assert_eq!(
        done.outcome,
        Err(PageRefusal::Store(StoreError::Unavailable))
    );
    assert_eq!(revoked(&world).as_deref(), Some("rt-1"));
}

#[test]
fn a6_a_link_and_a_user_have_few_tries() {
    let mut world = World::new();
    let tried = |world: &mut World, link: &str| {
        let mut browser = Browser::default();
        let away = world.get(&mut browser, link);
        let state = query(&location(&away), "state");
        world.calls.clear();
        world.answer(400, &json!({"error": "invalid_grant"}));
        let target = format!("/.mcp-auth/signed-in?code=made-up&state={state}");
        let back = world.get(&mut browser, &target);
        world.answers.clear();
        (back.outcome.unwrap_err(), world.calls.len())
    };
    let refused = (PageRefusal::Tokens(TokenAnswerError::TokenGrant), 1);
    for _ in 0..3 {
        let link = world.link("dana");
        for _ in 0..8 {
            assert_eq!(tried(&mut world, &link), refused);
        }
        assert_eq!(tried(&mut world, &link), (PageRefusal::TooManyTries, 0));
        world.now += 1;
    }
    let link = world.link("dana");
    assert_eq!(tried(&mut world, &link), (PageRefusal::TooManyTries, 0));
    // Another user is not affected, and the limit ends.
    let other = world.link("erin");
    assert_eq!(tried(&mut world, &other), refused);
    world.now += 600;
    let link = world.link("dana");
    assert_eq!(tried(&mut world, &link), refused);
}

#[test]
fn a6_few_authorization_requests_of_a_conversation_are_under_way() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");
    let page = world.open(&mut browser, &link, "dana");
    for _ in 0..8 {
        let onward = world.post(&mut browser, &form(&page));
        assert_eq!(onward.outcome, Ok(Approval::SentToConnect));
    }
    let onward = world.post(&mut browser, &form(&page));
    assert_eq!(onward.outcome, Err(PageRefusal::TooManyTries));
}

#[test]
fn a6_no_two_sign_ins_have_the_same_cookie() {
    let mut world = World::new();
    let mut cookie = || {
        let mut browser = Browser::default();
        let link = world.link("dana");
        world.open(&mut browser, &link, "dana");
        browser.0["__Host-mcp-auth"].clone()
    };
    assert_ne!(cookie(), cookie());
}

#[test]
fn a1_the_page_names_the_client() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let place = AccountPlace {
        client: "https://app.example.com/<id>".into(),
        ..world.place("dana")
    };
    let link = connect_link(
        &world.policy,
        &world.sealer,
        &place,
        UnixTime::from_secs(NOW),
    );
    let link = link.strip_prefix(ORIGIN).unwrap().to_owned();
    let page = world.open(&mut browser, &link, "dana");
    assert!(html(&page).contains("https://app.example.com/&lt;id&gt;"));
    assert_eq!(page.client, Some(place.client.clone()));
    let onward = world.post(&mut browser, &form(&page));
    let state = query(&onward_url(&onward), "state");
    world.answer_tokens();
    world.get(
        &mut browser,
        &format!("/.mcp-auth/callback/notes?code=c&state={state}"),
    );
    assert!(world.connection_at(&place).is_some());
    assert_eq!(world.connection("dana"), None);
    // With the conversation, the accounts of all clients end.
    end_linked_at(&mut world, &place);
}
