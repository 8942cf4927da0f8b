mod random;

use serde_json::json;

use super::*;
use policy::Policy;

/// A policy with one rule.
fn policy(rule: serde_json::Value) -> Policy {
    let mut rule = rule;
    rule["tools"] = json!(["*"]);
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"organization": "org_id"},
        }],
        "audit": {"key_env": "KEY"},
        "results": [rule],
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

/// A schema as it is shown.
fn after(rules: &[&ResultRule], schema: &[u8]) -> Option<Vec<u8>> {
    let root = Node::read(schema, 128).unwrap();
    super::after(rules, &root, schema).unwrap()
}

fn shown(rule: &serde_json::Value, schema: &str) -> String {
    let policy = policy(rule.clone());
    let rules: Vec<&ResultRule> = policy.results.iter().collect();
    let once = after(&rules, schema.as_bytes());
    let once = once.map_or(schema.to_owned(), |shown| String::from_utf8(shown).unwrap());
    assert_eq!(after(&rules, once.as_bytes()), None, "{once}");
    once
}

fn assert_shown(rule: serde_json::Value, cases: &[(&str, &str)]) {
    for (schema, expected) in cases {
        assert_eq!(&shown(&rule, schema), expected, "{rule} {schema}");
    }
}

#[test]
fn b34_a_field_that_is_taken_out_is_not_required() {
    assert_shown(
        json!({"redact": ["ssn", "card.number"], "with": "remove"}),
        &[
            (
                r#"{"type":"object", "required":["id", "ssn","n"],"properties":{"ssn":{"type":"string"}}}"#,
                r#"{"type":"object", "required":["id","n"],"properties":{"ssn":{"type":"string"}}}"#,
            ),
            (
                r#"{"required":["SSN"],"minProperties":1,"maxProperties":2}"#,
                r#"{"maxProperties":2}"#,
            ),
            (
                r#"{"properties":{"card":{"required":["number"]},"x":{"required":["number"]}}}"#,
                r#"{"properties":{"card":{},"x":{"required":["number"]}}}"#,
            ),
            (
                r##"{"$defs":{"C":{"required":["number","x"]}},"properties":{"card":{"$ref":"#/$defs/C"}}}"##,
                r##"{"$defs":{"C":{"required":["x"]}},"properties":{"card":{"$ref":"#/$defs/C"}}}"##,
            ),
            (
                r#"{"additionalProperties":{"required":["number"]}}"#,
                r#"{"additionalProperties":{}}"#,
            ),
            (
                r#"{"dependentRequired":{"id":["ssn","x"],"a":["ssn"],"ssn":["id"]}}"#,
                r#"{"dependentRequired":{"id":["x"],"ssn":["id"]}}"#,
            ),
            (
                r#"{"not":{"required":["ssn"]},"if":{"required":["id"]},"then":{"required":["ssn"]}}"#,
                r#"{"if":{"required":["id"]},"then":{}}"#,
            ),
        ],
    );
}

#[test]
fn b34_a_hidden_field_keeps_its_type_only() {
    for with in ["mask", "hash", "last4"] {
        assert_shown(
            json!({"redact": ["ssn"], "with": with}),
            &[
                (
                    r#"{"required":["ssn"],"properties":{"ssn":{"type":"string","title":"SSN","pattern":"^\\d","minLength":11,"maxLength":11,"format":"x","enum":["a"]}}}"#,
                    r#"{"required":["ssn"],"properties":{"ssn":{"type":"string","title":"SSN"}}}"#,
                ),
                (
                    r#"{"properties":{"ssn":{"type":"integer","minimum":1,"maximum":9,"multipleOf":2}}}"#,
                    r#"{"properties":{"ssn":{"type":"integer","maximum":9,"multipleOf":2}}}"#,
                ),
                (
                    r##"{"properties":{"ssn":{"anyOf":[{"$ref":"#/$defs/S"},{"type":"null"}]}},"$defs":{"S":{"const":true}}}"##,
                    r##"{"properties":{"ssn":{"anyOf":[{"$ref":"#/$defs/S"},{"type":"null"}]}},"$defs":{"S":{}}}"##,
                ),
                (
                    r#"{"properties":{"ssn":{"properties":{"a":{"const":true}}},"b":{"const":true}}}"#,
                    r#"{"properties":{"ssn":{"properties":{"a":{}}},"b":{"const":true}}}"#,
                ),
            ],
        );
    }
}

#[test]
fn b34_what_may_repeat_a_hidden_value_is_free() {
    assert_shown(
        json!({"redact": ["ssn"]}),
        &[
            (
                r#"{"properties":{"note":{"type":"string","minLength":1,"minLength2":9,"format":"date"},"code":{"enum":["a","b1",null,true]},"state":{"enum":["active"]}}}"#,
                r#"{"properties":{"note":{"type":"string","minLength":1,"minLength2":9},"code":{"enum":["a","b1",null,true]},"state":{}}}"#,
            ),
            (
                r#"{"properties":{"n":{"type":"integer","minimum":0,"exclusiveMinimum":0}}}"#,
                r#"{"properties":{"n":{"type":"integer","minimum":0}}}"#,
            ),
        ],
    );
}

#[test]
fn b34_a_list_may_lose_what_is_not_the_callers() {
    assert_shown(
        json!({"owner": {"field": "org", "is": "organization", "totals": ["total"]}}),
        &[
            (
                r#"{"properties":{"all":{"type":"array","minItems":1,"maxItems":9,"items":{"type":"object","required":["org"]}},"total":{"type":"integer","minimum":1,"maximum":9}}}"#,
                r#"{"properties":{"all":{"type":"array","maxItems":9,"items":{"type":"object","required":["org"]}},"total":{"type":"integer","maximum":9}}}"#,
            ),
            (
                r#"{"minItems":1,"items":{"type":"number"}}"#,
                r#"{"minItems":1,"items":{"type":"number"}}"#,
            ),
            (
                r#"{"type":"array","prefixItems":[{"type":"object"}],"items":false,"contains":{},"minContains":2}"#,
                r#"{"type":"array"}"#,
            ),
        ],
    );
    let refuses = json!({"owner": {"field": "org", "is": "organization", "otherwise": "refuse"}});
    let schema = r#"{"minItems":1,"contains":{},"items":{"properties":{"s":{"enum":["open"],"minimum":7}}}}"#;
    assert_eq!(shown(&refuses, schema), schema);
}

#[test]
fn b34_what_is_detected_may_be_any_text() {
    assert_shown(
        json!({"detect": ["email"]}),
        &[
            (
                r#"{"properties":{"mail":{"type":"string","format":"email","minLength":5,"maxLength":99},"s":{"enum":["open"]},"n":{"minimum":7}}}"#,
                r#"{"properties":{"mail":{"type":"string","maxLength":99},"s":{"enum":["open"]},"n":{"minimum":7}}}"#,
            ),
            (
                r#"{"patternProperties":{"@":{}},"additionalProperties":false,"propertyNames":{"format":"email"}}"#,
                "{}",
            ),
        ],
    );
}

#[test]
fn b34_what_was_told_apart_by_a_changed_value_is_not_any_more() {
    assert_shown(
        json!({"redact": ["ssn"]}),
        &[
            (
                r#"{"oneOf":[{"properties":{"kind":{"const":"person"}}},{"properties":{"kind":{"const":"firm"}}}]}"#,
                r#"{"anyOf":[{"properties":{"kind":{}}},{"properties":{"kind":{}}}]}"#,
            ),
            (
                r#"{"oneOf":[{"type":"string"},{"type":"null"}],"not":{"type":"array"}}"#,
                r#"{"oneOf":[{"type":"string"},{"type":"null"}],"not":{"type":"array"}}"#,
            ),
            (
                r#"{"not":{"properties":{"n":{"maximum":5}}},"if":{"minLength":1},"else":{}}"#,
                "{}",
            ),
        ],
    );
}

#[test]
fn a_schema_without_such_constraints_stays_byte_for_byte() {
    let schema = r#"{ "type" : "object", "properties": {"a": {"type":["string","null"], "title":"A"}, "ssn": {"type": "number"}}, "required": ["a","ssn"], "additionalProperties": false }"#;
    for rule in [
        json!({"redact": ["ssn"]}),
        json!({"owner": {"field": "org", "is": "organization"}}),
        json!({"detect": ["email", "card", "secret"]}),
    ] {
        assert_eq!(shown(&rule, schema), schema);
    }
}
