//! Tokens that come with a proof of their caller's key.

use std::sync::LazyLock;

use base::time::UnixTime;
use oauth::Algorithm;
use oauth::signing::SigningKey;

use super::*;

static CALLER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDSA).unwrap());

const METADATA: &str =
    "resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource/mcp\"";

fn with_dpop(word: &str) -> Rc<Policy> {
    policy(json!({"dpop": word}))
}

fn bound_token() -> String {
    tokens::token(json!({"cnf": {"jkt": CALLER.thumbprint()}}))
}

fn proof(token: &str, method: &str) -> String {
    let request = (method, "https://crm.example.com/mcp");
    let proof = CALLER.proof("p1", request, token, UnixTime::from_secs(NOW));
    proof.unwrap()
}

fn a_call() -> Request {
    call("crm.get", "{}").without("authorization")
}

/// The call with a bound token and its proof.
pub(super) fn proven() -> Request {
    let token = bound_token();
    a_call()
        .with("authorization", &format!("DPoP {token}"))
        .with("dpop", &proof(&token, "POST"))
}

fn challenges(outcome: &Outcome) -> Vec<&str> {
    let headers = &outcome.reply.as_ref().expect("answered").headers;
    let named = headers
        .iter()
        .filter(|(name, _)| *name == "www-authenticate");
    named.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn b44_a_proven_token_passes_and_its_proof_ends_here() {
    for word in ["accepted", "required"] {
        let outcome = send(&with_dpop(word), &proven());
        assert_eq!(outcome.server_header("x-mcp-user"), Some("u1"));
        assert_eq!(outcome.server_header("dpop"), None);
        assert_eq!(outcome.server_header("authorization"), None);
        let evidence = &outcome.record.decision.evidence[0].summary;
        assert!(evidence.ends_with("with a DPoP proof"), "{evidence}");
        assert_eq!(outcome.record.identified_by, Some("dpop"));
    }
    let outcome = send(&default(), &call("crm.get", "{}").with("dpop", "x"));
    assert_eq!(outcome.server_header("dpop"), None);
}

#[test]
fn b44_bound_tokens_are_no_bearer_tokens() {
    let bearer = a_call().with("authorization", &format!("Bearer {}", bound_token()));
    let bearer = bearer.with("dpop", &proof(&bound_token(), "POST"));
    for (word, reason) in [
        ("refused", "token_bound"),
        ("accepted", "token_bound"),
        ("required", "dpop_required"),
    ] {
        let (status, _, found) = send(&with_dpop(word), &bearer).refusal();
        assert_eq!((status, found), (401, reason), "{word}");
    }
    let (status, _, reason) = send(&default(), &proven()).refusal();
    assert_eq!((status, reason), (401, "no_token"));
}

#[test]
fn unbound_tokens_are_bearer_tokens_only() {
    let bearer = call("crm.get", "{}");
    send(&with_dpop("accepted"), &bearer).server_body();
    let (status, _, reason) = send(&with_dpop("required"), &bearer).refusal();
    assert_eq!((status, reason), (401, "dpop_required"));
    let token = tokens::token(json!({}));
    let dpop = a_call()
        .with("authorization", &format!("DPoP {token}"))
        .with("dpop", &proof(&token, "POST"));
    for word in ["accepted", "required"] {
        let (status, _, reason) = send(&with_dpop(word), &dpop).refusal();
        assert_eq!((status, reason), (401, "token_not_bound"));
    }
}

#[test]
fn b44_one_proof_and_for_this_method() {
    let proof_for_get = proof(&bound_token(), "GET");
    for (request, expected) in [
        (proven().without("dpop"), "dpop_missing"),
        (proven().with("dpop", &proof_for_get), "dpop_repeated"),
        (proven().without("dpop").with("dpop", ""), "dpop_malformed"),
    ] {
        let outcome = send(&with_dpop("required"), &request);
        assert_eq!(outcome.refusal().0, 401);
        assert_eq!(outcome.record.decision.reason, expected);
    }
}

#[test]
fn challenges_name_every_way_to_send_a_token() {
    let algs = "algs=\"ES256 EdDSA\"";
    let nothing = a_call();
    let outcome = send(&with_dpop("required"), &nothing);
    assert_eq!(challenges(&outcome), [format!("DPoP {METADATA}, {algs}")]);
    let outcome = send(&with_dpop("accepted"), &nothing);
    let both = [
        format!("Bearer {METADATA}"),
        format!("DPoP {METADATA}, {algs}"),
    ];
    assert_eq!(challenges(&outcome), both);

    let bad = proven().without("dpop");
    let error = "error=\"invalid_dpop_proof\", error_description=\"dpop_missing\"";
    let outcome = send(&with_dpop("required"), &bad);
    let alone = format!("DPoP {error}, {METADATA}, {algs}");
    assert_eq!(challenges(&outcome), [alone.as_str()]);
    let outcome = send(&with_dpop("accepted"), &bad);
    assert_eq!(challenges(&outcome), [&both[0], &alone]);

    let other = tokens::token(json!({})) + "x";
    let other = a_call().with("authorization", &format!("Bearer {other}"));
    let outcome = send(&with_dpop("accepted"), &other);
    let [bearer, dpop] = challenges(&outcome).try_into().unwrap();
    assert!(
        bearer.starts_with("Bearer error=\"invalid_token\""),
        "{bearer}"
    );
    assert!(dpop.starts_with("DPoP error=\"invalid_token\""), "{dpop}");
}

#[test]
fn the_metadata_says_how_to_prove() {
    for (word, required) in [("accepted", json!(false)), ("required", json!(true))] {
        let request = Request::method("GET").path("/.well-known/oauth-protected-resource/mcp");
        let outcome = send(&with_dpop(word), &request.without("authorization"));
        let document: Value = serde_json::from_slice(&outcome.reply.unwrap().body).unwrap();
        assert_eq!(
            document["dpop_signing_alg_values_supported"],
            json!(["ES256", "EdDSA"])
        );
        assert_eq!(document["dpop_bound_access_tokens_required"], required);
    }
}

#[test]
fn b44_a_caller_with_a_bad_proof_is_not_anonymous() {
    let policy = policy(json!({"dpop": "required", "anonymous": {"tools": ["crm.get"]}}));
    let nobody = send(&policy, &a_call().with("dpop", "x"));
    assert_eq!(nobody.server_header("x-mcp-user"), None);
    let refused = send(&policy, &proven().without("dpop")).refusal();
    assert_eq!((refused.0, refused.2), (401, "dpop_missing"));
    let bearer = send(&policy, &call("crm.get", "{}")).refusal();
    assert_eq!((bearer.0, bearer.2), (401, "dpop_required"));
}

#[test]
fn a8_a_proof_counts_once_for_all_replicas() {
    use base::http::HttpResponse;
    let policy = policy(json!({
        "dpop": "required", "store": {"etcd": {"cluster": "etcd"}},
        "tools": {"crm.other": {"single_use": true}},
    }));
    let answer = |body: Value| HttpResponse::json(200, body.to_string().into_bytes());
    let first = [
        answer(json!({"header": {}, "ID": "7"})),
        answer(json!({"header": {}, "succeeded": true})),
    ];
    let again = [first[0].clone(), answer(json!({"header": {}}))];
    // Each proxy is a replica that did not see the proof before.
    let sent = |request: &Request, answers: &[HttpResponse]| {
        let calls = Rc::default();
        let host = FakeProxy::new(&policy).with_answers(answers, &calls);
        let outcome = host.send(request, &[], false);
        (outcome, calls.borrow().len())
    };
    let (outcome, calls) = sent(&proven(), &first);
    assert!(outcome.server.is_some());
    assert_eq!(calls, 2);
    let (outcome, _) = sent(&proven(), &again);
    assert_eq!(
        (outcome.server.as_ref(), outcome.record.decision.reason),
        (None, "dpop_replayed")
    );
    let (outcome, _) = sent(&proven(), &[]);
    assert_eq!(outcome.record.decision.reason, "store_unavailable");
}
