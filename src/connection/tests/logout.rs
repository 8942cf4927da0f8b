//! An issuer says who signed out.

use serde_json::{Value, json};

use super::document;
use super::world::{Browser, NOW, World, header, logout_token};
use crate::connection::logout::{ends, marks};
use crate::connection::vault::{Connected, Conversation, Place};
use crate::connection::{Ended, PageRefusal};
use crate::identity::TokenError;
use crate::secret::Secret;
use crate::store::{Outcome, StoreError, memory};

fn told(changes: Value) -> World {
    let mut document = document();
    document["issuers"][0]["sign_in"]["back_channel_logout"] = json!(true);
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    World::of(&document)
}

fn logout(world: &mut World, token: &str) -> Ended {
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

fn of_session(world: &World, session: &str) -> Place {
    Place {
        conversation: Conversation::Claim(session.into()),
        ..world.place("dana")
    }
}

/// Whether a connection made then is over.
fn is_over(world: &World, place: &Place, connected: u64) -> bool {
    let connected = Connected {
        access_token: Secret::new("at-1".into()),
        refresh_token: None,
        token_expires: None,
        account: None,
        scope: None,
        connected,
        ends: NOW + 10_000,
        discovered: None,
    };
    let held = world.store.as_ref().unwrap();
    marks(&world.policy, place).into_iter().any(|mark| {
        let found = memory::apply(held, &crate::store::Operation::Get(mark), world.now);
        let Ok((Outcome::Value(found), _)) = found else {
            panic!("{found:?}");
        };
        ends(found.as_deref(), &connected)
    })
}

#[test]
fn connections_from_before_a_logout_are_over() {
    let mut world = told(json!({}));
    let (dana, erin) = (world.place("dana"), world.place("erin"));
    assert!(!is_over(&world, &dana, NOW));
    let token = logout_token(&json!({"sub": "dana", "jti": "j-1"}), NOW);
    let ended = logout(&mut world, &token);
    assert_eq!((ended.reply.status, ended.outcome), (200, Ok("logout")));
    let user = ("https://login.example.com".to_owned(), "dana".to_owned());
    assert_eq!(ended.user, Some(user));
    assert!(is_over(&world, &dana, NOW - 1) && is_over(&world, &dana, NOW));
    assert!(!is_over(&world, &dana, NOW + 1));
    assert!(!is_over(&world, &erin, NOW));
    // As long as one from before could last.
    world.now += 600;
    assert!(is_over(&world, &dana, NOW));
}

#[test]
fn a_session_is_over_where_it_is_the_conversation() {
    let by_sid = json!({"vault": {"conversation": {"claim": "sid"}}});
    let (both, alone) = (
        json!({"sub": "dana", "sid": "s-1", "jti": "j"}),
        json!({"sid": "s-1", "jti": "j"}),
    );
    for claims in [&both, &alone] {
        let mut world = told(by_sid.clone());
        assert_eq!(
            logout(&mut world, &logout_token(claims, NOW)).reply.status,
            200
        );
        assert!(is_over(&world, &of_session(&world, "s-1"), NOW));
        assert!(!is_over(&world, &of_session(&world, "s-2"), NOW));
    }
    let mut world = told(by_sid);
    logout(
        &mut world,
        &logout_token(&json!({"sub": "dana", "jti": "j"}), NOW),
    );
    assert!(is_over(&world, &of_session(&world, "s-2"), NOW));
    let mut world = told(json!({}));
    assert_eq!(
        logout(&mut world, &logout_token(&alone, NOW)).reply.status,
        400
    );
    assert_eq!(
        logout(
            &mut world,
            &logout_token(&json!({"sub": "dana", "sid": "s-1", "jti": "k"}), NOW)
        )
        .reply
        .status,
        200
    );
    assert!(is_over(&world, &world.place("dana"), NOW));
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
    assert!(!is_over(&world, &world.place("dana"), NOW + 5));
}

#[test]
fn b42_nobody_else_signs_a_user_out() {
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
    assert!(!is_over(&world, &world.place("dana"), NOW));
    // An issuer that does not send any.
    let mut world = World::new();
    let ended = logout(&mut world, &good);
    assert_eq!(
        ended.outcome,
        Err(PageRefusal::LogoutToken(TokenError::Issuer))
    );
    assert_eq!(marks(&world.policy, &world.place("dana")).len(), 0);
}

#[test]
fn what_cannot_be_checked_or_kept_is_sent_again() {
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
