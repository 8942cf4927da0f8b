//! Each order of the steps of a refresh and of what the user does meanwhile.

use std::collections::VecDeque;
use std::future::Future;

use serde_json::json;

use super::super::*;
use super::{ended, refresh_token};
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::current::{choose, link};
use crate::accounts::kept::{disconnect, end_at};
use crate::effect::{Effect, Progress, Task};
use crate::pages::fake_world::{NOW, World, document, said};
use base::http::HttpResponse;
use base::time::UnixTime;

/// What the user does during the refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// Chooses the account that is kept.
    Switch,
    /// The same, and then the account that is refreshed again.
    SwitchAndBack,
    /// The same, and then ends the account that is refreshed.
    SwitchAndEnd,
    /// Links an account of this name.
    Link(Option<&'static str>),
    /// Ends the account.
    End,
    /// Ends the account that is kept.
    EndKept,
    /// Ends all accounts at the connection.
    Disconnect,
    /// Ends the conversation.
    EndConversation,
}

/// What becomes of the account that is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccountFate {
    /// It is the current account.
    Current,
    /// It is kept.
    Kept,
    /// It has ended, and its token is revoked.
    Revoked,
    /// The same account is linked again. A revocation could end its new token.
    LinkedAgain,
}

/// A task that is run in steps.
struct Steps<T> {
    task: Task<T>,
    progress: Option<Progress<T>>,
}

impl<T> Steps<T> {
    fn of<F: Future<Output = T> + 'static>(
        world: &World,
        run: impl FnOnce(AccountContext) -> F,
    ) -> Self {
        let mut context = world.context().accounts;
        let (task, progress) = Task::start(UnixTime::from_secs(world.now), |effects| {
            context.effects = effects;
            run(context)
        });
        let progress = Some(progress);
        Self { task, progress }
    }

    /// Carries out one effect. `None`: the task has ended.
    fn step(&mut self, world: &mut World) -> Option<()> {
        let Some(Progress::Waits(effect)) =
            self.progress.take_if(|it| matches!(it, Progress::Waits(_)))
        else {
            return None;
        };
        world.answers = answer(&effect);
        let outcome = world.perform(effect);
        let now = UnixTime::from_secs(world.now);
        self.progress = Some(self.task.resume(outcome, now));
        Some(())
    }

    /// Carries out this number of effects. `false`: the task has ended before.
    fn steps(&mut self, world: &mut World, count: usize) -> bool {
        (0..count).all(|_| self.step(world).is_some())
    }

    fn finish(mut self, world: &mut World) -> T {
        while self.step(world).is_some() {}
        match self.progress {
            Some(Progress::Done(value)) => value,
            _ => panic!("the task has not ended"),
        }
    }
}

/// The authorization server renews the token once, and revokes tokens.
fn answer(effect: &Effect) -> VecDeque<HttpResponse> {
    let Effect::Call(call) = effect else {
        return VecDeque::new();
    };
    let body = match call.path() {
        "/token" => json!({
            "access_token": "at-2", "token_type": "Bearer", "refresh_token": "rt-2", "expires_in": 300,
        }),
        _ => json!({}),
    };
    [HttpResponse::json(200, body.to_string().into_bytes())].into()
}

fn named(name: Option<&str>, since: u64) -> LinkedAccount {
    let token = format!("at-{since}");
    let account = ended().with_tokens(|tokens| {
        tokens.access_token = Secret::new(token);
        tokens.refresh_token = Some(Secret::new("rt-other".into()));
        tokens.expires = None;
    });
    LinkedAccount {
        name: name.map(str::to_owned),
        linked_at: UnixTime::from_secs(since),
        ..account
    }
}

/// A world in which `dana` is the current account, and `ops` is kept if the connection keeps several.
fn world(accounts: u8, name: Option<&str>) -> World {
    let mut document = document();
    document["connections"]["notes"]["accounts"] = json!(accounts);
    let mut world = World::of(&document);
    let current = LinkedAccount {
        name: name.map(str::to_owned),
        ..ended()
    };
    let place = world.place("dana");
    world.connect(&place);
    let put = place.put(&world.sealer, &current);
    world.stored(&put).unwrap();
    if accounts > 1 {
        let kept = place.kept_as("k-0");
        let put = kept.put(&world.sealer, &named(Some("ops"), NOW - 50));
        world.stored(&put).unwrap();
        world.run(|context| async move {
            let conversation = ConversationPlace::of(&kept);
            let ends = UnixTime::from_secs(NOW + 3600);
            conversation.note(&context, &kept, ends).await.unwrap();
        });
    }
    world
}

async fn meanwhile(context: AccountContext, place: AccountPlace, what: Meanwhile) {
    let switch = async |to: &str, copy: &str| {
        let chosen = choose(&context, &place.kept_as(to), copy).await;
        chosen.unwrap();
    };
    match what {
        Meanwhile::Switch => {
            switch("k-0", "k-1").await;
        }
        Meanwhile::SwitchAndBack => {
            switch("k-0", "k-1").await;
            switch("k-1", "k-2").await;
        }
        Meanwhile::SwitchAndEnd => {
            switch("k-0", "k-1").await;
            end_at(&context, &place.kept_as("k-1")).await.unwrap();
        }
        Meanwhile::Link(name) => {
            let new = named(name, NOW);
            let connection = context.policy.connection("notes").unwrap();
            let linked = link(&context, connection, &place, (&new, "k-1"));
            linked.await.unwrap().revoke(&context, &place).await;
        }
        Meanwhile::End => {
            end_at(&context, &place).await.unwrap();
        }
        Meanwhile::EndKept => {
            end_at(&context, &place.kept_as("k-0")).await.unwrap();
        }
        Meanwhile::Disconnect => {
            disconnect(&context, &place).await.unwrap();
        }
        Meanwhile::EndConversation => {
            let conversation = ConversationPlace::of(&place);
            conversation.end(&context).await.unwrap();
        }
    }
}

fn start_refresh(world: &mut World) -> Steps<Refreshed> {
    let place = world.place("dana");
    let account = world.connection("dana").unwrap();
    let lock = {
        let (place, account) = (place.clone(), account.clone());
        world.run(|context| async move { RefreshLock::take(&context, &place, &account).await })
    };
    let pending = PendingRefresh {
        place,
        account,
        lock: lock.unwrap().unwrap(),
    };
    Steps::of(world, |context| refresh(context, pending))
}

fn start_meanwhile(world: &World, what: Meanwhile) -> Steps<()> {
    let place = world.place("dana");
    Steps::of(world, |context| meanwhile(context, place, what))
}

/// The places that may have an account.
fn places(world: &World) -> Vec<AccountPlace> {
    let place = world.place("dana");
    let kept = ["k-0", "k-1", "k-2"].map(|id| place.kept_as(id));
    [&[place][..], &kept].concat()
}

fn check(world: &mut World, what: Meanwhile, fate: AccountFate, order: &str) {
    let mut found = Vec::new();
    for place in places(world) {
        if let Some(account) = world.connection_at(&place) {
            found.push((
                place.kept.is_empty(),
                refresh_token(&account).map(str::to_owned),
            ));
        }
    }
    let is_there = |current: bool, token: &str| {
        let mut all = found.iter();
        all.any(|(at, has)| *at == current && has.as_deref() == Some(token))
    };
    let revoked = world
        .calls
        .iter()
        .any(|call| said(call, "token").as_deref() == Some("rt-2"));
    let context = format!("{what:?} {order}: {found:?}, revoked: {revoked}");
    // A spent token stays nowhere.
    assert!(
        !is_there(true, "rt-1") && !is_there(false, "rt-1"),
        "{context}"
    );
    assert_eq!(
        is_there(true, "rt-2"),
        fate == AccountFate::Current,
        "{context}"
    );
    assert_eq!(
        is_there(false, "rt-2"),
        fate == AccountFate::Kept,
        "{context}"
    );
    let was_refreshed = world.calls.iter().any(|call| call.path() == "/token");
    let revokes = fate == AccountFate::Revoked && was_refreshed;
    assert!(!was_refreshed || revoked == revokes, "{context}");
    // One account is at one place.
    assert!(
        found
            .iter()
            .filter(|(_, token)| token.as_deref() == Some("rt-2"))
            .count()
            <= 1,
        "{context}"
    );
    // What is listed is there, and what is there is listed.
    let place = world.place("dana");
    let listed = world.run(|context| async move {
        ConversationPlace::of(&place)
            .accounts(&context)
            .await
            .unwrap()
    });
    assert_eq!(listed.len(), found.len(), "{context}");
}

#[test]
fn the_result_of_a_refresh_belongs_to_its_account_in_each_order() {
    let cases = [
        (3, Some("dana"), Meanwhile::Switch, AccountFate::Kept),
        (3, None, Meanwhile::Switch, AccountFate::Kept),
        (
            3,
            Some("dana"),
            Meanwhile::SwitchAndBack,
            AccountFate::Current,
        ),
        (
            3,
            Some("dana"),
            Meanwhile::SwitchAndEnd,
            AccountFate::Revoked,
        ),
        (
            3,
            Some("dana"),
            Meanwhile::Link(Some("new")),
            AccountFate::Kept,
        ),
        (3, None, Meanwhile::Link(None), AccountFate::Kept),
        (
            3,
            Some("dana"),
            Meanwhile::Link(Some("dana")),
            AccountFate::LinkedAgain,
        ),
        (
            1,
            Some("dana"),
            Meanwhile::Link(Some("new")),
            AccountFate::Revoked,
        ),
        (
            1,
            Some("dana"),
            Meanwhile::Link(Some("dana")),
            AccountFate::LinkedAgain,
        ),
        (1, None, Meanwhile::Link(None), AccountFate::LinkedAgain),
        (1, Some("dana"), Meanwhile::End, AccountFate::Revoked),
        (3, Some("dana"), Meanwhile::End, AccountFate::Revoked),
        (3, Some("dana"), Meanwhile::Disconnect, AccountFate::Revoked),
        (
            1,
            Some("dana"),
            Meanwhile::EndConversation,
            AccountFate::Revoked,
        ),
        (
            3,
            Some("dana"),
            Meanwhile::EndConversation,
            AccountFate::Revoked,
        ),
    ];
    for (accounts, name, what, fate) in cases {
        let mut orders = 0;
        let mut world = world(accounts, name);
        let store = world.store.clone();
        // The steps of the refresh before the user's first one: none, or those until its place was read.
        let moves = matches!(what, Meanwhile::Switch | Meanwhile::SwitchAndBack);
        for before in [0, 2].into_iter().filter(|before| *before == 0 || moves) {
            'first: for first in 0.. {
                for second in 0.. {
                    world.store = store.clone();
                    world.calls.clear();
                    world.now = NOW;
                    let mut refresh = start_refresh(&mut world);
                    let mut user = start_meanwhile(&world, what);
                    refresh.steps(&mut world, before);
                    if !user.steps(&mut world, first) {
                        break 'first;
                    }
                    if !refresh.steps(&mut world, second) {
                        break;
                    }
                    user.finish(&mut world);
                    refresh.finish(&mut world);
                    check(
                        &mut world,
                        what,
                        fate,
                        &format!("{before} {first} {second}"),
                    );
                    orders += 1;
                }
            }
        }
        assert!(orders > 20, "{what:?}: {orders}");
    }
}

/// The user ends accounts, or the conversation, while a choice is carried out.
#[test]
fn what_the_user_ends_during_a_choice_ends_in_each_order() {
    for ends in [
        Meanwhile::EndKept,
        Meanwhile::Disconnect,
        Meanwhile::EndConversation,
    ] {
        let mut orders = 0;
        let mut world = world(3, Some("dana"));
        let store = world.store.clone();
        'first: for first in 0.. {
            for second in 0.. {
                world.store = store.clone();
                world.calls.clear();
                let mut choice = start_meanwhile(&world, Meanwhile::Switch);
                let mut user = start_meanwhile(&world, ends);
                if !choice.steps(&mut world, first) {
                    break 'first;
                }
                if !user.steps(&mut world, second) {
                    break;
                }
                choice.finish(&mut world);
                user.finish(&mut world);
                let mut left = Vec::new();
                for place in places(&world) {
                    left.extend(world.connection_at(&place).and_then(|account| account.name));
                }
                if ends == Meanwhile::EndKept {
                    // Of the account that was chosen and ended there is none, or it has its new place.
                    let revoked = world.calls.iter().any(|call| call.path() == "/revoke");
                    assert_eq!(left.iter().any(|name| name == "ops"), !revoked);
                    left.retain(|name| name != "ops" && name != "dana");
                }
                assert!(left.is_empty(), "{ends:?} {first} {second}: {left:?}");
                orders += 1;
            }
        }
        assert!(orders > 8, "{orders}");
    }
}

#[test]
fn tokens_that_wait_for_the_store_belong_to_their_account() {
    let mut world = world(3, Some("dana"));
    let before = world.store.clone();
    let mut refresh = start_refresh(&mut world);
    while world.calls.is_empty() {
        refresh.step(&mut world).unwrap();
    }
    world.store = Err(StoreError::Unavailable);
    refresh.finish(&mut world);
    world.store = before;
    start_meanwhile(&world, Meanwhile::Switch).finish(&mut world);
    // The tokens of the account that is current now are held too.
    let place = world.place("dana");
    let current = world.connection("dana").unwrap();
    let renewed = current
        .clone()
        .with_tokens(|tokens| tokens.access_token = Secret::new("at-9".into()));
    world.unkept.hold(
        place,
        current.access_token(),
        renewed,
        UnixTime::from_secs(world.now),
    );
    world.now += 2;
    let due = world.unkept.due(UnixTime::from_secs(world.now));
    assert_eq!(due.len(), 2);
    for key in due {
        let error = world.run(|context| async move { keep_again(context.accounts, key).await });
        assert_eq!(error, None);
    }
    check(&mut world, Meanwhile::Switch, AccountFate::Kept, "held");
    let current = world.connection("dana").unwrap();
    assert_eq!(current.access_token().reveal(), "at-9");
}

#[test]
fn a_refresh_token_that_is_refused_ends_its_account_and_not_the_current_one() {
    let mut world = world(3, Some("dana"));
    let mut refresh = start_refresh(&mut world);
    while !matches!(&refresh.progress, Some(Progress::Waits(Effect::Call(_)))) {
        refresh.step(&mut world).unwrap();
    }
    start_meanwhile(&world, Meanwhile::Switch).finish(&mut world);
    let Some(Progress::Waits(effect)) = refresh.progress.take() else {
        panic!();
    };
    world.answers = [HttpResponse::json(
        400,
        br#"{"error": "invalid_grant"}"#.to_vec(),
    )]
    .into();
    let outcome = world.perform(effect);
    refresh.progress = Some(refresh.task.resume(outcome, UnixTime::from_secs(world.now)));
    assert_eq!(refresh.finish(&mut world), Refreshed::Changed);
    let place = world.place("dana");
    let listed = world.run(|context| async move {
        ConversationPlace::of(&place)
            .accounts(&context)
            .await
            .unwrap()
    });
    let names: Vec<_> = listed
        .iter()
        .map(|account| account.name.as_deref())
        .collect();
    assert_eq!(names, [Some("ops")]);
}
