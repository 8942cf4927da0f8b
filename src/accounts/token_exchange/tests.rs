use serde_json::{Value, json};

use super::*;

const USER: (&str, &str) = ("https://login.example.com", "dana");
use crate::credential::Credential;
use oauth::{BearerToken, TokenDigest};
use policy::{Authorization, Policy};

const NOW: u64 = 1_900_000_000;
const ENDS: u64 = NOW + 3600;
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn document(changes: &Value) -> Value {
    let mut exchange = json!({
        "cluster": "login", "path": "/token", "client_id": "mcp", "client_secret_env": "SECRET",
        "audience": "https://as.crm.example.com", "resource": "https://crm.internal/",
        "scopes": ["crm.read", "crm.write"],
    });
    for (key, value) in changes.as_object().unwrap() {
        exchange[key] = value.clone();
    }
    json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
        }],
        "upstream": {"authorization": "exchange", "exchange": exchange},
    })
}

fn environment(name: &str) -> Option<String> {
    ["SECRET", "AS_SECRET"]
        .contains(&name)
        .then(|| "s 1".to_owned())
}

fn exchanger(changes: &Value) -> TokenExchanger {
    let policy = Policy::parse(document(changes).to_string().as_bytes()).unwrap();
    let clients = Clients::of(&policy, &environment).unwrap();
    match policy.upstream.authorization {
        Authorization::Exchange(exchange) => TokenExchanger::new(*exchange, clients),
        other => panic!("{other:?}"),
    }
}

fn with_assertion() -> Value {
    json!({"id_jag": {
        "cluster": "as", "path": "/oauth/token", "client_id": "mcp-as",
        "client_secret_env": "AS_SECRET",
    }})
}

fn digest(token: &str) -> TokenDigest {
    let header = format!("Bearer {token}");
    BearerToken::of_header(&header).unwrap().digest()
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let body = body.to_string().into_bytes();
    HttpResponse::json(status, body)
}

fn exchanged(token: &str, changes: &Value) -> HttpResponse {
    let mut body = json!({
        "access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer",
        "expires_in": 300,
    });
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(key)),
            value => body[key] = value.clone(),
        }
    }
    answer(200, &body)
}

fn header<'c>(call: &'c HttpRequest, name: &str) -> Option<&'c str> {
    let mut headers = call.headers.iter();
    headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
}

fn form(call: &HttpRequest) -> Value {
    let pairs = url::form_urlencoded::parse(&call.body);
    pairs
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The call for a token.
fn started(exchanger: &TokenExchanger, token: &str) -> HttpRequest {
    exchanger
        .ask(
            digest(token),
            token,
            UnixTime::from_secs(ENDS),
            (USER.0, token),
        )
        .unwrap();
    exchanger
        .start(&digest(token), UnixTime::from_secs(NOW))
        .unwrap()
}

/// What is known after this answer to the only call.
fn after(answer: Option<&HttpResponse>) -> Result<String, ExchangeError> {
    let exchanger = exchanger(&json!({}));
    started(&exchanger, "subject");
    let progress = exchanger.answered(&digest("subject"), answer, UnixTime::from_secs(NOW));
    let known = exchanger
        .known(&digest("subject"), UnixTime::from_secs(NOW))
        .unwrap();
    let outcome = known.as_ref().map(|_| ()).map_err(|error| *error);
    assert_eq!(progress, Progress::Over(outcome));
    known.map(|credential| credential.header().to_owned())
}

#[test]
fn a_token_is_exchanged_as_the_policy_says() {
    let exchanger = exchanger(&json!({}));
    let call = started(&exchanger, "sub+ject");
    assert_eq!(call.cluster, "login");
    assert_eq!(header(&call, ":path"), Some("/token"));
    assert_eq!(header(&call, ":authority"), Some("login.example.com"));
    // `mcp` and the secret `s 1`, form-urlencoded.
    assert_eq!(header(&call, "authorization"), Some("Basic bWNwOnMrMQ=="));
    let expected = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": ACCESS_TOKEN,
        "audience": "https://as.crm.example.com",
        "resource": "https://crm.internal/",
        "scope": "crm.read crm.write",
        "subject_token": "sub+ject",
        "subject_token_type": ACCESS_TOKEN,
    });
    assert_eq!(form(&call), expected);
    let public = json!({"client_secret_env": null, "subject_token_type": "jwt"});
    let call = started(&self::exchanger(&public), "t");
    assert_eq!(header(&call, "authorization"), None);
    assert_eq!(form(&call)["client_id"], "mcp");
    assert_eq!(
        form(&call)["subject_token_type"],
        "urn:ietf:params:oauth:token-type:jwt"
    );
}

#[test]
fn one_call_serves_all_requests_that_wait() {
    let exchanger = exchanger(&json!({}));
    started(&exchanger, "a");
    exchanger
        .ask(digest("a"), "a", UnixTime::from_secs(ENDS), USER)
        .unwrap();
    assert_eq!(
        exchanger.start(&digest("a"), UnixTime::from_secs(NOW)),
        None
    );
    assert_eq!(
        exchanger.start(&digest("b"), UnixTime::from_secs(NOW)),
        None
    );
    started(&exchanger, "b");
    exchanger.answered(
        &digest("a"),
        Some(&exchanged("for-a", &json!({}))),
        UnixTime::from_secs(NOW),
    );
    let known = |token| exchanger.known(&digest(token), UnixTime::from_secs(NOW));
    assert_eq!(known("a").unwrap().unwrap().header(), "Bearer for-a");
    assert!(known("b").is_none());
}

#[test]
fn at_most_256_tokens_are_exchanged_at_once() {
    let exchanger = exchanger(&json!({}));
    for number in 0..256 {
        started(&exchanger, &number.to_string());
    }
    let more = || exchanger.ask(digest("more"), "more", UnixTime::from_secs(ENDS), USER);
    assert_eq!(more(), Err(ExchangeError::Busy));
    exchanger.answered(&digest("0"), None, UnixTime::from_secs(NOW));
    assert_eq!(more(), Ok(()));
}

#[test]
fn a20_one_user_does_not_take_the_room_of_the_others() {
    let exchanger = exchanger(&json!({}));
    let ask =
        |token: &str, user| exchanger.ask(digest(token), token, UnixTime::from_secs(ENDS), user);
    for number in 0..MAX_PENDING_OF_USER {
        assert_eq!(ask(&number.to_string(), USER), Ok(()));
    }
    assert_eq!(ask("more", USER), Err(ExchangeError::Busy));
    assert_eq!(ask("eves", (USER.0, "eve")), Ok(()));
    assert_eq!(
        ask("another", ("https://other.example.com", USER.1)),
        Ok(())
    );
    exchanger.start(&digest("0"), UnixTime::from_secs(NOW));
    exchanger.answered(&digest("0"), None, UnixTime::from_secs(NOW));
    assert_eq!(ask("more", USER), Ok(()));
}

#[test]
fn a_result_is_used_until_shortly_before_the_first_end() {
    for (expires_in, ends, until) in [
        (json!(300), ENDS, NOW + 270),
        (json!(300), NOW + 100, NOW + 100),
        (json!(null), ENDS, NOW + 60),
        (json!(null), NOW + 5, NOW + 5),
        // Requests that wait get it.
        (json!(10), ENDS, NOW + 2),
        (json!(u64::MAX), ENDS, ENDS),
    ] {
        let exchanger = exchanger(&json!({}));
        exchanger
            .ask(digest("t"), "t", UnixTime::from_secs(ends), USER)
            .unwrap();
        exchanger
            .start(&digest("t"), UnixTime::from_secs(NOW))
            .unwrap();
        let answer = exchanged("new", &json!({"expires_in": expires_in}));
        exchanger.answered(&digest("t"), Some(&answer), UnixTime::from_secs(NOW));
        assert!(
            exchanger
                .known(&digest("t"), UnixTime::from_secs(until - 1))
                .is_some()
        );
        assert!(
            exchanger
                .known(&digest("t"), UnixTime::from_secs(until))
                .is_none(),
            "{until}"
        );
    }
}

#[test]
fn a_refusal_is_remembered_for_a_while() {
    for (status, lasts) in [(400, 10), (503, 2)] {
        let exchanger = exchanger(&json!({}));
        started(&exchanger, "t");
        let answer = answer(status, &json!({"error": "invalid_grant"}));
        exchanger.answered(&digest("t"), Some(&answer), UnixTime::from_secs(NOW));
        let known = |later| exchanger.known(&digest("t"), UnixTime::from_secs(NOW + later));
        assert!(known(lasts - 1).unwrap().is_err());
        assert!(known(lasts).is_none());
        started(&exchanger, "t");
    }
}

#[test]
fn error_codes_say_whether_the_client_or_the_caller_is_refused() {
    for (status, error, expected) in [
        (400, "invalid_grant", ExchangeError::Subject),
        (400, "invalid_request", ExchangeError::Denied),
        (400, "invalid_target", ExchangeError::Denied),
        (400, "invalid_scope", ExchangeError::Denied),
        (403, "access_denied", ExchangeError::Denied),
        (200, "access_denied", ExchangeError::Denied),
        (401, "invalid_client", ExchangeError::Client),
        (400, "unauthorized_client", ExchangeError::Client),
        (400, "unsupported_grant_type", ExchangeError::Client),
        (400, "temporarily_unavailable", ExchangeError::Unavailable),
        (503, "invalid_grant", ExchangeError::Unavailable),
        (302, "", ExchangeError::Unavailable),
        (404, "", ExchangeError::Unavailable),
    ] {
        let answer = answer(status, &json!({"error": error}));
        assert_eq!(after(Some(&answer)), Err(expected), "{status} {error}");
    }
    assert_eq!(after(None), Err(ExchangeError::Unavailable));
}

#[test]
fn b23_a_response_without_a_plain_bearer_token_is_refused() {
    let good = exchanged("new", &json!({}));
    assert_eq!(after(Some(&good)), Ok("Bearer new".to_owned()));
    let jwt = json!({"issued_token_type": "urn:ietf:params:oauth:token-type:jwt"});
    assert!(after(Some(&exchanged("new", &jwt))).is_ok());
    // Deviations of known servers.
    for changes in [
        json!({"token_type": null}),
        json!({"token_type": "BearerToken"}),
        json!({"expires_in": "300"}),
        json!({"expires_in": 299.5}),
        json!({"expires_in": -1}),
    ] {
        let found = after(Some(&exchanged("new", &changes)));
        assert_eq!(found, Ok("Bearer new".to_owned()), "{changes}");
    }
    for changes in [
        json!({"issued_token_type": null}),
        json!({"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
        json!({"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"}),
        json!({"issued_token_type": ID_JAG}),
        json!({"issued_token_type": [ACCESS_TOKEN]}),
        json!({"token_type": "N_A"}),
        json!({"token_type": "DPoP"}),
        json!({"access_token": null}),
        json!({"access_token": ""}),
        json!({"access_token": "a\r\nx-mcp-user: eve"}),
        json!({"access_token": "a b"}),
        json!({"access_token": "é"}),
        json!({"access_token": "a".repeat(20_000)}),
        json!({"expires_in": "soon"}),
    ] {
        let found = after(Some(&exchanged("new", &changes)));
        assert_eq!(found, Err(ExchangeError::Format), "{changes}");
    }
    let twice = good.body.strip_suffix(b"}").unwrap();
    let twice = [twice, br#","access_token":"other"}"#].concat();
    let twice = HttpResponse::json(200, twice);
    assert_eq!(after(Some(&twice)), Err(ExchangeError::Format));
}

#[test]
fn an_assertion_becomes_a_token_at_the_servers_own_authorization_server() {
    let exchanger = exchanger(&with_assertion());
    let call = started(&exchanger, "t");
    assert_eq!(form(&call)["requested_token_type"], ID_JAG);
    let assertion = json!({"issued_token_type": ID_JAG, "token_type": "N_A"});
    let answer = exchanged("asser+tion", &assertion);
    let progress = exchanger.answered(&digest("t"), Some(&answer), UnixTime::from_secs(NOW));
    let Progress::Call(call) = progress else {
        panic!("{progress:?}")
    };
    assert!(
        exchanger
            .known(&digest("t"), UnixTime::from_secs(NOW))
            .is_none()
    );
    assert_eq!(
        exchanger.start(&digest("t"), UnixTime::from_secs(NOW)),
        None
    );
    assert_eq!(call.cluster, "as");
    assert_eq!(header(&call, ":path"), Some("/oauth/token"));
    assert_eq!(header(&call, ":authority"), Some("as.crm.example.com"));
    let client = Secret::basic("mcp-as", "s 1");
    assert_eq!(header(&call, "authorization"), Some(client.reveal()));
    let expected = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "asser+tion",
    });
    assert_eq!(form(&call), expected);
    // It is no exchange: nothing says what was issued.
    let answer = exchanged("final", &json!({"issued_token_type": null}));
    let progress = exchanger.answered(&digest("t"), Some(&answer), UnixTime::from_secs(NOW));
    assert_eq!(progress, Progress::Over(Ok(())));
    let known = exchanger
        .known(&digest("t"), UnixTime::from_secs(NOW))
        .unwrap()
        .unwrap();
    assert_eq!(known.header(), "Bearer final");
}

#[test]
fn a_response_without_an_assertion_is_refused() {
    for changes in [
        json!({}),
        json!({"issued_token_type": ID_JAG}),
        json!({"token_type": "N_A"}),
        json!({"issued_token_type": ID_JAG, "token_type": null}),
        json!({"issued_token_type": ID_JAG, "token_type": "N_A", "access_token": "a b"}),
    ] {
        let exchanger = exchanger(&with_assertion());
        started(&exchanger, "t");
        let progress = exchanger.answered(
            &digest("t"),
            Some(&exchanged("x", &changes)),
            UnixTime::from_secs(NOW),
        );
        let expected = Progress::Over(Err(ExchangeError::Format));
        assert_eq!(progress, expected, "{changes}");
    }
}

#[test]
fn a_refused_assertion_does_not_ask_for_another_sign_in() {
    let exchanger = exchanger(&with_assertion());
    started(&exchanger, "t");
    let assertion = json!({"issued_token_type": ID_JAG, "token_type": "N_A"});
    exchanger.answered(
        &digest("t"),
        Some(&exchanged("a", &assertion)),
        UnixTime::from_secs(NOW),
    );
    let answer = answer(400, &json!({"error": "invalid_grant"}));
    let progress = exchanger.answered(&digest("t"), Some(&answer), UnixTime::from_secs(NOW));
    assert_eq!(progress, Progress::Over(Err(ExchangeError::Denied)));
}

#[test]
fn a_missing_secret_is_named() {
    let missing = |changes: &Value, name: &'static str| {
        let policy = Policy::parse(document(changes).to_string().as_bytes()).unwrap();
        let environment = |asked: &str| environment(asked).filter(|_| asked != name);
        Clients::of(&policy, &environment).unwrap_err().to_string()
    };
    let error = missing(&json!({}), "SECRET");
    assert!(error.starts_with("upstream.exchange.client_secret_env: the VM's environment has no"));
    let error = missing(&with_assertion(), "AS_SECRET");
    assert!(error.starts_with("upstream.exchange.id_jag.client_secret_env: "));
}

#[test]
fn b45_debug_output_has_no_tokens() {
    let exchanger = exchanger(&json!({}));
    let call = started(&exchanger, "subject");
    exchanger.preload_for_dry_run(
        digest("x"),
        Credential::new("Bearer", "s3cret").unwrap(),
        UnixTime::from_secs(ENDS),
    );
    let printed = format!("{exchanger:?} {call:?}");
    assert!(!printed.contains("subject") && !printed.contains("s3cret"));
}

#[test]
fn a_token_that_the_server_refused_is_forgotten() {
    let exchanger = exchanger(&json!({}));
    let credential = Credential::new("Bearer", "x").unwrap();
    exchanger.preload_for_dry_run(digest("t"), credential, UnixTime::from_secs(ENDS));
    exchanger.forget(&digest("t"));
    assert!(
        exchanger
            .known(&digest("t"), UnixTime::from_secs(NOW))
            .is_none()
    );
}
