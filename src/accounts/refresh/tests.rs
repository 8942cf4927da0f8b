//! Refreshes whose replica ends, whose result cannot be kept, and records that are sealed with other keys.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::refresh_lock::{LockStep, SeenLock};
use crate::accounts::token_for_call::{NoAccountToken, token_for_call};
use crate::accounts::unkept::UnkeptAccounts;
use crate::accounts::vault::AccountCredential;
use crate::pages::fake_world::{NOW, World};
use base::seal::{SealKey, Sealer};
use base::store::StoreOperation;
use base::time::UnixTime;

mod interleavings;

type Called = Result<LinkedAccount, NoAccountToken>;

/// An account whose token has ended.
fn ended() -> LinkedAccount {
    LinkedAccount {
        credential: AccountCredential::Tokens(AccountTokens {
            access_token: Secret::new("at-1".into()),
            refresh_token: Some(Secret::new("rt-1".into())),
            expires: Some(UnixTime::from_secs(NOW)),
            scope: None,
            discovered: None,
        }),
        source: None,
        name: None,
        linked_at: UnixTime::from_secs(NOW - 100),
        ends: UnixTime::from_secs(NOW + 3600),
    }
}

fn world() -> World {
    let mut world = World::new();
    let put = place(&world).put(&world.sealer, &ended());
    world.stored(&put).unwrap();
    world
}

fn place(world: &World) -> AccountPlace {
    world.place("dana")
}

fn call(world: &mut World) -> Called {
    let place = place(world);
    world.run(|context| async move {
        token_for_call(&context.accounts, &place, Duration::from_secs(3600)).await
    })
}

fn token(called: &Called) -> String {
    called.as_ref().unwrap().access_token().reveal().to_owned()
}

fn refresh_token(account: &LinkedAccount) -> Option<&str> {
    let token = account.tokens()?.refresh_token.as_ref();
    token.map(Secret::reveal)
}

fn answer_renewed(world: &mut World) {
    let body = json!({"access_token": "at-2", "token_type": "Bearer", "refresh_token": "rt-2", "expires_in": 300});
    world.answer(200, &body);
}

fn answer_spent(world: &mut World) {
    world.answer(400, &json!({"error": "invalid_grant"}));
}

/// What a worker does at a tick.
fn tick(world: &mut World) -> Vec<String> {
    let due = world.unkept.due(UnixTime::from_secs(world.now));
    due.into_iter()
        .filter_map(|key| world.run(|context| keep_again(context.accounts, key)))
        .collect()
}

fn held(world: &World) -> usize {
    let far = UnixTime::from_secs(NOW + 100_000);
    world.unkept.due(far).len()
}

/// Another replica took the lock, and ended.
fn lock_of_a_replica_that_ended(world: &mut World) {
    let place = place(world);
    let lock = world
        .run(|context| async move { RefreshLock::take(&context.accounts, &place, &ended()).await });
    assert!(lock.unwrap().is_some());
}

#[test]
fn a_refresh_of_a_replica_that_ended_costs_seconds_and_no_refusal() {
    let mut world = world();
    lock_of_a_replica_that_ended(&mut world);
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-2");
    assert!(
        (NOW + 9..=NOW + 11).contains(&world.now),
        "{}",
        world.now - NOW
    );
    assert_eq!(world.calls.len(), 1);
}

/// A replica with a clock that is ahead does not take the lock too early. A replica with a clock that is behind does not
/// wait longer.
#[test]
fn the_clocks_of_replicas_may_differ() {
    for difference in [-30_i64, -3, 0, 3, 30] {
        let mut world = world();
        let now = world.now;
        world.now = now.checked_add_signed(difference).unwrap();
        let ended_for_both =
            ended().with_tokens(|tokens| tokens.expires = Some(UnixTime::from_secs(NOW - 60)));
        let place = place(&world);
        let put = place.put(&world.sealer, &ended_for_both);
        world.stored(&put).unwrap();
        let lock = world.run(|context| async move {
            RefreshLock::take(&context.accounts, &place, &ended_for_both).await
        });
        assert!(lock.unwrap().is_some());
        world.now = now;
        answer_renewed(&mut world);
        // Its owner ended. If it had not, it would have ended its call, or written the lock again.
        assert_eq!(token(&call(&mut world)), "at-2", "{difference}");
        let waited = world.now - now;
        assert!((9..=11).contains(&waited), "{difference}: {waited}");
    }
}

/// The owner writes its lock again, so that no request takes it.
#[test]
fn a_lock_that_its_owner_extends_is_not_taken() {
    let mut world = world();
    let place = place(&world);
    let lock = {
        let place = place.clone();
        world.run(
            |context| async move { RefreshLock::take(&context.accounts, &place, &ended()).await },
        )
    };
    let mut lock = lock.unwrap().unwrap();
    let mut other = SeenLock::default();
    for _ in 0..8 {
        world.now += 5;
        let place = place.clone();
        (lock, other) = world.run(|context| async move {
            let waiting = other.look(&context.accounts, &place, &ended()).await;
            assert!(matches!(waiting, Ok(LockStep::On)));
            assert!(lock.covers_call(&context.accounts).await);
            (lock, other)
        });
    }
}

#[test]
fn the_user_is_asked_again_if_the_replica_that_ended_spent_the_token() {
    let mut world = world();
    lock_of_a_replica_that_ended(&mut world);
    answer_spent(&mut world);
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    // Nothing is linked any more: the next call does not wait, and the pages do not say "connected".
    let pauses = world.pauses;
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    assert_eq!((world.pauses, world.calls.len()), (pauses, 1));
    assert_eq!(world.connection("dana"), None);
}

#[test]
fn a_server_that_fails_is_asked_again_after_the_lock_and_not_by_each_call() {
    let mut world = world();
    for _ in 0..5 {
        // The token endpoint does not answer.
        assert_eq!(call(&mut world), Err(NoAccountToken::NotRefreshed));
    }
    assert_eq!((world.calls.len(), world.pauses), (1, 0));
    world.now += 10;
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-2");
}

#[test]
fn a_lock_is_not_used_for_a_call_that_would_outlast_it() {
    let mut world = world();
    let place = place(&world);
    let lock = {
        let place = place.clone();
        world.run(
            |context| async move { RefreshLock::take(&context.accounts, &place, &ended()).await },
        )
    };
    let pending = PendingRefresh {
        place,
        account: ended(),
        lock: lock.unwrap().unwrap(),
    };
    // The worker begins late, and another replica has the lock now.
    world.now += 40;
    lock_of_a_replica_that_ended(&mut world);
    let refreshed = world.run(|context| refresh(context.accounts, pending.clone()));
    assert_eq!((refreshed, world.calls.len()), (Refreshed::Changed, 0));
    // The worker begins late, and the lock has not ended.
    let mut world = self::world();
    let place = self::place(&world);
    let lock = world
        .run(|context| async move { RefreshLock::take(&context.accounts, &place, &ended()).await });
    let lock = lock.unwrap().unwrap();
    world.now += 5;
    answer_renewed(&mut world);
    let pending = PendingRefresh { lock, ..pending };
    let refreshed = world.run(|context| refresh(context.accounts, pending));
    assert!(matches!(refreshed, Refreshed::Renewed(_)));
}

#[test]
fn tokens_that_cannot_be_kept_are_used_and_written_later() {
    let mut world = world();
    let before = world.store.clone();
    world.during_call = Some(|world| world.store = Err(StoreError::Unavailable));
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-2");
    assert_eq!(held(&world), 1);
    // The store is not back yet.
    world.now += 1;
    assert_eq!(tick(&mut world).len(), 1);
    assert!(matches!(call(&mut world), Err(NoAccountToken::Store(_))));
    // It is back, and the next call comes before the next try.
    world.store = before;
    assert_eq!(token(&call(&mut world)), "at-2");
    world.now += 2;
    assert_eq!(tick(&mut world), [""; 0]);
    assert_eq!(held(&world), 0);
    let kept = world.connection("dana").unwrap();
    assert_eq!(refresh_token(&kept), Some("rt-2"));
    assert_eq!(
        (token(&call(&mut world)), world.calls.len()),
        ("at-2".to_owned(), 1)
    );
}

#[test]
fn the_user_is_asked_again_if_the_store_stays_away_too_long() {
    let mut world = world();
    let before = world.store.clone();
    world.during_call = Some(|world| world.store = Err(StoreError::Unavailable));
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-2");
    let mut errors = Vec::new();
    for _ in 0..1000 {
        world.now += 1;
        errors.extend(tick(&mut world));
    }
    assert_eq!((errors.len(), held(&world)), (2, 0), "{errors:?}");
    world.store = before;
    answer_spent(&mut world);
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    assert_eq!(world.connection("dana"), None);
}

/// Another replica changes the record between the read and the write of the new tokens.
#[test]
fn a_conflict_loses_no_token() {
    let same_content = |world: &mut World| {
        let place = world.place("dana");
        let put = place.put(
            &world.sealer,
            &ended().with_tokens(|tokens| tokens.scope = Some("notes.read".into())),
        );
        world.stored(&put).unwrap();
    };
    let mut world = world();
    world.during_call = Some(same_content);
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-2");
    let kept = world.connection("dana").unwrap();
    assert_eq!(refresh_token(&kept), Some("rt-2"));
}

#[test]
fn a_link_that_was_renewed_or_ended_meanwhile_stays_as_it_is() {
    let relink = |world: &mut World| {
        let place = world.place("dana");
        let newer = ended().with_tokens(|tokens| {
            tokens.access_token = Secret::new("at-9".into());
            tokens.expires = None;
        });
        let newer = LinkedAccount {
            linked_at: UnixTime::from_secs(NOW),
            ..newer
        };
        let put = place.put(&world.sealer, &newer);
        world.stored(&put).unwrap();
    };
    let mut world = world();
    world.during_call = Some(relink);
    answer_renewed(&mut world);
    assert_eq!(token(&call(&mut world)), "at-9");

    let end = |world: &mut World| {
        let delete = world.place("dana").delete();
        world.stored(&delete).unwrap();
    };
    let mut world = self::world();
    world.during_call = Some(end);
    answer_renewed(&mut world);
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    assert_eq!(world.connection("dana"), None);
}

#[test]
fn held_tokens_do_not_outlive_their_link() {
    let mut world = world();
    let before = world.store.clone();
    world.during_call = Some(|world| world.store = Err(StoreError::Unavailable));
    answer_renewed(&mut world);
    call(&mut world).unwrap();
    world.store = before;
    let delete = place(&world).delete();
    world.stored(&delete).unwrap();
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    world.now += 1;
    assert_eq!(tick(&mut world), [""; 0]);
    assert_eq!((held(&world), world.connection("dana")), (0, None));
}

/// Another request of the worker refreshes the token, and cannot keep the new one.
#[test]
fn calls_that_wait_for_a_refresh_use_tokens_that_are_held() {
    let mut world = world();
    lock_of_a_replica_that_ended(&mut world);
    world.during_pause = Some(|world| {
        let renewed = ended().with_tokens(|tokens| {
            tokens.access_token = Secret::new("at-2".into());
            tokens.expires = Some(UnixTime::from_secs(NOW + 300));
        });
        let spent = ended().access_token();
        let now = UnixTime::from_secs(world.now);
        world.unkept.hold(world.place("dana"), spent, renewed, now);
        world.store = Err(StoreError::Unavailable);
    });
    assert_eq!(token(&call(&mut world)), "at-2");
    // A call that begins later cannot know whether the user has signed out.
    assert!(matches!(call(&mut world), Err(NoAccountToken::Store(_))));
}

#[test]
fn few_accounts_are_held() {
    let held = UnkeptAccounts::default();
    let world = World::new();
    let hold = |user: &str| {
        let now = UnixTime::from_secs(NOW);
        held.hold(world.place(user), Secret::new("at".into()), ended(), now)
    };
    assert!((0..256).all(|user| hold(&user.to_string())));
    assert!(!hold("one more") && hold("7"));
    assert_eq!(format!("{held:?}"), "UnkeptAccounts");
}

fn sealer(letters: &[&str]) -> Sealer {
    let key = |letter: &&str| SealKey::new(&letter.repeat(32)).unwrap();
    let others = letters[1..].iter().map(key).collect();
    Sealer::with_keys(key(&letters[0]), others, key(&"s").store_names()).unwrap()
}

fn lasting() -> LinkedAccount {
    ended().with_tokens(|tokens| tokens.expires = None)
}

#[test]
fn an_account_is_sealed_again_when_it_is_used() {
    let mut world = World::new();
    let put = place(&world).put(&sealer(&["s"]), &lasting());
    world.stored(&put).unwrap();
    let value = |world: &mut World| match world.stored(&place(world).get()).unwrap() {
        Stored::Value(value) => value.unwrap(),
        other => panic!("{other:?}"),
    };
    // A replica that has the new key, and opens with it only.
    world.sealer = sealer(&["s", "n"]).into();
    call(&mut world).unwrap();
    assert!(sealer(&["s"]).is_current(&value(&mut world)));
    world.sealer = sealer(&["n", "s"]).into();
    call(&mut world).unwrap();
    assert!(sealer(&["n"]).is_current(&value(&mut world)));
    world.sealer = sealer(&["n"]).into();
    assert_eq!(call(&mut world).unwrap(), lasting());
    assert_eq!(world.sealer.take_uses(), []);
}

#[test]
fn an_account_under_a_removed_key_is_counted_and_deleted() {
    let mut world = World::new();
    let put = place(&world).put(&sealer(&["s"]), &lasting());
    world.stored(&put).unwrap();
    world.sealer = sealer(&["n"]).into();
    assert_eq!(call(&mut world), Err(NoAccountToken::KeyRemoved));
    let uses = world.sealer.take_uses();
    let uses: Vec<_> = uses
        .iter()
        .map(|it| (it.key.as_deref(), it.purpose, it.count))
        .collect();
    assert_eq!(uses, [(None, "connection", 1)]);
    assert_eq!(world.stored(&place(&world).get()), Ok(Stored::Value(None)));
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
    // A value that names no key is no account, and stays until its end.
    let StoreOperation::Put(mut record) = put else {
        panic!();
    };
    record.value = "no account".into();
    world.stored(&StoreOperation::Put(record)).unwrap();
    assert_eq!(call(&mut world), Err(NoAccountToken::NotLinked));
}

/// Otherwise the end of a conversation would miss accounts after the old key is removed.
#[test]
fn the_lists_of_an_account_are_sealed_again_with_it() {
    let mut world = World::new();
    let place = place(&world);
    world.sealer = sealer(&["s"]).into();
    world.connect(&place);
    world.sealer = sealer(&["n", "s"]).into();
    call(&mut world).unwrap();
    world.sealer = sealer(&["n"]).into();
    let listed = world.run(|context| async move {
        let conversation = ConversationPlace::of(&place);
        conversation.accounts(&context.accounts).await
    });
    assert_eq!(listed.unwrap().len(), 1);
}
