//! Patterns that deny, and patterns that overlap.

use super::*;

fn caller(organization: Option<&str>) -> Identity {
    Identity {
        user: Some("u1".into()),
        organization: organization.map(str::to_owned),
        ..Identity::default()
    }
}

#[test]
fn b16_a_denial_applies_also_where_a_placeholder_has_no_value() {
    let denial = Pattern::denial("crm://{organization}/secret*");
    assert!(denial.matches("crm://acme/secrets", &caller(Some("acme"))));
    assert!(!denial.matches("crm://globex/secrets", &caller(Some("acme"))));
    for organization in [None, Some("a/b"), Some(".."), Some("*")] {
        assert!(denial.matches("crm://acme/secrets", &caller(organization)));
        assert!(!denial.matches("crm://acme/public", &caller(organization)));
        let grant = Pattern::uri("crm://{organization}/secret*");
        assert!(!grant.matches("crm://acme/secrets", &caller(organization)));
    }
}

#[test]
fn patterns_overlap_when_some_name_matches_both() {
    for (one, other, expected) in [
        ("crm.*", "crm.get", true),
        ("a*", "*b", true),
        ("*", "*", true),
        ("a*c", "ab*", true),
        ("a*", "b*", false),
        ("*a", "*b", false),
        ("ab", "a", false),
    ] {
        let (one, other) = (Pattern::name(one), Pattern::name(other));
        assert_eq!(one.overlaps(&other), expected, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), expected, "{other:?} {one:?}");
    }
}

#[test]
fn a_mirrored_argument_has_a_name_at_every_step() {
    for argument in ["", ".", "a.", ".a", "a..b"] {
        let tools = json!({"x": {"param_headers": {argument: "A"}}});
        let expected = format!(
            "tools.x.param_headers.{argument}: expected an argument's name, or names with dots between them"
        );
        refuse(vec![("/tools", tools, &expected)]);
    }
}
