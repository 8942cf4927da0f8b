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
