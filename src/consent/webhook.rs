//! Messages to a webhook about new questions to another person. They have no arguments, and are signed as the
//! Standard Webhooks specification says.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use thiserror::Error;

use super::approval::{ApprovalPlace, ApprovalQuestion};
use crate::effect::Effects;
use base::http::{HttpRequest, HttpResponse};
use policy::{PAGES, Policy, Webhook};

/// The minimum length of a secret, in bytes.
const MIN_SECRET_BYTES: usize = 24;
/// The minimum length of a secret that is written as text.
const MIN_SECRET_CHARACTERS: usize = 32;
/// The prefix of a secret in base64 (Standard Webhooks "Signature scheme").
const BASE64_PREFIX: &str = "whsec_";
/// The pauses of 100 ms before each further try.
const PAUSES: [u8; 2] = [10, 50];
/// The maximum number of messages of a worker that wait to be sent.
const MAX_WAITING: usize = 64;

/// The secrets of webhooks, by the variable that holds them.
#[derive(Clone, Default)]
pub struct WebhookKeys(Rc<HashMap<String, Vec<u8>>>);

/// The secret is too short, or not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a secret of at least {MIN_SECRET_CHARACTERS} characters, or `{BASE64_PREFIX}` and base64 of at \
     least {MIN_SECRET_BYTES} bytes"
)]
pub struct NotASecret;

/// The messages of a worker that were not sent yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Messages(Rc<RefCell<Vec<HttpRequest>>>);

impl WebhookKeys {
    /// Reads the secrets of a policy's webhooks with `variable`.
    ///
    /// # Errors
    ///
    /// The first error of `variable`, or of a secret. Both with the key of the policy.
    pub fn of<E>(
        policy: &Policy,
        variable: impl Fn(&str, &str) -> Result<String, E>,
        refuse: impl Fn(&str, NotASecret) -> E,
    ) -> Result<Self, E> {
        let mut keys = HashMap::new();
        for webhook in policy.approvals().filter_map(|rule| rule.webhook.as_ref()) {
            const KEY: &str = "tools.*.confirm.notify.key_env";
            let written = variable(KEY, &webhook.key_env)?;
            let secret = secret(&written).map_err(|error| refuse(KEY, error))?;
            keys.insert(webhook.key_env.clone(), secret);
        }
        Ok(Self(Rc::new(keys)))
    }
}

fn secret(written: &str) -> Result<Vec<u8>, NotASecret> {
    let secret = match written.strip_prefix(BASE64_PREFIX) {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .ok()
            .filter(|secret| secret.len() >= MIN_SECRET_BYTES),
        None => {
            Some(written.as_bytes().to_vec()).filter(|secret| secret.len() >= MIN_SECRET_CHARACTERS)
        }
    };
    secret.ok_or(NotASecret)
}

impl Messages {
    /// Adds the message about a new question. It is sent in the background. `false`: too many wait.
    pub(crate) fn add(
        &self,
        policy: &Policy,
        keys: &WebhookKeys,
        webhook: &Webhook,
        (place, question): (&ApprovalPlace, &ApprovalQuestion),
    ) -> bool {
        let waiting = &mut *self.0.borrow_mut();
        // Without a key, as in a dry run, there is no message.
        let Some(key) = keys.0.get(&webhook.key_env) else {
            return true;
        };
        if waiting.len() >= MAX_WAITING {
            return false;
        }
        waiting.push(request(policy, key, webhook, (place, question)));
        true
    }

    /// Takes the messages, to send them.
    pub(crate) fn take(&self) -> Vec<HttpRequest> {
        self.0.take()
    }
}

/// Sends a message, again if that fails. Returns the error for the operator.
pub(crate) async fn send(effects: &Effects, message: HttpRequest) -> Option<String> {
    let mut answer = effects.call(message.clone()).await;
    for pauses in PAUSES {
        if is_received(answer.as_ref()) {
            return None;
        }
        for _ in 0..pauses {
            effects.pause().await;
        }
        answer = effects.call(message.clone()).await;
    }
    let error = match &answer {
        answer if is_received(answer.as_ref()) => return None,
        Some(answer) => format!("answered with status {}", answer.status),
        None => "not available".to_owned(),
    };
    let cluster = &message.cluster;
    Some(format!(
        "the webhook at cluster `{cluster}` got no message about a call that waits for approval: {error}"
    ))
}

fn is_received(answer: Option<&HttpResponse>) -> bool {
    answer.is_some_and(|answer| (200..300).contains(&answer.status))
}

fn request(
    policy: &Policy,
    key: &[u8],
    webhook: &Webhook,
    (place, question): (&ApprovalPlace, &ApprovalQuestion),
) -> HttpRequest {
    let id = format!("approval_{}", question.id);
    let time = question.asked.as_secs().to_string();
    let body = body(policy, place, question).to_string();
    let signed = format!("{id}.{time}.{body}");
    let signature = BASE64_STANDARD.encode(hmac_sha256::HMAC::mac(signed.as_bytes(), key));
    let headers = vec![
        ("webhook-id", id),
        ("webhook-timestamp", time),
        ("webhook-signature", format!("v1,{signature}")),
    ];
    webhook.endpoint.post_signed(body, headers)
}

/// The message: who asks for what, without the arguments.
fn body(policy: &Policy, place: &ApprovalPlace, question: &ApprovalQuestion) -> Value {
    let call = &question.call;
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({
        "type": "approval.needed",
        "timestamp": question.asked.as_secs(),
        "data": {
            "id": question.id,
            "resource": place.resource,
            "tool": call.tool,
            "user": place.user,
            "organization": question.organization,
            "client": named(&call.client),
            "acting_as": named(&call.view),
            "role": question.role,
            "until": question.ends().as_secs(),
            "url": approvals_url(policy),
        },
    })
}

/// The page with the open questions.
pub(crate) fn approvals_url(policy: &Policy) -> String {
    format!("{}{PAGES}approvals", policy.origin())
}

/// Without the secrets.
impl std::fmt::Debug for WebhookKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WebhookKeys")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::consent::ShownArguments;
    use crate::consent::approval::ApprovalRequest;
    use crate::consent::call_question::AskedCall;
    use crate::effect::{Effect, Outcome, Progress, Task};
    use base::seal::Owner;
    use base::time::UnixTime;

    fn policy(hold: &str) -> Policy {
        let document = json!({
            "resource": "https://crm.example.com/mcp",
            "hold": hold,
            "seal": {"key_env": "KEY"},
            "issuers": [{
                "issuer": "https://login.example.com",
                "jwks": {"cluster": "login", "path": "/keys"},
                "identity": {"roles": "roles"},
                "sign_in": {
                    "authorize": "https://login.example.com/authorize",
                    "token": {"cluster": "login", "path": "/token"},
                    "client_id": "pages",
                },
            }],
            "roles": {"manager": {"tools": ["crm.*"]}},
            "tools": {"crm.refund": {"confirm": {
                "by": {"role": "manager"},
                "notify": {"cluster": "hooks", "path": "/new", "key_env": "HOOK"},
            }}},
        });
        Policy::parse(document.to_string().as_bytes()).unwrap()
    }

    fn about() -> (ApprovalPlace, ApprovalQuestion) {
        let owner = Owner {
            resource: "https://crm.example.com/mcp",
            issuer: "https://login.example.com",
            user: "dana",
            view: "",
        };
        let place = ApprovalPlace::of(owner, ("", &[]), ("crm.refund", "manager"), [0; 32]);
        let request = ApprovalRequest {
            place: place.clone(),
            call: AskedCall {
                tool: "crm.refund".into(),
                view: String::new(),
                client: "app".into(),
                arguments: ShownArguments::of(br#"{"iban":"DE00"}"#).unwrap(),
            },
            actors: Vec::new(),
            organization: Some("acme".into()),
            role: "manager".into(),
            valid_for: Duration::from_secs(600),
            new_id: "00ff".into(),
            webhook: None,
        };
        (place, request.question(UnixTime::from_secs(1_000)))
    }

    fn keys(policy: &Policy, secret: &str) -> Result<WebhookKeys, String> {
        let variable = |_: &str, name: &str| match name {
            "HOOK" => Ok(secret.to_owned()),
            other => Err(other.to_owned()),
        };
        WebhookKeys::of(policy, variable, |key, error| format!("{key}: {error}"))
    }

    #[test]
    fn a_message_is_signed_and_has_no_arguments() {
        let (policy, messages) = (policy("stop_iteration"), Messages::default());
        let secret = "s".repeat(32);
        let keys = keys(&policy, &secret).unwrap();
        let webhook = policy.approvals().next().unwrap().webhook.clone().unwrap();
        let (place, question) = about();
        assert!(messages.add(&policy, &keys, &webhook, (&place, &question)));
        let [message] = <[_; 1]>::try_from(messages.take()).unwrap();
        let header = |name: &str| {
            let mut headers = message.headers.iter();
            headers.find_map(|(other, value)| (*other == name).then_some(value.as_str()))
        };
        assert_eq!(header(":authority"), Some("hooks"));
        assert_eq!(header(":path"), Some("/new"));
        let body = String::from_utf8(message.body.clone()).unwrap();
        assert!(!body.contains("iban") && !body.contains("DE00"), "{body}");
        let sent: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(sent["data"]["until"], 1_600);
        assert_eq!(
            sent["data"]["url"],
            "https://crm.example.com/.mcp-auth/approvals"
        );
        assert_eq!(sent["data"]["acting_as"], Value::Null);
        let (id, time) = (
            header("webhook-id").unwrap(),
            header("webhook-timestamp").unwrap(),
        );
        assert_eq!((id, time), ("approval_00ff", "1000"));
        let mac = hmac_sha256::HMAC::mac(format!("{id}.{time}.{body}").as_bytes(), secret);
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac));
        assert_eq!(header("webhook-signature"), Some(expected.as_str()));
        // Without keys there is no message, and a worker keeps few.
        assert!(messages.add(
            &policy,
            &WebhookKeys::default(),
            &webhook,
            (&place, &question)
        ));
        assert!(messages.take().is_empty());
        for at in 0..=MAX_WAITING {
            let is_kept = messages.add(&policy, &keys, &webhook, (&place, &question));
            assert_eq!(is_kept, at < MAX_WAITING);
        }
    }

    #[test]
    fn a_secret_is_long_enough() {
        let policy = policy("stop_iteration");
        let encoded = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
        for good in ["s".repeat(32), encoded(24)] {
            assert!(keys(&policy, &good).is_ok(), "{good}");
        }
        for bad in [
            "s".repeat(31),
            encoded(23),
            format!("whsec_{}", "*".repeat(40)),
            String::new(),
        ] {
            let error = keys(&policy, &bad).unwrap_err();
            assert!(
                error.starts_with("tools.*.confirm.notify.key_env: expected"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_message_is_tried_three_times() {
        let answer = |status| Some(HttpResponse::json(status, Vec::new()));
        for (answers, calls, fails) in [
            (vec![answer(204)], 1, false),
            (vec![None, answer(500), answer(200)], 3, false),
            (vec![answer(302), None, answer(404)], 3, true),
        ] {
            let message = HttpRequest {
                cluster: "hooks".into(),
                headers: Vec::new(),
                passed: Vec::new(),
                body: Vec::new(),
                timeout: None,
                max_answer: None,
            };
            let now = UnixTime::from_secs(1);
            let (mut task, mut progress) =
                Task::start(now, |effects| async move { send(&effects, message).await });
            let (mut asked, mut pauses, mut rest) = (0, 0, answers.into_iter());
            let error = loop {
                let outcome = match progress {
                    Progress::Done(error) => break error,
                    Progress::Waits(Effect::Pause) => {
                        pauses += 1;
                        Outcome::Paused
                    }
                    Progress::Waits(_) => {
                        asked += 1;
                        Outcome::Call(rest.next().unwrap())
                    }
                };
                progress = task.resume(outcome, now);
            };
            assert_eq!((asked, error.is_some()), (calls, fails), "{error:?}");
            assert_eq!(pauses, if calls == 3 { 60 } else { 0 });
        }
    }
}
