//! Proofs of possession.

use super::*;

#[test]
fn bound_tokens_are_refused_unless_the_policy_says_otherwise() {
    assert_eq!(parse(&short()).dpop, None);
    assert_eq!(parse(&with("/dpop", json!("refused"))).dpop, None);
    for (word, required) in [("accepted", false), ("required", true)] {
        let rules = parse(&with("/dpop", json!(word))).dpop.unwrap();
        assert_eq!(rules.required, required);
        assert_eq!(rules.window, Duration::from_secs(300));
        assert_eq!(Some(rules.url), ProofUrl::of("https://crm.example.com/mcp"));
    }
}

#[test]
fn the_window_is_the_policys_choice() {
    let window = |text: &str| {
        edited(
            with("/dpop", json!("required")),
            "/dpop_window",
            json!(text),
        )
    };
    let rules = parse(&window("90s")).dpop.unwrap();
    assert_eq!(rules.window, Duration::from_secs(90));
    for odd in ["0s", "999ms", "601s"] {
        refuse_at("dpop_window", &["expected 1s to 10m"], &window(odd));
    }
    let alone = with("/dpop_window", json!("1m"));
    refuse_at("dpop_window", &["goes with `dpop: accepted`"], &alone);
}

#[test]
fn a_token_whose_proof_ends_here_is_not_passed_on() {
    for word in ["accepted", "required"] {
        let policy = edited(
            with("/dpop", json!(word)),
            "/upstream",
            json!({"authorization": "pass"}),
        );
        refuse_at(
            "upstream.authorization",
            &["found `pass` with `dpop`"],
            &policy,
        );
    }
}

#[test]
fn a_resource_no_proof_can_name_does_not_switch_proofs_off() {
    let policy = edited(with("/dpop", json!("required")), "/path", json!("/mcp"));
    let policy = edited(
        policy,
        "/resource",
        json!("https://crm.example.com/\u{ff4d}cp"),
    );
    refuse_at("dpop", &["expected one of visible ASCII"], &policy);
}

#[test]
fn words_that_are_not_known_are_named() {
    let required = with("/dpop", json!("require"));
    refuse_at(
        "dpop",
        &["`require`", "did you mean `required`?"],
        &required,
    );
    // `off` is a boolean in Envoy's YAML, so it is not a word here.
    let off = with("/dpop", json!(false));
    assert!(errors(&off.to_string())[0].starts_with("dpop: "));
}
