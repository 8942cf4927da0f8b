//! Results, lists and event streams of hostile servers, or of users that can write what a server returns.

use serde_json::{Value, json};

use super::Sample;

/// Results of calls.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample {
        name: "starts of secrets",
        make: |size| words("eyJAKIA", size),
    },
    Sample {
        name: "starts of mail addresses",
        make: |size| words("a@", size),
    },
    Sample {
        name: "dots before a mail address",
        make: |size| words("a.", size),
    },
    Sample {
        name: "mail addresses",
        make: |size| words("u@e.org ", size),
    },
    Sample {
        name: "digits",
        make: |size| words("4", size),
    },
    Sample {
        name: "groups of digits",
        make: |size| words("4111 ", size),
    },
    Sample {
        name: "starts of account numbers",
        make: |size| words("DE89 ", size),
    },
    Sample {
        name: "starts of telephone numbers",
        make: |size| words("+49 (", size),
    },
    Sample {
        name: "JSON lines",
        make: |size| words("{\"ssn\":1}\n", size),
    },
    Sample {
        name: "broken JSON",
        make: |size| words("{\"ssn\":NaN,", size),
    },
    Sample {
        name: "nested lists in a text",
        make: |size| words("[", size),
    },
    Sample {
        name: "starts of comments",
        make: |size| words("{/*", size),
    },
    Sample {
        name: "base64",
        make: |size| words("eyJz", size),
    },
    Sample {
        name: "links to JSON",
        make: |size| words("[{}](x) ", size),
    },
    Sample {
        name: "records",
        make: |size| structured(size, |n| json!({"organization_id": "acme", "n": n})),
    },
    Sample {
        name: "records of others",
        make: |size| {
            structured(
                size,
                |n| json!({"organization_id": "globex", "name": format!("n{n}")}),
            )
        },
    },
    Sample {
        name: "hidden values",
        make: |size| {
            structured(
                size,
                |n| json!({"organization_id": "acme", "ssn": format!("s-{n}")}),
            )
        },
    },
    Sample {
        name: "hidden values that texts repeat",
        make: repeated,
    },
    Sample {
        name: "one hidden value in many texts",
        make: one_value_repeated,
    },
    Sample {
        name: "tables",
        make: |size| structured(size, |n| json!({"columns": ["ssn"], "rows": [[n]]})),
    },
    Sample {
        name: "a table of many rows",
        make: table,
    },
    Sample {
        name: "a table of many columns",
        make: wide_table,
    },
    Sample {
        name: "names and values",
        make: |size| structured(size, |n| json!({"name": "ssn", "value": n})),
    },
    Sample {
        name: "text blocks",
        make: |size| blocks(size),
    },
    Sample {
        name: "nested objects",
        make: |size| structured(size, |_| json!({"a": {"b": {"c": {"d": {}}}}})),
    },
    Sample {
        name: "strings of JSON",
        make: |size| structured(size, |_| json!("{\"a\":\"{\\\"b\\\":1}\"}")),
    },
];

/// Results of `tools/list`.
pub(crate) const LISTS: &[Sample] = &[
    Sample {
        name: "tools",
        make: |size| tools(size, |_| json!({"type": "object"})),
    },
    Sample {
        name: "a chain of references",
        make: reference_chain,
    },
    Sample {
        name: "alternatives that are references",
        make: alternatives,
    },
    Sample {
        name: "properties that are identities",
        make: identities,
    },
    Sample {
        name: "nested schemas",
        make: nested_schema,
    },
    Sample {
        name: "a long description",
        make: |size| described(&"crm.a ".repeat(size / 6)),
    },
];

/// Whole event streams.
pub(crate) const STREAMS: &[Sample] = &[
    Sample {
        name: "small events",
        make: |size| event().repeat(size / event().len()),
    },
    Sample {
        name: "lines without an event",
        make: |size| ": \n".repeat(size / 3).into_bytes(),
    },
    Sample {
        name: "one event without an end",
        make: |size| format!("data: {}", "a".repeat(size)).into_bytes(),
    },
    Sample {
        name: "one event of many lines",
        make: |size| "data:\n".repeat(size / 6).into_bytes(),
    },
    Sample {
        name: "empty lines",
        make: |size| "\r".repeat(size).into_bytes(),
    },
];

fn event() -> &'static [u8] {
    b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":{\"ssn\":1}}}\n\n"
}

fn words(word: &str, size: usize) -> Vec<u8> {
    let text = word.repeat(size / word.len());
    json!({"content": [{"type": "text", "text": text}]})
        .to_string()
        .into_bytes()
}

fn many(size: usize, item: impl Fn(usize) -> Value) -> Vec<Value> {
    let length = item(10_000).to_string().len() + 1;
    (0..size / length).map(item).collect()
}

fn structured(size: usize, item: impl Fn(usize) -> Value) -> Vec<u8> {
    json!({"content": [], "structuredContent": {"items": many(size, item)}})
        .to_string()
        .into_bytes()
}

fn blocks(size: usize) -> Vec<u8> {
    let content = many(
        size,
        |n| json!({"type": "text", "text": format!("note {n}")}),
    );
    json!({"content": content}).to_string().into_bytes()
}

/// Half of it are hidden values, and half are texts that repeat them.
fn repeated(size: usize) -> Vec<u8> {
    let items = many(
        size / 2,
        |n| json!({"organization_id": "acme", "ssn": format!("secret-{n}")}),
    );
    let text: String = (0..items.len()).map(|n| format!("secret-{n} ")).collect();
    json!({"content": [{"type": "text", "text": text}], "structuredContent": {"items": items}})
        .to_string()
        .into_bytes()
}

fn one_value_repeated(size: usize) -> Vec<u8> {
    let content = many(
        size,
        |_| json!({"type": "text", "text": "it is s-e-c-r-e-t"}),
    );
    json!({"content": content, "structuredContent": {"ssn": "s-e-c-r-e-t"}})
        .to_string()
        .into_bytes()
}

fn table(size: usize) -> Vec<u8> {
    let rows = many(size, |n| json!([n, "x"]));
    json!({"content": [], "structuredContent": {"columns": ["ssn", "name"], "rows": rows}})
        .to_string()
        .into_bytes()
}

fn wide_table(size: usize) -> Vec<u8> {
    let columns = many(size / 2, |n| json!(format!("column {n}")));
    let row: Vec<usize> = (0..columns.len()).collect();
    json!({"content": [], "structuredContent": {"columns": columns, "rows": [row]}})
        .to_string()
        .into_bytes()
}

fn tools(size: usize, schema: impl Fn(usize) -> Value) -> Vec<u8> {
    let tools = many(
        size,
        |n| json!({"name": format!("crm.t{n}"), "inputSchema": schema(n)}),
    );
    json!({"tools": tools}).to_string().into_bytes()
}

fn tool(schema: &Value) -> Vec<u8> {
    json!({"tools": [{"name": "crm.search", "inputSchema": schema}]})
        .to_string()
        .into_bytes()
}

fn described(description: &str) -> Vec<u8> {
    let tool = json!({"name": "crm.search", "description": description, "inputSchema": {"type": "object"}});
    json!({"tools": [tool]}).to_string().into_bytes()
}

fn reference_chain(size: usize) -> Vec<u8> {
    let count = size / 32;
    let definitions: serde_json::Map<String, Value> = (0..count)
        .map(|n| {
            (
                format!("d{n}"),
                json!({"$ref": format!("#/$defs/d{}", n + 1)}),
            )
        })
        .collect();
    tool(
        &json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}),
    )
}

fn alternatives(size: usize) -> Vec<u8> {
    let one_of = many(size, |_| json!({"$ref": "#/$defs/a"}));
    let a = json!({"type": "object", "properties": {"user_id": {"type": "string"}}});
    tool(&json!({"type": "object", "oneOf": one_of, "$defs": {"a": a}}))
}

fn identities(size: usize) -> Vec<u8> {
    let all_of = many(
        size,
        |_| json!({"properties": {"user_id": {"type": "string"}}, "required": ["user_id"]}),
    );
    tool(&json!({"type": "object", "allOf": all_of}))
}

fn nested_schema(size: usize) -> Vec<u8> {
    let items = many(
        size,
        |_| json!({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}),
    );
    tool(&json!({"type": "object", "anyOf": items}))
}
