//! The page on which other people approve calls, and attacks on it.

use serde_json::{Value, json};

use crate::consent::ShownArguments;
use crate::consent::approval::{
    ApprovalPlace, ApprovalRequest, NoApproval, find_approval, use_approval,
};
use crate::consent::call_question::AskedCall;
use crate::pages::fake_world::*;
use crate::pages::{PageOutcome, PageRefusal};
use crate::reasons::Approval;
use base::seal::Owner;
use base::store::StoreError;
use std::time::Duration;

const PAGE: &str = "/.mcp-auth/approvals";
const ISSUER: &str = "https://login.example.com";

fn approving() -> Value {
    let mut document = document();
    document["issuers"][0]["identity"] = json!({"organization": "org", "roles": "roles"});
    document["roles"] = json!({
        "support": {"tools": ["crm.*"]},
        "manager": {"tools": ["crm.*"]},
        "owner": {"extends": ["manager"]},
    });
    document["view_as"] = json!({"header": "x-view-as"});
    document["tools"]["crm.refund"] = json!({"confirm": {"by": {"role": "manager"}}});
    document
}

/// A world with a caller and people of some roles and organizations.
fn world() -> World {
    let mut world = World::of(&approving());
    for (user, organization, roles) in [
        ("dana", "acme", json!(["support"])),
        ("erin", "acme", json!(["manager"])),
        ("olga", "acme", json!("owner")),
        ("mallory", "globex", json!(["manager"])),
    ] {
        let claims = json!({"org": organization, "roles": roles});
        world.claims.insert(user.into(), claims);
    }
    world
}

fn request(user: &str, amount: u32) -> ApprovalRequest {
    let arguments = format!(r#"{{"amount":{amount}}}"#);
    let owner = Owner {
        resource: "https://crm.example.com/mcp",
        issuer: ISSUER,
        user,
        view: "",
    };
    let digest = hmac_sha256::Hash::hash(arguments.as_bytes());
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    ApprovalRequest {
        place: ApprovalPlace::of(owner, ("app", &[]), (TOOL, "manager"), digest),
        call: AskedCall {
            tool: TOOL.into(),
            view: String::new(),
            client: "app".into(),
            arguments: ShownArguments::of(arguments.as_bytes()).unwrap(),
        },
        actors: Vec::new(),
        organization: Some("acme".into()),
        role: "manager".into(),
        valid_for: Duration::from_secs(3600),
        new_id: format!("{id:016x}"),
        webhook: None,
    }
}

/// What a call comes to: `Ok` passes.
fn call(world: &mut World, request: &ApprovalRequest) -> Result<String, &'static str> {
    let request = request.clone();
    world.run(|context| async move {
        let said = |error: NoApproval| match error {
            NoApproval::Waiting(waiting) if waiting.is_new => "asked",
            NoApproval::Waiting(_) => "waits",
            NoApproval::Denied { .. } => "denied",
            NoApproval::TooMany => "too many",
            NoApproval::Store(_) => "store",
        };
        let yes = find_approval(&context.accounts, request).await;
        let yes = yes.map_err(said)?;
        let approver = yes.approver.clone();
        use_approval(&context.accounts, yes).await.map_err(said)?;
        Ok(approver)
    })
}

/// Opens the page as a user.
fn open(world: &mut World, browser: &mut Browser, user: &str) -> PageOutcome {
    world.open(browser, PAGE, user)
}

/// Answers the first question of a page, up to the redirect to the issuer.
fn begin_answer(world: &mut World, browser: &mut Browser, form: &str, answer: &str) -> PageOutcome {
    let headers = [
        (":method", "POST"),
        (":path", PAGE),
        ("origin", ORIGIN),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let form = format!("form={form}&answer={answer}");
    world.send(browser, &headers, &form)
}

/// Comes back from the issuer as a user.
fn back(world: &mut World, browser: &mut Browser, begun: &PageOutcome, user: &str) -> PageOutcome {
    let away = onward_url(begun);
    let (state, nonce) = (query(&away, "state"), query(&away, "nonce"));
    world.answer_sign_in(user, &nonce);
    let ended = world.get(
        browser,
        &format!("/.mcp-auth/signed-in?code=c-1&state={state}"),
    );
    world.answers.clear();
    ended
}

fn answer(
    world: &mut World,
    browser: &mut Browser,
    page: &PageOutcome,
    answer: &str,
) -> PageOutcome {
    let user = page.user.clone().unwrap().1;
    let begun = begin_answer(world, browser, &field(page, "form"), answer);
    assert_eq!(begun.outcome, Ok(Approval::SignInStarted));
    back(world, browser, &begun, &user)
}

#[test]
fn another_person_approves_a_call_once() {
    let (mut world, mut erin) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    assert_eq!(call(&mut world, &asked), Err("waits"));
    let page = open(&mut world, &mut erin, "erin");
    assert_eq!(page.outcome, Ok(Approval::ApprovalsPageShown));
    for text in [
        "One call waits for your answer.",
        "<h2 id=\"call-1\"><bdi>crm.refund</bdi></h2>",
        "<dt>Asked by</dt><dd><strong><bdi>dana</bdi></strong></dd>",
        "<dt>Application</dt><dd><strong><bdi>app</bdi></strong></dd>",
        "<dt>Asked</dt><dd>less than a minute ago</dd>",
        "<dt>Time left</dt><dd>1 hour</dd>",
        "<pre dir=\"ltr\">{\n  &quot;amount&quot;: 70\n}</pre>",
        ">Approve once</button>",
        ">Deny</button>",
        "erin@example.com",
        "acme",
    ] {
        assert!(html(&page).contains(text), "{text}: {}", html(&page));
    }
    let ended = answer(&mut world, &mut erin, &page, "yes");
    assert_eq!(
        (ended.reply.status, ended.outcome),
        (303, Ok(Approval::CallApproved))
    );
    assert_eq!(ended.user, Some((ISSUER.into(), "erin".into())));
    assert_eq!(ended.approval.unwrap().1, "dana");
    assert_eq!(ended.tool.as_deref(), Some(TOOL));
    let page = world.get(&mut erin, "/.mcp-auth/approvals?done=yes");
    assert!(html(&page).contains("You approved the call"));
    assert!(html(&page).contains("No call waits"));
    assert_eq!(call(&mut world, &request("dana", 71)), Err("asked"));
    assert_eq!(call(&mut world, &asked), Ok("erin".into()));
    assert_eq!(call(&mut world, &asked), Err("asked"));
    assert_eq!(call(&mut world, &asked), Err("waits"));
}

#[test]
fn a_no_is_heard_once() {
    let (mut world, mut erin) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let page = open(&mut world, &mut erin, "erin");
    let ended = answer(&mut world, &mut erin, &page, "no");
    assert_eq!(ended.outcome, Err(PageRefusal::CallDenied));
    assert_eq!(call(&mut world, &asked), Err("denied"));
    assert_eq!(call(&mut world, &asked), Err("asked"));
    assert_eq!(call(&mut world, &asked), Err("waits"));
}

#[test]
fn a_role_that_extends_the_role_approves_too() {
    let (mut world, mut olga) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let page = open(&mut world, &mut olga, "olga");
    answer(&mut world, &mut olga, &page, "yes");
    assert_eq!(call(&mut world, &asked), Ok("olga".into()));
}

#[test]
fn a_yes_and_a_question_end() {
    let (mut world, mut erin) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    world.now += 3600;
    assert!(html(&open(&mut world, &mut erin, "erin")).contains("No call waits"));
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let mut erin = Browser::default();
    let page = open(&mut world, &mut erin, "erin");
    answer(&mut world, &mut erin, &page, "yes");
    world.now += 3599;
    let mut later = asked.clone();
    later.new_id = "other".into();
    world.now += 1;
    assert_eq!(call(&mut world, &later), Err("asked"));
}

#[test]
fn a9_people_who_may_not_approve_see_and_do_nothing() {
    let mut world = world();
    for user in ["dana", "erin"] {
        assert_eq!(call(&mut world, &request(user, 70)), Err("asked"));
    }
    let mut dana = Browser::default();
    let page = open(&mut world, &mut dana, "dana");
    assert_eq!(
        (page.reply.status, page.outcome),
        (403, Err(PageRefusal::Approver))
    );
    // Mallory has the role in another organization.
    let mut mallory = Browser::default();
    let page = open(&mut world, &mut mallory, "mallory");
    assert!(html(&page).contains("No call waits"), "{}", html(&page));
    // Erin sees Dana's call, and not her own.
    let mut erin = Browser::default();
    let page = open(&mut world, &mut erin, "erin");
    assert!(html(&page).contains("One call waits"));
    assert!(!html(&page).contains("<bdi>erin</bdi>"));
    // Without a sign-in, or with a form of another browser.
    let form = field(&page, "form");
    let mut nobody = Browser::default();
    let ended = begin_answer(&mut world, &mut nobody, &form, "yes");
    assert_eq!(ended.outcome, Err(PageRefusal::NotSignedIn));
    let ended = begin_answer(&mut world, &mut mallory, &form, "yes");
    assert_eq!(ended.outcome, Err(PageRefusal::Form));
    for answer in ["", "YES", "true"] {
        let ended = begin_answer(&mut world, &mut erin, &form, answer);
        assert_eq!(ended.outcome, Err(PageRefusal::Request));
    }
    assert_eq!(call(&mut world, &request("dana", 70)), Err("waits"));
}

#[test]
fn a9_the_roles_count_at_the_moment_of_the_answer() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("no role", |claims| claims["roles"] = json!(["support"])),
        ("no roles", |claims| claims["roles"] = json!(7)),
        ("another organization", |claims| {
            claims["org"] = json!("globex")
        }),
        ("no organization", |claims| claims["org"] = Value::Null),
    ];
    for (what, change) in changes {
        let (mut world, mut erin) = (world(), Browser::default());
        let asked = request("dana", 70);
        assert_eq!(call(&mut world, &asked), Err("asked"));
        let page = open(&mut world, &mut erin, "erin");
        change(world.claims.get_mut("erin").unwrap());
        let ended = answer(&mut world, &mut erin, &page, "yes");
        let status = ended.reply.status;
        assert_eq!(
            (status, ended.outcome),
            (403, Err(PageRefusal::Approver)),
            "{what}"
        );
        assert_eq!(call(&mut world, &asked), Err("waits"), "{what}");
    }
    // Another user signs in for the answer: one with the role, and the caller itself.
    for user in ["olga", "dana"] {
        let (mut world, mut erin) = (world(), Browser::default());
        let asked = request("dana", 70);
        assert_eq!(call(&mut world, &asked), Err("asked"));
        let page = open(&mut world, &mut erin, "erin");
        let begun = begin_answer(&mut world, &mut erin, &field(&page, "form"), "yes");
        let ended = back(&mut world, &mut erin, &begun, user);
        assert_eq!(ended.outcome, Err(PageRefusal::OtherUser));
        assert_eq!(call(&mut world, &asked), Err("waits"));
    }
}

#[test]
fn a9_nobody_approves_an_own_call_or_acts_with_a_view() {
    // A caller with the role, and an actor of a delegated token.
    for (user, actors) in [("erin", vec![]), ("dana", vec!["erin".to_owned()])] {
        let (mut world, mut erin) = (world(), Browser::default());
        let mut asked = request(user, 70);
        asked.actors = actors;
        assert_eq!(call(&mut world, &asked), Err("asked"));
        let page = open(&mut world, &mut erin, "erin");
        assert!(html(&page).contains("No call waits"));
    }
    let (mut world, mut erin) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let page = open(&mut world, &mut erin, "erin");
    let viewed = [
        (":method", "GET"),
        (":path", PAGE),
        ("x-view-as", "role:support"),
    ];
    let ended = world.send(&mut erin, &viewed, "");
    assert_eq!(ended.outcome, Err(PageRefusal::Approver));
    assert!(!html(&ended).contains("crm.refund"));
    // The ID token asks for a view.
    let mut document = approving();
    document["issuers"][0]["identity"]["view_as"] = json!("view");
    world.policy = policy(&document);
    world
        .verifier
        .replace(oauth::Verifier::new(world.policy.issuers.clone()).unwrap());
    world.claims.get_mut("erin").unwrap()["view"] = json!("role:support");
    let ended = answer(&mut world, &mut erin, &page, "yes");
    assert_eq!(ended.outcome, Err(PageRefusal::Approver));
    assert_eq!(call(&mut world, &asked), Err("waits"));
}

#[test]
fn the_first_answer_counts() {
    let mut world = world();
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let (mut erin, mut olga) = (Browser::default(), Browser::default());
    let first = open(&mut world, &mut erin, "erin");
    let second = open(&mut world, &mut olga, "olga");
    let begun = begin_answer(&mut world, &mut olga, &field(&second, "form"), "yes");
    answer(&mut world, &mut erin, &first, "no");
    let ended = back(&mut world, &mut olga, &begun, "olga");
    assert_eq!(
        (ended.reply.status, ended.outcome),
        (410, Err(PageRefusal::ApprovalClosed))
    );
    // The same form once more: each sign-in has forms of its own.
    let form = field(&first, "form");
    let ended = begin_answer(&mut world, &mut erin, &form, "yes");
    assert_eq!(ended.outcome, Err(PageRefusal::Form));
    assert_eq!(call(&mut world, &asked), Err("denied"));
    // The form of an earlier question is not one of the next question about the same call.
    assert_eq!(
        call(
            &mut world,
            &ApprovalRequest {
                new_id: "next".into(),
                ..asked.clone()
            }
        ),
        Err("asked")
    );
    let page = world.get(&mut erin, PAGE);
    let begun = begin_answer(&mut world, &mut erin, &field(&page, "form"), "yes");
    world.now += 590;
    let mut olga = Browser::default();
    let page = open(&mut world, &mut olga, "olga");
    answer(&mut world, &mut olga, &page, "no");
    assert_eq!(call(&mut world, &asked), Err("denied"));
    let last = ApprovalRequest {
        new_id: "last".into(),
        ..asked.clone()
    };
    assert_eq!(call(&mut world, &last), Err("asked"));
    let ended = back(&mut world, &mut erin, &begun, "erin");
    assert_eq!(ended.outcome, Err(PageRefusal::ApprovalClosed));
    assert_eq!(call(&mut world, &asked), Err("waits"));
}

#[test]
fn open_questions_are_bounded() {
    let mut world = world();
    for amount in 0..8 {
        assert_eq!(call(&mut world, &request("dana", amount)), Err("asked"));
    }
    assert_eq!(call(&mut world, &request("dana", 8)), Err("too many"));
    assert_eq!(call(&mut world, &request("dana", 7)), Err("waits"));
    assert_eq!(call(&mut world, &request("carl", 8)), Err("asked"));
    world.now += 3600;
    assert_eq!(call(&mut world, &request("dana", 8)), Err("asked"));
}

#[test]
fn without_the_store_nothing_is_approved() {
    let (mut world, mut erin) = (world(), Browser::default());
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let page = open(&mut world, &mut erin, "erin");
    let begun = begin_answer(&mut world, &mut erin, &field(&page, "form"), "yes");
    let down = StoreError::Unavailable;
    let store = std::mem::replace(&mut world.store, Err(down));
    let ended = world.get(&mut erin, PAGE);
    assert_eq!(ended.outcome, Err(PageRefusal::Store(down)));
    let ended = back(&mut world, &mut erin, &begun, "erin");
    assert_eq!(ended.outcome, Err(PageRefusal::Store(down)));
    assert_eq!(call(&mut world, &asked), Err("store"));
    world.store = store;
    assert_eq!(call(&mut world, &asked), Err("waits"));
}

#[test]
fn the_page_is_not_for_other_sites_and_methods() {
    let (mut world, mut erin) = (world(), Browser::default());
    assert_eq!(call(&mut world, &request("dana", 70)), Err("asked"));
    let page = open(&mut world, &mut erin, "erin");
    let form = format!("form={}&answer=yes", field(&page, "form"));
    let headers = [
        (":method", "POST"),
        (":path", PAGE),
        ("origin", "https://evil.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let ended = world.send(&mut erin, &headers, &form);
    assert_eq!(ended.outcome, Err(PageRefusal::Origin));
    let ended = world.send(&mut erin, &[(":method", "PUT"), (":path", PAGE)], "");
    assert_eq!(ended.outcome, Err(PageRefusal::Method));
    // A hostile name is text.
    let mut hostile = request("dana", 1);
    hostile.call.client = "<script>alert(1)</script>".into();
    assert_eq!(call(&mut world, &hostile), Err("asked"));
    let page = world.get(&mut erin, PAGE);
    assert!(html(&page).contains("2 calls wait") && !html(&page).contains("<script"));
}

#[test]
fn with_several_issuers_the_user_chooses_one() {
    let mut document = approving();
    let mut other = document["issuers"][0].clone();
    other["issuer"] = json!("https://other.example.com");
    other["sign_in"]["authorize"] = json!("https://other.example.com/authorize");
    document["issuers"].as_array_mut().unwrap().push(other);
    let (mut world, mut browser) = (World::of(&document), Browser::default());
    let page = world.get(&mut browser, PAGE);
    assert!(html(&page).contains("/.mcp-auth/approvals?issuer=https%3A%2F%2Fother.example.com"));
    let away = world.get(
        &mut browser,
        "/.mcp-auth/approvals?issuer=https%3A%2F%2Fother.example.com",
    );
    assert!(location(&away).starts_with("https://other.example.com/authorize"));
    let page = world.get(
        &mut browser,
        "/.mcp-auth/approvals?issuer=https%3A%2F%2Fevil.example",
    );
    assert_eq!(page.reply.status, 200);
}

#[test]
fn a9_a_sign_out_ends_the_page_and_its_links_open_no_other_page() {
    let mut document = approving();
    document["issuers"][0]["sign_in"]["back_channel_logout"] = json!(true);
    let (mut world, mut erin) = (world(), Browser::default());
    world.policy = policy(&document);
    let asked = request("dana", 70);
    assert_eq!(call(&mut world, &asked), Err("asked"));
    let page = open(&mut world, &mut erin, "erin");
    // The link for another sign-in is no link of another page.
    let (_, rest) = html(&page)
        .split_once("/.mcp-auth/sign-in?ticket=")
        .unwrap();
    let ticket = rest.split_once('"').unwrap().0.to_owned();
    for other in ["connect", "confirm"] {
        let ended = world.get(&mut erin, &format!("/.mcp-auth/{other}?ticket={ticket}"));
        assert_eq!(ended.outcome, Err(PageRefusal::Link), "{other}");
    }
    let again = world.get(&mut erin, &format!("/.mcp-auth/sign-in?ticket={ticket}"));
    assert_eq!(query(&location(&again), "prompt"), "login");
    world.now += 5;
    let token = logout_token(&json!({"sub": "erin", "jti": "j-1"}), world.now);
    let headers = [
        (":method", "POST"),
        (":path", "/.mcp-auth/logout"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let ended = world.send(
        &mut Browser::default(),
        &headers,
        &format!("logout_token={token}"),
    );
    assert_eq!(ended.reply.status, 200);
    let form = field(&page, "form");
    let ended = begin_answer(&mut world, &mut erin, &form, "yes");
    assert_eq!(ended.outcome, Err(PageRefusal::NotSignedIn));
    let ended = world.get(&mut erin, PAGE);
    assert_eq!(ended.outcome, Ok(Approval::SignInStarted));
    assert_eq!(call(&mut world, &asked), Err("waits"));
}
