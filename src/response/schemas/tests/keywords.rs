//! Every place where a schema can name an argument.

use super::*;

#[test]
fn names_beside_properties_go_too() {
    assert_shown(&[
        (
            r#"{"dependentRequired":{"role":["a"],"a":["role","b"],"b":["role"]},"dependentSchemas":{"role":{},"a":{"required":["role"]}}}"#,
            r#"{"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{}}}"#,
        ),
        (
            r#"{"dependencies":{"role":{"required":["a"]},"a":["role","b"],"b":{"properties":{"role":{},"x":{}}}}}"#,
            r#"{"dependencies":{"a":["b"],"b":{"properties":{"x":{}}}}}"#,
        ),
        (
            r#"{"propertyNames":{"enum":["role","a"]},"discriminator":{"propertyName":"role"},"a":1}"#,
            r#"{"propertyNames":{"enum":["a"]},"a":1}"#,
        ),
        (
            r#"{"propertyNames":{"enum":["role"]},"properties":{"a":{"propertyNames":{"const":"role"}}}}"#,
            r#"{"properties":{"a":{}}}"#,
        ),
    ]);
}

#[test]
fn schemas_inside_schemas_are_looked_into() {
    for keyword in [
        "additionalProperties",
        "items",
        "unevaluatedItems",
        "additionalItems",
        "contains",
        "then",
        "else",
        "contentSchema",
    ] {
        let schema = |inner: &str| format!(r#"{{"{keyword}":{inner}}}"#);
        assert_shown(&[(
            &schema(r#"{"required":["role","a"]}"#),
            &schema(r#"{"required":["a"]}"#),
        )]);
    }
    for keyword in ["allOf", "anyOf", "prefixItems", "items"] {
        let schema = |inner: &str| format!(r#"{{"{keyword}":[true,{inner}]}}"#);
        assert_shown(&[(
            &schema(r#"{"required":["role","a"]}"#),
            &schema(r#"{"required":["a"]}"#),
        )]);
    }
    for keyword in ["$defs", "definitions", "patternProperties", "properties"] {
        let schema = |inner: &str| format!(r#"{{"{keyword}":{{"A":{inner}}}}}"#);
        assert_shown(&[(
            &schema(r#"{"required":["role","a"]}"#),
            &schema(r#"{"required":["a"]}"#),
        )]);
    }
}

#[test]
fn values_lose_what_their_schema_lost() {
    assert_shown(&[
        (
            r#"{"default":{"role":1,"q":{"role":2,"x":3}},"examples":[{"q":1,"role":2},"role",[{"role":1}]]}"#,
            r#"{"default":{"q":{"x":3}},"examples":[{"q":1},"role",[{}]]}"#,
        ),
        (
            r#"{"properties":{"a":{"const":{"role":1},"enum":[{"a":1,"role":2},{"a":2}],"example":{"role":1}}}}"#,
            r#"{"properties":{"a":{"const":{},"enum":[{"a":1},{"a":2}],"example":{}}}}"#,
        ),
        (
            r#"{"default":{"user_id":1,"x":{"user_id":1}}}"#,
            r#"{"default":{"x":{"user_id":1}}}"#,
        ),
    ]);
}

#[test]
fn b34_nothing_gets_stricter() {
    assert_shown(&[
        (
            r#"{"not":{"required":["role"]},"properties":{"a":{"not":{"required":["x"]}}}}"#,
            r#"{"properties":{"a":{"not":{"required":["x"]}}}}"#,
        ),
        (
            r#"{"if":{"properties":{"role":{"const":"admin"}}},"then":{"required":["x"]},"else":{},"unevaluatedProperties":false}"#,
            "{}",
        ),
        (
            r#"{"if":{"required":["x"]},"then":{"required":["role"]},"unevaluatedProperties":false}"#,
            r#"{"if":{"required":["x"]},"then":{},"unevaluatedProperties":false}"#,
        ),
        (
            r#"{"oneOf":[{"required":["role"]},{"required":["x"]}]}"#,
            r#"{"anyOf":[{},{"required":["x"]}]}"#,
        ),
        (
            r#"{"anyOf":[{}],"oneOf":[{"required":["role"]},{}]}"#,
            r#"{"anyOf":[{}]}"#,
        ),
        (
            r##"{"oneOf":[{"$ref":"#/$defs/A"},{}],"$defs":{"A":{"items":{"required":["role"]},"uniqueItems":true}}}"##,
            r##"{"anyOf":[{"$ref":"#/$defs/A"},{}],"$defs":{"A":{"items":{}}}}"##,
        ),
        (
            r#"{"properties":{"role":{}},"minProperties":2,"allOf":[{"minProperties":1}]}"#,
            r#"{"properties":{},"allOf":[{}]}"#,
        ),
        (
            r#"{"contains":{"required":["role"]},"minContains":1,"maxContains":2,"uniqueItems":true}"#,
            r#"{"contains":{},"minContains":1}"#,
        ),
    ]);
    let untouched = r#"{"oneOf":[{"required":["a"]}],"not":{"$ref":"other.json"},"minProperties":1,"uniqueItems":true,"if":{},"unevaluatedProperties":false}"#;
    assert_eq!(shown(untouched), untouched);
}

#[test]
fn references_lead_somewhere() {
    assert_shown(&[
        // As zod-to-json-schema writes what is used twice.
        (
            r##"{"properties":{"role":{"type":"string","maxLength":9},"q":{"$ref":"#/properties/role"}}}"##,
            r#"{"properties":{"q":{"type":"string","maxLength":9}}}"#,
        ),
        (
            r##"{"properties":{"role":{"type":"string"},"q":{"title":"Q","$ref":"#/properties/role"},"p":{"$ref":"#/properties/role","allOf":[{}]}}}"##,
            r#"{"properties":{"q":{"title":"Q","allOf":[{"type":"string"}]},"p":{"allOf":[{}]}}}"#,
        ),
        (
            r##"{"properties":{"role":{"items":{"$ref":"#/properties/role"},"properties":{"role":{},"a":{}}},"q":{"$ref":"#/properties/role"}}}"##,
            r#"{"properties":{"q":{"items":{},"properties":{"a":{}}}}}"#,
        ),
        (
            r##"{"properties":{"role":true,"q":{"$ref":"#/properties/role"},"r":{"$ref":"#/properties/role/x"}}}"##,
            r##"{"properties":{"q":{"allOf":[true]},"r":{"$ref":"#/properties/role/x"}}}"##,
        ),
        (
            r##"{"properties":{"role":{},"q":{"$ref":"#/properties/role"}}}"##,
            r#"{"properties":{"q":{}}}"#,
        ),
        (
            r##"{"properties":{"role":{"$anchor":"r","type":"null"},"q":{"$ref":"#r"}}}"##,
            r#"{"properties":{"q":{"type":"null"}}}"#,
        ),
        (
            r##"{"$ref":"#/x/a~1b%20c/0","x":{"a/b c":[{"required":["role"]}]}}"##,
            r##"{"$ref":"#/x/a~1b%20c/0","x":{"a/b c":[{}]}}"##,
        ),
        (
            r##"{"oneOf":[{"type":"null"},{"required":["role"]}],"not":{"$ref":"#/oneOf/0"}}"##,
            r##"{"not":{"type":"null"}}"##,
        ),
        // What the tool's own rule adds, it adds at the top only.
        (
            r##"{"$ref":"#/definitions/A","definitions":{"A":{"properties":{"user_id":{},"q":{}}}}}"##,
            r##"{"$ref":"#/definitions/A","definitions":{"A":{"properties":{"q":{}}}}}"##,
        ),
        (
            r##"{"properties":{"role":{},"child":{"$ref":"#"}},"required":["role"]}"##,
            r##"{"properties":{"child":{"$ref":"#"}}}"##,
        ),
    ]);
    let recursive =
        r##"{"properties":{"user_id":{},"child":{"$ref":"#"}},"required":["user_id"]}"##;
    assert_eq!(shown(recursive), recursive);
}

#[test]
fn copies_do_not_grow_without_bound() {
    let target = format!(r#""role":{{"enum":["{}"]}}"#, "x".repeat(1000));
    let users = (0..1000).map(|n| format!(r##""p{n}":{{"$ref":"#/properties/role"}}"##));
    let users: Vec<String> = users.collect();
    let schema = format!(r#"{{"properties":{{{target},{}}}}}"#, users.join(","));
    let shown = shown(&schema);
    assert!(
        shown.len() <= 2 * schema.len(),
        "{} from {}",
        shown.len(),
        schema.len()
    );
    assert!(shown.contains("xxx") && !shown.contains("$ref"));
}

#[test]
fn deep_and_wide_schemas_take_no_long_time() {
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(60), "}".repeat(60));
    assert_eq!(shown(&deep), deep);
    let definitions = (0..3000).map(|n| {
        format!(
            r##""d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{}"}},{{"required":["role"]}}]}}"##,
            (n * 7 + 1) % 3000
        )
    });
    let definitions: Vec<String> = definitions.collect();
    let uses = (0..3000).map(|n| format!(r##""us{n}":{{"$ref":"#/$defs/d{n}"}}"##));
    let uses: Vec<String> = uses.collect();
    let wide = format!(
        r#"{{"properties":{{{}}},"$defs":{{{}}}}}"#,
        uses.join(","),
        definitions.join(",")
    );
    let began = std::time::Instant::now();
    assert!(!shown(&wide).contains("role"));
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn r12_references_by_id_survive_the_cut() {
    assert_shown(&[
        (
            r#"{"properties":{"user_id":{"$id":"person","type":"string"},"q":{"$ref":"person"}}}"#,
            r#"{"properties":{"q":{"type":"string"}}}"#,
        ),
        (
            r##"{"$id":"https://example.com/root","properties":{"user_id":{"$id":"/a/person#","type":"string","$anchor":"p"},"q":{"$ref":"a/person"},"r":{"$ref":"https://example.com/a/person"},"s":{"$ref":"#p"}}}"##,
            r#"{"$id":"https://example.com/root","properties":{"q":{"type":"string"},"r":{"type":"string"},"s":{"type":"string"}}}"#,
        ),
        (
            r##"{"properties":{"user_id":{"$id":"p","$defs":{"n":{"minLength":1}}},"q":{"$ref":"p#/$defs/n"},"r":{"$ref":"p","title":"x"}}}"##,
            r#"{"properties":{"q":{"minLength":1},"r":{"allOf":[{"$defs":{"n":{"minLength":1}}}],"title":"x"}}}"#,
        ),
        // A definition with a URI has names of its own, and its local references are within it.
        (
            r##"{"properties":{"q":{"$ref":"filter"}},"$defs":{"f":{"$id":"filter","properties":{"role":{},"x":{"$ref":"#/$defs/x"}},"$defs":{"x":{"properties":{"role":{}}}}},"x":{"title":"other"}}}"##,
            r##"{"properties":{"q":{"$ref":"filter"}},"$defs":{"f":{"$id":"filter","properties":{"x":{"$ref":"#/$defs/x"}},"$defs":{"x":{"properties":{}}}},"x":{"title":"other"}}}"##,
        ),
        // Another document.
        (
            r#"{"properties":{"role":{},"q":{"$ref":"elsewhere"}}}"#,
            r#"{"properties":{"q":{"$ref":"elsewhere"}}}"#,
        ),
    ]);
}
