//! Sign-ins that are too old or too weak.

use serde_json::{Value, json};

use crate::pages::fake_world::*;
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use policy::UnmetNeed;

const OLD: PageRefusal = PageRefusal::SignIn(UnmetNeed::Age);
const WEAK: PageRefusal = PageRefusal::SignIn(UnmetNeed::Acr);

fn asking(sign_in: &Value) -> Value {
    let mut document = document();
    for (name, value) in sign_in.as_object().unwrap() {
        document["issuers"][0]["sign_in"][name] = value.clone();
    }
    document
}

/// The answer to a sign-in whose ID token has these claims.
fn sign_in(world: &mut World, browser: &mut Browser, claims: &Value) -> (String, PageOutcome) {
    let link = world.link("dana");
    let authorize = location(&world.get(browser, &link));
    world.claims.insert("dana".into(), claims.clone());
    world.answer_sign_in("dana", &query(&authorize, "nonce"));
    let state = query(&authorize, "state");
    let back = world.get(
        browser,
        &format!("/.mcp-auth/signed-in?code=c&state={state}"),
    );
    (authorize, back)
}

#[test]
fn the_issuers_answer_is_compared_with_what_was_requested() {
    let needs = json!({"max_age": "5m", "acr": ["mfa", "urn:high"], "prompt": "login"});
    let good = || json!({"auth_time": NOW, "acr": "mfa"});
    for (claims, expected) in [
        (good(), Ok(Approval::SignedIn)),
        (
            json!({"auth_time": NOW - 330, "acr": "urn:high"}),
            Ok(Approval::SignedIn),
        ),
        (json!({"auth_time": NOW - 331, "acr": "mfa"}), Err(OLD)),
        (json!({"auth_time": NOW + 31, "acr": "mfa"}), Err(OLD)),
        (json!({"auth_time": NOW * 1000, "acr": "mfa"}), Err(OLD)),
        (
            json!({"auth_time": NOW.to_string(), "acr": "mfa"}),
            Err(OLD),
        ),
        (json!({"auth_time": null, "acr": "mfa"}), Err(OLD)),
        (json!({"auth_time": -1, "acr": "mfa"}), Err(OLD)),
        (json!({"acr": "mfa"}), Err(OLD)),
        (json!({"auth_time": NOW, "acr": "0"}), Err(WEAK)),
        (json!({"auth_time": NOW, "acr": "mfa urn:high"}), Err(WEAK)),
        (json!({"auth_time": NOW, "acr": ["mfa"]}), Err(WEAK)),
        (json!({"auth_time": NOW}), Err(WEAK)),
    ] {
        let (mut world, mut browser) = (World::of(&asking(&needs)), Browser::default());
        let (authorize, back) = sign_in(&mut world, &mut browser, &claims);
        for (name, value) in [
            ("max_age", "300"),
            ("acr_values", "mfa urn:high"),
            ("prompt", "login"),
        ] {
            assert_eq!(query(&authorize, name), value);
        }
        assert_eq!(back.outcome, expected, "{claims}");
        assert_eq!(browser.0.contains_key("__Host-mcp-auth"), expected.is_ok());
        if let Err(refusal) = expected {
            assert_eq!(back.reply.status, 403);
            assert!(html(&back).contains("Open the link again"), "{refusal}");
        }
    }
    // Without needs nothing is sent or compared.
    let (mut world, mut browser) = (World::new(), Browser::default());
    let (authorize, back) = sign_in(
        &mut world,
        &mut browser,
        &json!({"auth_time": 0, "acr": "0"}),
    );
    assert_eq!(back.outcome, Ok(Approval::SignedIn));
    let asked = ["max_age", "acr_values", "prompt"].map(|name| query(&authorize, name));
    assert_eq!(asked, [""; 3].map(str::to_owned));
}

#[test]
fn a_page_opened_later_asks_for_a_new_sign_in() {
    let (mut world, mut browser) = (
        World::of(&asking(&json!({"max_age": "2m"}))),
        Browser::default(),
    );
    world
        .claims
        .insert("dana".into(), json!({"auth_time": NOW - 60}));
    let link = world.link("dana");
    let page = world.open(&mut browser, &link, "dana");
    assert_eq!(page.outcome, Ok(Approval::ConnectPageShown));
    world.now += 91;
    let late = world.post(&mut browser, &form(&page));
    assert_eq!(late.outcome, Err(OLD));
    let again = world.get(&mut browser, &link);
    assert_eq!(again.outcome, Ok(Approval::SignInStarted));
    assert_eq!(query(&location(&again), "max_age"), "120");
}

#[test]
fn a_connection_and_its_tools_may_need_more_than_the_issuer() {
    for (connection, tools, expected) in [
        (json!({"max_age": "10m"}), json!({}), ("600", "")),
        (json!({"max_age": "90m"}), json!({}), ("3600", "")),
        (json!({"acr": ["mfa"]}), json!({}), ("3600", "mfa")),
        (
            json!({}),
            json!({"notes.pay": {"max_token_age": "4m"}}),
            ("240", ""),
        ),
        (json!({}), json!({"*": {"max_token_age": "5s"}}), ("60", "")),
        (
            json!({}),
            json!({"crm.*": {"max_token_age": "4m"}}),
            ("3600", ""),
        ),
    ] {
        let mut document = asking(&json!({"max_age": "1h"}));
        document["connections"]["notes"]["sign_in"] = connection;
        for (name, rules) in tools.as_object().unwrap() {
            document["tools"][name] = rules.clone();
        }
        let mut world = World::of(&document);
        let link = world.link("dana");
        let authorize = location(&world.get(&mut Browser::default(), &link));
        let asked = (
            query(&authorize, "max_age"),
            query(&authorize, "acr_values"),
        );
        assert_eq!((asked.0.as_str(), asked.1.as_str()), expected, "{document}");
    }
}

#[test]
fn a_call_of_a_tool_with_a_maximum_age_needs_a_new_sign_in_to_agree() {
    let mut document = document();
    document["tools"][TOOL] = json!({"confirm": true, "max_token_age": "2m"});
    let (mut world, mut browser) = (World::of(&document), Browser::default());
    let arguments = r#"{"amount":1}"#;
    let link = world.ask("dana", TOOL, arguments);
    world
        .claims
        .insert("dana".into(), json!({"auth_time": NOW - 600}));
    let first = world.get(&mut browser, &link);
    let state = query(&location(&first), "state");
    world.answer_sign_in("dana", &query(&location(&first), "nonce"));
    let back = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c&state={state}"),
    );
    // The tool is known only now.
    let again = world.get(&mut browser, &location(&back));
    assert_eq!(again.outcome, Ok(Approval::SignInStarted));
    assert_eq!(query(&location(&again), "max_age"), "120");
    let state = query(&location(&again), "state");
    let target = format!("/.mcp-auth/signed-in?code=c&state={state}");
    world.answer_sign_in("dana", &query(&location(&again), "nonce"));
    // An issuer that ignores `max_age` ends here, and not in a loop.
    assert_eq!(world.get(&mut browser, &target).outcome, Err(OLD));

    world
        .claims
        .insert("dana".into(), json!({"auth_time": NOW}));
    let again = world.get(&mut browser, &link);
    world.answer_sign_in("dana", &query(&location(&again), "nonce"));
    let state = query(&location(&again), "state");
    let back = world.get(
        &mut browser,
        &format!("/.mcp-auth/signed-in?code=c&state={state}"),
    );
    let page = world.get(&mut browser, &location(&back));
    assert_eq!(page.outcome, Ok(Approval::ConfirmPageShown));
    world.now += 300;
    let late = world.say(&mut browser, &page, "yes");
    assert_eq!(late.outcome, Err(OLD));
    world.now -= 300;
    let said = world.say(&mut browser, &page, "yes");
    assert_eq!(said.outcome, Ok(Approval::Confirmed));
}
