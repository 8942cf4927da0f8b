//! What tools have to be.

use super::*;

fn pinned(section: &str, name: &str, pin: &str) -> Value {
    with(&format!("/{section}"), json!({ name: {"pin": pin} }))
}

#[test]
fn a_pin_is_a_hash_of_one_tool() {
    let hash = format!("sha256:{}", "0a".repeat(32));
    let policy = parse(&pinned("tools", "crm.get", &hash));
    assert_eq!(
        policy.pin("crm.get"),
        Some(PinRule::As(hash.parse().unwrap()))
    );
    assert_eq!(policy.pin("crm.GET"), None);

    let alone = &["only a tool by its whole name has a pin", "`first-seen`"];
    refuse_at("tools.crm.*.pin", alone, &pinned("tools", "crm.*", &hash));
    for pin in [hash.as_str(), "first-seen"] {
        let tools = &["only tools are pinned"];
        refuse_at("prompts.x.pin", tools, &pinned("prompts", "x", pin));
    }
    for odd in [
        "",
        "sha256:0a",
        "md5:0a",
        "first_seen",
        &hash.replace("0a", "0g"),
    ] {
        let words = &["`sha256:` and 64 hexadecimal digits", "or `first-seen`"];
        refuse_at("tools.x.pin", words, &pinned("tools", "x", odd));
    }
}

#[test]
fn the_most_specific_pin_counts() {
    let hash = format!("sha256:{}", "0a".repeat(32));
    let policy = parse(&with(
        "/tools",
        json!({
            "*": {"pin": "first-seen"},
            "crm.get": {"pin": hash},
            "crm.*": {"scopes": ["x"]},
        }),
    ));
    let written = Some(PinRule::As(hash.parse().unwrap()));
    assert_eq!(policy.pin("crm.get"), written);
    assert_eq!(policy.pin("crm.set"), Some(PinRule::FirstSeen));
    assert_eq!(policy.pin("x"), Some(PinRule::FirstSeen));
    assert_eq!(parse(&short()).pin("x"), None);
}

#[test]
fn a_broken_pin_blocks_unless_the_policy_says_otherwise() {
    assert_eq!(parse(&short()).broken_pin, BrokenPin::Block);
    for (word, expected) in [
        ("block", BrokenPin::Block),
        ("hide", BrokenPin::Hide),
        ("log", BrokenPin::Log),
    ] {
        let policy = with("/pins", json!({ "otherwise": word }));
        assert_eq!(parse(&policy).broken_pin, expected);
    }
}
