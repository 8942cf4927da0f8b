//! Back-channel logout.

use serde_json::{Value, json};

use crate::accounts::sign_out::{has_signed_out, marks};
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::pages::fake_world::{Browser, NOW, World, document, header, logout_token, query, said};
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::store::StoreError;
use base::time::UnixTime;
use oauth::TokenError;

fn told(changes: Value) -> World {
    let mut document = document();
    document["issuers"][0]["sign_in"]["back_channel_logout"] = json!(true);
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    World::of(&document)
}

fn logout(world: &mut World, token: &str) -> PageOutcome {
    let headers = [
        (":method", "POST"),
        (":path", "/.mcp-auth/logout"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let ended = world.send(
        &mut Browser::default(),
        &headers,
        &format!("logout_token={token}"),
    );
    assert_eq!(header(&ended, "cache-control"), Some("no-store"));
    ended
}

fn of_session(world: &World, session: &str) -> AccountPlace {
    AccountPlace {
        conversation: ConversationId::Claim(session.into()),
        ..world.place("dana")
    }
}

/// Whether an account that was linked then is over.
fn is_over(world: &mut World, place: &AccountPlace, linked_at: u64) -> bool {
    let place = place.clone();
    let over = world.run(|context| async move {
        let user = (place.issuer.as_str(), place.user.as_str());
        has_signed_out(
            &context,
            user,
            &place.conversation,
            UnixTime::from_secs(linked_at),
        )
        .await
    });
    over.unwrap()
}

fn is_over_for(world: &mut World, user: &str, linked_at: u64) -> bool {
    let place = world.place(user);
    is_over(world, &place, linked_at)
}

fn is_session_over(world: &mut World, session: &str, linked_at: u64) -> bool {
    let place = of_session(world, session);
    is_over(world, &place, linked_at)
}

#[test]
fn accounts_from_before_a_logout_are_over() {
    let mut world = told(json!({}));
    let (dana, erin) = (world.place("dana"), world.place("erin"));
    assert!(!is_over(&mut world, &dana, NOW));
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    let ended = logout(&mut world, &token);
    assert_eq!(
        (ended.reply.status, ended.outcome),
        (200, Ok(Approval::LoggedOut))
    );
    let user = ("https://login.example.com".to_owned(), "dana".to_owned());
    assert_eq!(ended.user, Some(user));
    assert!(is_over(&mut world, &dana, NOW - 1) && is_over(&mut world, &dana, NOW));
    assert!(!is_over(&mut world, &dana, NOW + 1));
    assert!(!is_over(&mut world, &erin, NOW));
    // As long as one from before could last.
    world.now += 600;
    assert!(is_over(&mut world, &dana, NOW));
}

fn by_sid() -> World {
    told(json!({"vault": {"conversation": {"claim": "sid"}}}))
}

#[test]
fn a_session_that_is_the_conversation_is_over() {
    let alone = logout_token(&json!({"sid": "s-1", "jti": "j"}), NOW);
    let mut world = by_sid();
    assert_eq!(logout(&mut world, &alone).reply.status, 200);
    assert!(is_session_over(&mut world, "s-1", NOW));
    assert!(!is_session_over(&mut world, "s-2", NOW));
    let mut world = by_sid();
    let user = logout_token(&json!({"sub": "dana", "jti": "j"}), NOW);
    logout(&mut world, &user);
    assert!(is_session_over(&mut world, "s-2", NOW));
    // Which connections are of a session is known nowhere else.
    let mut world = told(json!({}));
    assert_eq!(logout(&mut world, &alone).reply.status, 400);
    let both = logout_token(&json!({"sub": "dana", "sid": "s-1", "jti": "k"}), NOW);
    assert_eq!(logout(&mut world, &both).reply.status, 200);
    assert!(is_over_for(&mut world, "dana", NOW));
}

#[test]
fn accounts_of_a_known_session_end_at_once() {
    let token = logout_token(&json!({"sub": "dana", "sid": "s-1", "jti": "j"}), NOW);
    for answers in [true, false] {
        let mut world = by_sid();
        let (own, other) = (of_session(&world, "s-1"), of_session(&world, "s-2"));
        let erins = AccountPlace {
            user: "erin".into(),
            ..own.clone()
        };
        for place in [&own, &other, &erins] {
            world.connect(place);
        }
        if answers {
            world.answer(200, &json!({}));
        }
        assert_eq!(logout(&mut world, &token).outcome, Ok(Approval::LoggedOut));
        let [revoked] = world.calls.as_slice() else {
            panic!("{:?}", world.calls);
        };
        assert_eq!(
            (revoked.cluster.as_str(), said(revoked, "token").as_deref()),
            ("notes", Some("rt-1"))
        );
        assert_eq!(world.connection_at(&own), None);
        assert!(is_over(&mut world, &own, NOW));
        assert!(!is_over(&mut world, &other, NOW));
        for place in [other, erins] {
            assert!(world.connection_at(&place).is_some());
        }
        assert_eq!(
            logout(&mut world, &token).outcome,
            Err(PageRefusal::LogoutUsed)
        );
    }
}

#[test]
fn b42_a_logout_token_counts_once() {
    let mut world = told(json!({}));
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    assert_eq!(logout(&mut world, &token).reply.status, 200);
    world.now += 10;
    let again = logout(&mut world, &token);
    assert_eq!(
        (again.reply.status, again.outcome),
        (400, Err(PageRefusal::LogoutUsed))
    );
    assert!(!is_over_for(&mut world, "dana", NOW + 5));
}

#[test]
fn b42_a_logout_token_of_another_issuer_or_signature_is_refused() {
    let good = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    let mut world = told(json!({}));
    let ended = logout(&mut world, &forged);
    assert_eq!(
        ended.outcome,
        Err(PageRefusal::LogoutToken(TokenError::Signature))
    );
    assert_eq!(
        (ended.reply.status, ended.reply.body.as_slice()),
        (400, &b"{\"error\":\"invalid_request\"}"[..])
    );
    let nothing = logout(&mut world, "");
    assert_eq!(nothing.reply.status, 400);
    assert!(!is_over_for(&mut world, "dana", NOW));
    // An issuer that does not send any.
    let mut world = World::new();
    let ended = logout(&mut world, &good);
    assert_eq!(
        ended.outcome,
        Err(PageRefusal::LogoutToken(TokenError::Issuer))
    );
    let place = world.place("dana");
    let marks = marks(
        &world.policy,
        &place.issuer,
        &place.user,
        &place.conversation,
    );
    assert_eq!(marks.len(), 0);
}

#[test]
fn a_logout_without_keys_or_store_is_answered_with_503() {
    let good = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    let mut world = told(json!({}));
    world.keys = false;
    assert_eq!(logout(&mut world, &good).reply.status, 503);
    let mut world = told(json!({}));
    world.store = Err(StoreError::Unavailable);
    assert_eq!(logout(&mut world, &good).reply.status, 503);
    let mut world = told(json!({}));
    let browser = &mut Browser::default();
    let ended = world.get(browser, &format!("/.mcp-auth/logout?logout_token={good}"));
    assert_eq!(ended.outcome, Err(PageRefusal::Method));
}

#[test]
fn a_logout_token_is_not_used_up_if_its_mark_was_not_written() {
    let mut world = told(json!({}));
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    world.puts_fail = true;
    assert_eq!(logout(&mut world, &token).reply.status, 503);
    world.puts_fail = false;
    assert_eq!(logout(&mut world, &token).outcome, Ok(Approval::LoggedOut));
    assert!(is_over_for(&mut world, "dana", NOW));
}

#[test]
fn b42_no_account_is_linked_with_a_sign_in_from_before_a_logout() {
    let mut world = told(json!({}));
    let mut browser = Browser::default();
    let state = query(&world.go(&mut browser, "dana"), "state");
    world.now += 5;
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), world.now);
    assert_eq!(logout(&mut world, &token).reply.status, 200);
    world.now += 5;
    world.answer_tokens();
    let back = format!("/.mcp-auth/callback/notes?code=c-2&state={state}");
    let done = world.get(&mut browser, &back);
    assert_eq!(done.outcome, Err(PageRefusal::NotSignedIn));
    assert_eq!(world.connection("dana"), None);
    // The next link asks for a sign-in, whosever it is, after which all is well.
    world.answers.clear();
    for user in ["dana", "erin"] {
        let link = world.link(user);
        assert_eq!(
            world.get(&mut browser, &link).outcome,
            Ok(Approval::SignInStarted)
        );
    }
    let state = query(&world.go(&mut browser, "dana"), "state");
    world.answer_tokens();
    let back = format!("/.mcp-auth/callback/notes?code=c-3&state={state}");
    assert_eq!(
        world.get(&mut browser, &back).outcome,
        Ok(Approval::Connected)
    );
    assert!(world.connection("dana").is_some());
}

#[test]
fn b42_no_call_is_agreed_to_with_a_sign_in_from_before_a_logout() {
    let mut world = told(json!({}));
    let mut browser = Browser::default();
    let link = world.ask("dana", "notes.add", "{}");
    let page = world.open(&mut browser, &link, "dana");
    assert_eq!(page.outcome, Ok(Approval::ConfirmPageShown));
    world.now += 5;
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), world.now);
    assert_eq!(logout(&mut world, &token).reply.status, 200);
    let sent = world.say(&mut browser, &page, "yes");
    assert_eq!(sent.outcome, Err(PageRefusal::NotSignedIn));
    assert_eq!(
        world.get(&mut browser, &link).outcome,
        Ok(Approval::SignInStarted)
    );
}

#[test]
fn a_logout_is_for_its_user_only() {
    let mut world = told(json!({}));
    let mut browser = Browser::default();
    world.go(&mut browser, "dana");
    let token = logout_token(&json!({"sub": "erin", "jti": "j-1"}), world.now);
    assert_eq!(logout(&mut world, &token).reply.status, 200);
    let (own, other) = (world.link("dana"), world.link("erin"));
    assert_eq!(
        world.get(&mut browser, &own).outcome,
        Ok(Approval::ConnectPageShown)
    );
    let refused = world.get(&mut browser, &other).outcome;
    assert_eq!(refused, Err(PageRefusal::OtherUser));
}

#[test]
fn b42_a_session_is_over_under_another_name_too() {
    // Some issuers name a session in logout tokens in another way than in access tokens.
    let mut world = by_sid();
    let claims = json!({"sub": "dana", "sid": "of-this-client", "jti": "j-1"});
    let ended = logout(&mut world, &logout_token(&claims, NOW));
    assert_eq!(ended.reply.status, 200);
    assert!(is_session_over(&mut world, "s-1", NOW));
}

#[test]
fn a6_a_sign_out_with_a_session_ends_sign_ins_on_every_page() {
    for (conversation, claims) in [
        (
            json!({"claim": "sid"}),
            json!({"sub": "dana", "sid": "s-1", "jti": "j"}),
        ),
        (json!({"claim": "sid"}), json!({"sid": "s-1", "jti": "j"})),
        (
            json!("session"),
            json!({"sub": "dana", "sid": "s-1", "jti": "j"}),
        ),
        (json!("session"), json!({"sid": "s-1", "jti": "j"})),
    ] {
        let mut world = told(json!({"vault": {"conversation": conversation}}));
        world.sid = Some("s-1");
        let own = of_session(&world, "s-1");
        world.connect(&own);
        let links = [world.ask("dana", "notes.add", "{}"), world.link("dana")];
        let mut browsers: Vec<_> = links
            .iter()
            .map(|link| {
                let mut browser = Browser::default();
                let page = world.open(&mut browser, link, "dana");
                assert_eq!(page.reply.status, 200);
                browser
            })
            .collect();
        world.now += 5;
        logout(&mut world, &logout_token(&claims, NOW + 5));
        for (link, browser) in links.iter().zip(&mut browsers) {
            let ended = world.get(browser, link).outcome;
            assert_eq!(ended, Ok(Approval::SignInStarted), "{claims} {link}");
        }
    }
    // The session of another browser is another one.
    let mut world = by_sid();
    world.sid = Some("s-2");
    let link = world.ask("dana", "notes.add", "{}");
    let mut browser = Browser::default();
    world.open(&mut browser, &link, "dana");
    world.now += 5;
    logout(
        &mut world,
        &logout_token(&json!({"sid": "s-1", "jti": "j"}), NOW + 5),
    );
    assert_eq!(
        world.get(&mut browser, &link).outcome,
        Ok(Approval::ConfirmPageShown)
    );
}
