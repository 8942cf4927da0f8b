//! The page with all connected accounts and open questions of a user.

use serde_json::json;

use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::consent::open_questions;
use crate::pages::fake_world::*;
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::store::StoreError;
use base::time::UnixTime;

const OVERVIEW: &str = "/.mcp-auth/";

/// Links an account of a user as the page does.
fn link(world: &mut World, user: &str, session: &str, client: &str) -> AccountPlace {
    let place = AccountPlace {
        conversation: ConversationId::Session(session.into()),
        client: client.into(),
        ..world.place(user)
    };
    world.connect(&place);
    place
}

/// Opens the page as a user.
pub(super) fn opened(world: &mut World, browser: &mut Browser, user: &str) -> PageOutcome {
    let page = world.open(browser, OVERVIEW, user);
    assert_eq!(page.outcome, Ok(Approval::OverviewShown), "{user}");
    assert_eq!(page.reply.status, 200);
    page
}

pub(super) fn act(
    world: &mut World,
    browser: &mut Browser,
    form: &str,
    answer: &str,
) -> PageOutcome {
    let headers = [
        (":method", "POST"),
        (":path", OVERVIEW),
        ("origin", ORIGIN),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    world.send(browser, &headers, &format!("form={form}&answer={answer}"))
}

#[test]
fn a_user_sees_the_accounts_of_all_conversations_and_clients() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let page = opened(&mut world, &mut browser, "dana");
    assert!(html(&page).contains("No account of yours is connected"));
    link(&mut world, "dana", "s-1", "claude");
    link(&mut world, "dana", "s-2", "cursor");
    link(&mut world, "eve", "s-3", "her-client");
    let page = world.get(&mut browser, OVERVIEW);
    for text in [
        "claude",
        "cursor",
        "Notes",
        "one conversation",
        "in 10 minutes",
        "Disconnect all",
    ] {
        assert!(html(&page).contains(text), "{text}");
    }
    assert!(!html(&page).contains("her-client"));
    assert!(!html(&page).contains("at-1") && !html(&page).contains("rt-1"));
}

#[test]
fn a_user_ends_one_account_or_all() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let first = link(&mut world, "dana", "s-1", "claude");
    let second = link(&mut world, "dana", "s-2", "cursor");
    let eves = link(&mut world, "eve", "s-3", "her-client");
    let page = opened(&mut world, &mut browser, "dana");
    // The newest conversation comes first.
    world.calls.clear();
    world.answer(200, &json!({}));
    let done = act(&mut world, &mut browser, &field(&page, "form"), "end");
    assert_eq!(done.outcome, Ok(Approval::AccountsEnded));
    assert_eq!(location(&done), "/.mcp-auth/?done=ended");
    assert_eq!(world.connection_at(&second), None);
    assert!(world.connection_at(&first).is_some());
    assert_eq!(said(&world.calls[0], "token").as_deref(), Some("rt-1"));
    let again = act(&mut world, &mut browser, &field(&page, "form"), "end");
    assert_eq!(again.outcome, Err(PageRefusal::AccountGone));

    let third = link(&mut world, "dana", "s-4", "cursor");
    let page = world.get(&mut browser, "/.mcp-auth/?done=ended");
    assert!(html(&page).contains("The account is disconnected."));
    let (_, last) = html(&page).rsplit_once("name=\"form\" value=\"").unwrap();
    let end_all = last.split_once('"').unwrap().0.to_owned();
    let done = act(&mut world, &mut browser, &end_all, "end");
    assert_eq!(done.outcome, Ok(Approval::AccountsEnded));
    for place in [&first, &third] {
        assert_eq!(world.connection_at(place), None);
    }
    assert!(world.connection_at(&eves).is_some());
    let page = world.get(&mut browser, OVERVIEW);
    assert!(html(&page).contains("No account of yours is connected"));
}

#[test]
fn a_user_sees_the_questions_that_wait() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    for (user, arguments) in [("dana", "{}"), ("eve", "{}")] {
        let tool = format!("crm.refund_{user}");
        world.ask(user, &tool, arguments);
        let place = question_place(user, arguments);
        let ends = UnixTime::from_secs(world.now + 600);
        let noted =
            world.run(|context| async move { open_questions::add(&context, &place, ends).await });
        noted.unwrap();
    }
    let page = opened(&mut world, &mut browser, "dana");
    assert!(html(&page).contains("crm.refund_dana") && !html(&page).contains("crm.refund_eve"));
    let (_, rest) = html(&page).split_once("href=\"/.mcp-auth/confirm").unwrap();
    let path = format!("/.mcp-auth/confirm{}", rest.split_once('"').unwrap().0);
    let asked = world.get(&mut browser, &path);
    assert_eq!(asked.outcome, Ok(Approval::ConfirmPageShown));
    world.say(&mut browser, &asked, "no");
    let page = world.get(&mut browser, OVERVIEW);
    assert!(!html(&page).contains("crm.refund_dana"));
}

#[test]
fn a14_forms_of_others_and_other_sites_do_nothing() {
    let mut world = World::new();
    let (mut dana, mut eve) = (Browser::default(), Browser::default());
    let place = link(&mut world, "dana", "s-1", "claude");
    link(&mut world, "eve", "s-2", "claude");
    let of_dana = opened(&mut world, &mut dana, "dana");
    opened(&mut world, &mut eve, "eve");
    let form = field(&of_dana, "form");
    // Another user's form, and one of another sign-in of the same user.
    let mut dana_again = Browser::default();
    opened(&mut world, &mut dana_again, "dana");
    for browser in [&mut eve, &mut dana_again] {
        let done = act(&mut world, browser, &form, "end");
        assert_eq!(done.outcome, Err(PageRefusal::Form));
    }
    let done = act(&mut world, &mut Browser::default(), &form, "end");
    assert_eq!(done.outcome, Err(PageRefusal::NotSignedIn));
    for answer in ["", "use", "yes", "End"] {
        let done = act(&mut world, &mut dana, &form, answer);
        assert_eq!(done.outcome, Err(PageRefusal::Request), "{answer}");
    }
    for origin in ["https://evil.example.com", "null"] {
        let headers = [
            (":method", "POST"),
            (":path", OVERVIEW),
            ("origin", origin),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let done = world.send(&mut dana, &headers, &format!("form={form}&answer=end"));
        assert_eq!(done.outcome, Err(PageRefusal::Origin));
    }
    world.now += 601;
    let done = act(&mut world, &mut dana, &form, "end");
    assert_eq!(done.outcome, Err(PageRefusal::NotSignedIn));
    world.now -= 601;
    assert!(world.connection_at(&place).is_some());
}

#[test]
fn the_page_says_when_the_store_is_down() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    opened(&mut world, &mut browser, "dana");
    world.store = Err(StoreError::Unavailable);
    let page = world.get(&mut browser, OVERVIEW);
    assert_eq!(
        page.outcome,
        Err(PageRefusal::Store(StoreError::Unavailable))
    );
    assert_eq!(page.reply.status, 503);
}

/// The claims of a sign-in at the issuer.
fn signed_in(world: &mut World, auth_time: u64, acr: &str) {
    let claims = json!({"auth_time": auth_time, "acr": acr});
    world.claims.insert("dana".into(), claims);
}

#[test]
fn a18_the_page_needs_a_fresh_and_strong_sign_in_as_others_do() {
    let mut document = document();
    document["issuers"][0]["sign_in"]["max_age"] = json!("1m");
    document["connections"]["notes"]["sign_in"] = json!({"acr": ["mfa"]});
    document["connections"]["notes"]["accounts"] = json!(2);
    let (mut world, mut browser) = (World::of(&document), Browser::default());
    let place = link(&mut world, "dana", "s-1", "claude");
    let kept = place.kept_as("k-1");
    world.connect(&kept);
    let now = world.now;
    signed_in(&mut world, now, "pwd");
    let page = opened(&mut world, &mut browser, "dana");
    let (_, rest) = html(&page).split_once("not used now").unwrap();
    assert!(rest.contains("value=\"use\""));
    let form = field(&page, "form");

    // A sign-in that is too weak for the connection chooses no account.
    let done = act(&mut world, &mut browser, &form, "use");
    assert_eq!(done.outcome, Ok(Approval::SignInStarted));
    assert_eq!(query(&location(&done), "acr_values"), "mfa");
    assert!(world.connection_at(&kept).is_some());

    // One that is too old shows and does nothing.
    world.now += 95;
    for answer in ["use", "end"] {
        let done = act(&mut world, &mut browser, &form, answer);
        assert_eq!(done.outcome, Ok(Approval::SignInStarted), "{answer}");
    }
    let page = world.get(&mut browser, OVERVIEW);
    assert_eq!(page.outcome, Ok(Approval::SignInStarted));
    assert_eq!(query(&location(&page), "max_age"), "60");
    assert!(world.connection_at(&place).is_some());
}

#[test]
fn a21_a_form_of_another_page_does_nothing() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let place = link(&mut world, "dana", "s-1", "claude");
    let page = opened(&mut world, &mut browser, "dana");
    let shown = html(&page);
    assert!(shown.contains("claude"));
    // The same fields and the same sign-in, for the page of another link.
    let link = world.link("dana");
    let other = world.get(&mut browser, &link);
    let done = act(&mut world, &mut browser, &field(&other, "form"), "end");
    assert_eq!(done.outcome, Err(PageRefusal::Form));
    // Any form of a page with no link, such as that of an approval, has other fields, and would read as "all".
    let cookie = browser.0["__Host-mcp-auth"].clone();
    let form = json!({"caller": "eve", "question": "q", "id": "1", "expires": world.now + 60});
    let bound: [&[u8]; 2] = [cookie.as_bytes(), b"/.mcp-auth/approvals"];
    let seals = crate::pages::sealed::Seals {
        sealer: &world.sealer,
        resource: &world.policy.resource,
    };
    let form = seals.seal(base::seal::Purpose::Form, &bound, &form);
    let done = act(&mut world, &mut browser, &form, "end");
    assert_eq!(done.outcome, Err(PageRefusal::Form));
    assert!(world.connection_at(&place).is_some());
}

#[test]
fn the_account_that_all_requests_need_can_be_connected_before_the_first_one() {
    let of = |vault: serde_json::Value| {
        let mut document = document();
        document["upstream"] = json!({"authorization": "connection", "connection": "notes"});
        document["vault"] = vault;
        World::of(&document)
    };
    let mut world = of(json!({"clients": "shared"}));
    let mut browser = Browser::default();
    let page = opened(&mut world, &mut browser, "dana");
    let (_, rest) = html(&page)
        .split_once("href=\"/.mcp-auth/connect?")
        .unwrap();
    let (target, label) = rest.split_once("\">").unwrap();
    assert!(label.starts_with("Connect Notes</a>"));
    let page = world.get(&mut browser, &format!("/.mcp-auth/connect?{target}"));
    assert_eq!(page.outcome, Ok(Approval::ConnectPageShown));
    let onward = world.post(&mut browser, &form(&page));
    world.answer_tokens();
    let state = query(&onward_url(&onward), "state");
    let target = format!("/.mcp-auth/callback/notes?code=c&state={state}");
    assert_eq!(
        world.get(&mut browser, &target).outcome,
        Ok(Approval::Connected)
    );
    let place = AccountPlace {
        conversation: ConversationId::User,
        ..world.place("dana")
    };
    assert!(world.connection_at(&place).is_some());
    // It is not offered a second time.
    let page = world.get(&mut browser, OVERVIEW);
    assert!(!html(&page).contains("Connect Notes") && html(&page).contains("Disconnect"));
    // The page does not know the client, or the claim.
    for vault in [
        json!({}),
        json!({"clients": "shared", "conversation": {"claim": "sid"}}),
    ] {
        let mut world = of(vault);
        let page = opened(&mut world, &mut Browser::default(), "dana");
        assert!(!html(&page).contains("Connect Notes"));
    }
}
