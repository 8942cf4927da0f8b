//! Which names are hidden, and where.

use super::*;

#[test]
fn b28_what_the_caller_has_no_say_in_is_not_shown() {
    assert_shown(&[
        (
            r#"{"type":"object", "properties": {"q":{"type":"string"}, "user_id":{"type":"string","x-mcp-header":"User"},"n":1.0}, "required":["user_id","q"]}"#,
            r#"{"type":"object", "properties": {"q":{"type":"string"},"n":1.0}, "required":["q"]}"#,
        ),
        (
            r#"{"properties":{"userId":{},"ORG-ID" : {},"q":{} },"required":["ORG-ID","userId"],"x":1}"#,
            r#"{"properties":{"q":{} },"x":1}"#,
        ),
        (
            r#"{"required":["role"],"properties":{"role":{}}}"#,
            r#"{"properties":{}}"#,
        ),
        (
            r#"{"properties":{"\u0072ole":{},"ｒole":{},"as_user":{},"filter.role":{},"where[role]":{},"x/role":{}}}"#,
            r#"{"properties":{}}"#,
        ),
    ]);
}

#[test]
fn what_the_caller_chooses_stays_byte_for_byte() {
    for schema in [
        r#"{ "properties" : {"q\u002f":{"type":"string"} , "tenant_id":{}}, "required" : ["tenant_id"] }"#,
        // Set only where it is sent.
        r#"{"properties":{"team_id":{}},"required":["team_id"]}"#,
        r#"{"properties":{"filter":{"properties":{"user_id":{}}}}}"#,
        r#"{"properties":{"filter.user_id":{}}}"#,
        // Data, keywords and names of definitions are no arguments.
        r#"{"properties":{"kind":{"enum":["role","user_id"],"default":"role","const":"role"}}}"#,
        r#"{"description":"role","title":"role","$defs":{"role":{"type":"string"}},"role":1,"x":{"properties":{"role":{}}}}"#,
        r#"{"properties":{"p":{"properties":["role"],"required":"role","enum":{"role":1}}}}"#,
        r#"{"patternProperties":{"^role$":{},"role":{}}}"#,
        "true",
        "[]",
        r#""role""#,
        "{}",
    ] {
        assert_eq!(shown(schema), schema);
    }
}

#[test]
fn properties_may_be_called_like_keywords() {
    assert_shown(&[(
        r#"{"properties":{"properties":{"type":"object","properties":{"role":{}}},"required":{"required":["role"]},"items":{"enum":["role"]},"role":{}},"required":["required","role"]}"#,
        r#"{"properties":{"properties":{"type":"object","properties":{}},"required":{},"items":{"enum":["role"]}},"required":["required"]}"#,
    )]);
}

#[test]
fn names_under_names_are_hidden() {
    let policy = Policy::parse(
        json!({
            "resource": "https://crm.example.com/mcp",
            "issuers": [{"issuer": "https://a.example", "jwks": {"cluster": "login", "path": "/keys"}}],
            "builtin_arguments": false,
            "arguments": {"user_id": "remove"},
        })
        .to_string()
        .as_bytes(),
    )
    .unwrap();
    let assert_shown = |schema: &str, expected: &str| {
        let item = |schema: &str| format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let shown = listed(&policy, &somebody(), "tools", &item(schema));
        assert_eq!(
            shown,
            format!(r#"{{"result":{{"tools":[{}]}}}}"#, item(expected))
        );
    };
    assert_shown(
        r#"{"properties":{"id":{},"user":{"properties":{"id":{},"n":{}},"required":["id","n"]}}}"#,
        r#"{"properties":{"id":{},"user":{"properties":{"n":{}},"required":["n"]}}}"#,
    );
    assert_shown(
        r#"{"properties":{"User":{"items":{"anyOf":[{"properties":{"ID":{}}},{}]}},"u":{"properties":{"id":{}}}}}"#,
        r#"{"properties":{"User":{"items":{"anyOf":[{"properties":{}},{}]}},"u":{"properties":{"id":{}}}}}"#,
    );
    assert_shown(
        r##"{"properties":{"user":{"$ref":"#/$defs/U"}},"$defs":{"U":{"properties":{"id":{}}}},"default":{"user":[{"id":1,"n":2}]}}"##,
        r##"{"properties":{"user":{"$ref":"#/$defs/U"}},"$defs":{"U":{"properties":{}}},"default":{"user":[{"n":2}]}}"##,
    );
    // The owner's id is the caller's to choose, and it is the same definition.
    let shared = r##"{"properties":{"user":{"$ref":"#/$defs/U"},"owner":{"$ref":"#/$defs/U"}},"$defs":{"U":{"properties":{"id":{}}}}}"##;
    assert_shown(shared, shared);
}

#[test]
fn a_schema_that_a_reference_also_uses_describes_both_places() {
    // `user_id` is set only at the top, so deeper it must be shown.
    let (top, deeper) = (
        r#""allOf":[{"properties":{"user_id":{},"role":{}}}]"#,
        r##""properties":{"x":{"$ref":"#/allOf/0"}}"##,
    );
    let shown_top = r#""allOf":[{"properties":{"user_id":{}}}]"#;
    assert_shown(&[
        (
            &format!("{{{top},{deeper}}}"),
            &format!("{{{shown_top},{deeper}}}"),
        ),
        (
            &format!("{{{deeper},{top}}}"),
            &format!("{{{deeper},{shown_top}}}"),
        ),
        (&format!("{{{top}}}"), r#"{"allOf":[{"properties":{}}]}"#),
    ]);
}

#[test]
fn b07_a_header_of_what_is_not_shown_cannot_be_asked_for() {
    let (policy, identity) = (policy(), somebody());
    let operations = operations(&policy, &identity, Target::Tool("t"));
    let hidden = Hidden::new(&policy, &identity, operations);
    for (path, is_hidden) in [
        (&["userId"][..], true),
        (&["role", "x"], true),
        (&["x", "role"], true),
        (&["x", "user_id"], false),
        (&["team_id"], false),
        (&["tenant_id"], false),
        (&[], false),
    ] {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        assert_eq!(hidden.hides_path(&path), is_hidden, "{path:?}");
    }
}

#[test]
fn a_signed_in_caller_may_do_what_an_anonymous_one_may() {
    let item = r#"{"name":"t","inputSchema":{"properties":{"team_id":{},"q":{}}}}"#;
    let shown = listed(&policy(), Identity::anonymous(), "tools", item);
    assert!(shown.contains(r#"{"properties":{"q":{}}}"#), "{shown}");
}

#[test]
fn b28_prompts_do_not_ask_for_it_either() {
    let prompt = |arguments: &str| {
        format!(
            r#"{{"name":"t","arguments":{arguments},"inputSchema":{{"properties":{{"role":{{}}}}}}}}"#
        )
    };
    for (arguments, expected) in [
        (
            r#"[{"name":"userId","required":true}, {"name":"q"},{"description":"x","name":"role"}]"#,
            r#"[{"name":"q"}]"#,
        ),
        (r#"[{"name":"role"}]"#, "[]"),
        (
            r#"[{"name":"q" }, "role",{"name":"team_id"}]"#,
            r#"[{"name":"q" }, "role",{"name":"team_id"}]"#,
        ),
        (r#"{"name":"role"}"#, r#"{"name":"role"}"#),
    ] {
        let shown = listed(&policy(), &somebody(), "prompts", &prompt(arguments));
        let expected = format!(r#"{{"result":{{"prompts":[{}]}}}}"#, prompt(expected));
        assert_eq!(shown, expected);
    }
    let resource = r#"{"uri":"crm://x","inputSchema":{"properties":{"role":{}}}}"#;
    let shown = listed(&policy(), &somebody(), "resources", resource);
    assert!(shown.contains(resource));
}
