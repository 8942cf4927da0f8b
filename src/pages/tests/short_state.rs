//! The `state` of authorization requests, and the cookies that hold them.

use serde_json::json;

use crate::pages::PageRefusal;
use crate::pages::fake_world::*;
use crate::reasons::Approval;

fn flows(browser: &Browser) -> usize {
    let names = browser.0.keys();
    names
        .filter(|name| name.starts_with("__Host-mcp-auth-flow-"))
        .count()
}

#[test]
fn a_state_has_43_characters_for_every_authorization_server() {
    for document in [document(), discovering()] {
        let (mut world, mut browser) = (World::of(&document), Browser::default());
        let link = world.link("dana");
        let page = world.open(&mut browser, &link, "dana");
        world.answer(200, &metadata());
        let onward = world.post(&mut browser, &form(&page));
        let state = query(&onward_url(&onward), "state");
        assert_eq!(state.len(), 43, "{state}");
        assert_eq!(query(&onward_url(&onward), "code_challenge").len(), 43);
        // No part of the verifier or of the nonce.
        let cookie = browser.0[&flow_cookie(&state)].clone();
        assert!(!cookie.contains(&state));
    }
}

#[test]
fn a_browser_signs_in_in_several_tabs() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");
    let tabs: Vec<String> = (0..3)
        .map(|_| location(&world.get(&mut browser, &link)))
        .collect();
    for tab in &tabs {
        world.answer_sign_in("dana", &query(tab, "nonce"));
        let state = query(tab, "state");
        let back = world.get(
            &mut browser,
            &format!("/.mcp-auth/signed-in?code=c&state={state}"),
        );
        assert_eq!(back.outcome, Ok(Approval::SignedIn));
    }
}

#[test]
fn the_oldest_authorization_requests_of_a_browser_make_room() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    // Cookies that another program set.
    browser
        .0
        .insert("__Host-mcp-auth-flow-x\" other".into(), "x".into());
    for number in 0..15 {
        let name = format!("__Host-mcp-auth-flow-{number:08}");
        browser.0.insert(name, "x".repeat(1000));
    }
    let link = world.link("dana");
    let mut states = Vec::new();
    for _ in 0..9 {
        world.now += 1;
        let away = world.get(&mut browser, &link);
        states.push(query(&location(&away), "state"));
        // One cookie has no name of this filter.
        assert!(flows(&browser) <= 5, "{}", flows(&browser));
    }
    let back = |state: &str| format!("/.mcp-auth/signed-in?code=c&state={state}");
    let first = world.get(&mut browser, &back(&states[0]));
    assert_eq!(first.outcome, Err(PageRefusal::OtherBrowser));
    let last = world.get(&mut browser, &back(&states[8]));
    assert_ne!(last.outcome, Err(PageRefusal::OtherBrowser));
}

#[test]
fn a_state_that_is_too_old_or_not_one_is_refused() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let link = world.link("dana");
    let state = query(&location(&world.get(&mut browser, &link)), "state");
    for other in [
        "",
        "x",
        state.get(1..).unwrap(),
        &format!("{state}x"),
        &"%2F".repeat(43),
    ] {
        let ended = world.get(
            &mut browser,
            &format!("/.mcp-auth/signed-in?code=c&state={other}"),
        );
        assert_eq!(ended.outcome, Err(PageRefusal::State), "{other}");
    }
    // Another state with the same cookie.
    let swapped = format!("{}{}", state.get(..8).unwrap(), "x".repeat(35));
    let ended = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c&state={swapped}"),
    );
    assert_eq!(ended.outcome, Err(PageRefusal::State));
    world.now += 601;
    let ended = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c&state={state}"),
    );
    assert_eq!(ended.outcome, Err(PageRefusal::State));
}

#[test]
fn a_server_with_endpoints_too_long_for_a_cookie_is_refused() {
    let (mut world, mut browser) = (World::of(&discovering()), Browser::default());
    let link = world.link("dana");
    let page = world.open(&mut browser, &link, "dana");
    let mut metadata = metadata();
    for name in ["authorization_endpoint", "token_endpoint"] {
        metadata[name] = json!(format!("https://notes.example.com/{}", "x".repeat(1800)));
    }
    world.answer(200, &metadata);
    let ended = world.post(&mut browser, &form(&page));
    assert_eq!(ended.reply.status, 502);
    assert!(html(&ended).contains("too long"), "{}", html(&ended));
}
