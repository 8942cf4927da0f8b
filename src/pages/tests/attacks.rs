//! Attacks with links, states, codes, cookies and forms: stolen ones, and the attacker's own.

use serde_json::{Value, json};

use crate::accounts::vault::ConversationId;
use crate::pages::fake_world::*;
use crate::pages::{PageRefusal, connect_link};
use crate::reasons::Approval;
use base::time::UnixTime;
use oauth::TokenError;

const SESSION: &str = "__Host-mcp-auth";

fn callback(state: &str) -> String {
    format!("/.mcp-auth/callback/notes?code=c&state={state}")
}

/// A world and a browser whose user is about to come back from the resource.
fn away(user: &str) -> (World, Browser, String) {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let state = query(&world.go(&mut browser, user), "state");
    world.calls.clear();
    world.answer_tokens();
    (world, browser, state)
}

#[track_caller]
fn refuses(world: &mut World, browser: &mut Browser, target: &str, refusal: PageRefusal) {
    let ended = world.get(browser, target);
    assert_eq!(ended.outcome, Err(refusal));
    assert!(ended.reply.status >= 400);
    assert!(world.calls.is_empty(), "{:?}", world.calls);
    assert!(world.puts.is_empty());
}

#[test]
fn b42_another_user_opens_the_link() {
    let (mut world, mut eve) = (World::new(), Browser::default());
    let link = world.link("dana");
    let page = world.open(&mut eve, &link, "eve");
    assert_eq!(
        (page.reply.status, page.outcome),
        (403, Err(PageRefusal::OtherUser))
    );
    // Whose link it is is not said, and there is nothing to go on with.
    assert!(!html(&page).contains("dana"));
    assert!(!html(&page).contains("<form"));
    assert!(html(&page).contains("eve@example.com"));

    // With a form of Eve's own she gets no further on Dana's link.
    let own = world.link("eve");
    let own = world.get(&mut eve, &own);
    let ticket = query(&link, "ticket");
    let forged = format!("ticket={ticket}&form={}", field(&own, "form"));
    let ended = world.post(&mut eve, &forged);
    assert_eq!(ended.outcome, Err(PageRefusal::OtherUser));
}

#[test]
fn another_user_may_sign_in() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");
    world.open(&mut browser, &link, "eve");
    let again = world.get(&mut browser, &link.replace("/connect?", "/sign-in?"));
    assert_eq!(query(&location(&again), "prompt"), "login");
}

#[test]
fn b42_an_account_is_not_linked_after_the_browsers_user_changed() {
    let (mut world, mut browser, state) = away("dana");
    let link = world.link("eve");
    let mut eve = Browser::default();
    world.answers.clear();
    world.open(&mut eve, &link, "eve");
    world.calls.clear();
    browser.0.insert(SESSION.into(), eve.0[SESSION].clone());
    refuses(
        &mut world,
        &mut browser,
        &callback(&state),
        PageRefusal::OtherUser,
    );
    browser.0.remove(SESSION);
    refuses(
        &mut world,
        &mut browser,
        &callback(&state),
        PageRefusal::NotSignedIn,
    );
}

#[test]
fn b42_a_sign_in_of_another_browser_is_refused() {
    // Eve signs in and hands the way back to Dana, whose browser would then be Eve's.
    let (mut world, mut eve, mut dana) = (World::new(), Browser::default(), Browser::default());
    let link = world.link("eve");
    let authorize = location(&world.get(&mut eve, &link));
    world.answer_sign_in("eve", &query(&authorize, "nonce"));
    let back = format!(
        "/.mcp-auth/signed-in?code=c&state={}",
        query(&authorize, "state")
    );
    refuses(&mut world, &mut dana, &back, PageRefusal::OtherBrowser);
    // Nor in a browser that has begun something of its own.
    let own = world.link("dana");
    world.get(&mut dana, &own);
    refuses(&mut world, &mut dana, &back, PageRefusal::OtherBrowser);
    assert!(!dana.0.contains_key(SESSION));
}

#[test]
fn b42_a_stolen_state_is_refused_in_another_browser() {
    let (mut world, mut dana, state) = away("dana");
    let mut thief = Browser::default();
    refuses(
        &mut world,
        &mut thief,
        &callback(&state),
        PageRefusal::OtherBrowser,
    );
    // Not even with the stolen session.
    thief.0.insert(SESSION.into(), dana.0[SESSION].clone());
    refuses(
        &mut world,
        &mut thief,
        &callback(&state),
        PageRefusal::OtherBrowser,
    );
    // Nor with a cookie of the right name.
    for cookie in ["x".repeat(43), dana.0[SESSION].clone(), String::new()] {
        thief.0.insert(flow_cookie(&state), cookie);
        refuses(
            &mut world,
            &mut thief,
            &callback(&state),
            PageRefusal::State,
        );
    }
    // And the attempt does not use it up.
    let done = world.get(&mut dana, &callback(&state));
    assert_eq!(done.outcome, Ok(Approval::Connected));
}

#[test]
fn b42_a_replayed_state_does_nothing() {
    let (mut world, mut browser, state) = away("dana");
    assert_eq!(
        world.get(&mut browser, &callback(&state)).outcome,
        Ok(Approval::Connected)
    );
    world.calls.clear();
    world.puts.clear();
    world.answer_tokens();
    // Loaded again, the page says the same, and nothing is done.
    let again = world.get(&mut browser, &callback(&state));
    assert_eq!(
        (again.reply.status, again.outcome),
        (200, Ok(Approval::ConnectedBefore))
    );
    assert!(html(&again).contains("Notes is connected"));
    assert!(world.calls.is_empty() && world.puts.is_empty());
    // What it brought is gone; what was there before did not come of it.
    world.disconnect(&world.place("dana"));
    world.now -= 1;
    world.connect(&world.place("dana"));
    world.now += 1;
    refuses(
        &mut world,
        &mut browser,
        &callback(&state),
        PageRefusal::StateUsed,
    );

    let link = world.link("dana");
    let mut browser = Browser::default();
    let authorize = location(&world.get(&mut browser, &link));
    world.answers.clear();
    world.answer_sign_in("dana", &query(&authorize, "nonce"));
    let back = format!(
        "/.mcp-auth/signed-in?code=c&state={}",
        query(&authorize, "state")
    );
    assert_eq!(
        world.get(&mut browser, &back).outcome,
        Ok(Approval::SignedIn)
    );
    world.calls.clear();
    refuses(&mut world, &mut browser, &back, PageRefusal::StateUsed);
}

#[test]
fn b42_a_code_of_another_sign_in_is_refused() {
    // The code is Eve's; the ID token it brings answers her sign-in, not this one.
    let (mut world, mut dana) = (World::new(), Browser::default());
    let link = world.link("dana");
    let authorize = location(&world.get(&mut dana, &link));
    world.answer_sign_in("dana", "nonce-of-another");
    let back = format!(
        "/.mcp-auth/signed-in?code=c&state={}",
        query(&authorize, "state")
    );
    let ended = world.get(&mut dana, &back);
    let nonce = PageRefusal::IdToken(TokenError::Claim("nonce"));
    assert_eq!(ended.outcome, Err(nonce));
    assert!(!dana.0.contains_key(SESSION));
}

#[test]
fn b42_a_response_of_another_authorization_server_is_refused() {
    let mut written = document();
    let mut bank = written["connections"]["notes"].clone();
    bank["issuer"] = json!("https://bank.example.com");
    bank["iss"] = json!("required");
    written["connections"]["bank"] = bank;
    let (mut world, mut browser) = (World::of(&written), Browser::default());
    let state = query(&world.go(&mut browser, "dana"), "state");
    world.calls.clear();
    for target in [
        // Another server's answer, at another server's place, or at this one's.
        callback(&state).replace("/notes", "/bank"),
        format!("{}&iss=https://bank.example.com", callback(&state)),
        format!("{}&iss=https://notes.example.com/", callback(&state)),
        format!("{}&iss=", callback(&state)),
    ] {
        refuses(
            &mut world,
            &mut browser,
            &target,
            PageRefusal::IssuerMismatch,
        );
    }
    written["connections"]["notes"]["iss"] = json!("required");
    world.policy = policy(&written);
    refuses(
        &mut world,
        &mut browser,
        &callback(&state),
        PageRefusal::IssuerMismatch,
    );
}

#[test]
fn b42_a_sign_in_response_of_another_issuer_is_refused() {
    let mut written = document();
    let link = |written: &Value| {
        let (mut world, mut browser) = (World::of(written), Browser::default());
        let link = world.link("dana");
        let authorize = location(&world.get(&mut browser, &link));
        let back = format!(
            "/.mcp-auth/signed-in?code=c&state={}",
            query(&authorize, "state")
        );
        world.answer_sign_in("dana", &query(&authorize, "nonce"));
        (world, browser, back)
    };
    let (mut world, mut browser, back) = link(&written);
    let other = format!("{back}&iss=https://other.example.com");
    refuses(
        &mut world,
        &mut browser,
        &other,
        PageRefusal::IssuerMismatch,
    );

    // With several issuers, each has to say which it is.
    let mut second = written["issuers"][0].clone();
    second["issuer"] = json!("https://other.example.com");
    written["issuers"].as_array_mut().unwrap().push(second);
    let (mut world, mut browser, back) = link(&written);
    refuses(&mut world, &mut browser, &back, PageRefusal::IssuerMismatch);
    let good = format!("{back}&iss=https://login.example.com");
    assert_eq!(
        world.get(&mut browser, &good).outcome,
        Ok(Approval::SignedIn)
    );
}

#[test]
fn b42_no_redirect_goes_to_a_url_of_the_request() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let evil =
        "redirect_uri=https://evil.example&next=//evil.example&return_to=https://evil.example";
    let link = format!("{}&{evil}", world.link("dana"));
    let headers = [
        (":method", "GET"),
        (":path", link.as_str()),
        (":authority", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("referer", "https://evil.example/"),
    ];
    let away = world.send(&mut browser, &headers, "");
    assert!(location(&away).starts_with("https://login.example.com/authorize?"));
    assert!(!location(&away).contains("evil"));
    let (state, nonce) = (
        query(&location(&away), "state"),
        query(&location(&away), "nonce"),
    );
    world.answer_sign_in("dana", &nonce);
    let back = format!("/.mcp-auth/signed-in?code=c&state={state}&{evil}");
    let back = world.get(&mut browser, &back);
    assert!(location(&back).starts_with("/.mcp-auth/connect?ticket="));
    assert!(!location(&back).contains("evil"));
    let page = world.get(&mut browser, &location(&back));
    let onward = world.post(&mut browser, &format!("{}&{evil}", form(&page)));
    assert!(!html(&onward).contains("evil"));
}

#[test]
fn b42_forms_of_other_sites_and_other_pages_are_refused() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");
    let page = world.open(&mut browser, &link, "dana");
    let good = form(&page);
    let own = [
        (":method", "POST"),
        (":path", "/.mcp-auth/connect"),
        ("origin", ORIGIN),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut headers: Vec<_> = own
            .iter()
            .filter(|(other, _)| *other != name)
            .copied()
            .collect();
        headers.extend((!value.is_empty()).then_some((name, value)));
        headers
    };
    for (headers, refusal) in [
        (with("origin", ""), PageRefusal::Origin),
        (with("origin", "null"), PageRefusal::Origin),
        (with("origin", "https://evil.example"), PageRefusal::Origin),
        (
            with("origin", "https://crm.example.com.evil.example"),
            PageRefusal::Origin,
        ),
        (with("sec-fetch-site", "cross-site"), PageRefusal::Origin),
        (with("sec-fetch-site", "same-site"), PageRefusal::Origin),
        (with("content-type", "text/plain"), PageRefusal::Request),
        (
            with(":path", "/.mcp-auth/connect?x=1"),
            PageRefusal::Request,
        ),
    ] {
        let ended = world.send(&mut browser, &headers, &good);
        assert_eq!(ended.outcome, Err(refusal), "{headers:?}");
    }
    let (ticket, token) = (field(&page, "ticket"), field(&page, "form"));
    let other = {
        let mut place = world.place("dana");
        place.conversation = ConversationId::User;
        let link = connect_link(
            &world.policy,
            &world.sealer,
            &place,
            UnixTime::from_secs(world.now),
        );
        query(&link, "ticket")
    };
    for (form, refusal) in [
        (format!("ticket={ticket}"), PageRefusal::Form),
        (format!("ticket={ticket}&form="), PageRefusal::Form),
        (format!("ticket={other}&form={token}"), PageRefusal::Form),
        (format!("form={token}"), PageRefusal::Link),
        (format!("{good}&ticket={ticket}"), PageRefusal::Request),
    ] {
        assert_eq!(
            world.post(&mut browser, &form).outcome,
            Err(refusal),
            "{form}"
        );
    }
    // Another sign-in of the same user has forms of its own.
    let mut second = Browser::default();
    world.now += 1;
    world.open(&mut second, &link, "dana");
    assert_eq!(
        world.post(&mut second, &good).outcome,
        Err(PageRefusal::Form)
    );
    assert_eq!(
        world.post(&mut browser, &good).outcome,
        Ok(Approval::SentToConnect)
    );
}

#[test]
fn b42_a_sealed_value_opens_for_its_purpose_only() {
    let (mut world, mut browser, connecting) = away("dana");
    let link = world.link("dana");
    let page = world.get(&mut browser, &link);
    let mut other = Browser::default();
    let signing_in = world.get(&mut other, &link);
    let signing_in = query(&location(&signing_in), "state");
    let (signing_in_cookie, connecting_cookie) =
        (flow_cookie(&signing_in), flow_cookie(&connecting));
    let signing_in_record = other.0[&signing_in_cookie].clone();
    let connecting_record = browser.0[&connecting_cookie].clone();
    browser
        .0
        .insert(signing_in_cookie, signing_in_record.clone());
    let done = world.get(&mut browser, &callback(&connecting));
    assert_eq!(done.outcome, Ok(Approval::Connected));
    let record = world.puts.pop().unwrap().value;
    world.calls.clear();
    let sealed = [
        ("ticket", query(&link, "ticket")),
        ("browser", browser.0[SESSION].clone()),
        ("form", field(&page, "form")),
        ("sign-in", signing_in),
        ("connecting", connecting.clone()),
        ("sign-in record", signing_in_record),
        ("connecting record", connecting_record.clone()),
        ("record", record),
    ];
    // Nor does the cookie of one authorization request do for another.
    for (_, text) in &sealed {
        if *text != connecting_record {
            let mut browser = browser.clone();
            browser.0.insert(connecting_cookie.clone(), text.clone());
            let target = callback(&connecting);
            refuses(&mut world, &mut browser, &target, PageRefusal::State);
        }
    }
    for (what, text) in &sealed {
        if *what != "ticket" {
            let target = format!("/.mcp-auth/connect?ticket={text}");
            refuses(&mut world, &mut browser, &target, PageRefusal::Link);
        }
        if *what != "connecting" {
            refuses(
                &mut world,
                &mut browser,
                &callback(text),
                PageRefusal::State,
            );
        }
        if *what != "sign-in" {
            let target = format!("/.mcp-auth/signed-in?code=c&state={text}");
            refuses(&mut world, &mut browser, &target, PageRefusal::State);
        }
        if *what != "form" {
            let form = format!("ticket={}&form={text}", field(&page, "ticket"));
            assert_eq!(
                world.post(&mut browser, &form).outcome,
                Err(PageRefusal::Form),
                "{what}"
            );
        }
        if *what != "browser" {
            let mut other = Browser::default();
            other.0.insert(SESSION.into(), text.clone());
            let away = world.get(&mut other, &link);
            assert_eq!(away.outcome, Ok(Approval::SignInStarted), "{what}");
        }
        if *what != "record" {
            let place = world.place("dana");
            assert_eq!(
                place.open(&world.sealer, text, UnixTime::from_secs(NOW)),
                None,
                "{what}"
            );
        }
    }
}

#[test]
fn b42_another_servers_links_and_cookies_do_not_open() {
    let mut written = document();
    written["resource"] = json!("https://crm.example.com/other");
    let (mut other, mut browser) = (World::of(&written), Browser::default());
    let link = other.link("dana");
    other.open(&mut browser, &link, "dana");
    let mut world = World::new();
    refuses(&mut world, &mut browser, &link, PageRefusal::Link);
    let own = world.link("dana");
    assert_eq!(
        world.get(&mut browser, &own).outcome,
        Ok(Approval::SignInStarted)
    );
}

#[test]
fn links_forms_and_states_end_after_ten_minutes() {
    let (mut world, mut browser, state) = away("dana");
    let link = world.link("dana");
    let page = world.get(&mut browser, &link);
    world.now += 599;
    assert_eq!(
        world.get(&mut browser, &link).outcome,
        Ok(Approval::ConnectPageShown)
    );
    world.now += 1;
    refuses(&mut world, &mut browser, &link, PageRefusal::Link);
    refuses(
        &mut world,
        &mut browser,
        &callback(&state),
        PageRefusal::State,
    );
    assert_eq!(
        world.post(&mut browser, &form(&page)).outcome,
        Err(PageRefusal::Link)
    );
    let fresh = world.link("dana");
    assert_eq!(
        world.get(&mut browser, &fresh).outcome,
        Ok(Approval::SignInStarted)
    );
}

#[test]
fn b42_pages_do_not_repeat_error_texts_of_authorization_servers() {
    let (mut world, mut browser, state) = away("dana");
    let said = "error_description=%3Cscript%3Ealert(1)%3C/script%3Ecall+555&error_uri=https://evil.example";
    for (error, refusal) in [
        ("access_denied", PageRefusal::Declined),
        ("server_error", PageRefusal::Authorization),
        ("%3Cscript%3E", PageRefusal::Authorization),
    ] {
        let target = format!("/.mcp-auth/callback/notes?error={error}&{said}&state={state}");
        let ended = world.get(&mut browser, &target);
        assert_eq!(ended.outcome, Err(refusal));
        for word in ["script", "555", "evil"] {
            assert!(!html(&ended).contains(word), "{word}");
        }
    }
    refuses(&mut world, &mut browser, &callback("x"), PageRefusal::State);
}

#[test]
fn repeated_and_missing_parameters_are_refused() {
    let (mut world, mut browser, state) = away("dana");
    for target in [
        format!("{}&code=d", callback(&state)),
        format!(
            "{}&iss=https://notes.example.com&iss=https://notes.example.com",
            callback(&state)
        ),
        format!("/.mcp-auth/callback/notes?state={state}"),
        format!("/.mcp-auth/callback/notes?code=&state={state}"),
    ] {
        refuses(&mut world, &mut browser, &target, PageRefusal::Request);
    }
    let doubled = format!("{}&state={state}", callback(&state));
    refuses(&mut world, &mut browser, &doubled, PageRefusal::Request);
    // Which of two cookies is the browser's cannot be told.
    let name = flow_cookie(&state);
    let cookie = format!("{name}={}", browser.0[&name]);
    let target = callback(&state);
    let headers = [
        (":method", "GET"),
        (":path", target.as_str()),
        ("cookie", &cookie),
    ];
    let ended = world.send(&mut browser, &headers, "");
    assert_eq!(ended.outcome, Err(PageRefusal::OtherBrowser));
}

#[test]
fn pages_accept_their_own_method_and_path_only() {
    let (mut world, mut browser, state) = away("dana");
    let (link, back) = (world.link("dana"), callback(&state));
    let head = world.send(&mut browser, &[(":method", "HEAD"), (":path", &link)], "");
    assert_eq!(head.outcome, Ok(Approval::ConnectPageShown));
    for (method, target) in [
        // What scans links must not use them up.
        ("HEAD", back.as_str()),
        ("POST", back.as_str()),
        ("PUT", link.as_str()),
        ("DELETE", "/.mcp-auth/connect"),
        ("OPTIONS", "/.mcp-auth/connect"),
        ("HEAD", "/.mcp-auth/signed-in"),
        ("POST", "/.mcp-auth/sign-in"),
    ] {
        let ended = world.send(&mut browser, &[(":method", method), (":path", target)], "");
        assert_eq!(
            (ended.reply.status, ended.outcome),
            (405, Err(PageRefusal::Method)),
            "{method}"
        );
    }
    for target in ["/.mcp-auth/x", "/.mcp-auth/connect/", "/.mcp-auth/../mcp"] {
        refuses(&mut world, &mut browser, target, PageRefusal::NotFound);
    }
    let with_body = world.send(&mut browser, &[(":method", "GET"), (":path", &link)], "x");
    assert_eq!(with_body.outcome, Err(PageRefusal::Request));
}
