//! Arguments of hostile calls.

use serde_json::json;

use super::Sample;

pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        name: "many keys",
        make: |size| object(size, |n| (format!("k{n}"), "1".to_owned())),
    },
    Sample {
        name: "many objects",
        make: |size| member("list", &list(size, "{\"a\":1}")),
    },
    Sample {
        name: "objects whose last key starts a name",
        make: |size| member("list", &list(size, "{\"a\":[[{\"b\":1}]],\"us\":1}")),
    },
    Sample {
        name: "nested lists with such a key behind them",
        make: |size| {
            let nested = format!("{}1{}", "[".repeat(8), "]".repeat(8));
            member("list", &list(size, &format!("{{\"a\":{nested},\"us\":1}}")))
        },
    },
    Sample {
        name: "nested lists in a string",
        make: |size| text(&"[".repeat(size)),
    },
    Sample {
        name: "nested objects in a string",
        make: |size| text(&"{\"a\":".repeat(size / 7)),
    },
    Sample {
        name: "JSON lines in a string",
        make: |size| text(&"{\"op\":1}\n".repeat(size / 12)),
    },
    Sample {
        name: "broken JSON lines in a string",
        make: |size| text(&"{\"op\":NaN\n".repeat(size / 13)),
    },
    Sample {
        name: "values without spaces in a string",
        make: |size| text(&"{}".repeat(size / 2)),
    },
    Sample {
        name: "starts of comments in a string",
        make: |size| text(&"{/*".repeat(size / 3)),
    },
    Sample {
        name: "line comments in a string",
        make: |size| text(&"{//\n#".repeat(size / 6)),
    },
    Sample {
        name: "quotes in a string",
        make: |size| text(&"{\"".repeat(size / 3)),
    },
    Sample {
        name: "backslashes in a string",
        make: |size| text(&"{\"\\".repeat(size / 5)),
    },
    Sample {
        name: "spaces before JSON in a string",
        make: |size| text(&"\u{a0}".repeat(size / 2)),
    },
    Sample {
        name: "JSON in a string in a string",
        make: |size| {
            text(&json!({"a": json!({"b": "c ".repeat(size / 2)}).to_string()}).to_string())
        },
    },
    Sample {
        name: "strings of JSON",
        make: |size| member("list", &list(size, r#""{\"a\":\"{}\"}""#)),
    },
    Sample {
        name: "a key as a long path",
        make: |size| object_of_one(&"a/".repeat(size / 2)),
    },
    Sample {
        name: "a key of letters that fold to many",
        make: |size| object_of_one(&"\u{fdfa}".repeat(size / 3)),
    },
    Sample {
        name: "keys as paths",
        make: |size| object(size, |n| (format!("a/b.c[{n}]->d"), "1".to_owned())),
    },
    Sample {
        name: "a URI with a long query",
        make: |size| text(&format!("crm://x?{}", "a=1&".repeat(size / 4))),
    },
    Sample {
        name: "a URI with matrix parameters",
        make: |size| text(&format!("crm://x{}", ";a=1".repeat(size / 4))),
    },
    Sample {
        name: "a URI with encoded text",
        make: |size| text(&format!("crm://x?{}", "%2525".repeat(size / 5))),
    },
    Sample {
        name: "a condition over two lists",
        make: two_lists,
    },
    Sample {
        name: "long escapes",
        make: |size| text_raw(&"\\u0061".repeat(size / 6)),
    },
    Sample {
        name: "long numbers",
        make: |size| member("n", &"1".repeat(size)),
    },
];

/// Two lists for `args.ids.all(x, x in args.allowed)`.
fn two_lists(size: usize) -> Vec<u8> {
    let numbers: Vec<usize> = (100_000..).take(size / 14).collect();
    json!({"ids": numbers, "allowed": numbers})
        .to_string()
        .into_bytes()
}

fn object(size: usize, item: impl Fn(usize) -> (String, String)) -> Vec<u8> {
    let mut text = String::from("{");
    for number in 0.. {
        let (key, value) = item(number);
        if text.len() + key.len() + value.len() + 5 > size {
            break;
        }
        if number > 0 {
            text.push(',');
        }
        text.push_str(&format!("{}:{value}", json!(key)));
    }
    text.push('}');
    text.into_bytes()
}

fn object_of_one(key: &str) -> Vec<u8> {
    json!({key: 1}).to_string().into_bytes()
}

fn list(size: usize, item: &str) -> String {
    let count = size / (item.len() + 1);
    format!("[{}]", vec![item; count].join(","))
}

fn member(name: &str, value: &str) -> Vec<u8> {
    format!("{{\"{name}\":{value}}}").into_bytes()
}

/// A string as an argument.
fn text(text: &str) -> Vec<u8> {
    json!({"q": text}).to_string().into_bytes()
}

/// A string that is written as in JSON already.
fn text_raw(text: &str) -> Vec<u8> {
    format!("{{\"q\":\"{text}\"}}").into_bytes()
}
