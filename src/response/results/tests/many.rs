//! Answers with many values that belong to other organizations.

use serde_json::{Value, json};

use super::{after, judged};

fn rules() -> Value {
    let owner = json!({"field": "organization_id", "is": "organization"});
    json!([{"tools": ["*"], "owner": owner, "text": "keep"}])
}

fn customer(number: usize) -> Value {
    let organization = if number.is_multiple_of(2) {
        "acme"
    } else {
        "globex"
    };
    json!({
        "id": format!("cust-{number}"),
        "organization_id": organization,
        "name": format!("Customer {number}"),
        "email": format!("c{number}@{organization}.example"),
        "note": format!("introduced by c{}@globex.example", number | 1),
    })
}

fn customers(count: usize) -> Vec<Value> {
    (0..count).map(customer).collect()
}

/// A list as text and as structured content.
fn message(list: &[Value], text: &str) -> Value {
    let block = |text: &str| json!({"type": "text", "text": text});
    let written = Value::from(list.to_vec()).to_string();
    json!({"result": {
        "content": [block(&written), block(text)],
        "structuredContent": {"items": list},
    }})
}

/// The caller's own customers, whose notes name another organization.
fn expected(count: usize, note: &str) -> Value {
    let mut own: Vec<Value> = customers(count).into_iter().step_by(2).collect();
    for customer in &mut own {
        customer["note"] = note.into();
    }
    own.into()
}

#[test]
fn b33_of_a_long_list_the_callers_own_is_left_as_it_is() {
    let list = customers(100);
    let after = after(
        rules(),
        message(&list, "See cust-7, c7@globex.example, and cust-70."),
    );
    let own = expected(100, "introduced by ***");
    assert_eq!(after["result"]["structuredContent"]["items"], own);
    let written = after["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(written).unwrap(), own);
    assert_eq!(
        after["result"]["content"][1]["text"],
        "See ***, ***, and cust-70."
    );
}

/// With one comparison of each value with each key this would not end.
#[test]
fn b33_the_cost_grows_with_the_answer_only() {
    let count = 3_000;
    let mut list = customers(count);
    let keys = |number: usize| (0..10).map(move |key| (format!("k-{number}-{key}"), json!(true)));
    for (number, customer) in list.iter_mut().enumerate() {
        customer.as_object_mut().unwrap().extend(keys(number));
    }
    let after = after(rules(), message(&list, "x"));
    let items = &after["result"]["structuredContent"]["items"];
    assert_eq!(items[7]["id"], "cust-14");
    assert_eq!(items[7]["note"], "introduced by ***");
    assert_eq!(items[7]["k-14-3"], true);
}

#[test]
fn b33_of_too_many_values_fields_are_compared_as_a_whole() {
    let long = |number: usize| format!("{number:0>300}");
    let mut list: Vec<Value> = (0..2_000)
        .map(|number| json!({"organization_id": "globex", "secret": long(number)}))
        .collect();
    list.push(json!({
        "organization_id": "acme", "id": "cust-1", "name": "Ann Smith", "same": long(5),
        "short": "cust-1 has x-1", "prose": "p ".repeat(40), long(6): 1, long(3_000): 2,
        "bytes": "a".repeat(300),
    }));
    list.push(json!({"organization_id": "globex", "secret": "x-12"}));
    list.push(
        json!({"organization_id": "acme", "short": "cust-1 has (x-12)", "other": "cust-x-12"}),
    );
    let after = after(rules(), message(&list, "Ann has x-12"));
    assert_eq!(
        after["result"]["structuredContent"]["items"],
        json!([
            {
                "organization_id": "acme", "id": "cust-1", "name": "Ann Smith", "same": long(5),
                "short": "cust-1 has x-1", "prose": "[withheld]", "***0": 1, long(3_000): 2,
                "bytes": "a".repeat(300),
            },
            {"organization_id": "acme", "short": "[withheld]", "other": "cust-x-12"},
        ])
    );
    assert_eq!(after["result"]["content"][1]["text"], "[withheld]");
}

/// Values that start alike, each of which stands wherever another one does.
#[test]
fn b33_values_inside_each_other_do_not_multiply() {
    let foreign =
        (4..700).map(|length| json!({"organization_id": "globex", "x": "-".repeat(length)}));
    let mut list: Vec<Value> = foreign.collect();
    list.push(json!({"organization_id": "acme", "id": "cust-1", "line": "-".repeat(9_000)}));
    let judged = judged(rules(), &message(&list, &"-".repeat(100_000))).unwrap();
    let after: Value = serde_json::from_slice(&judged.body.unwrap()).unwrap();
    assert_eq!(after["result"]["content"][1]["text"], "[withheld]");
    assert_eq!(
        after["result"]["structuredContent"]["items"][0]["id"],
        "cust-1"
    );
}
