use super::*;
use policy::Policy;
use serde_json::json;

const ID: u32 = 1_073_741_824;

/// The rule of a policy, as a tool has it.
fn rule() -> std::rc::Rc<RecordOwner> {
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"organization": "org_id"},
        }],
        "upstream": {"cluster": "crm"},
        "tools": {"crm.close_ticket": {"owner": {
            "lookup": {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ticket_id"}},
            "field": "organization_id",
            "is": "organization",
        }}},
    });
    let policy = Policy::parse(document.to_string().as_bytes()).unwrap();
    let owner = policy.tools.first().and_then(|tool| tool.owner.clone());
    owner.unwrap()
}

fn judged(answer: Option<HttpResponse>) -> Result<(), LookupFault> {
    let identity = Identity {
        user: Some("u1".into()),
        organization: Some("acme".into()),
        ..Identity::default()
    };
    judge(answer, ID, &rule(), &identity).map(drop)
}

fn response(content_type: &str, body: &str) -> Option<HttpResponse> {
    Some(HttpResponse {
        status: 200,
        content_type: Some(content_type.to_owned()),
        body: body.as_bytes().to_vec(),
    })
}

/// The outcome of a result, as JSON and in an event stream: always the same.
fn of_result(result: &str) -> Result<(), LookupFault> {
    let message = format!(r#"{{"jsonrpc":"2.0","id":{ID},"result":{result}}}"#);
    let events = format!(
        ": hello\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{}}}}\n\n\
         event: message\ndata: {message}\n\ndata: [DONE]\n\n"
    );
    let outcome = judged(response("application/json", &message));
    assert_eq!(
        judged(response("text/event-stream", &events)),
        outcome,
        "{result}"
    );
    outcome
}

fn text(text: &str) -> String {
    json!({"content": [{"type": "text", "text": text}]}).to_string()
}

#[test]
fn l1_a_record_of_the_caller_passes_in_every_form() {
    let record = r#"{"id":"t-1","organization_id":"acme","title":"x","tags":[{"a":1}]}"#;
    for result in [
        format!(r#"{{"structuredContent":{record},"content":[]}}"#),
        format!(r#"{{"structuredContent":{{"ticket":{record}}},"isError":false}}"#),
        text(record),
        text(&format!("[{record}]")),
        json!({"content": [{"type": "text", "text": record}], "structuredContent": {"result": record}})
            .to_string()
            .replace("\"structuredContent\":{\"result\"", "\"_meta\":{\"result\""),
        json!({"contents": [{"uri": "crm://t-1", "text": record}]}).to_string(),
        r#"{"structuredContent":{"organizationId":"acme"},"resultType":"complete"}"#.to_owned(),
    ] {
        assert_eq!(of_result(&result), Ok(()), "{result}");
    }
}

#[test]
fn l1_another_owner_is_refused_wherever_it_is_named() {
    let own = r#"{"id":"t-1","organization_id":"acme"}"#;
    let other = r#"{"id":"t-4","organization_id":"globex"}"#;
    for result in [
        format!(r#"{{"structuredContent":{other}}}"#),
        text(other),
        // The copies disagree.
        json!({"structuredContent": {"organization_id": "acme"},
               "content": [{"type": "text", "text": other}]})
        .to_string(),
        json!({"structuredContent": {"organization_id": "globex"},
               "content": [{"type": "text", "text": own}]})
        .to_string(),
        // Several owners.
        format!(r#"{{"structuredContent":{{"items":[{own},{other}]}}}}"#),
        r#"{"structuredContent":{"organization_id":"acme","Organization-ID":"globex"}}"#.to_owned(),
        r#"{"structuredContent":{"organization_id":["acme","globex"]}}"#.to_owned(),
        r#"{"structuredContent":{"organization_id":null}}"#.to_owned(),
        r#"{"structuredContent":{"organization_id":"ACME"}}"#.to_owned(),
        r#"{"structuredContent":{"organization_id":"acme "}}"#.to_owned(),
        r#"{"structuredContent":{"organization_id":{"id":"acme"}}}"#.to_owned(),
        format!(r#"{{"structuredContent":{{"organization_id":"acme","moved_to":{other}}}}}"#),
    ] {
        assert_eq!(of_result(&result), Err(LookupFault::NotOwned), "{result}");
    }
}

#[test]
fn l1_an_answer_that_names_no_owner_is_refused() {
    for result in [
        "{}".to_owned(),
        r#"{"content":[]}"#.to_owned(),
        r#"{"structuredContent":{}}"#.to_owned(),
        r#"{"structuredContent":{"ticket":null}}"#.to_owned(),
        r#"{"structuredContent":{"id":"t-1"}}"#.to_owned(),
        text("the ticket belongs to organization_id: acme"),
        text("{'organization_id': 'acme'}"),
        text("[]"),
        text(""),
        // A text inside of a record may be another user's.
        r#"{"structuredContent":{"title":"{\"organization_id\":\"acme\"}"}}"#.to_owned(),
        text(&json!({"title": "{\"organization_id\":\"acme\"}"}).to_string()),
        // Beside the answer.
        r#"{"_meta":{"organization_id":"acme"},"content":[]}"#.to_owned(),
        r#"{"organization_id":"acme","content":[]}"#.to_owned(),
    ] {
        assert_eq!(of_result(&result), Err(LookupFault::NoOwner), "{result}");
    }
}

#[test]
fn l4_errors_and_questions_of_the_server_are_refused() {
    let own = r#""structuredContent":{"organization_id":"acme"}"#;
    for is_error in ["true", "null", "1", "\"false\""] {
        let result = format!(r#"{{{own},"isError":{is_error}}}"#);
        assert_eq!(of_result(&result), Err(LookupFault::Error), "{result}");
    }
    for more in [
        r#""resultType":"input_required""#,
        r#""resultType":"task""#,
        r#""resultType":null"#,
        r#""task":{"taskId":"1"}"#,
    ] {
        let outcome = of_result(&format!("{{{own},{more}}}"));
        assert!(matches!(outcome, Err(LookupFault::Unreadable(_))), "{more}");
    }
}

#[test]
fn l4_an_answer_that_cannot_be_read_in_one_way_is_refused() {
    let result = r#""result":{"structuredContent":{"organization_id":"acme"}}"#;
    let good = format!(r#"{{"jsonrpc":"2.0","id":{ID},{result}}}"#);
    let event = format!("data: {good}\n\n");
    let twice = format!("{event}{event}");
    let notification = "data: {\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\n\n";
    for (content_type, body) in [
        ("text/html", good.as_str()),
        ("application/json, text/html", &good),
        ("application/json; charset=utf-16", &good),
        ("text/plain", &good),
        ("", &good),
        (
            "application/json",
            "<html><body>organization_id acme</body></html>",
        ),
        ("application/json", ""),
        ("application/json", &format!("{good}{good}")),
        ("application/json", &format!("[{good}]")),
        ("application/json", &good.replace(&ID.to_string(), "7")),
        (
            "application/json",
            &good.replace(&ID.to_string(), &format!("\"{ID}\"")),
        ),
        ("application/json", &good.replace(&ID.to_string(), "null")),
        ("application/json", &good.replace("result", "Result")),
        (
            "application/json",
            &good
                .replace("}}}", "},\"x\":1}}")
                .replacen("{\"j", "{\"y\":1,\"j", 1),
        ),
        (
            "application/json",
            &good.replace("\"acme\"", "\"globex\",\"organization_id\":\"acme\""),
        ),
        (
            "application/json",
            &good.replace("\"result\":", "\"result\":{},\"result\":"),
        ),
        ("application/json", &event),
        ("text/event-stream", &good),
        ("text/event-stream", &twice),
        ("text/event-stream", notification),
        ("text/event-stream", ""),
        // Without its end an event is none.
        ("text/event-stream", event.trim_end()),
        ("text/event-stream", &format!("data: {{\n\n{event}")),
        ("text/event-stream", &format!("data: [{good}]\n\n")),
    ] {
        let outcome = judged(response(content_type, body));
        assert!(
            matches!(outcome, Err(LookupFault::Unreadable(_))),
            "{content_type}: {body}: {outcome:?}"
        );
    }
    assert_eq!(judged(response("application/json", &good)), Ok(()));
    let charset = "application/json; charset=utf-8";
    assert_eq!(judged(response(charset, &good)), Ok(()));
    assert_eq!(judged(response("text/event-stream", &event)), Ok(()));
    let error = format!(r#"{{"jsonrpc":"2.0","id":{ID},"error":{{"code":1,"message":"acme"}}}}"#);
    let outcome = judged(response("application/json", &error));
    assert_eq!(outcome, Err(LookupFault::Error));
}

#[test]
fn l5_answers_of_the_host_and_large_answers_are_told_apart() {
    for (status, expected) in [
        (401, LookupFault::Status(401)),
        (500, LookupFault::Status(500)),
        (202, LookupFault::Status(202)),
        (302, LookupFault::Status(302)),
        (503, LookupFault::Unavailable),
        (502, LookupFault::Unavailable),
        (504, LookupFault::TimedOut),
    ] {
        let answer = Some(HttpResponse::json(status, b"{}".to_vec()));
        assert_eq!(judged(answer), Err(expected));
    }
    assert_eq!(judged(None), Err(LookupFault::Unavailable));
    let large = Some(HttpResponse::json(200, vec![b' '; MAX_ANSWER + 1]));
    assert_eq!(judged(large), Err(LookupFault::TooLarge));
}
