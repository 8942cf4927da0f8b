//! Tokens their issuer is asked about.

use super::*;
use crate::{
    FetchError, IdVerification, Introspection, IntrospectionError, LogoutVerification, SignInAnswer,
};
use base::secret::Secret;
use base::time::UnixTime;

const TOKEN: &str = "opaque-1";

fn introspected(issuer: &str) -> TrustedIssuer {
    introspected_with(issuer, None)
}

/// The same, with keys of ID tokens.
fn introspected_with(issuer: &str, keys: Option<KeySource>) -> TrustedIssuer {
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
    let id_tokens = keys.map(|keys| Signatures {
        algorithms: Algorithm::ALL.to_vec(),
        types: Vec::new(),
        keys,
    });
    TrustedIssuer {
        check: TokenCheck::Introspection(endpoint, id_tokens),
        ..trusted(issuer, fetched())
    }
}

fn with_secret(issuers: Vec<TrustedIssuer>) -> Verifier {
    let environment = |name: &str| (name == "SECRET").then(|| "s3cret".to_owned());
    Verifier::with_environment(issuers, &environment).unwrap()
}

fn asking() -> Verifier {
    with_secret(vec![introspected(ISSUER)])
}

/// An issuer with keys, and one that is asked.
fn both() -> Verifier {
    let keys = trusted(OTHER_ISSUER, inline(&[jwk(&KEY, "k1")]));
    with_secret(vec![keys, introspected(ISSUER)])
}

fn need(token: &str) -> PendingFetch {
    let header = format!("Bearer {token}");
    PendingFetch::Token(FIRST, BearerToken::of_header(&header).unwrap().digest())
}

fn active() -> Value {
    let mut answer = claims();
    answer["active"] = json!(true);
    answer["token_type"] = json!("Bearer");
    answer
}

#[track_caller]
fn asks(verifier: &mut Verifier, token: &str, now: u64) {
    assert_eq!(
        look(verifier, token, now),
        TokenOutcome::NeedToken(need(token)),
        "{token} at {now}"
    );
}

fn answer(verifier: &mut Verifier, token: &str, answer: &Value, now: u64) {
    let body = answer.to_string();
    assert!(matches!(verifier.start(need(token)), FetchStart::Call(_)));
    let taken = verifier.fetched(
        need(token),
        Some(body.as_bytes()),
        UnixTime::from_secs(now),
        1.0,
    );
    assert_eq!(taken, Ok(()), "{answer}");
}

/// What becomes of a token of which the issuer says this.
fn outcome(said: &Value) -> TokenOutcome {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, said, NOW);
    look(&mut verifier, TOKEN, NOW)
}

#[test]
fn an_active_token_identifies_the_caller() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    let said = with(active(), "scope", json!("crm:read crm:write"));
    answer(&mut verifier, TOKEN, &said, NOW);
    let token = verified(&mut verifier, TOKEN, NOW);
    assert_eq!(token.identity().user.as_deref(), Some("u1"));
    assert_eq!(token.identity().scopes, ["crm:read", "crm:write"]);
    assert_eq!(token.verified_by(), &VerifiedBy::Introspection);
    assert_eq!(
        token.age(UnixTime::from_secs(NOW)),
        Some(Duration::from_secs(10))
    );
}

#[test]
fn b38_an_answer_is_checked_like_a_token() {
    assert_eq!(outcome(&active()), TokenOutcome::Good);
    assert_eq!(outcome(&without(active(), "iss")), TokenOutcome::Good);
    assert_eq!(
        outcome(&without(active(), "token_type")),
        TokenOutcome::Good
    );
    // Apigee and older versions of Ory Hydra.
    for kind in ["BearerToken", "access_token", "bearer"] {
        let said = with(active(), "token_type", json!(kind));
        assert_eq!(outcome(&said), TokenOutcome::Good, "{kind}");
    }
    for (name, value, error) in [
        ("iss", json!(OTHER_ISSUER), TokenError::Issuer),
        ("iss", json!([ISSUER]), TokenError::Issuer),
        ("iss", json!(null), TokenError::Issuer),
        ("exp", json!(NOW - 60), TokenError::Expired),
        ("exp", json!("soon"), TokenError::Claim("exp")),
        ("exp", json!(NOW + 100_000), TokenError::Lifetime),
        ("nbf", json!(NOW + 60), TokenError::NotYet),
        ("iat", json!(NOW + 60), TokenError::NotYet),
        ("auth_time", json!(NOW * 1000), TokenError::NotYet),
        ("sub", json!([7]), TokenError::Claim("sub")),
        ("sub", json!(""), TokenError::Claim("user")),
        ("token_type", json!("refresh_token"), TokenError::Type),
        ("token_type", json!("N_A"), TokenError::Type),
        ("token_type", json!(1), TokenError::Type),
        ("token_type", json!("DPoP"), TokenError::Bound),
        ("cnf", json!({"x5t#S256": "x"}), TokenError::Bound),
        ("typ", json!("Refresh"), TokenError::Type),
        ("typ", json!("Offline"), TokenError::Type),
        ("typ", json!("ID"), TokenError::Type),
        ("token_use", json!("refresh_token"), TokenError::Type),
    ] {
        let said = with(active(), name, value);
        assert_eq!(outcome(&said), TokenOutcome::Refused(error), "{said}");
    }
    let no_user = without(active(), "sub");
    assert_eq!(
        outcome(&no_user),
        TokenOutcome::Refused(TokenError::Claim("user"))
    );
    let endless = without(active(), "exp");
    assert_eq!(
        outcome(&endless),
        TokenOutcome::Refused(TokenError::Claim("exp"))
    );
}

#[test]
fn b39_an_answer_without_the_audience_is_refused() {
    for audience in [
        json!("https://billing.example.com"),
        json!([]),
        json!([OTHER_ISSUER]),
        json!(format!("{RESOURCE}/")),
    ] {
        let said = with(active(), "aud", audience);
        assert_eq!(
            outcome(&said),
            TokenOutcome::Refused(TokenError::Audience),
            "{said}"
        );
    }
    let claim = TokenOutcome::Refused(TokenError::Claim("aud"));
    assert_eq!(outcome(&without(active(), "aud")), claim);
    assert_eq!(
        outcome(&with(active(), "aud", json!(["x", RESOURCE]))),
        TokenOutcome::Good
    );
}

#[test]
fn an_answer_counts_for_its_time_and_never_longer_than_the_token() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &active(), NOW);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 60), TokenOutcome::Good);
    asks(&mut verifier, TOKEN, NOW + 61);

    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    let short = with(active(), "exp", json!(NOW + 5));
    answer(&mut verifier, TOKEN, &short, NOW);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 34), TokenOutcome::Good);
    let expired = TokenOutcome::Refused(TokenError::Expired);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 35), expired);
}

#[test]
fn a_revoked_token_is_refused_at_the_next_question() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &active(), NOW);
    asks(&mut verifier, TOKEN, NOW + 61);
    answer(&mut verifier, TOKEN, &json!({"active": false}), NOW + 61);
    let inactive = TokenOutcome::Refused(TokenError::Inactive);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 61), inactive);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 91), inactive);
    asks(&mut verifier, TOKEN, NOW + 92);
}

#[test]
fn h13_an_unusable_answer_accepts_no_token() {
    for (document, error) in [
        (None, None),
        (Some(""), Some(IntrospectionError::Format)),
        (Some("<html>"), Some(IntrospectionError::Format)),
        (Some("{}"), Some(IntrospectionError::Active)),
        (
            Some(r#"{"active":"true"}"#),
            Some(IntrospectionError::Active),
        ),
    ] {
        let mut verifier = asking();
        asks(&mut verifier, TOKEN, NOW);
        assert!(matches!(verifier.start(need(TOKEN)), FetchStart::Call(_)));
        let taken = verifier.fetched(
            need(TOKEN),
            document.map(str::as_bytes),
            UnixTime::from_secs(NOW),
            1.0,
        );
        assert_eq!(taken.err(), error.map(FetchError::Answer), "{document:?}");
        let unavailable = TokenOutcome::Refused(TokenError::IntrospectionUnavailable);
        assert_eq!(look(&mut verifier, TOKEN, NOW + 1), unavailable);
        asks(&mut verifier, TOKEN, NOW + 2);
    }
}

#[test]
fn h13_an_old_answer_does_not_stand_in_for_a_failed_one() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &active(), NOW);
    asks(&mut verifier, TOKEN, NOW + 61);
    assert_eq!(
        verifier.fetched(need(TOKEN), None, UnixTime::from_secs(NOW + 61), 1.0),
        Ok(())
    );
    let unavailable = TokenOutcome::Refused(TokenError::IntrospectionUnavailable);
    assert_eq!(look(&mut verifier, TOKEN, NOW + 61), unavailable);
}

#[test]
fn b40_one_call_serves_all_waiting_requests() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    asks(&mut verifier, TOKEN, NOW);
    assert!(matches!(verifier.start(need(TOKEN)), FetchStart::Call(_)));
    assert_eq!(verifier.start(need(TOKEN)), FetchStart::Nothing);
    asks(&mut verifier, TOKEN, NOW + 1);
    assert_eq!(verifier.start(need(TOKEN)), FetchStart::Nothing);
    assert_eq!(verifier.start(need("never-asked")), FetchStart::Nothing);
}

#[test]
fn b40_a_flood_of_made_up_tokens_is_no_flood_of_calls() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &active(), NOW);
    let made_up = |number: usize| format!("made-up-{number}");
    for number in 0..192 {
        asks(&mut verifier, &made_up(number), NOW);
    }
    let busy = TokenOutcome::Refused(TokenError::IntrospectionBusy);
    for number in 192..2000 {
        assert_eq!(look(&mut verifier, &made_up(number), NOW), busy);
    }
    let calls = (0..192)
        .filter(|number| matches!(verifier.start(need(&made_up(*number))), FetchStart::Call(_)));
    assert_eq!(calls.count(), 32);
    // Who is known goes on, and who waits is not pushed out.
    assert_eq!(look(&mut verifier, TOKEN, NOW), TokenOutcome::Good);
    asks(&mut verifier, &made_up(0), NOW);
    let inactive = br#"{"active":false}"#;
    assert_eq!(
        verifier.fetched(
            need(&made_up(0)),
            Some(inactive),
            UnixTime::from_secs(NOW),
            1.0
        ),
        Ok(())
    );
    asks(&mut verifier, &made_up(250), NOW);
    assert!(matches!(
        verifier.start(need(&made_up(100))),
        FetchStart::Call(_)
    ));
    assert_eq!(verifier.start(need(&made_up(101))), FetchStart::Later);
    // Questions nobody came back for do not block for ever.
    asks(&mut verifier, &made_up(260), NOW + 31);
}

#[test]
fn k7_a_network_with_few_tokens_has_its_turn_before_one_with_many() {
    let mut verifier = asking();
    let network = |number: u32| ClientNetwork::of(std::net::Ipv4Addr::from(number).into());
    let ask = |verifier: &mut Verifier, token: &str, client| {
        let header = format!("Bearer {token}");
        let token = BearerToken::of_header(&header).unwrap();
        verifier.verify(&token, Some(client), UnixTime::from_secs(NOW))
    };
    let made_up = |number: usize| format!("made-up-{number}");
    for number in 0..1000 {
        ask(&mut verifier, &made_up(number), network(1));
    }
    let called = |verifier: &mut Verifier, token: &str| {
        matches!(verifier.start(need(token)), FetchStart::Call(_))
    };
    assert_eq!(
        (0..192)
            .filter(|number| called(&mut verifier, &made_up(*number)))
            .count(),
        32
    );
    // Others may still ask, and come first when a call ends.
    for client in 2..32 {
        let token = format!("good-{client}");
        let asked = ask(&mut verifier, &token, network(client));
        assert!(matches!(asked, Verification::PendingFetch(_)), "{client}");
    }
    for client in 2..32 {
        let ended = need(&made_up(client as usize - 2));
        let (inactive, active) = (br#"{"active":false}"#, active().to_string());
        let good = format!("good-{client}");
        assert_eq!(
            verifier.fetched(ended, Some(inactive), UnixTime::from_secs(NOW), 1.0),
            Ok(())
        );
        let waits = (100..192).any(|number| called(&mut verifier, &made_up(number)));
        assert!(!waits, "the network with many tokens came first");
        assert!(called(&mut verifier, &good), "{client}");
        let taken = verifier.fetched(
            need(&good),
            Some(active.as_bytes()),
            UnixTime::from_secs(NOW),
            1.0,
        );
        assert_eq!(taken, Ok(()));
        assert_eq!(look(&mut verifier, &good, NOW), TokenOutcome::Good);
    }
}

#[test]
fn k6_an_answer_from_the_future_counts_no_more() {
    let mut verifier = asking();
    let later = NOW + 300;
    asks(&mut verifier, TOKEN, later);
    answer(&mut verifier, TOKEN, &active(), later);
    assert_eq!(look(&mut verifier, TOKEN, later), TokenOutcome::Good);
    // The clock is set back.
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &json!({"active": false}), later);
    asks(&mut verifier, TOKEN, NOW);
}

#[test]
fn b40_refused_tokens_do_not_push_out_good_ones() {
    let mut verifier = asking();
    asks(&mut verifier, TOKEN, NOW);
    answer(&mut verifier, TOKEN, &active(), NOW);
    for number in 0..5000 {
        let token = format!("made-up-{number}");
        asks(&mut verifier, &token, NOW);
        answer(&mut verifier, &token, &json!({"active": false}), NOW);
    }
    assert_eq!(look(&mut verifier, TOKEN, NOW), TokenOutcome::Good);
}

#[test]
fn a_jwt_goes_to_the_issuer_it_names_and_anything_else_to_the_one_that_is_asked() {
    let asked = IssuerId(1);
    let of = |token: &str| match need(token) {
        PendingFetch::Token(_, digest) => {
            TokenOutcome::NeedToken(PendingFetch::Token(asked, digest))
        }
        PendingFetch::Keys(_) => panic!(),
    };
    let own = token(&header(), &with(claims(), "iss", json!(OTHER_ISSUER)));
    assert_eq!(look(&mut both(), &own, NOW), TokenOutcome::Good);

    let unsigned = BASE64_URL_SAFE_NO_PAD.encode("{}");
    for token in [
        good_token(),
        token(&with(header(), "alg", json!("HS256")), &claims()),
        token(&header(), &without(claims(), "iss")),
        "opaque".to_owned(),
        "a.b.c".to_owned(),
        "a.b.c.d.e".to_owned(),
        format!("{unsigned}.{unsigned}.x"),
    ] {
        assert_eq!(look(&mut both(), &token, NOW), of(&token), "{token}");
    }
}

#[test]
fn b40_what_is_plainly_no_access_token_is_not_asked_about() {
    let huge = "x".repeat(40_000);
    for (token, error) in [
        (
            token(
                &header(),
                &with(claims(), "iss", json!("https://evil.example")),
            ),
            TokenError::Issuer,
        ),
        (
            token(&with(header(), "typ", json!("id_token+jwt")), &claims()),
            TokenError::Type,
        ),
        (
            token(&header(), &with(claims(), "typ", json!("Refresh"))),
            TokenError::Type,
        ),
        (
            token(&header(), &with(claims(), "at_hash", json!("x"))),
            TokenError::Type,
        ),
        (huge, TokenError::TooLarge),
    ] {
        assert_eq!(look(&mut both(), &token, NOW), TokenOutcome::Refused(error));
    }
}

#[test]
fn b38_an_issuer_that_is_asked_does_not_speak_for_one_with_keys() {
    let mut verifier = both();
    let TokenOutcome::NeedToken(need) = look(&mut verifier, TOKEN, NOW) else {
        panic!()
    };
    assert!(matches!(verifier.start(need), FetchStart::Call(_)));
    let said = with(active(), "iss", json!(OTHER_ISSUER)).to_string();
    assert_eq!(
        verifier.fetched(need, Some(said.as_bytes()), UnixTime::from_secs(NOW), 1.0),
        Ok(())
    );
    let refused = TokenOutcome::Refused(TokenError::Issuer);
    assert_eq!(look(&mut verifier, TOKEN, NOW), refused);
}

#[test]
fn without_its_secret_there_is_no_verifier() {
    let none = Verifier::new(vec![introspected(ISSUER)]).unwrap_err();
    let empty = |_: &str| Some(String::new());
    let empty = Verifier::with_environment(vec![introspected(ISSUER)], &empty).unwrap_err();
    for error in [none, empty] {
        assert_eq!(error, SetupError::Secret(FIRST, "SECRET".into()));
        assert_eq!(error.path(), "issuers[0].introspection.client_secret_env");
        assert!(error.to_string().contains("`SECRET`"), "{error}");
    }
}

fn signed_in(verifier: &mut Verifier) -> Result<IdVerification, TokenError> {
    let claims = json!({
        "iss": ISSUER, "sub": "u1", "aud": "mcp-pages", "nonce": "n-1", "exp": NOW + 300, "iat": NOW,
    });
    let header = json!({"alg": "EdDSA", "kid": "k1"});
    let user = ClaimSource::claim("sub");
    let answer = SignInAnswer {
        issuer: FIRST,
        client_id: "mcp-pages",
        nonce: "n-1",
        user: &user,
    };
    verifier.verify_id_token(
        &Secret::new(token(&header, &claims)),
        answer,
        UnixTime::from_secs(NOW),
    )
}

fn signed_out(verifier: &mut Verifier) -> Result<LogoutVerification, TokenError> {
    let claims = json!({
        "iss": ISSUER, "sub": "u1", "aud": "mcp-pages", "iat": NOW, "jti": "j-1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let token = Secret::new(token(&json!({"alg": "EdDSA", "kid": "k1"}), &claims));
    let verified = verifier.verify_logout(
        (&token, ClientNetwork::UNKNOWN),
        |_| Some("mcp-pages".into()),
        UnixTime::from_secs(NOW),
    );
    verified.map(|(_, verification)| verification)
}

#[test]
fn sign_ins_and_sign_outs_are_verified_with_keys() {
    let mut verifier = with_secret(vec![introspected_with(ISSUER, Some(fetched()))]);
    let keys = PendingFetch::Keys(FIRST);
    assert_eq!(
        signed_in(&mut verifier),
        Ok(IdVerification::PendingFetch(keys))
    );
    assert_eq!(
        signed_out(&mut verifier),
        Ok(LogoutVerification::PendingFetch(keys))
    );
    assert!(matches!(verifier.start(keys), FetchStart::Call(_)));
    let document = json!({"keys": [jwk(&KEY, "k1")]}).to_string();
    let taken = verifier.fetched(
        keys,
        Some(document.as_bytes()),
        UnixTime::from_secs(NOW),
        1.0,
    );
    assert_eq!(taken, Ok(()));
    assert!(matches!(
        signed_in(&mut verifier),
        Ok(IdVerification::Verified(_))
    ));
    assert!(matches!(
        signed_out(&mut verifier),
        Ok(LogoutVerification::Verified(_))
    ));
    // They are fetched again, as others are.
    signed_in(&mut verifier).unwrap();
    assert_eq!(verifier.due(UnixTime::from_secs(NOW + 301)), [FIRST]);
    let mut without = asking();
    assert_eq!(signed_in(&mut without), Err(TokenError::Issuer));
    assert_eq!(signed_out(&mut without), Err(TokenError::Issuer));
    assert_eq!(without.due(UnixTime::from_secs(NOW + 301)), []);
}

#[test]
fn b38_keys_of_id_tokens_make_no_access_token() {
    for keys in [fetched(), inline(&[jwk(&KEY, "k1")])] {
        let mut verifier = with_secret(vec![introspected_with(ISSUER, Some(keys))]);
        let signed = good_token();
        asks(&mut verifier, &signed, NOW);
        answer(&mut verifier, &signed, &json!({"active": false}), NOW);
        let inactive = TokenOutcome::Refused(TokenError::Inactive);
        assert_eq!(look(&mut verifier, &signed, NOW), inactive);
    }
}
