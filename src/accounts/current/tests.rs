use super::*;
use crate::accounts::Revocation;
use crate::accounts::conversation::ConversationAccount;
use crate::accounts::kept::disconnect;
use crate::pages::fake_world::{World, document};
use base::secret::Secret;
use serde_json::json;

/// A world whose connection keeps this number of accounts.
fn world(accounts: u8) -> World {
    let mut document = document();
    document["connections"]["notes"]["accounts"] = json!(accounts);
    World::of(&document)
}

/// Links an account of this name, as the page does.
fn link(world: &mut World, name: Option<&str>) {
    world.now += 1;
    let place = world.place("dana");
    let mut account = world.account();
    account.name = name.map(str::to_owned);
    let token = format!("at-{}", world.now);
    let account = account.with_tokens(|tokens| {
        tokens.access_token = Secret::new(token);
        tokens.refresh_token = None;
    });
    let id = format!("k-{}", world.now);
    world.run(|context| async move {
        let connection = context.policy.connection("notes").unwrap();
        let linked = super::link(&context, connection, &place, (&account, &id));
        let replaced = linked.await.unwrap();
        let conversation = ConversationPlace::of(&place);
        let noted = conversation.note(&context, &place, account.ends);
        noted.await.unwrap();
        replaced.revoke(&context, &place).await;
    });
}

/// The names of the accounts: the current one first.
fn names(world: &mut World) -> Vec<String> {
    let mut accounts = accounts(world);
    accounts.sort_by_key(|account| (!account.place.kept.is_empty(), account.since));
    let names = accounts.into_iter().map(|account| account.name);
    names.map(Option::unwrap_or_default).collect()
}

fn accounts(world: &mut World) -> Vec<ConversationAccount> {
    let place = world.place("dana");
    let found = world.run(|context| async move { accounts_at(&context, &place).await });
    found.unwrap()
}

#[test]
fn another_account_replaces_the_one_before_by_default() {
    for (before, after, is_revoked) in [
        (Some("dana"), Some("ops"), true),
        (Some("dana"), Some("dana"), false),
        (None, Some("dana"), false),
        (Some("dana"), None, false),
        (None, None, false),
    ] {
        let mut world = world(1);
        link(&mut world, before);
        world.answer(200, &json!({}));
        link(&mut world, after);
        assert_eq!(names(&mut world), [after.unwrap_or_default()]);
        let revoked = world.calls.iter().filter(|call| call.path() == "/revoke");
        assert_eq!(revoked.count() == 1, is_revoked, "{before:?} {after:?}");
    }
}

#[test]
fn several_accounts_are_kept_and_the_newest_is_used() {
    let mut world = world(3);
    for name in ["dana", "ops", "test"] {
        link(&mut world, Some(name));
    }
    assert_eq!(names(&mut world), ["test", "dana", "ops"]);
    // The same account again is not a fourth one.
    link(&mut world, Some("dana"));
    assert_eq!(names(&mut world), ["dana", "ops", "test"]);
    assert!(world.calls.is_empty());
    // The oldest one ends when there is no room.
    world.answer(200, &json!({}));
    link(&mut world, Some("new"));
    assert_eq!(names(&mut world), ["new", "test", "dana"]);
    assert_eq!(world.calls.len(), 1);
}

#[test]
fn the_user_chooses_the_account_that_calls_use() {
    let mut world = world(3);
    for name in ["dana", "ops"] {
        link(&mut world, Some(name));
    }
    let kept = accounts(&mut world);
    let kept = kept.iter().find(|account| !account.place.kept.is_empty());
    let place = kept.unwrap().place.clone();
    let chosen = world.run(|context| {
        let place = place.clone();
        async move { choose(&context, &place, "k").await.unwrap() }
    });
    assert_eq!(chosen.unwrap().name.as_deref(), Some("dana"));
    assert_eq!(names(&mut world), ["dana", "ops"]);
    let current = world.connection("dana").unwrap();
    assert_eq!(current.name.as_deref(), Some("dana"));
    // It has another place now.
    let again = world.run(|context| async move { choose(&context, &place, "k2").await.unwrap() });
    assert_eq!(again, None);
    assert_eq!(names(&mut world), ["dana", "ops"]);
}

#[test]
fn disconnecting_ends_the_accounts_that_are_kept_too() {
    let mut world = world(3);
    for name in ["dana", "ops", "test"] {
        link(&mut world, Some(name));
    }
    let place = world.place("dana");
    for _ in 0..3 {
        world.answer(200, &json!({}));
    }
    let ended = world.run(|context| async move { disconnect(&context, &place).await.unwrap() });
    let ended = ended.unwrap();
    assert_eq!(ended.name.as_deref(), Some("test"));
    assert_eq!(ended.revocation, Revocation::Confirmed);
    assert_eq!(names(&mut world).len(), 0);
    assert_eq!(world.calls.len(), 3);
}

#[test]
fn b42_a_kept_account_is_not_the_current_one() {
    let mut world = world(2);
    link(&mut world, Some("dana"));
    link(&mut world, Some("ops"));
    let current = world.place("dana");
    world.disconnect(&current);
    // Without a current account, calls have none: the kept one is not taken unasked.
    assert_eq!(world.connection("dana"), None);
    assert_eq!(names(&mut world), ["dana"]);
    world.now += 700;
    assert_eq!(names(&mut world).len(), 0);
}
