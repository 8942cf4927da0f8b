//! A store that fails at each of its operations, while accounts are linked and ended.

use serde_json::json;

use crate::accounts::conversation::ConversationPlace;
use crate::accounts::of_user::{UserPlace, conversations_of_user};
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::accounts::{Revoke, disconnect};
use crate::consent::ShownArguments;
use crate::consent::call_question::{AskedCall, CallQuestion};
use crate::pages::fake_world::*;
use crate::pages::tests::overview::{act, opened};
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::store::{Key, RecordKind, StoreOperation, StoreRecord};
use base::time::UnixTime;

const FAILURES: [StoreFailure; 3] = [
    StoreFailure::Once,
    StoreFailure::AnswerLost,
    StoreFailure::FromThenOn,
];
/// More operations than any of the actions needs.
const MOST_OPERATIONS: usize = 80;

/// The places of the accounts that the page of the user shows.
fn shown(world: &mut World) -> Vec<AccountPlace> {
    let place = UserPlace::of(&world.place("dana"));
    world.run(|context| async move {
        let known =
            conversations_of_user(&context, &place.resource, &place.issuer, &place.user).await;
        let mut shown = Vec::new();
        for each in known.unwrap() {
            let conversation = place.conversation(&each.conversation);
            let accounts = conversation.accounts(&context).await.unwrap();
            shown.extend(accounts.into_iter().map(|account| account.place));
        }
        shown
    })
}

fn in_session(world: &World, session: &str) -> AccountPlace {
    AccountPlace {
        conversation: ConversationId::Session(session.into()),
        ..world.place("dana")
    }
}

/// Whether an action says that it was done.
type Action = fn(&mut World, &mut Browser, &PageOutcome, &AccountPlace) -> bool;

/// Ways to end accounts, and how many accounts each ends.
const ENDS: [(&str, Action); 4] = [
    ("the button of one account", |world, browser, page, _| {
        let done = act(world, browser, &field(page, "form"), "end");
        done.outcome == Ok(Approval::AccountsEnded)
    }),
    ("the button of all accounts", |world, browser, page, _| {
        let (_, last) = html(page).rsplit_once("name=\"form\" value=\"").unwrap();
        let form = last.split_once('"').unwrap().0;
        act(world, browser, form, "end").outcome == Ok(Approval::AccountsEnded)
    }),
    ("the tool", |world, _, _, place| {
        let place = place.clone();
        let ended = world.run(|context| async move { disconnect(&context, &place).await });
        ended.is_ok()
    }),
    ("the end of the session", |world, _, _, place| {
        let place = place.clone();
        let ended = world.run(|context| async move {
            let user = UserPlace::of(&place);
            let is_meant = |conversation: &ConversationId| *conversation == place.conversation;
            user.end_where(&context, Revoke::Now, is_meant, Vec::new())
                .await
        });
        ended.is_ok_and(|ended| ended.iter().all(|(_, outcome)| outcome.is_ok()))
    }),
];

#[test]
fn a15_an_account_that_did_not_end_is_still_shown_and_is_ended_later() {
    for (name, end) in ENDS {
        for failure in FAILURES {
            for at in 0..MOST_OPERATIONS {
                let (mut world, mut browser) = (World::new(), Browser::default());
                let places = ["s-1", "s-2"].map(|session| in_session(&world, session));
                for place in &places {
                    world.connect(place);
                }
                let page = opened(&mut world, &mut browser, "dana");
                // The newest conversation comes first on the page.
                let newest = &places[1];
                world.store_failure = failure;
                world.store_fails_after = Some(at);
                let done = end(&mut world, &mut browser, &page, newest);
                let has_failed = world.store_fails_after.is_none_or(|left| left == 0);
                world.store_fails_after = None;
                let case = format!("{name}, {failure:?} at operation {at}");
                let shown = shown(&mut world);
                for place in &places {
                    let is_usable = world.connection_at(place).is_some();
                    assert_eq!(is_usable, shown.contains(place), "{case}");
                    let is_meant = place == newest || name.contains("all");
                    assert!(!(done && is_meant && is_usable), "{case}");
                    assert!(is_meant || is_usable, "{case}");
                }
                // What began to end ends, as soon as the store is there again.
                let began = has_failed && !done && shown.contains(newest);
                if began && ends_later(&mut world, newest) {
                    assert!(world.connection_at(newest).is_none(), "{case}");
                }
                if !has_failed {
                    assert!(done, "{case}");
                    break;
                }
                assert!(at + 1 < MOST_OPERATIONS, "{case}");
            }
        }
    }
}

/// Lets the worker try again. Returns whether the end of the account had begun.
fn ends_later(world: &mut World, place: &AccountPlace) -> bool {
    let (conversation, asked) = (ConversationPlace::of(place), place.clone());
    let keeps = world.run(|context| async move { conversation.keeps(&context, &asked).await });
    world.now += 30;
    world.tick();
    !keeps.unwrap()
}

/// A policy whose users type a key.
fn typed() -> serde_json::Value {
    let mut document = document();
    document["connections"]["notes"] = json!({
        "title": "Notes", "kind": "key", "lifetime": "10m", "accounts": 2,
        "check": {"cluster": "notes", "path": "/me", "field": "login"},
    });
    document
}

#[test]
fn a15_an_account_that_calls_can_use_is_shown_after_each_failure_of_its_link() {
    let ways: [(serde_json::Value, Action); 2] = [
        (typed(), |world, browser, page, _| {
            world.answer(200, &json!({"login": "dana"}));
            let done = world.post(browser, &format!("{}&key=k-1", form(page)));
            done.outcome == Ok(Approval::Connected)
        }),
        (document(), |world, browser, page, _| {
            let onward = world.post(browser, &form(page));
            if onward.outcome != Ok(Approval::SentToConnect) {
                return false;
            }
            let state = query(&onward_url(&onward), "state");
            world.answer_tokens();
            let back = format!("/.mcp-auth/callback/notes?code=c&state={state}");
            world.get(browser, &back).outcome == Ok(Approval::Connected)
        }),
    ];
    for (document, link) in ways {
        for failure in FAILURES {
            for at in 0..MOST_OPERATIONS {
                let (mut world, mut browser) = (World::of(&document), Browser::default());
                let place = world.place("dana");
                let opened = world.link("dana");
                let page = world.open(&mut browser, &opened, "dana");
                world.store_failure = failure;
                world.store_fails_after = Some(at);
                let done = link(&mut world, &mut browser, &page, &place);
                let has_failed = world.store_fails_after.is_none_or(|left| left == 0);
                world.store_fails_after = None;
                let case = format!("{failure:?} at operation {at}");
                let is_usable = world.connection_at(&place).is_some();
                assert_eq!(is_usable, shown(&mut world).contains(&place), "{case}");
                assert!(is_usable || !done, "{case}");
                if !has_failed {
                    assert!(done, "{case}");
                    break;
                }
                assert!(at + 1 < MOST_OPERATIONS, "{case}");
            }
        }
    }
}

#[test]
fn a15_an_account_ends_although_its_user_has_no_room_left() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let place = in_session(&world, "s-1");
    world.connect(&place);
    let page = opened(&mut world, &mut browser, "dana");
    let owner = [place.resource.as_str(), &place.issuer, &place.user];
    let mut number = 0;
    for size in [4096, 512, 64, 8, 1] {
        loop {
            number += 1;
            let record = StoreRecord {
                key: Key::of(RecordKind::Question, &owner, &[&number.to_string()]),
                value: "x".repeat(size),
                expires: UnixTime::from_secs(world.now + 600),
            };
            if world.stored(&StoreOperation::Put(record)).is_err() {
                break;
            }
        }
    }
    let done = act(&mut world, &mut browser, &field(&page, "form"), "end");
    assert_eq!(done.outcome, Ok(Approval::AccountsEnded));
    assert_eq!(world.connection_at(&place), None);
    assert!(shown(&mut world).is_empty());
}

#[test]
fn a15_the_page_says_that_not_all_accounts_ended() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.connect(&in_session(&world, "s-1"));
    let page = opened(&mut world, &mut browser, "dana");
    // The end begins, and the record is not taken.
    world.store_failure = StoreFailure::FromThenOn;
    world.store_fails_after = Some(3);
    let done = act(&mut world, &mut browser, &field(&page, "form"), "end");
    assert!(matches!(done.outcome, Err(PageRefusal::Store(_))));
    assert_eq!(done.reply.status, 503);
}

#[test]
fn a23_questions_take_no_room_of_sign_ins_and_accounts() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    // A model tries calls with other and other arguments, each of which the user would have to confirm.
    let mut asked = 0;
    for size in [4096, 64, 1] {
        for number in 0_u32.. {
            let arguments = json!({"number": number, "text": "x".repeat(size)}).to_string();
            let call = AskedCall {
                tool: TOOL.into(),
                view: String::new(),
                client: String::new(),
                arguments: ShownArguments::of(arguments.as_bytes()).unwrap(),
            };
            let question = CallQuestion::new(call, UnixTime::from_secs(world.now));
            let put = question_place("dana", &arguments).put(&world.sealer, &question);
            if world.stored(&put).is_err() {
                break;
            }
            asked += 1;
        }
    }
    assert!(asked > 1);
    let link = world.link("dana");
    let page = world.open(&mut browser, &link, "dana");
    assert_eq!(page.outcome, Ok(Approval::ConnectPageShown));
    let onward = world.post(&mut browser, &form(&page));
    assert_eq!(onward.outcome, Ok(Approval::SentToConnect));
    let state = query(&onward_url(&onward), "state");
    world.answer_tokens();
    let back = format!("/.mcp-auth/callback/notes?code=c&state={state}");
    let done = world.get(&mut browser, &back);
    assert_eq!(done.outcome, Ok(Approval::Connected));
}
