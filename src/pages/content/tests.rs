use serde_json::json;

use crate::pages::PageOutcome;
use crate::pages::fake_world::*;
use crate::reasons::Approval;

const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)> '\u{202e}";

/// Every kind of page, with markup in all names.
fn pages() -> Vec<PageOutcome> {
    let mut written = document();
    written["connections"]["notes"]["title"] = json!(EVIL);
    written["connections"]["notes"]["allows"] = json!([EVIL]);
    written["connections"]["notes"]["account"] =
        json!({"cluster": "notes", "path": "/me", "field": "email"});
    let user = EVIL;
    let (mut world, mut browser) = (World::of(&written), Browser::default());
    let link = world.link(user);
    let away = world.get(&mut browser, &link);
    let consent = world.open(&mut Browser::default(), &link, "eve");
    assert_eq!(consent.reply.status, 403);
    let mut pages = vec![away, consent];
    let consent = world.open(&mut browser, &link, user);
    let onward = world.post(&mut browser, &form(&consent));
    let state = query(&onward_url(&onward), "state");
    world.answer_tokens();
    // The name of an account has no characters that change the text around it.
    let name = EVIL.trim_end_matches('\u{202e}');
    world.answer(200, &json!({"email": name}));
    let done = world.get(
        &mut browser,
        &format!("/.mcp-auth/callback/notes?code=c&state={state}"),
    );
    assert_eq!(done.outcome, Ok(Approval::Connected));
    let refused = world.get(
        &mut browser,
        "/.mcp-auth/connect?ticket=<script>alert(1)</script>",
    );
    pages.extend([consent, onward, done, refused]);
    pages.extend(pages_about_a_call());
    pages
}

fn pages_about_a_call() -> [PageOutcome; 3] {
    let mut written = document();
    written["metadata"] = json!({"resource_name": EVIL});
    let (mut world, mut browser) = (World::of(&written), Browser::default());
    let arguments = json!({EVIL: [EVIL, "</pre></main>"]}).to_string();
    let link = world.ask(EVIL, EVIL, &arguments);
    let asked = world.open(&mut browser, &link, EVIL);
    assert_eq!(asked.outcome, Ok(Approval::ConfirmPageShown));
    let sent = world.say(&mut browser, &asked, "yes");
    let done = world.get(&mut browser, &location(&sent));
    assert_eq!(done.outcome, Ok(Approval::AnswerPageShown));
    [asked, sent, done]
}

#[test]
fn b42_names_are_escaped() {
    for page in pages() {
        let html = html(&page);
        for markup in ["<script", "<img", "\u{202e}", "&lt;/pre&gt;</main>"] {
            assert!(!html.contains(markup), "{html}");
        }
        // Every quote that ends an attribute is one of ours.
        assert!(!html.contains("\"\">"), "{html}");
    }
    assert!(html(&pages()[2]).contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn b42_every_page_forbids_frames_caches_and_scripts() {
    for page in pages() {
        let policy = header(&page, "content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            policy.ends_with("form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
            "{policy}"
        );
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(header(&page, name), Some(value), "{name}");
        }
        assert_eq!(header(&page, "access-control-allow-origin"), None);
    }
}

#[test]
fn the_content_security_policy_has_the_hash_of_the_style() {
    use base64::Engine;
    let page = &pages()[2];
    let (_, style) = html(page).split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = base64::prelude::BASE64_STANDARD.encode(hmac_sha256::Hash::hash(style.as_bytes()));
    let policy = header(page, "content-security-policy").unwrap();
    assert!(policy.contains(&hash));
}

#[test]
fn periods_are_written_in_words() {
    use super::period;
    use std::time::Duration;
    for (seconds, words) in [
        (600, "10 minutes"),
        (3600, "1 hour"),
        (5400, "1 hour 30 minutes"),
        (86_400, "1 day"),
        (45, "45 seconds"),
    ] {
        assert_eq!(period(Duration::from_secs(seconds)), words);
    }
}
