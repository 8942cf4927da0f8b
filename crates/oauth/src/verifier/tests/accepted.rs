//! What is accepted.

use super::*;
use base::time::UnixTime;

/// A key and a token signed with it, for each algorithm.
fn of_every_algorithm() -> Vec<(Algorithm, Value, String)> {
    macro_rules! signed {
        ($algorithm:ident, $key:expr) => {{
            let key = $key;
            (
                Algorithm::$algorithm,
                with_kid(&key.public_key().to_jwk(), "k1"),
                key.with_key_id("k1").sign(jwt_claims()).unwrap(),
            )
        }};
    }
    vec![
        signed!(RS256, RS256KeyPair::from_pem(RSA).unwrap()),
        signed!(RS384, RS384KeyPair::from_pem(RSA).unwrap()),
        signed!(RS512, RS512KeyPair::from_pem(RSA).unwrap()),
        signed!(PS256, PS256KeyPair::from_pem(RSA).unwrap()),
        signed!(PS384, PS384KeyPair::from_pem(RSA).unwrap()),
        signed!(PS512, PS512KeyPair::from_pem(RSA).unwrap()),
        signed!(ES256, ES256KeyPair::generate()),
        signed!(ES384, ES384KeyPair::generate()),
        signed!(EdDSA, Ed25519KeyPair::generate()),
    ]
}

#[test]
fn b38_every_algorithm_verifies_and_only_where_the_policy_has_it() {
    let signed = of_every_algorithm();
    assert_eq!(signed.len(), Algorithm::ALL.len());
    for (algorithm, jwk, token) in &signed {
        let issuer = trusted(ISSUER, inline(std::slice::from_ref(jwk)));
        let issuer = accepting(issuer, |accepted| accepted.algorithms = vec![*algorithm]);
        let mut verifier = Verifier::new(vec![issuer.clone()]).unwrap();
        assert_eq!(
            look(&mut verifier, token, NOW),
            TokenOutcome::Good,
            "{algorithm:?}"
        );

        // The key allows every RSA algorithm; the policy does not.
        let issuer = accepting(issuer, |accepted| {
            accepted.keys = inline(&[
                jwk_of(&signed, *algorithm),
                jwk_of(&signed, other(*algorithm)),
            ]);
            accepted.algorithms = vec![other(*algorithm)];
        });
        let mut verifier = Verifier::new(vec![issuer]).unwrap();
        let refused = TokenOutcome::Refused(TokenError::Algorithm);
        assert_eq!(look(&mut verifier, token, NOW), refused, "{algorithm:?}");
    }
}

#[test]
fn the_newer_name_of_an_algorithm_is_the_same_algorithm() {
    let issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
    let token = token(&with(header(), "alg", json!("Ed25519")), &claims());
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    assert_eq!(look(&mut verifier, &token, NOW), TokenOutcome::Good);
}

fn other(algorithm: Algorithm) -> Algorithm {
    if algorithm == Algorithm::RS256 {
        Algorithm::PS256
    } else {
        Algorithm::RS256
    }
}

fn jwk_of(signed: &[(Algorithm, Value, String)], wanted: Algorithm) -> Value {
    let (_, jwk, _) = signed
        .iter()
        .find(|(found, _, _)| *found == wanted)
        .unwrap();
    without(jwk.clone(), "alg")
}

#[test]
fn b38_a_key_is_used_only_for_the_algorithm_it_names() {
    let (_, jwk, _) = &of_every_algorithm()[0];
    let token = PS256KeyPair::from_pem(RSA).unwrap().with_key_id("k1");
    let token = token.sign(jwt_claims()).unwrap();
    let mut verifier =
        Verifier::new(vec![trusted(ISSUER, inline(std::slice::from_ref(jwk)))]).unwrap();
    assert_eq!(
        look(&mut verifier, &token, NOW),
        TokenOutcome::Refused(TokenError::Key)
    );
}

#[test]
fn a_valid_token_identifies_the_caller() {
    let claims = with(claims(), "scope", json!("crm:read crm:write"));
    let token = verified(&mut verifier(), &token(&header(), &claims), NOW);
    assert_eq!(token.identity().user.as_deref(), Some("u1"));
    assert_eq!(token.identity().scopes, ["crm:read", "crm:write"]);
    assert_eq!(token.issuer(), FIRST);
    assert_eq!(
        token.verified_by(),
        &VerifiedBy::Signature(Some("k1".into()))
    );
}

#[test]
fn k4_a_token_without_a_kid_is_accepted_where_one_key_fits() {
    let token = token(&without(header(), "kid"), &claims());
    assert_eq!(look(&mut verifier(), &token, NOW), TokenOutcome::Good);
    for keys in [["k0", "k1"], ["k1", "k1"]] {
        let keys = [jwk(&OTHER_KEY, keys[0]), jwk(&KEY, keys[1])];
        let mut verifier = Verifier::new(vec![trusted(ISSUER, inline(&keys))]).unwrap();
        let unnamed = TokenOutcome::Refused(TokenError::KeyUnnamed);
        assert_eq!(look(&mut verifier, &token, NOW), unnamed);
        assert_eq!(look(&mut verifier, &good_token(), NOW), TokenOutcome::Good);
    }
}

#[test]
fn the_age_counts_from_the_sign_in_and_else_from_the_issue() {
    let age = |claims: &Value| {
        let token = verified(&mut verifier(), &token(&header(), claims), NOW);
        token.age(UnixTime::from_secs(NOW))
    };
    assert_eq!(age(&claims()), Some(Duration::from_secs(10)));
    assert_eq!(
        age(&with(claims(), "auth_time", json!(NOW - 500))),
        Some(Duration::from_secs(500))
    );
    assert_eq!(age(&without(claims(), "iat")), None);
}

#[test]
fn b38_a_sign_in_ahead_of_now_does_not_make_a_token_fresh_for_ever() {
    accepts(&with(claims(), "auth_time", json!(NOW + 30)));
    for ahead in [NOW + 31, NOW * 1000] {
        let claims = with(claims(), "auth_time", json!(ahead));
        refuses_claims(&claims, TokenError::NotYet);
    }
    for odd in [json!("now"), json!(null), json!(-1), json!(1e300)] {
        let claims = with(claims(), "auth_time", odd);
        refuses_claims(&claims, TokenError::Claim("auth_time"));
    }
}
