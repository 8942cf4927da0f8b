use serde_json::json;

use super::*;

const BACK: &str = "https://crm.example.com/.mcp-auth/callback/notes";

fn answer(status: u16, body: &Value) -> HttpResponse {
    let body = body.to_string().into_bytes();
    HttpResponse::json(status, body)
}

#[test]
fn registration_responses_are_read_strictly() {
    let read = |status: u16, body: &Value| read_registration(Some(&answer(status, body)), BACK);
    for (status, body) in [
        (201, json!({"client_id": "one"})),
        (200, json!({"client_id": "one", "redirect_uris": [BACK]})),
        (
            201,
            json!({"client_id": "one", "client_secret": "x", "token_endpoint_auth_method": "none"}),
        ),
    ] {
        assert_eq!(read(status, &body), Ok("one".into()), "{status} {body}");
    }
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let elsewhere = json!(["https://evil.example/callback"]);
    for (status, body, error) in [
        (
            400,
            json!({"error": "invalid_redirect_uri"}),
            RegistrationError::Refused,
        ),
        (401, json!({}), RegistrationError::Refused),
        (500, json!({}), RegistrationError::Unavailable),
        (302, json!({}), RegistrationError::Unavailable),
        (201, json!([]), RegistrationError::Format),
        (201, json!({}), RegistrationError::Format),
        (201, json!({"client_id": ""}), RegistrationError::Format),
        (201, json!({"client_id": 1}), RegistrationError::Format),
        (201, json!({"client_id": "a\nb"}), RegistrationError::Format),
        (201, json!({"client_id": "é"}), RegistrationError::Format),
        (201, json!({"client_id": long}), RegistrationError::Format),
        (
            201,
            json!({"client_id": "one", "redirect_uris": elsewhere}),
            RegistrationError::Format,
        ),
        (
            201,
            json!({"client_id": "one", "redirect_uris": BACK}),
            RegistrationError::Format,
        ),
        (
            201,
            json!({"client_id": "one", "client_secret": "x"}),
            RegistrationError::Secret,
        ),
        (
            201,
            json!({"client_id": "one", "token_endpoint_auth_method": "client_secret_basic"}),
            RegistrationError::Secret,
        ),
    ] {
        assert_eq!(read(status, &body), Err(error), "{status} {body}");
    }
    let body = br#"{"client_id":"one","client_id":"two"}"#.to_vec();
    let twice = HttpResponse::json(201, body);
    let found = read_registration(Some(&twice), BACK);
    assert_eq!(found, Err(RegistrationError::Format));
    assert_eq!(
        read_registration(None, BACK),
        Err(RegistrationError::Unavailable)
    );
}
