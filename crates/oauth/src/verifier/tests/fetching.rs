//! When key sets are fetched.

use super::*;
use base::time::UnixTime;

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
    // The set is current: it has no such key.
    for now in [later, later + 1] {
        let unknown = TokenOutcome::Refused(TokenError::Key);
        assert_eq!(look(&mut verifier, &token, now), unknown);
    }
}

#[test]
fn k5_a_token_of_a_new_key_is_not_refused_because_of_an_earlier_unknown_one() {
    let mut verifier = with_keys();
    let made_up = |number: u64| token_of_key(&format!("x{number}"));
    let new = with(header(), "kid", json!("k2")).to_string();
    let new = sign(&OTHER_KEY, &new, &claims().to_string());
    // Made-up tokens use up what may be fetched at once.
    let mut now = NOW + 2;
    while look(&mut verifier, &made_up(now), now) == TokenOutcome::NeedKeys(FIRST) {
        assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
        assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], now), Ok(()));
        now += 2;
    }
    assert_eq!(now, NOW + 6, "two fetches, after the first one");
    // The new key may have been published meanwhile: the token is not called invalid.
    let not_current = || TokenOutcome::Refused(TokenError::KeySetNotCurrent);
    assert!(TokenError::KeySetNotCurrent.is_unavailable());
    for now in now..NOW + 30 {
        assert_eq!(look(&mut verifier, &new, now), not_current(), "{now}");
        assert_eq!(look(&mut verifier, &made_up(now), now), not_current());
        assert_eq!(look(&mut verifier, &good_token(), now), TokenOutcome::Good);
    }
    assert_eq!(
        look(&mut verifier, &new, NOW + 30),
        TokenOutcome::NeedKeys(FIRST)
    );
    let both = [jwk(&KEY, "k1"), jwk(&OTHER_KEY, "k2")];
    assert_eq!(deliver(&mut verifier, &both, NOW + 30), Ok(()));
    assert_eq!(look(&mut verifier, &new, NOW + 30), TokenOutcome::Good);
}

#[test]
fn k5_after_a_failed_fetch_an_unknown_key_may_still_be_published() {
    let mut verifier = with_keys();
    fail(&mut verifier, NOW + 10);
    let not_current = TokenOutcome::Refused(TokenError::KeySetNotCurrent);
    assert_eq!(
        look(&mut verifier, &token_of_key("k2"), NOW + 10),
        not_current
    );
}

#[test]
fn k6_a_clock_that_is_set_back_does_not_stop_fetches() {
    const AHEAD: u64 = 7 * 86_400;
    // The keys were fetched, or not, while the clock was ahead.
    for failed in [false, true] {
        let mut verifier = fetching();
        match failed {
            true => fail(&mut verifier, NOW + AHEAD),
            false => deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW + AHEAD).unwrap(),
        }
        let needed = look(&mut verifier, &good_token(), NOW);
        match failed {
            true => assert_eq!(needed, TokenOutcome::NeedKeys(FIRST)),
            false => {
                assert_eq!(needed, TokenOutcome::Good);
                assert_eq!(verifier.due(UnixTime::from_secs(NOW)), [FIRST]);
            }
        }
        assert_ne!(
            look(&mut verifier, &token_of_key("k2"), NOW + 5),
            TokenOutcome::Refused(TokenError::Key)
        );
    }
    // Keys from the future are not kept for longer than keys of now.
    let mut verifier = fetching();
    deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW + AHEAD).unwrap();
    let late = token(&header(), &with(claims(), "exp", json!(NOW + 5000)));
    assert_eq!(look(&mut verifier, &good_token(), NOW), TokenOutcome::Good);
    fail(&mut verifier, NOW + 3700);
    let unavailable = TokenOutcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &late, NOW + 3701), unavailable);
}

#[test]
fn k9_a_failing_issuer_is_left_alone_for_longer_and_longer() {
    let mut verifier = with_keys();
    let mut fetches = Vec::new();
    for now in NOW + 300..NOW + 900 {
        // There are requests all the time.
        look(&mut verifier, &good_token(), now);
        if verifier.due(UnixTime::from_secs(now)) == [FIRST] {
            fetches.push(now - NOW - 300);
            fail(&mut verifier, now);
        }
    }
    assert_eq!(fetches[..6], [0, 5, 15, 35, 75, 135]);
    assert_eq!(fetches.len(), 5 + (600 - 76) / 60);
    // Without requests the timer leaves it alone.
    let waits = (NOW + 900..NOW + 9000).step_by(7);
    assert!(
        waits
            .clone()
            .filter(|now| verifier.due(UnixTime::from_secs(*now)) == [FIRST])
            .count()
            > 0
    );
    fail(&mut verifier, NOW + 900);
    assert_eq!(
        waits
            .filter(|now| !verifier.due(UnixTime::from_secs(*now)).is_empty())
            .count(),
        0
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
    assert!(fetches_in_a_flood(320, Some(&[jwk(&KEY, "k1")])) <= 13);
    assert!(fetches_in_a_flood(320, None) <= 12);
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
    let later = token(&header(), &with(claims(), "exp", json!(NOW + 7000)));
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
    let broken =
        verifier.keys_fetched(FIRST, Some(b"<html>"), UnixTime::from_secs(NOW + 3600), 1.0);
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
        look(&mut verifier, &later, NOW + 3661),
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
fn b40_one_fetch_at_a_time_serves_all_waiting_requests() {
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
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 1)), []);
    fail(&mut verifier, NOW + 2);
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
}

#[test]
fn keys_are_fetched_again_only_while_they_are_used() {
    let mut verifier = with_keys();
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 10_000)), []);
    assert_eq!(
        look(&mut verifier, &good_token(), NOW + 10),
        TokenOutcome::Good
    );
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 299)), []);
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 300)), [FIRST]);
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 300)), []);
    assert_eq!(
        deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW + 301),
        Ok(())
    );
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 10_000)), []);
    // A remembered token is use, too; and so is a request that was refused for want of keys.
    let token = good_token();
    assert_eq!(look(&mut verifier, &token, NOW + 310), TokenOutcome::Good);
    assert_eq!(look(&mut verifier, &token, NOW + 311), TokenOutcome::Good);
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 601)), [FIRST]);
}

#[test]
fn refreshes_are_spread_and_never_below_half_the_time() {
    for (jitter, first) in [(1.0, 300), (0.75, 225), (0.0, 150), (7.0, 300)] {
        let mut verifier = fetching();
        let document = json!({"keys": [jwk(&KEY, "k1")]}).to_string();
        let fetched = verifier.keys_fetched(
            FIRST,
            Some(document.as_bytes()),
            UnixTime::from_secs(NOW),
            jitter,
        );
        assert_eq!(fetched, Ok(()));
        assert_eq!(look(&mut verifier, &good_token(), NOW), TokenOutcome::Good);
        assert_eq!(
            verifier.due(UnixTime::from_secs(NOW + first - 1)),
            [],
            "{jitter}"
        );
        assert_eq!(
            verifier.due(UnixTime::from_secs(NOW + first)),
            [FIRST],
            "{jitter}"
        );
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
    assert_eq!(verifier.due(UnixTime::from_secs(u64::MAX)), []);
    assert!(verifier.keys_mut(FIRST).unwrap().fetch().is_none());
    assert!(verifier.keys_mut(IssuerId(1)).is_none());
}
