//! Answers as real servers send them: large ones, keep-alive events, JSON that is not strict, forms.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Outcome, Request};
use super::{call, policy, send};
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const SSN: &str = "123-45-6789";

fn hides(text: &str) -> Rc<Policy> {
    policy(json!({"results": [{"tools": ["*"], "redact": ["ssn"], "text": text}]}))
}

fn list() -> Request {
    Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
}

fn result(result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

/// The answer to a call, in one piece: large answers take long in every chunking.
fn once(policy: &Rc<Policy>, headers: &[(&str, &str)], body: &str) -> Outcome {
    let request = call("crm.get", "{}").answered(headers, body);
    FakeProxy::new(policy).send(&request, &[1000, 500_000], false)
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("x"), |inner, _| json!({"a": inner}))
}

#[test]
fn r1_an_image_of_three_megabytes_passes_by_default() {
    let image = "iVBO".repeat(1_000_000 + 50_000);
    let body =
        result(&json!({"content": [{"type": "image", "data": image, "mimeType": "image/png"}]}))
            .to_string();
    for text in ["keep", "withhold"] {
        assert!(once(&hides(text), JSON, &body).client_body() == body);
        let event = format!("data: {body}\n\n");
        assert!(once(&hides(text), EVENTS, &event).client_body() == event);
    }
}

#[test]
fn r1_an_answer_over_the_limit_is_an_error_that_names_the_limit() {
    let small = policy(json!({
        "max_response": 1000, "results": [{"tools": ["*"], "redact": ["ssn"]}],
    }));
    let body =
        result(&json!({"content": [{"type": "text", "text": "x".repeat(2000)}]})).to_string();
    let length = body.len().to_string();
    let event = format!("data: {body}\n\n");
    let sized = [JSON, &[("content-length", &length)]].concat();
    for (headers, body) in [(JSON, &body), (&sized, &body), (EVENTS, &event)] {
        let outcome = send(&small, &call("crm.get", "{}").answered(headers, body));
        assert_eq!(outcome.client_header(":status"), Some("200"));
        let shown = outcome.client_body();
        let shown = shown
            .strip_prefix("event: message\ndata: ")
            .unwrap_or(&shown);
        let error: Value = serde_json::from_str(shown).unwrap();
        assert_eq!(
            (&error["id"], &error["error"]["code"]),
            (&json!(1), &json!(-32603))
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("1000 bytes") && message.contains("`max_response`"),
            "{message}"
        );
        assert_eq!(outcome.record.decision.reason, "upstream_answer_too_large");
        let next = outcome.record.decision.next_action.unwrap();
        assert!(next.contains("per_connection_buffer_limit_bytes"));
    }
}

#[test]
fn r1_the_headers_decide_about_an_answer_that_announces_its_length() {
    let small = |rules: Value| policy(json!({"max_response": 1000, "results": rules}));
    let rule = json!([{"tools": ["*"], "redact": ["ssn"]}]);
    let request = |status, length| {
        let headers = [
            (":status", status),
            ("content-type", "application/json"),
            ("content-length", length),
        ];
        // The fake proxy gives the length to the client, so that the bodies fit.
        let body = "x".repeat(length.parse().unwrap());
        call("crm.get", "{}").answered(&headers, &body)
    };
    let refused = send(&small(rule.clone()), &request("200", "1001"));
    assert_eq!(refused.record.decision.reason, "upstream_answer_too_large");
    assert_eq!(
        refused.client_header("content-type"),
        Some("application/json")
    );
    let failed = send(&small(rule), &request("500", "1001"));
    assert_eq!(failed.client_header(":status"), Some("500"));
    assert_eq!(failed.record.decision.reason, "upstream_answer_too_large");
    // Without a rule it passes.
    let passed = send(&small(json!([])), &request("200", "1001"));
    assert_eq!(passed.client_body(), "x".repeat(1001));
    assert_eq!(passed.record.decision.reason, "allowed");
}

#[test]
fn r2_an_event_that_is_no_message_does_not_end_a_stream() {
    let answer = result(&json!({"structuredContent": {"ssn": SSN}}));
    for ping in [
        "event: ping\ndata: ping\n\n",
        "data: ping\n\n",
        "data: [DONE]\n\n",
        ": hi\n\n",
        "event: keepalive\ndata: 1785000000\n\n",
        "data: \"123-45-6789\"\n\n",
        "data:\n\n",
        "event: x\n\n",
        "retry: 100\n\n",
        "id: 1\ndata: \n\n",
    ] {
        let stream = format!("{ping}data: {answer}\n\n{ping}");
        for request in [call("crm.get", "{}"), list(), Request::method("GET")] {
            for policy in [
                hides("withhold"),
                policy(json!({"errors": "withhold"})),
                policy(json!({})),
            ] {
                let outcome = send(&policy, &request.clone().answered(EVENTS, &stream));
                let shown = outcome.client_body();
                assert!(
                    shown.contains("\"result\"") && !shown.contains("-32603"),
                    "{ping}: {shown}"
                );
                assert_eq!(outcome.record.decision.verdict.name(), "approved", "{ping}");
            }
            let shown = send(
                &hides("withhold"),
                &request.clone().answered(EVENTS, &stream),
            )
            .client_body();
            assert!(!shown.contains(SSN), "{shown}");
        }
    }
}

#[test]
fn r2_on_a_stream_of_its_own_a_message_that_cannot_be_read_is_left_out() {
    let good = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": {"ssn": SSN, "a": 1}}});
    let bad = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":{"ssn":"123-45-6789","x":NaN}}}"#;
    let stream = format!("id: 7\nevent: message\ndata: {bad}\n\ndata: {good}\n\n");
    let policy = policy(json!({
        "results": [{"tools": ["*"], "redact": ["ssn"]}], "seal": {"key_env": "KEY"},
    }));
    let outcome = send(&policy, &Request::method("GET").answered(EVENTS, &stream));
    let shown = outcome.client_body();
    assert!(!shown.contains(SSN) && !shown.contains("id: 7"), "{shown}");
    assert!(
        shown.contains(r#""a":"#) && !shown.contains("NaN"),
        "{shown}"
    );
    assert_eq!(outcome.record.withheld["upstream_answer_uncheckable"], 1);
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}"#;
    let stream = format!("data: {response}\n\ndata: {good}\n\n");
    let outcome = send(&policy, &Request::method("GET").answered(EVENTS, &stream));
    assert!(outcome.client_body().contains("-32603"));
}

#[test]
fn r10_without_rules_a_name_of_a_member_blocks_no_answer() {
    let error = json!({"error": deep(70)});
    let bodies = [
        result(&json!({"structuredContent": error, "content": []})).to_string(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":"\ud800"}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":NaN}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"taskId":NaN,"requestState":Infinity}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":1,"error":2}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"\ud800"}]}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":{"error":NaN}}}"#.to_owned(),
    ];
    let sealed = policy(json!({"seal": {"key_env": "KEY"}}));
    for body in &bodies {
        for policy in [&super::default(), &sealed] {
            for request in [call("crm.get", "{}"), super::modern_call("crm.get", "{}")] {
                let event = format!("data: {body}\n\n");
                for (headers, body) in [(JSON, body), (EVENTS, &event)] {
                    let outcome = send(policy, &request.clone().answered(headers, body));
                    assert_eq!(&outcome.client_body(), body);
                    assert_eq!(outcome.record.decision.reason, "allowed");
                }
            }
        }
    }
    let many = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"structuredContent":{{"error":[{}0]}}}}}}"#,
        "0,".repeat(1_000_001)
    );
    assert!(once(&super::default(), JSON, &many).client_body() == many);
}

#[test]
fn r10_names_of_hidden_tools_are_hidden_also_where_the_answer_cannot_be_read() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"try crm.purge \ud800"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":"crm.purge","x":NaN}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"crm.purge","data":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":1,"Error":{"code":1,"message":"x","data":NaN,"error":"crm.purge"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":"crm.p\u0075rge","x":NaN}}}"#,
    ] {
        let outcome = send(
            &super::default(),
            &call("crm.get", "{}").answered(JSON, body),
        );
        let shown = outcome.client_body();
        assert!(
            !shown.contains("purge") && !shown.contains("p\\u0075rge"),
            "{shown}"
        );
    }
}

#[test]
fn r10_the_log_says_why_an_answer_under_rules_is_refused() {
    for (body, why) in [
        (
            result(&json!({"structuredContent": deep(70)})).to_string(),
            "nested too deeply",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800"}}"#.to_owned(),
            "lone surrogate",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}"#.to_owned(),
            "unexpected character",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#.to_owned(),
            "duplicate key",
        ),
    ] {
        let outcome = send(&hides("keep"), &call("crm.get", "{}").answered(JSON, &body));
        assert_eq!(
            outcome.record.decision.reason,
            "upstream_answer_uncheckable"
        );
        assert_eq!(outcome.record.tool.as_deref(), Some("crm.get"));
        let evidence = &outcome.record.decision.evidence;
        assert!(
            evidence.iter().any(|fact| fact.summary.contains(why)),
            "{evidence:?}"
        );
    }
    let texts = json!({"content": [{"type": "text", "text": "words"}, {"type": "text", "text": "{'ssn': 1}"}]});
    let outcome = send(
        &hides("withhold"),
        &call("crm.get", "{}").answered(JSON, &result(&texts).to_string()),
    );
    let log: Value = serde_json::from_str(&outcome.record.to_json()).unwrap();
    assert_eq!(
        log["withheld"],
        json!({"text_rule": 1, "resembles_json": 1})
    );
    assert_eq!(log["gen_ai.tool.name"], "crm.get");
}

#[test]
fn r10_a_list_that_is_null_is_empty() {
    for (method, member) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let request = Request::post(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#
        ));
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"{member}":null}}}}"#);
        let outcome = send(&super::default(), &request.answered(JSON, &body));
        assert_eq!(outcome.client_body(), body.replace("null", "[]"));
        assert_eq!(outcome.record.hidden_items, Some(0));
    }
    let own = policy(json!({"auth_tools": true}));
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":null}}"#;
    let shown = send(&own, &list().answered(JSON, body)).client_body();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["result"]["tools"].as_array().unwrap().len(), 3);
}

#[test]
fn r10_an_item_that_cannot_be_read_is_left_out_and_the_list_passes() {
    let schema = deep(70);
    for (bad, why) in [
        (
            json!({"name": "crm.deep", "inputSchema": schema}).to_string(),
            "crm.deep: nested too deeply",
        ),
        (
            r#"{"name":"crm.nan","x":NaN}"#.to_owned(),
            "crm.nan: unexpected character",
        ),
        (
            r#"{"name":"crm.a","name":"crm.b"}"#.to_owned(),
            "crm.a: duplicate key",
        ),
        (
            r#"{"name":"crm.s","description":"\ud800"}"#.to_owned(),
            "crm.s: invalid escape",
        ),
        (
            r#"{"title":"crm.x"}"#.to_owned(),
            ": `name` has the wrong type",
        ),
        (r#"{"name":7}"#.to_owned(), ": `name` has the wrong type"),
        ("null".to_owned(), ": `tools` has the wrong type"),
        (
            r#"{"name":"crm.l","Name":"hr.b"}"#.to_owned(),
            "crm.l: a key",
        ),
    ] {
        for place in 0..3 {
            let mut items = vec![r#"{"name":"crm.one"}"#, r#"{"name":"hr.hidden"}"#];
            items.insert(place, &bad);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}],"nextCursor":"a"}}}}"#,
                items.join(", ")
            );
            let event = format!("data: {body}\n\n");
            for (headers, body) in [(JSON, &body), (EVENTS, &event)] {
                let outcome = send(&super::default(), &list().answered(headers, body));
                let shown = outcome.client_body();
                let shown: Value =
                    serde_json::from_str(shown.trim_start_matches("data: ")).unwrap();
                assert_eq!(
                    shown["result"],
                    json!({"tools": [{"name": "crm.one"}], "nextCursor": "a"})
                );
                assert_eq!(outcome.record.hidden_items, Some(2));
                let [note] = outcome.record.unreadable_items.as_slice() else {
                    panic!("{:?}", outcome.record.unreadable_items);
                };
                assert!(note.starts_with(why), "{note}");
            }
        }
    }
    let broken = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"crm.a"}],"x":NaN}}"#;
    let outcome = send(&super::default(), &list().answered(JSON, broken));
    assert_eq!(
        outcome.record.decision.reason,
        "upstream_answer_uncheckable"
    );
}

#[test]
fn r11_members_of_the_protocol_are_no_data() {
    let form = json!({"type": "object", "required": ["status"], "properties": {
        "status": {"type": "string", "enum": ["Very good", "Not good"], "enumNames": ["a b", "c d"], "default": "Very good"},
        "ssn": {"type": "string", "oneOf": [{"const": "last four", "title": "x"}], "default": "last four"},
        "many": {"type": "array", "items": {"type": "string", "enum": ["one two"]}, "default": ["one two"]},
        "other": {"type": "array", "items": {"anyOf": [{"const": "one two"}]}},
        "note": {"type": "string", "default": "two words"},
    }});
    let elicitation = json!({"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {"mode": "form", "requestedSchema": form}});
    let sampling = json!({"jsonrpc": "2.0", "id": 8, "method": "sampling/createMessage", "params": {
        "includeContext": "thisServer", "maxTokens": 7, "temperature": 0.5, "stopSequences": ["a b"],
        "modelPreferences": {"hints": [{"name": "some model"}]}, "toolChoice": {"mode": "auto"},
        "tools": [{"name": "look up", "inputSchema": {"type": "object"}}],
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call 1", "name": "look up", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "toolUseId": "call 1", "isError": false, "content": []}]},
        ],
    }});
    let rule = json!({"tools": ["*"], "redact": ["ssn", "id", "name", "toolUseId", "includeContext", "mode", "hints"], "text": "withhold"});
    let policy = policy(json!({"results": [rule]}));
    for message in [&elicitation, &sampling] {
        let stream = format!("data: {message}\n\n");
        let shown = send(&policy, &call("crm.get", "{}").answered(EVENTS, &stream)).client_body();
        // The values are compared, since descriptions and titles are texts.
        let shown: Value = serde_json::from_str(shown.trim_start_matches("data: ")).unwrap();
        let title = |value: &Value| {
            value
                .to_string()
                .replace("\"title\":\"x\"", "")
                .replace("\"title\":\"[withheld]\"", "")
        };
        assert_eq!(title(&shown), title(message));
    }
}

#[test]
fn r11_a_choice_that_repeats_a_hidden_value_is_hidden() {
    let form = |ssn: Value| {
        json!({"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {
            "message": json!({"ssn": SSN}).to_string(), "requestedSchema": {"properties": {"a": {"type": "string", "enum": [SSN, "other"]}, "ssn": ssn}},
        }})
    };
    for ssn in [
        json!({"type": "string", "default": "987-65-4321"}),
        json!({"type": "string", "examples": ["987-65-4321"]}),
    ] {
        let stream = format!("data: {}\n\n", form(ssn));
        let shown = send(
            &hides("keep"),
            &call("crm.get", "{}").answered(EVENTS, &stream),
        )
        .client_body();
        assert!(
            !shown.contains(SSN) && !shown.contains("987") && shown.contains("other"),
            "{shown}"
        );
    }
}

#[test]
fn r13_with_text_keep_text_that_merely_resembles_json_passes() {
    let owned = json!({"tools": ["*"], "redact": ["ssn"], "text": "keep",
        "owner": {"field": "organization_id", "is": "organization"}});
    let policy = policy(json!({"results": [owned]}));
    let passes = [
        "fn main() {\n    let a = {1};\n}\n{ x }",
        "{ let x = class_name(); }",
        "[INFO] 2026-01-01 started {\"a\":1}",
        "[2026-01-01T10:00:00Z] GET /a\n[2026-01-01T10:00:01Z] GET /b",
        "[link](https://example.com/a)",
        "[package]\nname = \"x\"\n[dependencies]\nserde = {version = \"1\"}",
        "// a comment\nint main() { return 0; }",
        "/* css */ a { color: red; }",
        "[1, 2, x",
        "{{ template }}",
    ];
    let withheld = [
        "{'ssn': '1'}",
        "{ssn: 1, organization_id: 'org-a'}",
        "[{'name': 'Bo', 'town': 'x'}]",
        "Found:\n{'name': 'Bo'}",
        "{\"organization_id\":\"org-b\"} trailing",
        "{\"a\":1}\n{\"ssn\":2}",
        "[['name', 'ssn'], ['Ann', '1']]",
    ];
    for (texts, shown_as) in [(&passes[..], None), (&withheld[..], Some("[withheld]"))] {
        for text in texts {
            let content = json!({"content": [{"type": "text", "text": text}]});
            let body = result(&content).to_string();
            let outcome = send(&policy, &call("crm.get", "{}").answered(JSON, &body));
            let shown: Value = serde_json::from_str(&outcome.client_body()).unwrap();
            assert_eq!(
                shown["result"]["content"][0]["text"],
                shown_as.unwrap_or(text),
                "{text}"
            );
        }
    }
}
