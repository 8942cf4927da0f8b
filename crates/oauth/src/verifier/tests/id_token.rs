//! ID tokens: who signed in, in a browser.

use super::*;
use crate::{IdVerification, SignInAnswer, VerifiedIdToken};
use base::secret::Secret;
use base::time::UnixTime;

fn id_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "u1", "aud": "mcp-pages", "azp": "mcp-pages", "nonce": "n-1",
        "exp": NOW + 300, "iat": NOW, "preferred_username": "dana",
    })
}

fn id_header() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"})
}

fn look(verifier: &mut Verifier, token: String) -> Result<IdVerification, TokenError> {
    let user = ClaimSource::claim("sub");
    let answer = SignInAnswer {
        issuer: FIRST,
        client_id: "mcp-pages",
        nonce: "n-1",
        user: &user,
    };
    verifier.verify_id_token(&Secret::new(token), answer, UnixTime::from_secs(NOW))
}

fn user(claims: &Value) -> Result<VerifiedIdToken, TokenError> {
    match look(&mut verifier(), token(&id_header(), claims))? {
        IdVerification::Verified(token) => Ok(token),
        need => panic!("{need:?}"),
    }
}

#[test]
fn an_id_token_names_the_user() {
    let verified = user(&id_claims()).unwrap();
    assert_eq!((verified.user(), verified.name()), ("u1", "dana"));
    let nameless = user(&without(id_claims(), "preferred_username")).unwrap();
    assert_eq!(nameless.name(), "u1");
    for claims in [
        with(id_claims(), "aud", json!(["mcp-pages"])),
        without(id_claims(), "azp"),
        with(id_claims(), "typ", json!("ID")),
        with(id_claims(), "at_hash", json!("x")),
    ] {
        assert!(user(&claims).is_ok(), "{claims}");
    }
}

#[test]
fn b42_what_is_not_the_answer_to_this_sign_in_is_refused() {
    for (name, value, error) in [
        ("iss", json!(OTHER_ISSUER), TokenError::Issuer),
        ("iss", json!(null), TokenError::Issuer),
        ("aud", json!("other"), TokenError::Audience),
        ("aud", json!(RESOURCE), TokenError::Audience),
        ("aud", json!(["mcp-pages", "other"]), TokenError::Audience),
        ("aud", json!([]), TokenError::Audience),
        ("aud", json!(1), TokenError::Claim("aud")),
        ("azp", json!("other"), TokenError::Audience),
        ("nonce", json!("n-2"), TokenError::Claim("nonce")),
        ("nonce", json!(null), TokenError::Claim("nonce")),
        ("sub", json!(""), TokenError::Claim("sub")),
        ("exp", json!(NOW - 60), TokenError::Expired),
        ("exp", json!(null), TokenError::Claim("exp")),
        ("iat", json!(NOW + 60), TokenError::NotYet),
        ("iat", json!(null), TokenError::Claim("iat")),
        ("nbf", json!(NOW + 60), TokenError::NotYet),
        ("typ", json!("Bearer"), TokenError::Type),
        ("typ", json!("Refresh"), TokenError::Type),
        ("token_use", json!("access"), TokenError::Type),
        ("events", json!({}), TokenError::Type),
    ] {
        let claims = with(id_claims(), name, value);
        assert_eq!(user(&claims), Err(error), "{claims}");
    }
    for name in ["iss", "nonce", "sub", "exp", "iat"] {
        assert!(user(&without(id_claims(), name)).is_err(), "{name}");
    }
}

#[test]
fn b42_its_signature_is_the_issuers() {
    let signed =
        |key: &SigningKey, header: &Value| sign(key, &header.to_string(), &id_claims().to_string());
    let verifier = &mut verifier();
    for (token, error) in [
        (signed(&OTHER_KEY, &id_header()), TokenError::Signature),
        (
            signed(&KEY, &with(id_header(), "kid", json!("k2"))),
            TokenError::Key,
        ),
        (
            signed(&KEY, &with(id_header(), "alg", json!("none"))),
            TokenError::Algorithm,
        ),
        (
            signed(&KEY, &with(id_header(), "alg", json!("HS256"))),
            TokenError::Algorithm,
        ),
        (
            signed(&KEY, &with(id_header(), "typ", json!("at+jwt"))),
            TokenError::Type,
        ),
        (
            signed(&KEY, &with(id_header(), "jwk", json!({}))),
            TokenError::Header,
        ),
        ("opaque".to_owned(), TokenError::Encoding),
    ] {
        assert_eq!(look(verifier, token.clone()), Err(error), "{token}");
    }
}

#[test]
fn keys_are_fetched_for_it() {
    let mut verifier = fetching();
    let need = look(&mut verifier, token(&id_header(), &id_claims()));
    assert_eq!(
        need,
        Ok(IdVerification::PendingFetch(PendingFetch::Keys(FIRST)))
    );
}

#[test]
fn b42_it_is_no_access_token_and_an_access_token_is_none() {
    let claims = with(id_claims(), "at_hash", json!("x"));
    let claims = with(claims, "aud", json!(RESOURCE));
    refuses_claims(&claims, TokenError::Type);
    assert_eq!(user(&super::claims()), Err(TokenError::Audience));
}
