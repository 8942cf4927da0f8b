//! One issuer and another.

use super::*;

fn two_issuers(other_kid: &str) -> Verifier {
    Verifier::new(vec![
        trusted(ISSUER, inline(&[jwk(&KEY, "k1")])),
        trusted(OTHER_ISSUER, inline(&[jwk(&OTHER_KEY, other_kid)])),
    ])
    .unwrap()
}

#[test]
fn b38_one_issuer_does_not_speak_for_another() {
    let forged = |kid: &str| {
        let header = with(header(), "kid", json!(kid));
        sign(&OTHER_KEY, &header.to_string(), &claims().to_string())
    };
    let mut apart = two_issuers("k2");
    let mut alike = two_issuers("k1");
    let key = TokenOutcome::Refused(TokenError::Key);
    let signature = TokenOutcome::Refused(TokenError::Signature);
    assert_eq!(look(&mut apart, &forged("k2"), NOW), key);
    assert_eq!(look(&mut apart, &forged("k1"), NOW), signature);
    assert_eq!(look(&mut alike, &forged("k1"), NOW), signature);
    let no_kid = sign(
        &OTHER_KEY,
        &without(header(), "kid").to_string(),
        &claims().to_string(),
    );
    assert_eq!(look(&mut apart, &no_kid, NOW), signature);

    let own = with(claims(), "iss", json!(OTHER_ISSUER)).to_string();
    let own = sign(
        &OTHER_KEY,
        &with(header(), "kid", json!("k2")).to_string(),
        &own,
    );
    assert_eq!(verified(&mut apart, &own, NOW).issuer(), IssuerId(1));
}

#[test]
fn b38_an_issuer_is_compared_exactly() {
    for issuer in [
        "https://evil.example",
        "https://login.example.com/",
        "https://LOGIN.example.com",
        "https://login.example.co",
        "",
    ] {
        refuses_claims(&with(claims(), "iss", json!(issuer)), TokenError::Issuer);
    }
    refuses_claims(&without(claims(), "iss"), TokenError::Claim("iss"));
    refuses_claims(
        &with(claims(), "iss", json!([ISSUER])),
        TokenError::Claim("iss"),
    );
}

#[test]
fn b38_an_unusable_key_set_in_the_policy_is_an_error_of_its_issuer() {
    let issuers = vec![
        trusted(ISSUER, inline(&[jwk(&KEY, "k1")])),
        trusted(OTHER_ISSUER, inline(&[])),
    ];
    let error = Verifier::new(issuers).unwrap_err();
    assert_eq!(error, SetupError::Keys(IssuerId(1), KeySetError::Empty));
}
