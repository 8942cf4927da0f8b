//! The keys of `seal`.

use super::*;

fn seal(seal: Value) -> Value {
    with("/seal", seal)
}

fn keys(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"env": name})).collect()
}

#[test]
fn one_key_has_two_spellings() {
    for written in [
        json!({"key_env": "ONE"}),
        json!({"keys": [{"env": "ONE"}]}),
        json!({"keys": [{"env": "ONE"}], "names_env": "ONE"}),
    ] {
        let seal = parse(&seal(written)).seal.unwrap();
        let keys: Vec<String> = seal.keys().map(|(_, name)| name.to_string()).collect();
        assert_eq!(keys, ["ONE"]);
        assert_eq!(&**seal.names().unwrap().1, "ONE");
    }
}

#[test]
fn names_stay_when_keys_change() {
    for (order, names) in [(["OLD", "NEW"], "OLD"), (["NEW", "OLD"], "OLD")] {
        let written = json!({"keys": keys(&order), "names_env": names});
        let seal = parse(&seal(written)).seal.unwrap();
        let keys: Vec<String> = seal.keys().map(|(_, name)| name.to_string()).collect();
        assert_eq!(
            (keys, &**seal.names().unwrap().1),
            (order.map(String::from).to_vec(), names)
        );
    }
    let last = parse(&seal(json!({"keys": keys(&["NEW"]), "names_env": "OLD"})));
    assert_eq!(last.seal.unwrap().names().unwrap().0, "seal.names_env");
}

#[test]
fn keys_that_cannot_be_meant_are_refused() {
    for (written, says) in [
        (json!({}), "seal: expected `key_env`"),
        (json!({"names_env": "X"}), "seal: expected `key_env`"),
        (json!({"keys": []}), "seal: expected `key_env`"),
        (
            json!({"key_env": "A", "keys": keys(&["B"])}),
            "seal.keys: expected `key_env` or `keys`",
        ),
        (
            json!({"keys": keys(&["A", "B"])}),
            "seal.names_env: needed with several keys",
        ),
        (
            json!({"keys": keys(&["A", "B", "A"]), "names_env": "A"}),
            "seal.keys[2].env: found `A` before",
        ),
        (
            json!({"keys": keys(&["A", "B", "C", "D", "E"]), "names_env": "A"}),
            "seal.keys: expected at most 4 keys",
        ),
        (json!({"keys": ["A"]}), "seal.keys[0]"),
        (json!({"keys": [{"env": ""}]}), "seal.keys[0].env"),
        (json!({"keys": [{"key": "x"}]}), "seal.keys[0].key"),
    ] {
        let errors = Policy::parse(seal(written.clone()).to_string().as_bytes()).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            errors.iter().any(|error| error.starts_with(says)),
            "{written}: {errors:?}"
        );
    }
}
