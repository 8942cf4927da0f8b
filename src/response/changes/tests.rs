use proptest::prelude::*;

use super::*;

/// A change of the value with a number, if there is one.
#[derive(Debug, Clone)]
enum Step {
    Remove(usize),
    Text(usize, String),
    Withhold(usize),
    Json(usize),
    Key(usize, String),
    /// Removes the first member of the JSON in a text.
    Inside(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0..24_usize;
    prop_oneof![
        number().prop_map(Step::Remove),
        (number(), "[a\"\\\\é]{0,4}").prop_map(|(at, text)| Step::Text(at, text)),
        number().prop_map(Step::Withhold),
        number().prop_map(Step::Json),
        (number(), "[xy\"]{1,3}").prop_map(|(at, key)| Step::Key(at, key)),
        number().prop_map(Step::Inside),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::json!(null)),
        any::<u8>().prop_map(serde_json::Value::from),
        "[ab\\n\"]{0,3}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::from(r#"{"a":1,"b":[2]}"#)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::hash_map("[a-d]{1,2}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn all<'n>(node: &'n Node, found: &mut Vec<&'n Child>) {
    for child in node.children() {
        found.push(child);
        all(&child.node, found);
    }
}

fn apply(step: &Step, children: &[&Child], changes: &mut Changes) {
    let child = |at: &usize| children.get(*at).copied();
    let text = |at: &usize| child(at).filter(|child| child.node.text().is_some());
    match step {
        Step::Remove(at) => child(at)
            .into_iter()
            .for_each(|child| changes.remove(child)),
        Step::Text(at, now) => {
            if let Some(child) = text(at) {
                changes.set_text(&child.node, now.clone());
            }
        }
        Step::Withhold(at) => text(at)
            .into_iter()
            .for_each(|it| changes.withhold(&it.node)),
        Step::Json(at) => {
            if let Some(child) = child(at) {
                changes.set_json(&child.node, "[0]");
            }
        }
        Step::Key(at, key) => {
            if let Some(child) = child(at).filter(|child| !child.key_span.is_empty()) {
                changes.set_key(child, key.clone());
            }
        }
        Step::Inside(at) => {
            let opened = text(at).and_then(|child| changes.open(&child.node, 8));
            if let Some(Held::Json(mut inner)) = opened {
                if let Some(first) = inner.node.children().first() {
                    inner.changes.remove(first);
                }
                changes.close(inner);
            }
        }
    }
}

proptest! {
    /// The numbers of the values lead to the same text as a search for the places of the edits.
    #[test]
    fn b33_changes_in_order_are_those_among_edits(
        value in json(),
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let body = value.to_string();
        let message = Node::read(body.as_bytes(), 16).unwrap();
        let mut children = Vec::new();
        all(&message, &mut children);
        let mut changes = Changes::default();
        for step in &steps {
            apply(step, &children, &mut changes);
        }
        let in_order = changes.apply_in_order(body.as_bytes());
        let among = changes.apply_among_edits(body.as_bytes());
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert_eq!(text(in_order.clone()), text(among));
        if let Some(changed) = in_order {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&changed).is_ok());
        }
    }
}

#[test]
fn what_is_gone_stays_gone() {
    let body = r#"{"a":{"b":"x","c":1},"d":"y"}"#;
    let message = Node::read(body.as_bytes(), 8).unwrap();
    let [a, d] = message.members() else {
        panic!("two members");
    };
    let [b, c] = a.node.members() else {
        panic!("two members");
    };
    let mut changes = Changes::default();
    changes.set_text(&b.node, "new");
    changes.remove(a);
    for inner in [&a.node, &b.node, &c.node] {
        assert!(changes.is_gone(inner));
    }
    changes.set_text(&b.node, "newer");
    changes.set_json(&c.node, "2");
    changes.set_json(&a.node, "3");
    changes.set_key(b, "e".to_owned());
    assert!(!changes.is_gone(&d.node));
    let changed = changes.apply(body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(changed).unwrap(), r#"{"d":"y"}"#);
    assert_eq!(changes.text(&b.node), None);
    assert_eq!(changes.number(&c.node), None);
}

#[test]
fn a_withheld_text_stays_withheld() {
    let body = r#"["x"]"#;
    let message = Node::read(body.as_bytes(), 8).unwrap();
    let text = &message.children()[0].node;
    let mut changes = Changes::default();
    changes.withhold(text);
    changes.set_text(text, "y");
    assert!(changes.open(text, 8).is_none());
    assert_eq!(
        changes.apply(body.as_bytes()).unwrap(),
        br#"["[withheld]"]"#
    );
}
