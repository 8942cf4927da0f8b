use super::*;
use crate::accounts::conversation::EndedWithConversation;
use crate::pages::fake_world::{NOW, World};

fn conversations(world: &mut World) -> Vec<UserConversation> {
    let place = world.place("dana");
    let found = world.run(|context| async move {
        conversations_of_user(&context, &place.resource, &place.issuer, &place.user).await
    });
    found.unwrap()
}

/// Links an account of dana's in a session, as the page does.
fn link(world: &mut World, session: &str, client: &str) -> AccountPlace {
    let place = AccountPlace {
        conversation: ConversationId::Session(session.into()),
        client: client.into(),
        ..world.place("dana")
    };
    world.connect(&place);
    place
}

fn end(world: &mut World, place: &AccountPlace) -> Vec<EndedWithConversation> {
    let place = ConversationPlace::of(place);
    let ended = world.run(|context| async move { place.end(&context).await });
    ended.unwrap()
}

#[test]
fn the_conversations_of_a_user_are_listed_with_their_clients() {
    let mut world = World::new();
    assert_eq!(conversations(&mut world), []);
    link(&mut world, "s-1", "claude");
    world.now += 10;
    link(&mut world, "s-2", "claude");
    link(&mut world, "s-1", "cursor");
    let found = conversations(&mut world);
    let shown: Vec<_> = found
        .iter()
        .map(|each| (each.conversation.clone(), each.client.as_str()))
        .collect();
    let session = |id: &str| ConversationId::Session(id.into());
    assert_eq!(
        shown,
        [
            (session("s-1"), "claude"),
            (session("s-2"), "claude"),
            (session("s-1"), "cursor"),
        ]
    );
    assert_eq!(found[0].began, UnixTime::from_secs(NOW));
    assert_eq!(found[1].began, UnixTime::from_secs(NOW + 10));
    assert_eq!(found[1].ends, UnixTime::from_secs(NOW + 610));
    // Another account in a conversation that is known does not make it younger.
    world.now += 10;
    link(&mut world, "s-1", "claude");
    let again = conversations(&mut world);
    assert_eq!(again[0].began, UnixTime::from_secs(NOW));
    assert_eq!(again[0].last_used, UnixTime::from_secs(NOW + 20));
    assert_eq!(again.len(), 3);
    // No other user has them.
    let erin = world.place("erin");
    let found =
        world.run(|context| async move { UserPlace::of(&erin).conversations(&context).await });
    assert_eq!(found, Ok(vec![]));
}

#[test]
fn a_conversation_that_ended_is_not_listed() {
    let mut world = World::new();
    let first = link(&mut world, "s-1", "claude");
    link(&mut world, "s-2", "claude");
    assert_eq!(end(&mut world, &first).len(), 1);
    assert_eq!(conversations(&mut world).len(), 1);
    world.now += 600;
    assert_eq!(conversations(&mut world).len(), 0);
}

#[test]
fn the_accounts_of_a_conversation_are_listed() {
    let mut world = World::new();
    let place = link(&mut world, "s-1", "claude");
    link(&mut world, "s-2", "claude");
    let conversation = ConversationPlace::of(&place);
    let accounts = move |world: &mut World| {
        let conversation = conversation.clone();
        let found = world.run(|context| async move { conversation.accounts(&context).await });
        found.unwrap()
    };
    let found = accounts(&mut world);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, place);
    assert_eq!(found[0].since, UnixTime::from_secs(NOW));
    assert_eq!(found[0].until, UnixTime::from_secs(NOW + 600));
    world.disconnect(&place);
    assert_eq!(accounts(&mut world), []);
}

#[test]
fn b42_the_record_opens_for_its_user_only() {
    let mut world = World::new();
    let place = link(&mut world, "s-1", "claude");
    let dana = UserPlace::of(&place);
    let erin = UserPlace {
        user: "erin".into(),
        ..dana.clone()
    };
    assert_ne!(dana.record().key, erin.record().key);
    // Dana's record, moved to the name of erin's.
    let held = String::from_utf8(world.store.clone().unwrap()).unwrap();
    let moved = held.replace(dana.record().key.as_str(), erin.record().key.as_str());
    world.store = Ok(moved.into_bytes());
    let found = world.run(|context| async move { erin.conversations(&context).await });
    assert_eq!(found, Ok(vec![]));
}

fn known(names: &[(&str, &str)]) -> Vec<UserConversation> {
    let known = names.iter().map(|(session, client)| UserConversation {
        conversation: ConversationId::Session((*session).into()),
        client: (*client).into(),
        began: UnixTime::from_secs(NOW),
        last_used: UnixTime::from_secs(NOW),
        ends: UnixTime::from_secs(NOW + 600),
    });
    known.collect()
}

fn over(names: &[(&str, &str)], (session, client): (&str, &str), limit: usize) -> Vec<String> {
    let place = AccountPlace {
        conversation: ConversationId::Session(session.into()),
        client: client.into(),
        ..World::new().place("dana")
    };
    let known = known(names);
    let over = surplus(&known, &place, limit);
    let mut over: Vec<_> = over
        .iter()
        .filter_map(|each| each.conversation.session().map(str::to_owned))
        .collect();
    over.sort();
    over
}

#[test]
fn the_oldest_conversations_of_the_same_client_are_surplus() {
    let known = [("1", "a"), ("2", "b"), ("3", "a"), ("4", "a")];
    for (new, limit, expected) in [
        (("5", "a"), 4, vec![]),
        (("5", "a"), 3, vec!["1"]),
        (("5", "a"), 1, vec!["1", "3", "4"]),
        (("5", "b"), 1, vec!["2"]),
        (("5", "c"), 1, vec![]),
        // One that is known already ends only older ones.
        (("4", "a"), 1, vec!["1", "3"]),
        (("1", "a"), 1, vec![]),
    ] {
        assert_eq!(over(&known, new, limit), expected, "{new:?} {limit}");
    }
}

#[test]
fn a6_of_two_conversations_that_begin_at_once_one_stays() {
    let both = [("1", "a"), ("2", "a")];
    assert_eq!(over(&both, ("1", "a"), 1), Vec::<String>::new());
    assert_eq!(over(&both, ("2", "a"), 1), ["1"]);
}

#[test]
fn a2_long_names_of_sessions_do_not_fill_the_store() {
    let long = |number: usize| format!("{number}{}", "x".repeat(5000));
    let names: Vec<String> = (0..6).map(long).collect();
    let known: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    let over = over(&known, ("new", "b"), 64);
    assert_eq!(over, names[..3]);
}
