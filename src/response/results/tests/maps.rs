//! Objects in maps, and values beside what was taken out.

use serde_json::{Value, json};

use super::{after, owner, structured};

#[test]
fn s17_an_object_without_an_owner_in_a_map_of_records_is_refused() {
    let own = || json!({"organization_id": "acme"});
    for content in [
        json!({"c1": own(), "c2": {"name": "X"}}),
        json!({"data": {"c1": own(), "c2": {"name": "X"}}}),
        json!({"data": {"c1": {"customer": own()}, "c2": {"customer": {"name": "X"}}}}),
        json!({"c1": own(), "c2": json!({"name": "X"}).to_string()}),
        json!({"c2": {"name": "X"}, "c1": json!({"organization_id": "acme"}).to_string()}),
        json!({"c1": own(), "c2": {"lines": [], "a": {"b": {"c": 1}}}}),
        json!([{"c1": own(), "c2": {"name": "X"}}]),
    ] {
        assert!(
            structured(owner(json!({})), content.clone()).is_err(),
            "{content}"
        );
        let kept = structured(owner(json!({"missing": "keep"})), content.clone());
        assert_eq!(kept.unwrap(), content);
    }
    let dropped = structured(
        owner(json!({"missing": "drop"})),
        json!({"c1": own(), "c2": {"name": "X"}, "c3": own()}),
    );
    assert_eq!(dropped.unwrap(), json!({"c1": own(), "c3": own()}));
}

#[test]
fn s17_what_stands_around_the_callers_own_objects_stays() {
    let own = || json!({"organization_id": "acme", "address": {"city": "X"}});
    for content in [
        json!({"items": [own()], "page": {"next": "x"}, "facets": {"city": {"X": 1}}}),
        json!({"customer": own(), "page": {"size": 9}, "_links": {"self": "/1"}, "meta": {"took": 3}}),
        json!({"customer": own(), "empty": {}, "nothing": {"a": null, "b": ""}}),
        json!({"organization_id": "acme", "contact": {"name": "x"}, "address": {"city": "y"}}),
        json!({"c1": own(), "c2": own()}),
        json!({"c1": own(), "total": 1, "title": "Customers"}),
    ] {
        let left = structured(owner(json!({})), content.clone());
        assert_eq!(left.unwrap(), content);
    }
}

#[test]
fn s17_a_text_beside_the_list_does_not_repeat_what_was_taken_out() {
    let content = json!({
        "title": "Umbrella Foods", "labels": ["Umbrella Foods", "Acme Foods"], "count": 987_654,
        "items": [
            {"organization_id": "acme", "name": "Acme Foods", "city": "Springfield"},
            {"organization_id": "globex", "name": "Umbrella Foods", "city": "Springfield", "no": 987_654},
        ],
        "near": "Springfield",
    });
    let left = structured(owner(json!({})), content).unwrap();
    assert_eq!(
        left,
        json!({
            "title": "***", "labels": ["***", "Acme Foods"], "count": 0,
            "items": [{"organization_id": "acme", "name": "Acme Foods", "city": "Springfield"}],
            "near": "Springfield",
        })
    );
}

#[test]
fn s17_keys_inside_a_hidden_field_are_hidden() {
    for with in ["mask", "remove", "hash", "last4"] {
        let rules = json!([{"tools": ["*"], "redact": ["ssn"], "with": with, "text": "keep"}]);
        for hidden in [
            json!({"123-45-6789": "x"}),
            json!([{"123-45-6789": 1}]),
            json!({"a": {"b": [{"123-45-6789": null}]}}),
            json!([["123-45-6789"]]),
        ] {
            let message = json!({"result": {
                "content": [{"type": "text", "text": "see 123-45-6789"}],
                "structuredContent": {"ssn": hidden, "by": {"123-45-6789": 1}},
            }});
            let shown = after(rules.clone(), message.clone()).to_string();
            assert!(!shown.contains("123-45"), "{with} {message}: {shown}");
        }
    }
    let rules: Value = json!([{"tools": ["*"], "redact": ["card"]}]);
    let content = json!({"card": {"number": "4111", "Ann Smith": 1, "line1": 2}, "line1": "card"});
    let shown = structured(rules, content).unwrap();
    let card = shown["card"].as_object().unwrap();
    assert!(card["number"] == "***" && card.len() == 3, "{shown}");
    assert!(
        card.keys()
            .all(|key| key == "number" || key.starts_with("***"))
    );
    assert_eq!(shown["line1"], "card");
}

#[test]
fn s17_keys_of_what_was_taken_out_are_not_repeated() {
    let content = json!([
        {"organization_id": "acme", "note": "not 987-65-4321"},
        {"organization_id": "globex", "by_number": {"987-65-4321": true}},
    ]);
    let left = structured(owner(json!({})), content).unwrap();
    assert_eq!(
        left,
        json!([{"organization_id": "acme", "note": "not ***"}])
    );
}
