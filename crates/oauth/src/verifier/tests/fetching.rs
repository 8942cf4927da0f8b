//! When key sets are fetched.

use super::*;

#[test]
fn b40_keys_are_fetched_when_the_first_token_needs_them() {
    let mut verifier = fetching();
    let token = good_token();
    assert_eq!(
        look(&mut verifier, &token, NOW),
        TokenOutcome::NeedKeys(FIRST)
    );
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW), Ok(()));
    assert_eq!(look(&mut verifier, &token, NOW), TokenOutcome::Good);
}

#[test]
fn b40_an_unknown_kid_leads_to_one_fetch() {
    let mut verifier = with_keys();
    let later = NOW + 30;
    let token = token_of_key("k2");
    assert_eq!(
        look(&mut verifier, &token, later),
        TokenOutcome::NeedKeys(FIRST)
    );
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], later), Ok(()));
    let unknown = || TokenOutcome::Refused(TokenError::Key);
    for now in later..later + 30 {
        assert_eq!(look(&mut verifier, &token, now), unknown());
    }
    assert_eq!(
        look(&mut verifier, &token, later + 30),
        TokenOutcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_a_rotated_key_is_found() {
    let mut verifier = with_keys();
    let header = with(header(), "kid", json!("k2")).to_string();
    let token = sign(&OTHER_KEY, &header, &claims().to_string());
    assert_eq!(
        look(&mut verifier, &token, NOW + 40),
        TokenOutcome::NeedKeys(FIRST)
    );
    let both = [jwk(&KEY, "k1"), jwk(&OTHER_KEY, "k2")];
    assert_eq!(deliver(&mut verifier, &both, NOW + 40), Ok(()));
    assert_eq!(look(&mut verifier, &token, NOW + 40), TokenOutcome::Good);
    assert_eq!(
        look(&mut verifier, &good_token(), NOW + 40),
        TokenOutcome::Good
    );
}

/// Sends a token with a new `kid` each second, answers each fetch after two, and counts them.
fn fetches_in_a_flood(seconds: u64, answer: Option<&[Value]>) -> usize {
    let mut verifier = with_keys();
    let mut fetches = 0;
    let mut started = None;
    for now in NOW..NOW + seconds {
        let outcome = look(&mut verifier, &token_of_key(&format!("x{now}")), now);
        if outcome == TokenOutcome::NeedKeys(FIRST)
            && verifier.keys_mut(FIRST).unwrap().start_fetch()
        {
            fetches += 1;
            started = Some(now);
        }
        if started.is_some_and(|at| now >= at + 2) {
            started = None;
            match answer {
                Some(keys) => deliver(&mut verifier, keys, now).unwrap(),
                None => fail(&mut verifier, now),
            }
        }
        // Meanwhile everybody else goes on.
        assert_eq!(look(&mut verifier, &good_token(), now), TokenOutcome::Good);
    }
    fetches
}

#[test]
fn b40_a_flood_of_unknown_kids_is_no_flood_of_fetches() {
    assert!(fetches_in_a_flood(320, Some(&[jwk(&KEY, "k1")])) <= 10);
    assert!(fetches_in_a_flood(320, None) <= 46);
}

#[test]
fn b40_what_no_key_could_make_good_leads_to_no_fetch() {
    for (header, claims) in [
        (
            header(),
            with(claims(), "aud", json!("https://other.example.com")),
        ),
        (header(), with(claims(), "exp", json!(NOW - 60))),
        (
            header(),
            with(claims(), "iss", json!("https://evil.example")),
        ),
        (header(), without(claims(), "sub")),
        (with(header(), "alg", json!("none")), claims()),
        (with(header(), "typ", json!("dpop+jwt")), claims()),
    ] {
        let outcome = look(&mut fetching(), &token(&header, &claims), NOW);
        assert!(
            matches!(outcome, TokenOutcome::Refused(_)),
            "{header} {claims}: {outcome:?}"
        );
    }
}

#[test]
fn b40_a_failed_fetch_keeps_good_keys_until_their_limit() {
    let mut verifier = with_keys();
    let token = token(&header(), &with(claims(), "exp", json!(NOW + 3600)));
    for now in (NOW + 300..=NOW + 3600).step_by(300) {
        let _ = verifier.keys_mut(FIRST).unwrap().start_fetch();
        fail(&mut verifier, now);
        assert_eq!(
            look(&mut verifier, &token, now),
            TokenOutcome::Good,
            "{now}"
        );
    }
    let broken = verifier.keys_fetched(FIRST, Some(b"<html>"), NOW + 3600, 1.0);
    assert_eq!(broken, Err(KeySetError::Format));
    assert_eq!(
        deliver(&mut verifier, &[], NOW + 3600),
        Err(KeySetError::Empty)
    );
    assert_eq!(look(&mut verifier, &token, NOW + 3600), TokenOutcome::Good);
    fail(&mut verifier, NOW + 3601);
    let unavailable = TokenOutcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW + 3605), unavailable);
    assert_eq!(
        look(&mut verifier, &token, NOW + 3606),
        TokenOutcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_after_a_failed_first_fetch_requests_are_refused_for_a_moment() {
    let mut verifier = fetching();
    let token = good_token();
    fail(&mut verifier, NOW);
    let unavailable = || TokenOutcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW), unavailable());
    assert_eq!(look(&mut verifier, &token, NOW + 4), unavailable());
    assert_eq!(
        look(&mut verifier, &token, NOW + 5),
        TokenOutcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_one_fetch_at_a_time_and_everybody_waits_for_it() {
    let mut verifier = fetching();
    assert_eq!(
        look(&mut verifier, &good_token(), NOW),
        TokenOutcome::NeedKeys(FIRST)
    );
    let keys = verifier.keys_mut(FIRST).unwrap();
    assert!(keys.start_fetch());
    assert!(!keys.start_fetch());
    assert_eq!(
        look(&mut verifier, &good_token(), NOW + 1),
        TokenOutcome::NeedKeys(FIRST)
    );
    assert_eq!(verifier.due(NOW + 1), []);
    fail(&mut verifier, NOW + 2);
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
}

#[test]
fn keys_are_fetched_again_only_while_they_are_used() {
    let mut verifier = with_keys();
    assert_eq!(verifier.due(NOW + 10_000), []);
    assert_eq!(
        look(&mut verifier, &good_token(), NOW + 10),
        TokenOutcome::Good
    );
    assert_eq!(verifier.due(NOW + 299), []);
    assert_eq!(verifier.due(NOW + 300), [FIRST]);
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
    assert_eq!(verifier.due(NOW + 300), []);
    assert_eq!(
        deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW + 301),
        Ok(())
    );
    assert_eq!(verifier.due(NOW + 10_000), []);
    // A remembered token is use, too; and so is a request that was refused for want of keys.
    let token = good_token();
    assert_eq!(look(&mut verifier, &token, NOW + 310), TokenOutcome::Good);
    assert_eq!(look(&mut verifier, &token, NOW + 311), TokenOutcome::Good);
    assert_eq!(verifier.due(NOW + 601), [FIRST]);
}

#[test]
fn refreshes_are_spread_and_never_below_half_the_time() {
    for (jitter, first) in [(1.0, 300), (0.75, 225), (0.0, 150), (7.0, 300)] {
        let mut verifier = fetching();
        let document = json!({"keys": [jwk(&KEY, "k1")]}).to_string();
        let fetched = verifier.keys_fetched(FIRST, Some(document.as_bytes()), NOW, jitter);
        assert_eq!(fetched, Ok(()));
        assert_eq!(look(&mut verifier, &good_token(), NOW), TokenOutcome::Good);
        assert_eq!(verifier.due(NOW + first - 1), [], "{jitter}");
        assert_eq!(verifier.due(NOW + first), [FIRST], "{jitter}");
    }
}

#[test]
fn b41_nothing_in_a_token_says_where_keys_come_from() {
    let evil = "https://evil.example/keys";
    let mut verifier = fetching();
    let of_policy = format!("{:?}", verifier.keys_mut(FIRST).unwrap().fetch());
    for (header, claims) in [
        (with(header(), "jku", json!(evil)), claims()),
        (with(header(), "x5u", json!(evil)), claims()),
        (with(header(), "kid", json!(evil)), claims()),
        (with(header(), "kid", json!("../../keys")), claims()),
        (header(), with(claims(), "iss", json!(evil))),
        (header(), with(claims(), "jwks_uri", json!(evil))),
        (
            header(),
            with(claims(), "iss", json!(format!("{ISSUER}/../evil"))),
        ),
    ] {
        let outcome = look(&mut verifier, &token(&header, &claims), NOW);
        assert_ne!(outcome, TokenOutcome::Good);
        if let TokenOutcome::NeedKeys(issuer) = outcome {
            assert_eq!(issuer, FIRST);
        }
        let fetch = format!("{:?}", verifier.keys_mut(FIRST).unwrap().fetch());
        assert_eq!(fetch, of_policy);
    }
}

#[test]
fn b41_keys_in_the_policy_are_never_fetched() {
    let mut verifier = verifier();
    let unknown = TokenOutcome::Refused(TokenError::Key);
    assert_eq!(look(&mut verifier, &token_of_key("k2"), NOW), unknown);
    assert_eq!(look(&mut verifier, &good_token(), NOW), TokenOutcome::Good);
    assert_eq!(verifier.due(u64::MAX), []);
    assert!(verifier.keys_mut(FIRST).unwrap().fetch().is_none());
    assert!(verifier.keys_mut(IssuerId(1)).is_none());
}
