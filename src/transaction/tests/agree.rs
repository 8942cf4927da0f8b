//! Calls whose users agree on a page.

use super::connect::{connected, connecting, modern_declaring, place, sent};
use super::fake_proxy::{Store, now, stored};
use super::*;
use crate::accounts::vault::ConversationId;
use crate::consent::ShownArguments;
use crate::consent::call_question::{CallQuestion, QuestionPlace};
use base::json::digest;
use base::seal::{Owner, Sealer};
use base::store;
use base::time::UnixTime;

const PAGE: &str = "https://crm.example.com/.mcp-auth/confirm?ticket=";

/// A policy with a page to ask on, and with changes.
fn careful(changes: Value) -> Rc<Policy> {
    let tools = json!({"crm.get": {"confirm": true}});
    let mut all = json!({"connections": {}, "tools": tools});
    for (key, value) in changes.as_object().unwrap() {
        all[key] = value.clone();
    }
    connecting(all)
}

/// A call of 2025-11-25, by a token that lasts.
fn refund(arguments: &str) -> Request {
    let lasting = json!({"exp": NOW + 3000});
    let call = call("crm.get", arguments).with("mcp-protocol-version", "2025-11-25");
    call.token(lasting)
}

fn later(policy: &Rc<Policy>, store: &Store, request: &Request, later: u64) -> Outcome {
    sent(policy, store, request, later, &[]).0
}

/// The link a call is answered with, which did not pass.
#[track_caller]
fn link(outcome: &Outcome) -> String {
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "confirmation_needed");
    assert_eq!(outcome.record.decision.verdict.name(), "needs_review");
    let body: Value = serde_json::from_slice(&outcome.reply.as_ref().unwrap().body).unwrap();
    let url = &body["error"]["data"]["elicitations"][0]["url"];
    let url = url.as_str().unwrap().to_owned();
    assert!(url.starts_with(PAGE), "{url}");
    url
}

fn sealer() -> Sealer {
    Sealer::new(&"secret".repeat(6)).unwrap()
}

/// Where the question is about a call of this user in a conversation.
fn asked_at(
    user: &str,
    conversation: &ConversationId,
    view: &str,
    arguments: &str,
) -> QuestionPlace {
    let owner = Owner {
        resource: "https://crm.example.com/mcp",
        issuer: "https://login.example.com",
        user,
        view,
    };
    let said = digest(arguments.as_bytes(), 64).unwrap();
    QuestionPlace::of(owner, (conversation, ""), "crm.get", said)
}

fn own(arguments: &str) -> QuestionPlace {
    asked_at("u1", &ConversationId::User, "", arguments)
}

fn question(store: &Store, place: &QuestionPlace, later: u64) -> Option<CallQuestion> {
    match stored(store, &place.get(), now(later)).unwrap() {
        store::Stored::Value(found) => {
            place.open(&sealer(), &found?, UnixTime::from_secs(NOW + later))
        }
        other => panic!("{other:?}"),
    }
}

/// What the page does with the user's answer.
fn answer(store: &Store, place: &QuestionPlace, yes: bool, later: u64) {
    let question = question(store, place, later).unwrap();
    let put = place.put(
        &sealer(),
        &question.answered(yes, UnixTime::from_secs(NOW + later)),
    );
    stored(store, &put, now(later)).unwrap();
}

#[test]
fn b44_one_yes_on_the_page_counts_for_one_call() {
    let (policy, store) = (careful(json!({})), Store::default());
    let (arguments, place) = (r#"{"q":"x"}"#, own(r#"{"q":"x"}"#));
    let at = |later_| later(&policy, &store, &refund(arguments), later_);
    link(&at(0));
    answer(&store, &place, true, 5);
    let passed = at(10);
    assert_eq!(received(&passed), arguments);
    assert_eq!(passed.record.decision.reason, "allowed");
    let evidence = &passed.record.decision.evidence;
    assert!(evidence.iter().any(|each| each.source == "user"));
    // The user is asked anew, and it is another question.
    let first = question(&store, &place, 10).unwrap();
    link(&at(11));
    let second = question(&store, &place, 11).unwrap();
    assert_ne!(second.asked_ms, first.asked_ms);
    assert_eq!(second.answer, None);
    answer(&store, &place, true, 12);
    assert!(at(13).server.is_some());
    link(&at(14));
}

#[test]
fn the_user_sees_the_rewritten_arguments() {
    let (policy, store) = (careful(json!({})), Store::default());
    link(&later(
        &policy,
        &store,
        &refund(r#"{"user_id":"eve","role":"admin"}"#),
        0,
    ));
    let question = question(&store, &own(r#"{"user_id":"u1"}"#), 0).unwrap();
    assert_eq!(question.call.tool, "crm.get");
    assert_eq!(question.call.arguments.list, "{\n  \"user_id\": \"u1\"\n}");
}

#[test]
fn b24_a_yes_does_not_count_for_another_call_user_view_or_session() {
    let policy = careful(json!({
        "view_as": {"header": "x-view-as"},
        "roles": {"support": {"tools": ["crm.*"], "view_as": {"roles": ["support"]}}},
        "tools": {"crm.*": {"confirm": true}},
    }));
    let store = Store::default();
    let mine = refund(r#"{"amount":1}"#);
    link(&later(&policy, &store, &mine, 0));
    answer(&store, &own(r#"{"amount":1}"#), true, 1);
    let with_session = |id: &str| {
        let owner = Owner {
            resource: "https://crm.example.com/mcp",
            issuer: "https://login.example.com",
            user: "u1",
            view: "",
        };
        let sealed = sealer().seal(base::seal::Purpose::Session, owner, &[], &id);
        mine.clone().with("mcp-session-id", &sealed)
    };
    for other in [
        refund(r#"{"amount":2}"#),
        refund(r#"{"amount":1.0}"#),
        refund(r#"{"amount":"1"}"#),
        refund("{}"),
        mine.clone().token(json!({"sub": "eve"})),
        mine.clone().with("x-view-as", "role:support"),
        with_session("s-1"),
        call("crm.other", r#"{"amount":1}"#).with("mcp-protocol-version", "2025-11-25"),
    ] {
        link(&later(&policy, &store, &other, 2));
    }
    assert!(later(&policy, &store, &mine, 3).server.is_some());
    let lower = asked_at(
        "u1",
        &ConversationId::User,
        "role:support",
        r#"{"amount":1}"#,
    );
    let asked = question(&store, &lower, 3).unwrap();
    assert_eq!(asked.call.view, "role:support");
}

#[test]
fn a_yes_counts_for_the_same_arguments_in_another_order() {
    let (policy, store) = (careful(json!({})), Store::default());
    link(&later(
        &policy,
        &store,
        &refund(r#"{"a":1,"b":{"c":"é"}}"#),
        0,
    ));
    answer(&store, &own(r#"{"a":1,"b":{"c":"é"}}"#), true, 1);
    let again = refund(r#"{ "b":{"c":"\u00e9"}, "a":1 }"#);
    let passed = later(&policy, &store, &again, 2);
    assert!(passed.server.is_some());
}

#[test]
fn b24_a_yes_that_is_moved_to_another_question_does_not_count() {
    // Somebody who can write into the store moves a yes to another question.
    let (policy, store) = (careful(json!({})), Store::default());
    let (asked, agreed) = (own(r#"{"amount":1000}"#), own(r#"{"amount":1}"#));
    for arguments in [r#"{"amount":1000}"#, r#"{"amount":1}"#] {
        link(&later(&policy, &store, &refund(arguments), 0));
    }
    answer(&store, &agreed, true, 1);
    let held = |place: &QuestionPlace| match stored(&store, &place.get(), now(1)).unwrap() {
        store::Stored::Value(value) => value.unwrap(),
        other => panic!("{other:?}"),
    };
    let put = store::StoreOperation::Put(store::StoreRecord {
        key: asked.key,
        value: held(&agreed),
        expires: UnixTime::from_secs(NOW + 600),
    });
    stored(&store, &put, now(1)).unwrap();
    link(&later(&policy, &store, &refund(r#"{"amount":1000}"#), 2));
}

#[test]
fn a_no_refuses_one_call() {
    let (policy, store) = (careful(json!({})), Store::default());
    let at = |later_| later(&policy, &store, &refund("{}"), later_);
    link(&at(0));
    answer(&store, &own("{}"), false, 1);
    let refused = at(2);
    assert_eq!(refused.refusal(), (200, 403, "call_declined"));
    assert_eq!(refused.record.decision.verdict.name(), "blocked");
    link(&at(3));
}

#[test]
fn yes_and_question_end_after_ten_minutes() {
    let (policy, store) = (careful(json!({})), Store::default());
    let at = |later_| later(&policy, &store, &refund("{}"), later_);
    link(&at(0));
    // A question that is there is asked again, as long as there is time to answer it.
    link(&at(300));
    assert_eq!(
        question(&store, &own("{}"), 300).unwrap().asked_ms,
        NOW * 1000
    );
    link(&at(301));
    let asked = question(&store, &own("{}"), 301).unwrap().asked_ms;
    assert_eq!(asked, (NOW + 301) * 1000);
    assert_eq!(question(&store, &own("{}"), 901), None);
    answer(&store, &own("{}"), true, 900);
    assert!(question(&store, &own("{}"), 1499).is_some());
    assert_eq!(question(&store, &own("{}"), 1500), None);
    link(&at(1500));
}

#[test]
fn b44_a_yes_that_is_written_again_does_not_count_again() {
    let (policy, store) = (careful(json!({})), Store::default());
    let at = |later_| later(&policy, &store, &refund("{}"), later_);
    link(&at(0));
    let before = question(&store, &own("{}"), 0).unwrap();
    answer(&store, &own("{}"), true, 1);
    assert!(at(2).server.is_some());
    // As long as such a page could be sent again, and the yes would count.
    for written in [3, 599] {
        let again = before
            .clone()
            .answered(true, UnixTime::from_secs(NOW + written));
        let put = own("{}").put(&sealer(), &again);
        stored(&store, &put, now(written)).unwrap();
        link(&at(written));
    }
    let again = before.answered(true, UnixTime::from_secs(NOW + 599));
    stored(&store, &own("{}").put(&sealer(), &again), now(599)).unwrap();
    link(&at(1198));
}

fn body(outcome: &Outcome) -> Value {
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "confirmation_needed");
    serde_json::from_slice(&outcome.reply.as_ref().unwrap().body).unwrap()
}

#[test]
fn clients_are_told_to_open_the_page_in_a_way_they_support() {
    let (policy, store) = (careful(json!({})), Store::default());
    let ask = |request: &Request| body(&later(&policy, &store, request, 0));
    let error = ask(&refund("{}"));
    assert_eq!(error["error"]["code"], -32042);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Allow `crm.get` to go on"), "{message}");
    for older in [
        call("crm.get", "{}"),
        call("crm.get", "{}").with("mcp-protocol-version", "2025-06-18"),
        modern_declaring(&json!({}), &json!({})),
    ] {
        let result = ask(&older);
        assert_eq!(result["result"]["isError"], true);
        let text = result["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(PAGE), "{text}");
        assert!(text.ends_with(" and then try again."), "{text}");
    }
    // One that has a form asks itself.
    let form = ask(&modern_declaring(
        &json!({"elicitation": {"form": {}, "url": {}}}),
        &json!({}),
    ));
    let request = &form["result"]["inputRequests"]["mcp-auth-filter"]["params"];
    assert_eq!(request["mode"], "form");
}

#[test]
fn the_same_call_goes_on_after_the_page() {
    let (policy, store) = (careful(json!({})), Store::default());
    let opens = json!({"elicitation": {"url": {}}});
    let asked = body(&later(
        &policy,
        &store,
        &modern_declaring(&opens, &json!({})),
        0,
    ));
    let request = &asked["result"]["inputRequests"]["mcp-auth-filter"]["params"];
    assert_eq!(request["mode"], "url");
    let answers = json!({"mcp-auth-filter": {"action": "accept"}});
    let state = &asked["result"]["requestState"];
    let retry = modern_declaring(
        &opens,
        &json!({"requestState": state, "inputResponses": answers}),
    );
    // That the page was opened says nothing.
    body(&later(&policy, &store, &retry, 1));
    answer(&store, &own("{}"), true, 2);
    let passed = later(&policy, &store, &retry, 3);
    let sent: Value = serde_json::from_slice(passed.server_body()).unwrap();
    assert_eq!(sent["params"].get("requestState"), None);
    body(&later(&policy, &store, &retry, 4));
    // A client that opens pages again and again hears of the no.
    answer(&store, &own("{}"), false, 5);
    assert_eq!(
        later(&policy, &store, &retry, 6).refusal().2,
        "call_declined"
    );
}

#[test]
fn a_link_is_short_for_any_arguments() {
    let (policy, store) = (careful(json!({})), Store::default());
    let long = format!(r#"{{"text":"{}"}}"#, "secret-word ".repeat(1000));
    let outcome = later(&policy, &store, &refund(&long), 0);
    let link = link(&outcome);
    assert!(link.len() < 450, "{}", link.len());
    assert!(!outcome.record.to_json().contains("secret-word"));
    let reply = String::from_utf8(outcome.reply.unwrap().body).unwrap();
    assert!(!reply.contains("secret-word"));
    let asked = question(&store, &own(&long), 0).unwrap();
    assert_eq!(asked.call.arguments.long_values.len(), 1);
    assert!(!format!("{asked:?}").contains("secret-word"));
    // What is kept of an answered question is short.
    answer(&store, &own(&long), true, 1);
    let answered = question(&store, &own(&long), 1).unwrap();
    assert_eq!(answered.call.arguments, ShownArguments::default());
    assert!(later(&policy, &store, &refund(&long), 2).server.is_some());
}

#[test]
fn a_yes_is_not_used_up_before_the_account_is_linked() {
    let tools = json!({"crm.get": {"connection": "notes", "confirm": true}});
    let policy = connecting(json!({"tools": tools}));
    let store = Store::default();
    let at = |later_| later(&policy, &store, &refund("{}"), later_);
    link(&at(0));
    answer(&store, &own("{}"), true, 1);
    for later in 2..4 {
        assert_eq!(at(later).record.decision.reason, "account_not_connected");
    }
    stored(&store, &place().put(&sealer(), &connected()), now(4)).unwrap();
    let passed = at(5);
    assert_eq!(passed.server_header("authorization"), Some("Bearer at-1"));
    link(&at(6));
}

#[test]
fn a_question_does_not_use_up_a_single_use_token() {
    let tools = json!({"crm.get": {"confirm": true, "single_use": true}});
    let (policy, store) = (careful(json!({"tools": tools})), Store::default());
    let request = refund("{}").token(json!({"exp": NOW + 3000, "jti": "t-1"}));
    let at = |later_| later(&policy, &store, &request, later_);
    link(&at(0));
    link(&at(1));
    answer(&store, &own("{}"), true, 2);
    assert!(at(3).server.is_some());
    // What was used is not asked about, once a yes is there.
    link(&at(4));
    answer(&store, &own("{}"), true, 5);
    assert_eq!(at(6).refusal().2, "token_used");
}

#[test]
fn the_task_of_an_agreed_call_needs_no_other_yes() {
    let (policy, store) = (careful(json!({})), Store::default());
    let as_task = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":{},"task":{"ttl":60000}}}"#;
    let made = r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t-1","status":"working"}}}"#;
    let json = [(":status", "200"), ("content-type", "application/json")];
    let of_2025 = |body: &str| Request::post(body).with("mcp-protocol-version", "2025-11-25");
    let request = of_2025(as_task).answered(&json, made);
    link(&later(&policy, &store, &request, 0));
    answer(&store, &own("{}"), true, 1);
    let passed = later(&policy, &store, &request, 2);
    let made: Value = serde_json::from_str(&passed.client_body()).unwrap();
    let task = made["result"]["task"]["taskId"].as_str().unwrap();
    let poll =
        json!({"jsonrpc": "2.0", "id": 2, "method": "tasks/get", "params": {"taskId": task}});
    let poll = of_2025(&poll.to_string());
    assert!(later(&policy, &store, &poll, 3).server.is_some());
}

#[test]
fn a_claim_names_the_conversation() {
    let policy = careful(json!({"vault": {"conversation": {"claim": "sid"}}}));
    let store = Store::default();
    let with = |claims: Value, at| {
        let request = call("crm.get", "{}").with("mcp-protocol-version", "2025-11-25");
        later(&policy, &store, &request.token(claims), at)
    };
    link(&with(json!({"sid": "c-1"}), 0));
    let place = asked_at("u1", &ConversationId::Claim("c-1".into()), "", "{}");
    answer(&store, &place, true, 1);
    link(&with(json!({"sid": "c-2"}), 2));
    assert_eq!(
        with(json!({}), 2).refusal(),
        (403, 403, "conversation_claim_missing")
    );
    assert!(with(json!({"sid": "c-1"}), 3).server.is_some());
}

#[test]
fn without_a_page_the_refusal_names_sign_in() {
    let nobody = json!([{
        "issuer": "https://login.example.com",
        "jwks": {"inline": tokens::key_set()},
        "identity": {"organization": "org_id", "roles": "roles"},
    }]);
    for without in [json!({"issuers": nobody}), json!({"hold": "buffer_filter"})] {
        let policy = careful(without);
        let old = later(&policy, &Store::default(), &refund("{}"), 0);
        assert_eq!(old.refusal(), (200, 403, "confirmation_unsupported"));
        let modern = later(
            &policy,
            &Store::default(),
            &modern_declaring(&json!({}), &json!({})),
            0,
        );
        assert_eq!(modern.refusal(), (400, -32021, "elicitation_not_declared"));
        for outcome in [old, modern] {
            let next = outcome.record.decision.next_action.unwrap();
            assert!(next.contains("`sign_in`"), "{next}");
        }
    }
    // Who is not signed in cannot say yes on a page.
    let policy = careful(json!({"anonymous": {"tools": ["crm.*"]}}));
    let nobody = call("crm.get", "{}").without("authorization");
    let outcome = later(&policy, &Store::default(), &nobody, 0);
    assert_eq!(outcome.refusal().2, "confirmation_unsupported");
}

#[test]
fn observe_mode_asks_no_user() {
    let policy = careful(json!({"mode": "observe"}));
    let outcome = later(&policy, &Store::default(), &refund("{}"), 0);
    assert!(outcome.server.is_some());
}

#[test]
fn a3_what_cannot_be_shown_whole_is_refused() {
    let (policy, store) = (careful(json!({})), Store::default());
    let many: Vec<String> = (0..500).map(|n| format!("\"name{n}\":{n}")).collect();
    let padded: Vec<String> = (0..100)
        .map(|n| format!("\"n{n}\":\"{}\"", "x".repeat(200)))
        .collect();
    for arguments in [
        format!(r#"{{"text":"{}","amount":5000}}"#, "x".repeat(20_000)),
        format!(r#"{{{},"amount":5000}}"#, many.join(",")),
        format!(r#"{{{},"amount":5000}}"#, padded.join(",")),
    ] {
        let outcome = later(&policy, &store, &refund(&arguments), 0);
        assert_eq!(
            outcome.refusal(),
            (200, -32602, "arguments_too_long_to_show")
        );
    }
}

#[test]
fn a1_a_yes_is_for_the_client_that_asked() {
    let (policy, store) = (careful(json!({})), Store::default());
    let of_client = |client: &str| refund("{}").token(json!({"client_id": client}));
    let asked = later(&policy, &store, &of_client("a"), 0);
    assert_eq!(asked.record.decision.reason, "confirmation_needed");
    let owner = Owner {
        resource: "https://crm.example.com/mcp",
        issuer: "https://login.example.com",
        user: "u1",
        view: "",
    };
    let sent = r#"{"user_id":"u1"}"#;
    let digest = |json: &str| digest(json.as_bytes(), 64).unwrap();
    let places = [sent, "{}"].map(|json| {
        QuestionPlace::of(owner, (&ConversationId::User, "a"), "crm.get", digest(json))
    });
    let place = places
        .iter()
        .find(|place| question(&store, place, 0).is_some())
        .unwrap();
    assert_eq!(question(&store, place, 0).unwrap().call.client, "a");
    answer(&store, place, true, 1);
    let other = later(&policy, &store, &of_client("b"), 2);
    assert_eq!(other.record.decision.reason, "confirmation_needed");
    assert!(later(&policy, &store, &of_client("a"), 2).server.is_some());
}
