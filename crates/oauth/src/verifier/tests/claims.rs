//! Claims: times, audiences, the user.

use super::*;

#[test]
fn b38_an_expiry_is_required_and_is_a_sensible_number() {
    const EXP: TokenError = TokenError::Claim("exp");
    refuses_claims(&without(claims(), "exp"), EXP);
    for odd in [
        json!(null),
        json!("1900000600"),
        json!(1e300),
        json!(-1),
        json!(-1.5),
        json!(true),
        json!([NOW]),
        json!({}),
    ] {
        refuses_claims(&with(claims(), "exp", odd), EXP);
    }
    let infinite = claims()
        .to_string()
        .replace(&(NOW + 600).to_string(), "1e400");
    let error = refused(&sign(&KEY, &header().to_string(), &infinite));
    assert!(matches!(error, TokenError::Encoding | EXP), "{error:?}");
    refuses_claims(&with(claims(), "exp", json!(0)), TokenError::Expired);
    for far in [json!(u64::MAX), json!(1e14), json!(NOW * 1000)] {
        refuses_claims(&with(claims(), "exp", far), TokenError::Lifetime);
    }
    accepts(&with(claims(), "exp", json!(NOW as f64 + 600.5)));
}

#[test]
fn b38_a_token_that_lives_too_long_is_refused() {
    accepts(&with(claims(), "exp", json!(NOW + 3630)));
    refuses_claims(
        &with(claims(), "exp", json!(NOW + 3631)),
        TokenError::Lifetime,
    );
}

#[test]
fn b38_a_token_from_the_future_is_refused() {
    for name in ["nbf", "iat"] {
        accepts(&with(claims(), name, json!(NOW + 30)));
        refuses_claims(&with(claims(), name, json!(NOW + 31)), TokenError::NotYet);
        refuses_claims(&with(claims(), name, json!(u64::MAX)), TokenError::NotYet);
    }
    refuses_claims(
        &with(claims(), "nbf", json!("soon")),
        TokenError::Claim("nbf"),
    );
    refuses_claims(
        &with(claims(), "iat", json!(null)),
        TokenError::Claim("iat"),
    );
    // The earlier of the two does not help.
    let ahead = with(with(claims(), "nbf", json!(NOW + 60)), "iat", json!(1));
    refuses_claims(&ahead, TokenError::NotYet);
}

#[test]
fn the_clock_skew_is_the_policys() {
    let token = token(&header(), &with(claims(), "exp", json!(NOW)));
    for (now, expected) in [
        (NOW, TokenOutcome::Good),
        (NOW + 29, TokenOutcome::Good),
        (NOW + 30, TokenOutcome::Refused(TokenError::Expired)),
        (NOW + 31, TokenOutcome::Refused(TokenError::Expired)),
    ] {
        assert_eq!(look(&mut verifier(), &token, now), expected, "{now}");
    }
    let mut issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
    issuer.clock_skew = Duration::ZERO;
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    assert_eq!(look(&mut verifier, &token, NOW - 1), TokenOutcome::Good);
    let expired = TokenOutcome::Refused(TokenError::Expired);
    assert_eq!(look(&mut verifier, &token, NOW), expired);
}

#[test]
fn a_user_is_required() {
    refuses_claims(&without(claims(), "sub"), TokenError::Claim("user"));
    refuses_claims(&with(claims(), "sub", json!("")), TokenError::Claim("user"));
    for odd in [
        json!(1.5),
        json!(null),
        json!(["u1"]),
        json!({"id": 1}),
        json!(true),
    ] {
        refuses_claims(&with(claims(), "sub", odd), TokenError::Claim("sub"));
    }
}

#[test]
fn r8_a_number_is_a_user_too() {
    for number in [json!(42), json!(9_007_199_254_740_993_u64), json!(-1)] {
        let claims = with(claims(), "sub", number.clone());
        let token = verified(&mut verifier(), &token(&header(), &claims), NOW);
        assert_eq!(token.identity().user, Some(number.to_string()));
        // The signature counts as ever.
        let forged = sign(&OTHER_KEY, &header().to_string(), &claims.to_string());
        assert_eq!(refused(&forged), TokenError::Signature);
    }
    // Numbers where texts are usual.
    accepts(&with(with(claims(), "jti", json!(1)), "nonce", json!(2)));
}

#[test]
fn b39_a_token_for_another_audience_is_refused() {
    for audience in [
        json!("https://other.example.com/mcp"),
        json!("https://crm.example.com"),
        json!("https://crm.example.com/"),
        json!("https://crm.example.com/mcp/"),
        json!("https://crm.example.com/mcp2"),
        json!("https://CRM.example.com/mcp"),
        json!("https://crm.example.com/mcp "),
        json!("*"),
        json!(""),
        json!([]),
        json!([""]),
        json!([
            "https://other.example.com/mcp",
            "https://crm.example.com/mc"
        ]),
        json!("https://other.example.com/mcp https://crm.example.com/mcp"),
    ] {
        refuses_claims(&with(claims(), "aud", audience), TokenError::Audience);
    }
}

#[test]
fn b39_an_audience_is_a_text_or_a_list_of_texts() {
    accepts(&with(claims(), "aud", json!([RESOURCE])));
    accepts(&with(
        claims(),
        "aud",
        json!(["https://other.example.com", RESOURCE]),
    ));
    refuses_claims(&without(claims(), "aud"), TokenError::Claim("aud"));
    for odd in [
        json!(null),
        json!(1),
        json!({RESOURCE: 1}),
        json!([RESOURCE, 1]),
        json!([[RESOURCE]]),
    ] {
        refuses_claims(&with(claims(), "aud", odd), TokenError::Claim("aud"));
    }
}
