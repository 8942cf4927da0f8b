//! Tokens that were verified before.

use super::*;

#[test]
fn a_verified_token_is_remembered_until_it_expires() {
    let mut verifier = verifier();
    let token = good_token();
    let first = verified(&mut verifier, &token, NOW);
    assert!(Rc::ptr_eq(
        &first,
        &verified(&mut verifier, &token, NOW + 629)
    ));
    let expired = TokenOutcome::Refused(TokenError::Expired);
    assert_eq!(look(&mut verifier, &token, NOW + 630), expired);
    // A clock that goes back does not bring a token forward.
    let not_yet = TokenOutcome::Refused(TokenError::NotYet);
    assert_eq!(look(&mut verifier, &token, NOW - 41), not_yet);
}

#[test]
fn b38_a_remembered_token_is_not_another_ones_signature() {
    let mut verifier = verifier();
    let token = good_token();
    verified(&mut verifier, &token, NOW);
    let (text, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64]));
    let refused = TokenOutcome::Refused(TokenError::Signature);
    assert_eq!(look(&mut verifier, &forged, NOW), refused);
}

#[test]
fn b40_a_remembered_token_goes_with_its_keys() {
    let mut verifier = with_keys();
    let claims = with(claims(), "exp", json!(NOW + 3600));
    let token = token(&header(), &claims);
    let first = verified(&mut verifier, &token, NOW);
    // The same keys again: remembered or not, it is good.
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW + 10), Ok(()));
    assert_eq!(
        verified(&mut verifier, &token, NOW + 10).identity(),
        first.identity()
    );
    // Its key is withdrawn.
    assert_eq!(
        deliver(&mut verifier, &[jwk(&OTHER_KEY, "k2")], NOW + 20),
        Ok(())
    );
    let unknown = TokenOutcome::Refused(TokenError::Key);
    assert_eq!(look(&mut verifier, &token, NOW + 20), unknown);
    // The name of its key is given to another.
    assert_eq!(
        deliver(&mut verifier, &[jwk(&OTHER_KEY, "k1")], NOW + 30),
        Ok(())
    );
    let signature = TokenOutcome::Refused(TokenError::Signature);
    assert_eq!(look(&mut verifier, &token, NOW + 30), signature);
}

#[test]
fn b40_a_remembered_token_is_not_accepted_longer_than_its_keys() {
    let mut verifier = with_keys();
    let token = token(&header(), &with(claims(), "exp", json!(NOW + 3630)));
    assert_eq!(look(&mut verifier, &token, NOW), TokenOutcome::Good);
    assert_eq!(look(&mut verifier, &token, NOW + 3600), TokenOutcome::Good);
    let fetch = TokenOutcome::NeedKeys(FIRST);
    assert_eq!(look(&mut verifier, &token, NOW + 3601), fetch);
    fail(&mut verifier, NOW + 3601);
    let unavailable = TokenOutcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW + 3601), unavailable);
}
