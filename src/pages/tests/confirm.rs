//! The page on which a user agrees to a call, and attacks on it.

use crate::consent::ShownArguments;
use crate::consent::call_question::AskedCall;
use crate::pages::fake_world::*;
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::store::{StoreError, StoreOperation, Stored};
use base::time::UnixTime;

const AMOUNT: &str = r#"{"amount":70}"#;

/// A browser in which the page is open.
fn opened(user: &str) -> (World, Browser, String, PageOutcome) {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.ask(user, TOOL, AMOUNT);
    let page = world.open(&mut browser, &link, user);
    assert_eq!(page.outcome, Ok(Approval::ConfirmPageShown));
    (world, browser, link, page)
}

/// What the user said: nothing, yes or no.
fn said(world: &mut World, user: &str) -> Option<bool> {
    let place = question_place(user, AMOUNT);
    match world.stored(&place.get()).unwrap() {
        Stored::Value(found) => {
            let question = place.open(&world.sealer, &found?, UnixTime::from_secs(world.now))?;
            question.answer.map(|answer| answer.yes)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_page_shows_the_call_and_changes_nothing() {
    let (mut world, mut browser, link, page) = opened("dana");
    for text in [
        "Allow this call?",
        "crm.refund",
        "crm.example.com",
        "<pre dir=\"ltr\">{\n  &quot;amount&quot;: 70\n}</pre>",
        "dana@example.com",
        ">Allow once</button>",
        ">Do not allow</button>",
    ] {
        assert!(html(&page).contains(text), "{text}: {}", html(&page));
    }
    assert_eq!(page.tool.as_deref(), Some("crm.refund"));
    let user = ("https://login.example.com".to_owned(), "dana".to_owned());
    assert_eq!(page.user, Some(user));
    let head = world.send(&mut browser, &[(":method", "HEAD"), (":path", &link)], "");
    assert_eq!(head.outcome, Ok(Approval::ConfirmPageShown));
    assert!(world.puts.is_empty());
    assert_eq!(said(&mut world, "dana"), None);
}

#[test]
fn a_yes_is_kept_and_shown_again() {
    let (mut world, mut browser, link, page) = opened("dana");
    let sent = world.say(&mut browser, &page, "yes");
    assert_eq!(
        (sent.reply.status, sent.outcome),
        (303, Ok(Approval::Confirmed))
    );
    assert_eq!(sent.tool.as_deref(), Some("crm.refund"));
    assert_eq!(location(&sent), link);
    assert_eq!(said(&mut world, "dana"), Some(true));
    for _ in 0..2 {
        let done = world.get(&mut browser, &location(&sent));
        assert_eq!(done.outcome, Ok(Approval::AnswerPageShown));
        assert!(html(&done).contains("You allowed it"));
        assert!(!html(&done).contains("<form"));
    }
}

#[test]
fn a_no_is_kept_and_final() {
    let (mut world, mut browser, _, page) = opened("dana");
    let sent = world.say(&mut browser, &page, "no");
    assert_eq!(sent.outcome, Err(PageRefusal::NotConfirmed));
    assert_eq!(
        PageRefusal::NotConfirmed.reason().row().code,
        "confirmation_declined"
    );
    assert_eq!(said(&mut world, "dana"), Some(false));
    let done = world.get(&mut browser, &location(&sent));
    assert!(html(&done).contains("You did not allow it"));
    // In another tab.
    world.say(&mut browser, &page, "yes");
    assert_eq!(said(&mut world, "dana"), Some(false));
}

#[test]
fn b44_an_answer_that_is_sent_twice_counts_once() {
    let (mut world, mut browser, _, page) = opened("dana");
    world.say(&mut browser, &page, "yes");
    let puts = world.puts.clone();
    world.now += 60;
    let again = world.say(&mut browser, &page, "yes");
    assert_eq!(
        (again.reply.status, again.outcome),
        (303, Ok(Approval::AnswerPageShown))
    );
    assert!(world.puts == puts, "it counts no longer than before");
}

#[test]
fn a_yes_can_be_taken_back_until_the_call_is_made() {
    let (mut world, mut browser, _, page) = opened("dana");
    world.say(&mut browser, &page, "yes");
    let sent = world.say(&mut browser, &page, "no");
    assert_eq!(sent.outcome, Err(PageRefusal::NotConfirmed));
    assert_eq!(said(&mut world, "dana"), Some(false));

    let (mut world, mut browser, _, page) = opened("dana");
    world.say(&mut browser, &page, "yes");
    let place = question_place("dana", AMOUNT);
    let Stored::Value(Some(found)) = world.stored(&place.get()).unwrap() else {
        panic!("no question");
    };
    let question = place
        .open(&world.sealer, &found, UnixTime::from_secs(world.now))
        .unwrap();
    let use_up = StoreOperation::Create(place.use_up(&question));
    world.stored(&use_up).unwrap();
    let sent = world.say(&mut browser, &page, "no");
    assert_eq!(
        (sent.reply.status, sent.outcome),
        (409, Err(PageRefusal::CallMade))
    );
    assert_eq!(said(&mut world, "dana"), Some(true));
}

#[test]
fn b42_another_user_opens_the_link() {
    let (mut world, mut eve) = (World::new(), Browser::default());
    let link = world.ask("dana", TOOL, AMOUNT);
    let page = world.open(&mut eve, &link, "eve");
    assert_eq!(
        (page.reply.status, page.outcome),
        (403, Err(PageRefusal::OtherUser))
    );
    for hidden in ["dana", "crm.refund", "amount", "<form"] {
        assert!(!html(&page).contains(hidden), "{hidden}");
    }
    // With a form of her own she gets no further on Dana's link.
    let own = world.ask("eve", TOOL, AMOUNT);
    let own = world.get(&mut eve, &own);
    let ticket = query(&link, "ticket");
    let forged = format!("ticket={ticket}&form={}&answer=yes", field(&own, "form"));
    let sent = world.send_answer(&mut eve, &forged, ORIGIN);
    assert_eq!(sent.outcome, Err(PageRefusal::OtherUser));
    assert_eq!(said(&mut world, "dana"), None);
    // She may sign in as another user.
    let again = world.get(&mut eve, &link.replace("/confirm?", "/sign-in?"));
    assert_eq!(query(&location(&again), "prompt"), "login");
}

#[test]
fn the_page_names_the_view_of_the_call() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let call = AskedCall {
        tool: TOOL.into(),
        view: "user:<test>".into(),
        client: "app <one>".into(),
        arguments: ShownArguments::of(AMOUNT.as_bytes()).unwrap(),
    };
    let link = world.ask_about("dana", call, AMOUNT);
    let page = world.open(&mut browser, &link, "dana");
    let shown = html(&page);
    assert!(shown.contains("user:&lt;test&gt;") && shown.contains("not as yourself"));
    assert!(shown.contains("app &lt;one&gt;"));
    assert_eq!(page.client.as_deref(), Some("app <one>"));
    let (_, _, _, page) = opened("dana");
    assert!(!html(&page).contains("not as yourself"));
    assert!(!html(&page).contains("comes from the application"));
}

#[test]
fn b42_a_form_of_another_browser_site_or_call_is_refused() {
    let (mut world, mut dana, _, page) = opened("dana");
    let yes = format!("{}&answer=yes", form(&page));
    let refuses = |world: &mut World, browser: &mut Browser, form: &str, origin, refusal| {
        let sent = world.send_answer(browser, form, origin);
        assert_eq!(sent.outcome, Err(refusal));
        assert_eq!(said(world, "dana"), None);
        assert!(world.puts.is_empty());
    };
    let nobody = &mut Browser::default();
    refuses(&mut world, nobody, &yes, ORIGIN, PageRefusal::NotSignedIn);
    // Dana's other browser has a sign-in of its own.
    let mut other = Browser::default();
    world.now += 1;
    let link = world.ask("dana", TOOL, r#"{"amount":1}"#);
    let small = world.open(&mut other, &link, "dana");
    refuses(&mut world, &mut other, &yes, ORIGIN, PageRefusal::Form);
    let evil = "https://evil.example";
    refuses(&mut world, &mut dana, &yes, evil, PageRefusal::Origin);
    // The form of another call with this one's ticket.
    let small = field(&small, "form");
    let mixed = format!("ticket={}&form={small}&answer=yes", field(&page, "ticket"));
    refuses(&mut world, &mut other, &mixed, ORIGIN, PageRefusal::Form);
    for answer in ["", "YES", "true"] {
        let form = format!("{}&answer={answer}", form(&page));
        refuses(&mut world, &mut dana, &form, ORIGIN, PageRefusal::Request);
    }
    let both = format!("{yes}&answer=no");
    refuses(&mut world, &mut dana, &both, ORIGIN, PageRefusal::Request);
    let late = world.now;
    world.now = NOW + 600;
    refuses(&mut world, &mut dana, &yes, ORIGIN, PageRefusal::Link);
    world.now = late;
    let sent = world.say(&mut dana, &page, "yes");
    assert_eq!(sent.outcome, Ok(Approval::Confirmed));
}

#[test]
fn b44_the_form_of_an_earlier_question_is_refused() {
    let (mut world, mut browser, _, page) = opened("dana");
    world.now += 10;
    let link = world.ask("dana", TOOL, AMOUNT);
    let ticket = query(&link, "ticket");
    let forms = [
        format!("{}&answer=yes", form(&page)),
        format!("ticket={ticket}&form={}&answer=yes", field(&page, "form")),
    ];
    for form in forms {
        let sent = world.send_answer(&mut browser, &form, ORIGIN);
        assert_eq!(sent.outcome, Err(PageRefusal::Form));
    }
    assert_eq!(said(&mut world, "dana"), None);
}

#[test]
fn a_question_that_ended_cannot_be_answered() {
    let (mut world, mut browser, link, page) = opened("dana");
    let key = question_place("dana", AMOUNT).key;
    world.stored(&StoreOperation::Delete(key)).unwrap();
    let gone = world.get(&mut browser, &link);
    assert_eq!(
        (gone.reply.status, gone.outcome),
        (410, Err(PageRefusal::NoQuestion))
    );
    let sent = world.say(&mut browser, &page, "yes");
    assert_eq!(sent.outcome, Err(PageRefusal::NoQuestion));
    world.now += 600;
    let late = world.get(&mut browser, &link);
    assert_eq!(late.outcome, Err(PageRefusal::Link));
}

#[test]
fn b42_a_link_is_good_for_its_own_page_only() {
    let (mut world, mut browser, link, page) = opened("dana");
    let connect = world.link("dana");
    for target in [
        link.replace("/confirm?", "/connect?"),
        connect.replace("/connect?", "/confirm?"),
        "/.mcp-auth/confirm?ticket=x".to_owned(),
    ] {
        let ended = world.get(&mut browser, &target);
        assert_eq!(ended.outcome, Err(PageRefusal::Link), "{target}");
    }
    let sent = world.post(&mut browser, &form(&page));
    assert_eq!(sent.outcome, Err(PageRefusal::Link));
    let consent = world.get(&mut browser, &connect);
    assert_eq!(consent.outcome, Ok(Approval::ConnectPageShown));
    let sent = world.say(&mut browser, &consent, "yes");
    assert_eq!(sent.outcome, Err(PageRefusal::Link));
}

#[test]
fn without_the_store_nothing_is_shown_or_answered() {
    let (mut world, mut browser, link, page) = opened("dana");
    let down = StoreError::Unavailable;
    let store = std::mem::replace(&mut world.store, Err(down));
    let ended = world.get(&mut browser, &link);
    assert_eq!(ended.outcome, Err(PageRefusal::Store(down)));
    let ended = world.say(&mut browser, &page, "yes");
    assert_eq!(
        (ended.reply.status, ended.outcome),
        (503, Err(PageRefusal::Store(down)))
    );
    world.store = store;
    assert_eq!(said(&mut world, "dana"), None);
}

#[test]
fn a3_the_page_shows_long_values_whole_below_the_list() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let value = "x".repeat(5000);
    let long = format!(r#"{{"text":"{value}","amount":5000}}"#);
    let link = world.ask("dana", TOOL, &long);
    let page = world.open(&mut browser, &link, "dana");
    let shown = html(&page);
    let (listed, whole) = (shown.find("amount").unwrap(), shown.find(&value).unwrap());
    assert!(listed < whole && whole < shown.find("Allow once").unwrap());
    assert!(shown.contains(".ask button{animation:wait 1s step-end}"));
}
