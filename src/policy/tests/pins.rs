//! What tools were when they were read.

use super::*;

#[test]
fn a_pin_is_a_hash_of_one_tool() {
    let hash = format!("sha256:{}", "0a".repeat(32));
    let pinned = |section: &str, name: &str, pin: &str| {
        with(&format!("/{section}"), json!({ name: {"pin": pin} }))
    };
    let policy = parse(&pinned("tools", "crm.get", &hash));
    assert_eq!(policy.pin("crm.get").unwrap().to_string(), hash);
    assert_eq!(policy.pin("crm.GET"), None);
    assert_eq!(policy.broken_pin, BrokenPin::Hide);

    let alone = &["only a tool is pinned, by its whole name"];
    refuse_at("tools.crm.*.pin", alone, &pinned("tools", "crm.*", &hash));
    refuse_at("prompts.x.pin", alone, &pinned("prompts", "x", &hash));
    for odd in ["", "sha256:0a", "md5:0a", &hash.replace("0a", "0g")] {
        let words = &["`sha256:` and 64 hexadecimal digits"];
        refuse_at("tools.x.pin", words, &pinned("tools", "x", odd));
    }
    let log = with("/pins", json!({"otherwise": "log"}));
    assert_eq!(parse(&log).broken_pin, BrokenPin::Log);
}
