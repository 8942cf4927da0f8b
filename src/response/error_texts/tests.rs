use serde_json::json;

use super::*;
use oauth::Identity;

fn policy(errors: &str) -> Policy {
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"roles": "roles"},
        }],
        "roles": {
            "support": {"tools": ["crm.get_*"], "prompts": ["crm.summary"]},
            "manager": {"tools": ["crm.*", "ns:erase", "pay/out"], "deny": ["crm.purge", "crm://vault/*"]},
        },
        "anonymous": {"tools": ["help_me"]},
        "tools": {"crm.get_rates": {"scopes": ["rates"]}, "purge": {"scopes": ["x"]}},
        "errors": errors,
    });
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn support() -> Identity {
    Identity {
        user: Some("u".to_owned()),
        roles: vec!["support".to_owned()],
        ..Identity::anonymous().clone()
    }
}

fn shown(errors: &str, body: &str) -> (String, usize, usize) {
    shown_of(errors, body, false)
}

fn shown_of(errors: &str, body: &str, failed: bool) -> (String, usize, usize) {
    let (policy, identity) = (policy(errors), support());
    let caller = Principal {
        ceiling: None,
        identity: &identity,
        token_age: None,
    };
    let message = Node::read(body.as_bytes(), 16).unwrap();
    let mut changes = Changes::default();
    let shown = hide(&policy, caller, &message, failed, &mut changes);
    let changed = changes.apply(body.as_bytes());
    let changed = changed.map(|body| String::from_utf8(body).unwrap());
    if changed.is_some() && !failed {
        assert!(may_have_texts(body.as_bytes()), "{body}");
    }
    let changed = changed.unwrap_or(body.to_owned());
    (changed, shown.names, shown.withheld)
}

/// The message of an error, as the caller reads it.
fn read(text: &str) -> String {
    let body = json!({"id": 1, "error": {"code": -32602, "message": text}}).to_string();
    let (shown, ..) = shown("hide_names", &body);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn b37_names_are_hidden_wherever_they_stand_in_a_text() {
    for (text, expected) in [
        ("did you mean crm.purge?", "did you mean ***?"),
        ("Try crm.purge.", "Try ***."),
        ("Try crm.purge. Or not", "Try ***. Or not"),
        ("[crm.get_a,crm.purge,crm.set_b]", "[crm.get_a,***,***]"),
        ("`crm.purge`: 'crm.purge'", "`***`: '***'"),
        ("_crm.purge_ or __crm.purge__", "_***_ or __***__"),
        ("mcp/tools/crm.purge", "mcp/tools/***"),
        ("tool:ns:erase", "tool:***"),
        ("see pay/out/", "see ***/"),
        ("crm.purge-like", "***"),
        (r"a\ncrm.purge\n", r"a\n***\n"),
        ("the purge tool", "the *** tool"),
        ("ünknown crm.pürge…", "ünknown ***…"),
    ] {
        assert_eq!(read(text), expected);
    }
}

#[test]
fn other_words_stay() {
    for text in [
        "crm.get_customer failed in crm.get_rates",
        "help_me",
        "the prompt crm.summary",
        "purged, purge_all, x_purge",
        "crm",
        "crm://vault/x",
        "https://example.com/getting/started?x=1",
        "",
    ] {
        assert_eq!(read(text), text);
    }
}

#[test]
fn b37_json_in_a_text_is_looked_into() {
    for (text, expected) in [
        (
            r#"{"tools": ["crm.get_a","crm\u002epurge"], "n":1.0}"#,
            r#"{"tools": ["crm.get_a","***"], "n":1.0}"#,
        ),
        (r#"["pay\/out"]"#, r#"["***"]"#),
        (r#"{"crm.purge":1,"crm.erase":2}"#, r#"{"***0":1,"***1":2}"#),
        (r#"{"a":"[\"crm.purge\"]"}"#, r#"{"a":"[\"***\"]"}"#),
    ] {
        assert_eq!(read(text), expected);
    }
}

#[test]
fn b37_every_text_of_an_error_is_looked_at_and_nothing_else_changes() {
    for (body, expected, names) in [
        (
            r#"{"id":1, "error":{"code":-32602,"message":"no crm.x","data":{"near":["crm.purge",1.0,null],"crm.y":{}}}}"#,
            r#"{"id":1, "error":{"code":-32602,"message":"no ***","data":{"near":["***",1.0,null],"***":{}}}}"#,
            3,
        ),
        (r#"{"error":"crm.x"}"#, r#"{"error":"***"}"#, 1),
        (
            r#"{"result":{"isError" : true,"content":[{"type":"text","text":"crm.x"},{"type":"image","mimeType":"crm.x","data":"crm.x"},{"type":"resource","resource":{"uri":"a:crm.x","text":"crm.x"}}],"structuredContent":{"a":["crm.x"]},"_meta":{"a":"crm.x"}}}"#,
            r#"{"result":{"isError" : true,"content":[{"type":"text","text":"***"},{"type":"image","mimeType":"crm.x","data":"crm.x"},{"type":"resource","resource":{"uri":"a:crm.x","text":"***"}}],"structuredContent":{"a":["***"]},"_meta":{"a":"crm.x"}}}"#,
            3,
        ),
        (
            r#"{"result":{"instructions":"Use crm.purge.","capabilities":{}}}"#,
            r#"{"result":{"instructions":"Use ***.","capabilities":{}}}"#,
            1,
        ),
        (
            r#"{"params":{"status":"failed","statusMessage":"crm.x","error":{"message":"crm.x"},"result":{"isError":true,"content":"crm.x"}}}"#,
            r#"{"params":{"status":"failed","statusMessage":"***","error":{"message":"***"},"result":{"isError":true,"content":"***"}}}"#,
            3,
        ),
    ] {
        let (shown, found, withheld) = shown("hide_names", body);
        assert_eq!((shown.as_str(), found, withheld), (expected, names, 0));
    }
    for body in [
        r#"{"result":{"isError":false,"content":[{"type":"text","text":"crm.purge"}]}}"#,
        r#"{"result":{"content":[{"type":"text","text":"\"isError\":true crm.purge"}]}}"#,
        r#"{"result":{"structuredContent":{"error":"crm.purge","instructions":"crm.purge"}}}"#,
        r#"{"result":{"tools":[{"name":"crm.purge"}]}}"#,
        r#"{"result":{"instructions":"crm.purge"}}"#,
    ] {
        assert_eq!(shown("hide_names", body), (body.to_owned(), 0, 0));
        assert_eq!(shown("withhold", body), (body.to_owned(), 0, 0));
    }
}

#[test]
fn b37_withheld_errors_say_only_what_kind_they_are() {
    for (body, expected) in [
        (
            r#"{"id":1,"error":{"data":{"a":"x"},"code":-32602,"message":"no hidden_one"}}"#,
            r#"{"id":1,"error":{"code":-32602,"message":"Invalid params"}}"#,
        ),
        (
            r#"{"error":{"code":7,"message":"x"}}"#,
            r#"{"error":{"code":7,"message":"Server error"}}"#,
        ),
        (
            r#"{"error":{"code":-32022,"message":"x","data":{"supported":["2025-11-25"]}}}"#,
            r#"{"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2025-11-25"]}}}"#,
        ),
        (r#"{"error":"x"}"#, r#"{"error":"Server error"}"#),
        (
            r#"{"result":{"content":[{"type":"text","text":"x"}],"isError":true,"structuredContent":{"x":1}}}"#,
            r#"{"result":{"content":[{"text":"The tool could not do this.","type":"text"}],"isError":true}}"#,
        ),
        (
            r#"{"result":{"task":{"status":"failed","statusMessage":"x"}}}"#,
            r#"{"result":{"task":{"status":"failed","statusMessage":"The tool could not do this."}}}"#,
        ),
    ] {
        let (shown, _, _) = shown("withhold", body);
        assert_eq!(shown, expected);
    }
    let body = r#"{"id":1,"error":{"code":1,"message":"x"}}"#;
    assert_eq!(shown("withhold", body).2, 1);
}

#[test]
fn most_answers_are_not_parsed_for_names() {
    for body in [
        r#"{"jsonrpc":"2.0","result":{"isError":false,"content":[]}}"#,
        r#"{"jsonrpc":"2.0","result":{"content":[{"text":"errors, instructions, \u4e2d\u00fc"}]}}"#,
        r#"{"jsonrpc":"2.0","result":{"content":[{"text":"{\"isError\": true}"}]}}"#,
    ] {
        assert!(!may_have_texts(body.as_bytes()), "{body}");
    }
}

#[test]
fn h05_a_text_made_of_separators_ends_the_search_soon() {
    let text = "a/".repeat(100_000);
    assert_eq!(read(&text), "Invalid params");
    let words = "some words ".repeat(10_000);
    assert_eq!(read(&words), words);
}

#[test]
fn b37_many_keys_get_other_names_which_differ() {
    // The second is what the first could be called.
    let keys = (0..10_000).map(|number| {
        let taken = format!("*** {number:05}{}", 2 * number);
        format!("\"crm.purge {number:05}\":0,\"{taken}\":0,")
    });
    let keys: String = keys.collect();
    let body = format!(r#"{{"error":{{"code":1,"message":"x","data":{{{keys}"z":0}}}}}}"#);
    let (shown, names, _) = shown("hide_names", &body);
    // A repeated key would be one less.
    let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let data = read["error"]["data"].as_object().unwrap();
    assert_eq!((data.len(), names), (20_001, 10_000));
    assert!(!shown.contains("crm.purge"));
}

#[test]
fn b37_a_value_with_too_many_names_is_replaced_as_a_whole() {
    let keys: String = (0..60_000)
        .map(|number| format!("\"{number:05}\":0,"))
        .collect();
    for (body, expected) in [
        (
            format!(r#"{{"id":1,"error":{{"data":{{{keys}"z":0}},"code":-32602,"message":"x"}}}}"#),
            r#"{"id":1,"error":{"code":-32602,"message":"Invalid params"}}"#,
        ),
        (
            format!(r#"{{"id":1,"error":{{{keys}"code":"crm.purge"}}}}"#),
            r#"{"id":1,"error":{"code":-32603,"message":"Internal error"}}"#,
        ),
        (
            format!(r#"{{"result":{{"isError":true,"structuredContent":{{{keys}"z":0}}}}}}"#),
            r#"{"result":{"isError":true,"structuredContent":{}}}"#,
        ),
    ] {
        assert_eq!(shown("hide_names", &body).0, expected);
    }
}

#[test]
fn s18_what_is_no_message_of_json_rpc_is_an_error_text() {
    for (body, expected) in [
        (r#"{"detail":"no crm.purge"}"#, r#"{"detail":"no ***"}"#),
        (r#"["crm.purge",{"crm.x":1}]"#, r#"["***",{"***":1}]"#),
        (r#""see crm.purge""#, r#""see ***""#),
        (
            r#"{"Error":{"message":"crm.x"},"id":1}"#,
            r#"{"Error":{"message":"***"},"id":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"},"trace":"crm.x"}"#,
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"},"trace":"***"}"#,
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"crm.x"}}]"#,
            r#"[{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"***"}}]"#,
        ),
        (
            r#"{"jsonrpc":"2.0","\u0065rror":{"code":1,"message":"crm.x"}}"#,
            r#"{"jsonrpc":"2.0","\u0065rror":{"code":1,"message":"***"}}"#,
        ),
    ] {
        assert_eq!(shown("hide_names", body).0, expected);
        assert!(!shown("withhold", body).0.contains("crm."), "{body}");
    }
}

#[test]
fn s18_a_result_is_an_error_however_it_says_so() {
    for value in ["true", "1", "\"true\"", "\"yes\"", "{}", "[]", "0"] {
        for key in ["isError", "IsError", "is_error", "isErr\\u006fr"] {
            let body = |text: &str| {
                format!(
                    r#"{{"jsonrpc":"2.0","result":{{"{key}":{value},"content":[{{"text":"{text}"}}]}}}}"#
                )
            };
            assert_eq!(shown("hide_names", &body("crm.x")).0, body("***"));
            assert!(!shown("withhold", &body("crm.x")).0.contains("crm."));
        }
    }
}

#[test]
fn s18_with_a_status_of_an_error_all_of_the_message_is_its_text() {
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"crm.x"}],"note":["crm.x"]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"***"}],"note":["***"]}}"#,
        ),
        (r#"{"id":1,"result":"crm.x"}"#, r#"{"id":1,"result":"***"}"#),
        (
            r#"{"method":"x","params":{"data":"crm.x"}}"#,
            r#"{"method":"x","params":{"data":"***"}}"#,
        ),
    ] {
        assert_eq!(shown_of("hide_names", body, true).0, expected);
    }
}
