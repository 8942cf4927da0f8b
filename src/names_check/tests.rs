use super::*;
use crate::pages::fake_world::World;
use base::seal::SealKey;

/// A sealer whose records are named with this secret.
fn named(letter: &str) -> Sealer {
    let key = |letter: &str| SealKey::new(&letter.repeat(32)).unwrap();
    Sealer::with_keys(key("s"), Vec::new(), key(letter).store_names()).unwrap()
}

/// What a worker with this secret says when it looks at the record.
fn look(world: &mut World, letter: &str) -> (bool, u64) {
    let sealer = std::rc::Rc::new(named(letter));
    let counted = std::rc::Rc::clone(&sealer);
    let error = world.run(|context| async move {
        let check = NamesCheck::default();
        check
            .run(&context.effects, &context.policy.resource, &sealer)
            .await
    });
    let uses = counted.take_uses();
    let uses = uses
        .iter()
        .filter(|it| it.purpose == base::seal::RECORD_NAMES);
    (error.is_some(), uses.map(|it| it.count).sum())
}

#[test]
fn another_secret_is_noticed_at_the_start_and_at_other_replicas() {
    let mut world = World::new();
    assert_eq!(look(&mut world, "a"), (false, 0));
    assert_eq!(look(&mut world, "b"), (true, 1));
    assert_eq!(look(&mut world, "a"), (false, 0));
    // The record lasts as long as its secret is in use.
    for _ in 0..10 {
        world.now += 20 * 3600;
        assert_eq!(look(&mut world, "a"), (false, 0));
        assert_eq!(look(&mut world, "b"), (true, 1));
    }
    // It is forgotten after a day.
    world.now += 24 * 3600;
    assert_eq!(look(&mut world, "b"), (false, 0));
    assert_eq!(look(&mut world, "a"), (true, 1));
}

#[test]
fn a_worker_looks_again_and_sooner_if_the_store_was_away() {
    let check = NamesCheck::default();
    let due = |secs: u64| check.is_due(UnixTime::from_secs(secs));
    assert!(due(1000) && !due(1001) && !due(1599) && due(1600));
    let mut world = World::new();
    world.store = Err(StoreError::Unavailable);
    let check = std::rc::Rc::new(check);
    let running = std::rc::Rc::clone(&check);
    let error = world.run(|context| async move {
        running
            .run(&context.effects, &context.policy.resource, &named("a"))
            .await
    });
    assert_eq!(error, None);
    assert!(!check.is_due(UnixTime::from_secs(world.now + 29)));
    assert!(check.is_due(UnixTime::from_secs(world.now + 30)));
}
