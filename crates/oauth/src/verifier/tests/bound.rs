//! Tokens that are bound to their caller's key.

use super::*;
use crate::{Introspection, Proof, ProofError, ProofRules, ProofUrl};
use base::time::UnixTime;

static CALLER: LazyLock<SigningKey> = LazyLock::new(new_key);
static THIEF: LazyLock<SigningKey> = LazyLock::new(new_key);

fn rules() -> ProofRules {
    ProofRules {
        required: false,
        url: ProofUrl::of(RESOURCE).unwrap(),
        window: Duration::from_secs(300),
    }
}

fn confirmation() -> Value {
    json!({"jkt": CALLER.thumbprint()})
}

fn bound_token() -> String {
    token(&header(), &with(claims(), "cnf", confirmation()))
}

fn proof_of(key: &SigningKey, token: &str, id: &str, now: u64) -> String {
    let issued = UnixTime::from_secs(now);
    key.proof(id, ("POST", RESOURCE), token, issued).unwrap()
}

fn look_bound(verifier: &mut Verifier, token: &str, proof: &str, now: u64) -> TokenOutcome {
    let header = format!("DPoP {token}");
    let token = BearerToken::of_dpop_header(&header).unwrap();
    let Ok(proof) = Proof::read(proof, "POST", &token, &rules(), UnixTime::from_secs(now)) else {
        panic!("not a proof for this request")
    };
    match verifier.verify_bound(&token, &proof, CLIENT, UnixTime::from_secs(now)) {
        Verification::Verified(token) => {
            assert!(token.is_bound());
            TokenOutcome::Good
        }
        Verification::Refused(refused) => TokenOutcome::Refused(refused.error),
        Verification::NeedsClient => panic!("the client is known"),
        Verification::PendingFetch(PendingFetch::Keys(issuer)) => TokenOutcome::NeedKeys(issuer),
        Verification::PendingFetch(need) => TokenOutcome::NeedToken(need),
    }
}

#[test]
fn b44_a_bound_token_is_good_with_its_proof_only() {
    let (mut verifier, token) = (verifier(), bound_token());
    let bound = || TokenOutcome::Refused(TokenError::Bound);
    assert_eq!(look(&mut verifier, &token, NOW), bound());
    let own = proof_of(&CALLER, &token, "p1", NOW);
    assert_eq!(
        look_bound(&mut verifier, &token, &own, NOW),
        TokenOutcome::Good
    );
    // Remembered, it is still bound.
    assert_eq!(look(&mut verifier, &token, NOW), bound());
    let stolen = proof_of(&THIEF, &token, "p2", NOW);
    let binding = TokenOutcome::Refused(TokenError::Proof(ProofError::Binding));
    assert_eq!(look_bound(&mut verifier, &token, &stolen, NOW), binding);
    let next = proof_of(&CALLER, &token, "p3", NOW);
    assert_eq!(
        look_bound(&mut verifier, &token, &next, NOW),
        TokenOutcome::Good
    );
}

#[test]
fn b44_a_proof_is_used_up() {
    let (mut verifier, token) = (verifier(), bound_token());
    let proof = proof_of(&CALLER, &token, "p1", NOW);
    assert_eq!(
        look_bound(&mut verifier, &token, &proof, NOW),
        TokenOutcome::Good
    );
    let replayed = || TokenOutcome::Refused(TokenError::Proof(ProofError::Replayed));
    assert_eq!(look_bound(&mut verifier, &token, &proof, NOW), replayed());
    assert_eq!(
        look_bound(&mut verifier, &token, &proof, NOW + 300),
        replayed()
    );
}

#[test]
fn b44_what_is_refused_uses_no_proof_up() {
    let token = bound_token();
    let proof = proof_of(&CALLER, &token, "p1", NOW);
    // A thief who sends the same name with a key of its own.
    let mut verifier = verifier();
    let stolen = proof_of(&THIEF, &token, "p1", NOW);
    let binding = TokenOutcome::Refused(TokenError::Proof(ProofError::Binding));
    assert_eq!(look_bound(&mut verifier, &token, &stolen, NOW), binding);
    assert_eq!(
        look_bound(&mut verifier, &token, &proof, NOW),
        TokenOutcome::Good
    );
    // A wait for keys.
    let mut verifier = fetching();
    let keys = TokenOutcome::NeedKeys(FIRST);
    assert_eq!(look_bound(&mut verifier, &token, &proof, NOW), keys);
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW), Ok(()));
    assert_eq!(
        look_bound(&mut verifier, &token, &proof, NOW),
        TokenOutcome::Good
    );
}

#[test]
fn b44_a_proof_does_not_make_a_token_good() {
    let mut verifier = verifier();
    let unbound = good_token();
    let proof = proof_of(&CALLER, &unbound, "p1", NOW);
    let refused = TokenOutcome::Refused(TokenError::Unbound);
    assert_eq!(look_bound(&mut verifier, &unbound, &proof, NOW), refused);
    let expired = with(claims(), "exp", json!(NOW - 60));
    let expired = token(&header(), &with(expired, "cnf", confirmation()));
    let proof = proof_of(&CALLER, &expired, "p2", NOW);
    let refused = TokenOutcome::Refused(TokenError::Expired);
    assert_eq!(look_bound(&mut verifier, &expired, &proof, NOW), refused);
}

#[test]
fn b44_what_cannot_be_proven_is_refused_with_and_without_proof() {
    let jkt = CALLER.thumbprint();
    for confirmation in [
        json!(null),
        json!({}),
        json!([]),
        json!("x"),
        json!({"jkt": null}),
        json!({"jkt": [jkt]}),
        json!({"x5t#S256": "x"}),
        json!({"jwk": {}}),
        json!({"jkt": jkt, "x5t#S256": "x"}),
    ] {
        let token = token(&header(), &with(claims(), "cnf", confirmation));
        let bound = || TokenOutcome::Refused(TokenError::Bound);
        assert_eq!(look(&mut verifier(), &token, NOW), bound());
        let proof = proof_of(&CALLER, &token, "p1", NOW);
        assert_eq!(look_bound(&mut verifier(), &token, &proof, NOW), bound());
    }
}

#[test]
fn b44_an_issuer_that_is_asked_names_the_key_too() {
    let endpoint = Introspection {
        client: crate::client::TokenClient {
            endpoint: base::http::Endpoint {
                cluster: "login".into(),
                path: "/introspect".into(),
                authority: "login.example.com".into(),
            },
            client_id: "mcp".into(),
            auth: crate::client::ClientAuth::Secret {
                env: "SECRET".into(),
                method: crate::client::SecretMethod::Basic,
            },
        },
        cache: Duration::from_secs(60),
    };
    let issuer = TrustedIssuer {
        check: TokenCheck::Introspection(endpoint, None),
        ..trusted(ISSUER, fetched())
    };
    let secret = |_: &str| Some("s3cret".to_owned());
    let mut verifier = Verifier::with_environment(vec![issuer], &secret).unwrap();
    let proof = |id: &str| proof_of(&CALLER, "opaque", id, NOW);
    let TokenOutcome::NeedToken(need) = look_bound(&mut verifier, "opaque", &proof("p1"), NOW)
    else {
        panic!()
    };
    assert!(matches!(verifier.start(need), FetchStart::Call(_)));
    let mut said = with(claims(), "cnf", confirmation());
    said["active"] = json!(true);
    said["token_type"] = json!("DPoP");
    let said = said.to_string();
    assert_eq!(
        verifier.fetched(need, Some(said.as_bytes()), UnixTime::from_secs(NOW), 1.0),
        Ok(())
    );
    assert_eq!(
        look_bound(&mut verifier, "opaque", &proof("p1"), NOW),
        TokenOutcome::Good
    );
    let bound = TokenOutcome::Refused(TokenError::Bound);
    assert_eq!(look(&mut verifier, "opaque", NOW), bound);
    let replayed = TokenOutcome::Refused(TokenError::Proof(ProofError::Replayed));
    assert_eq!(
        look_bound(&mut verifier, "opaque", &proof("p1"), NOW),
        replayed
    );
}
