use serde_json::{Value, json};

use super::*;
use crate::accounts::end_at;
use crate::accounts::of_user::conversations_of_user;
use crate::accounts::token_for_call::FoundAccount;
use crate::accounts::vault::{AccountCredential, ConversationId};
use crate::accounts::{NoAccountToken, find_account, token_for_call};
use crate::pages::fake_world::{NOW, World, document, policy, said};
use base::secret::Secret;
use base::store::StoreOperation;

/// The accounts in the fake world last ten minutes.
const LIFETIME: u64 = 600;

fn world(vault: Value) -> World {
    let mut document = document();
    document["vault"] = vault;
    World::of(&document)
}

fn place(world: &World, conversation: ConversationId, client: &str) -> AccountPlace {
    AccountPlace {
        conversation,
        client: client.into(),
        ..world.place("dana")
    }
}

fn in_session(world: &World, session: &str, client: &str) -> AccountPlace {
    place(world, ConversationId::Session(session.into()), client)
}

fn call(world: &mut World, place: &AccountPlace) -> Result<LinkedAccount, NoAccountToken> {
    let place = place.clone();
    let max_age = Duration::from_secs(86400);
    world.run(|context| async move { token_for_call(&context, &place, max_age).await })
}

/// How many tokens were revoked.
fn revoked(world: &World) -> usize {
    let revocations = world.calls.iter();
    let revocations = revocations.filter(|call| said(call, "token_type_hint").is_some());
    revocations.count()
}

fn is_stored(world: &mut World, place: &AccountPlace) -> bool {
    matches!(
        world.stored(&place.get()),
        Ok(base::store::Stored::Value(Some(_)))
    )
}

fn listed(world: &mut World) -> usize {
    let place = world.place("dana");
    let found = world.run(|context| async move {
        conversations_of_user(&context, &place.resource, &place.issuer, &place.user).await
    });
    found.unwrap().len()
}

#[test]
fn the_end_of_the_lifetime_revokes_the_token_without_a_request() {
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    world.now = NOW + LIFETIME - 1;
    world.tick();
    assert!(is_stored(&mut world, &place));
    world.now = NOW + LIFETIME;
    world.tick();
    assert!(!is_stored(&mut world, &place));
    assert_eq!((revoked(&world), listed(&mut world)), (1, 0));
    world.now += 60;
    world.tick();
    assert_eq!(revoked(&world), 1);
}

#[test]
fn of_several_replicas_one_revokes() {
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    let due = UnixTime::from_secs(NOW + LIFETIME);
    world.now = NOW + LIFETIME;
    let workers = [Ends::default(), Ends::default(), Ends::default()];
    for worker in &workers {
        worker.watch(ClientConversation::of(&place), due);
        world.ends = worker.clone();
        world.tick();
    }
    assert_eq!(revoked(&world), 1);
}

#[test]
fn an_end_during_an_outage_of_the_store_is_tried_again() {
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    world.now = NOW + LIFETIME;
    let held = std::mem::replace(&mut world.store, Err(StoreError::Unavailable));
    world.tick();
    world.store = held;
    world.tick();
    assert_eq!(revoked(&world), 0);
    world.now += RETRY.as_secs();
    world.tick();
    assert_eq!(revoked(&world), 1);
    assert!(!is_stored(&mut world, &place));
}

#[test]
fn an_account_that_ended_is_ended_when_it_is_touched() {
    // The workers that knew it have ended.
    for touch in [true, false] {
        let mut world = World::new();
        let place = world.place("dana");
        world.connect(&place);
        world.ends = Ends::default();
        world.now = NOW + LIFETIME + 60;
        match touch {
            true => assert_eq!(call(&mut world, &place), Err(NoAccountToken::NotLinked)),
            false => {
                let place = place.clone();
                let found =
                    world.run(|context| async move { find_account(&context, &place).await });
                assert_eq!(found.map(FoundAccount::linked), Ok(None));
            }
        }
        assert!(!is_stored(&mut world, &place));
        world.tick();
        assert_eq!(revoked(&world), 1);
        assert_eq!(listed(&mut world), 0);
    }
}

#[test]
fn a_newer_link_stays_when_the_old_one_ends() {
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    world.now = NOW + LIFETIME - 10;
    world.connect(&place);
    world.now = NOW + LIFETIME;
    world.tick();
    assert!(call(&mut world, &place).is_ok());
    assert_eq!(revoked(&world), 0);
    world.now = NOW + 2 * LIFETIME - 10;
    world.tick();
    assert!(!is_stored(&mut world, &place));
    assert_eq!(revoked(&world), 1);
}

#[test]
fn an_idle_conversation_ends() {
    let mut world = world(json!({"idle": "100s"}));
    let (used, idle) = (
        in_session(&world, "s-1", "a"),
        in_session(&world, "s-2", "a"),
    );
    for place in [&used, &idle] {
        world.connect(place);
    }
    for _ in 0..3 {
        world.now += 50;
        assert!(call(&mut world, &used).is_ok());
        world.tick();
    }
    assert!(is_stored(&mut world, &used));
    assert!(!is_stored(&mut world, &idle));
    assert_eq!((revoked(&world), listed(&mut world)), (1, 1));
    world.now += 100;
    world.tick();
    assert!(!is_stored(&mut world, &used));
    assert_eq!(revoked(&world), 2);
}

#[test]
fn an_idle_conversation_is_ended_when_it_is_touched() {
    let mut world = world(json!({"idle": "100s"}));
    let place = in_session(&world, "s-1", "a");
    world.connect(&place);
    world.ends = Ends::default();
    world.now += 100;
    assert_eq!(call(&mut world, &place), Err(NoAccountToken::NotLinked));
    assert!(!is_stored(&mut world, &place));
    world.tick();
    assert_eq!(revoked(&world), 1);
    // It can be linked again.
    world.connect(&place);
    assert!(call(&mut world, &place).is_ok());
}

#[test]
fn a_use_is_noted_when_a_tenth_of_the_idle_time_has_passed() {
    let mut world = world(json!({"idle": "100s"}));
    let place = in_session(&world, "s-1", "a");
    world.connect(&place);
    let mut before = world.store.clone();
    for (later, writes) in [(1, false), (9, false), (10, true), (15, false), (20, true)] {
        world.now = NOW + later;
        assert!(call(&mut world, &place).is_ok());
        assert_eq!(world.store != before, writes, "after {later} s");
        before.clone_from(&world.store);
    }
    // A worker that does not know the last use reads it, and writes nothing.
    world.ends = Ends::default();
    world.now += 1;
    assert!(call(&mut world, &place).is_ok());
    assert_eq!(world.store, before);
}

#[test]
fn a_conversation_without_a_name_may_be_idle_for_half_an_hour() {
    let idle = 1800;
    let mut document = document();
    document["connections"]["notes"]["lifetime"] = json!("1d");
    let mut world = World::of(&document);
    let user = place(&world, ConversationId::User, "");
    let session = in_session(&world, "s-1", "");
    for place in [&user, &session] {
        world.connect(place);
    }
    world.now += idle - 1;
    world.tick();
    assert!(is_stored(&mut world, &user));
    world.now += 1;
    world.tick();
    assert!(!is_stored(&mut world, &user));
    // A session ends in another way.
    assert!(
        world
            .policy
            .vault
            .idle(session.conversation.has_name())
            .is_none()
    );
}

#[test]
fn accounts_from_before_the_list_of_conversations_are_used_and_end() {
    let mut world = world(json!({"idle": "100s"}));
    let place = in_session(&world, "s-1", "a");
    world.connect(&place);
    let forget = |world: &mut World| {
        let user = UserPlace::of(&world.place("dana"));
        let conversation = ConversationId::Session("s-1".into());
        let forgotten =
            world.run(|context| async move { user.forget(&context, &conversation, None).await });
        forgotten.unwrap();
        world.ends = Ends::default();
    };
    forget(&mut world);
    world.now += 50;
    assert!(call(&mut world, &place).is_ok());
    assert_eq!(listed(&mut world), 1);
    forget(&mut world);
    world.now += 60;
    assert_eq!(call(&mut world, &place), Err(NoAccountToken::NotLinked));
}

/// The user agrees to link an account at a place.
fn agree(world: &mut World, place: &AccountPlace) {
    let (user, place) = (UserPlace::of(place), place.clone());
    let made =
        world.run(|context| async move { user.make_room(&context, &place, Revoke::Now).await });
    made.unwrap();
}

#[test]
fn a_newer_conversation_of_the_same_client_ends_the_oldest() {
    for (limit, kept) in [(1, [false, false]), (2, [false, true]), (3, [true, true])] {
        let mut world = world(json!({"conversations": limit}));
        let first = in_session(&world, "s-1", "claude");
        let second = in_session(&world, "s-2", "claude");
        let other = in_session(&world, "s-0", "cursor");
        for place in [&first, &other, &second] {
            world.connect(place);
            world.now += 1;
        }
        let third = in_session(&world, "s-3", "claude");
        agree(&mut world, &third);
        let stored = [&first, &second].map(|place| is_stored(&mut world, place));
        assert_eq!(stored, kept, "{limit}");
        assert!(is_stored(&mut world, &other), "{limit}");
        let ended = kept.iter().filter(|kept| !**kept).count();
        assert_eq!(revoked(&world), ended, "{limit}");
    }
}

#[test]
fn another_account_in_the_same_conversation_ends_nothing() {
    let mut world = world(json!({"conversations": 1}));
    let first = in_session(&world, "s-1", "claude");
    world.connect(&first);
    agree(&mut world, &first);
    assert!(is_stored(&mut world, &first));
}

#[test]
fn a_user_has_a_limited_number_of_conversations() {
    let mut world = World::new();
    for at in 0..=policy::MAX_CONVERSATIONS {
        let place = in_session(&world, &format!("s-{at}"), &format!("client-{at}"));
        agree(&mut world, &place);
        world.connect(&place);
    }
    assert_eq!(listed(&mut world), usize::from(policy::MAX_CONVERSATIONS));
    let first = in_session(&world, "s-0", "client-0");
    assert!(!is_stored(&mut world, &first));
}

#[test]
fn a_worker_remembers_the_conversations_that_end_first() {
    let world = World::new();
    let ends = Ends::default();
    let watched = |at: u64| ClientConversation::of(&in_session(&world, &format!("s-{at}"), ""));
    let most = u64::try_from(MAX_WATCHED).unwrap();
    let due = |at: u64| UnixTime::from_secs(NOW + 10_000 - at);
    for at in 0..=most {
        ends.watch(watched(at), due(at));
    }
    // The one that is due last made room, and a later one is not remembered.
    ends.watch(watched(most + 1), UnixTime::from_secs(NOW + 20_000));
    let schedule = ends.0.borrow();
    assert_eq!(schedule.watched.len(), MAX_WATCHED);
    assert!(!schedule.watched.contains_key(&watched(0)));
    assert!(schedule.watched.contains_key(&watched(most)));
}

#[test]
fn a20_one_user_does_not_take_the_room_of_the_others() {
    let world = World::new();
    let ends = Ends::default();
    let of = |user: &str, at: usize| AccountPlace {
        conversation: ConversationId::Session(format!("s-{at}")),
        ..world.place(user)
    };
    let late = UnixTime::from_secs(NOW + 90_000);
    let soon = UnixTime::from_secs(NOW + 10);
    ends.watch(ClientConversation::of(&of("dana", 0)), late);
    ends.revoke_later(of("dana", 0), world.account());
    for at in 0..2 * MAX_WATCHED {
        ends.watch(ClientConversation::of(&of("eve", at)), soon);
        ends.revoke_later(of("eve", at), world.account());
    }
    // A third user finds room too.
    ends.watch(ClientConversation::of(&of("finn", 0)), late);
    ends.revoke_later(of("finn", 0), world.account());
    let schedule = ends.0.borrow();
    assert_eq!(schedule.watched.len(), MAX_WATCHED);
    assert_eq!(schedule.revocations.len(), MAX_REVOCATIONS);
    for user in ["dana", "finn"] {
        let is_of = |place: &str| place == user;
        assert!(schedule.watched.keys().any(|it| is_of(&it.place.user)));
        assert!(schedule.revocations.iter().any(|it| is_of(&it.place.user)));
    }
}

#[test]
fn few_ends_begin_at_one_tick() {
    let world = World::new();
    let ends = Ends::default();
    let now = UnixTime::from_secs(NOW);
    for at in 0..BEGUN_AT_ONCE * 2 {
        ends.watch(
            ClientConversation::of(&in_session(&world, &format!("s-{at}"), "")),
            now,
        );
    }
    assert_eq!(ends.due(now).len(), BEGUN_AT_ONCE);
    assert_eq!(ends.due(now).len(), BEGUN_AT_ONCE);
    assert_eq!(ends.due(now).len(), 0);
    assert_eq!(ends.due(now.saturating_add(RETRY)).len(), BEGUN_AT_ONCE);
}

#[test]
fn b42_an_account_that_is_linked_while_the_old_one_ends_stays() {
    let mut world = World::new();
    let place = world.place("dana");
    world.connect(&place);
    world.now = NOW + LIFETIME;
    // Another replica links the account again after this one found the old one.
    let newer = world.connection_record(&place);
    world.before_take = Some(newer);
    world.tick();
    assert!(call(&mut world, &place).is_ok());
    assert_eq!(revoked(&world), 0);
}

impl World {
    /// The operation that links an account at a place now.
    fn connection_record(&self, place: &AccountPlace) -> StoreOperation {
        let mut other = Self::new();
        other.now = self.now;
        other.connect(place);
        let account = other.connection_at(place).unwrap();
        place.put(&self.sealer, &account)
    }
}

/// The policy names another authorization server or resource under the same name, or one of another kind.
#[test]
fn a22_an_account_is_not_used_at_another_source_than_its_own() {
    let mut other = document();
    other["connections"]["notes"]["issuer"] = json!("https://other.example.com");
    let mut typed = document();
    typed["connections"]["notes"] = json!({
        "kind": "key", "check": {"cluster": "notes", "path": "/me"}, "lifetime": "10m",
    });
    let mut elsewhere = typed.clone();
    elsewhere["connections"]["notes"]["check"]["cluster"] = json!("other");
    let mut path = typed.clone();
    path["connections"]["notes"]["check"]["path"] = json!("/v2/me");
    let mut none = document();
    none["connections"] = json!({"bank": none["connections"]["notes"]});
    none["tools"] = json!({});
    for (before, after, is_used) in [
        (document(), document(), true),
        (document(), other.clone(), false),
        (document(), typed.clone(), false),
        (document(), none, false),
        (typed.clone(), path, true),
        (typed.clone(), elsewhere, false),
        (typed, document(), false),
    ] {
        let mut world = World::of(&before);
        let place = world.place("dana");
        let connection = world.policy.connection("notes").unwrap().clone();
        let account = match connection.oauth() {
            Some(_) => world.account(),
            None => {
                let key = AccountCredential::Key(Secret::new("key".into()));
                LinkedAccount::new(&connection, key, UnixTime::from_secs(NOW))
            }
        };
        let put = place.put(&world.sealer, &account);
        world.stored(&put).unwrap();
        let ends = account.ends;
        let noted = ConversationPlace::linked(&world.sealer, &place, ends);
        world.stored(&noted).unwrap();
        world.policy = policy(&after);
        let found = call(&mut world, &place);
        assert_eq!(found.is_ok(), is_used, "{after}");
        // It can be ended, and no other server receives its token.
        let ended = place.clone();
        let ended = world.run(|context| async move { end_at(&context, &ended).await });
        assert!(ended.unwrap().is_some());
        let receives = is_used && account.tokens().is_some();
        assert_eq!(revoked(&world), usize::from(receives), "{after}");
    }
}
