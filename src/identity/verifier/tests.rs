use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Value, json};

use super::{Verification, VerifiedToken, Verifier};
use crate::identity::{
    Algorithm, BearerToken, ClaimPath, ClaimPaths, IssuerId, KeyFetch, KeySetError, KeySource,
    TokenError, TokenType, TrustedIssuer,
};
use crate::mcp::json::Fault;

const NOW: u64 = 1_900_000_000;
const ISSUER: &str = "https://login.example.com";
const OTHER_ISSUER: &str = "https://other.example.com";
const RESOURCE: &str = "https://crm.example.com/mcp";
const FIRST: IssuerId = IssuerId(0);

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(Ed25519KeyPair::generate);
static OTHER_KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(Ed25519KeyPair::generate);

/// For these tests only: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`.
const RSA: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC5EqP6PjfV1EwW\n\
gyeARbexyW97sgTfW+k1jBBbEHvpb879r4NIpnOzOJgGIPMCW13bE24HEEBP6OqW\n\
odP0cnk6lTLCD448G2pe5DoloC/o2mjrqf3au7L6/AOA+HA6mZhdhFjtU/z7ha2Q\n\
HA9hU6sNzjZ5xq/m4smYl3SIc/+KBObsCj3d4ThxG3/PBJxcgGJ7qDjnN+n2RYut\n\
MRhoxnyRlMoyc5YB2nE29SsosszuBsYFIE0SMAY4i5tJDnq3fWdDL0/u6e174alK\n\
jMlJdyYnIVdwRlmgIMhA4u63ug7CHGS3Rjy79qpxYu/3CQg4seooF0KbhiSk+wor\n\
udvVmjLVAgMBAAECggEABxPIPdgQ64uS804a/cPsv+Q7mqfWmYdawNz1J9OsDA5m\n\
BHvTPJJ88dlpWtv6Ca4zxckVl+M5Cl/rpKIAnc7zhYLSGOteXZG7fMXOgW+BlYPQ\n\
p6kYV5Eo9Cxx99sdnj1kabhswXqePddr/or20u/PppdVrEzQSjcu+A0GpvcvSk2l\n\
WkOJi+f2awtAqE0UbcZP8vtNe4mvsPNDTdVByCLB/DvumFBhd10pSoEuk5GihW4k\n\
vhFmqvYRsx0/S7QqYLZOM4QYQfjHEhGJKQzWGAKDPoWZCt5Lt7HHAtbFaOLXtQFE\n\
U1Ke9uNbu41z8KZEnPMoXRMC5R/gfRPdZuEj5H23MQKBgQDkbvqrkKv8o3TpkSnc\n\
g7DwTj6O48lMgJsk4x6MO66iwbgk0w0gRwczDr9UAJBYQ3ufNS4/4W+J4oK4rAxv\n\
W6aG1Ky7l82H5vjqD8gVqksytQCk6hv198elpcSnvwukOS3uFYD26m0c4EDm0gmX\n\
VX2ThbXol+hGlP5o3gLk102r2QKBgQDPaB1dI6q0bCZnkk6CvkLibNIqSygkwf3u\n\
wW9JR7c5M7hVMgPTCLeP125WSdbBPIwfFBj/NdFtAxzqWPbeK7V7rk4qpPGx0R1U\n\
cSmb9Mcjki8txOaoB5oL2V2eHyX4jaIKOgcYRs3paDiCUNCqFc7j8w5TTz8dE035\n\
4ADgDDbNXQKBgAvskx8zjRbB/Y9XqYS+RxU0MGXLFC3vJKoXRPfzAZmzXQZnEe9W\n\
ZdTPd0NOSDqjQye7Ye+pt+XNsh8rs/Z4JUgyf9XHBc6LSwEE09/1pLk/44m4Qr9j\n\
MMO/1HUhLt1isrgT3UiGUi3IsvqZijChIM37k9RRYamVi3Yz6JjDeGV5AoGAPsw0\n\
T9YTwosYWbWnxdhbofj27U1SO0btXtP8oQBwzoYFYu5A0C3MfmXpB4FV3644ctR/\n\
+Q3PeiU+JQqIvJ4ZVfhhvHGyqHc7XSziP1Eu1mtVk5MRj4C1uK64tL6TnZ0smdIW\n\
Adi2Udx3d6WGeGkf+k7GYJ0W6/PDYUvcl/m6whUCgYBLSRJQ6P7BEYj2Qw8w1v0k\n\
6Im2eWI8fO0W0QeMNxES7r8nbhq5cSvCiAXB27du6ewkkF7WBvU6QMUtyn74pBTf\n\
qW1J2U838IyFyAUi37gfBs9oJyJP3Sr9iioUZpNUl2tGJOkwLj4pmYOTWIsDtCBG\n\
Y8DOIJBN82fkT9yRRgFlgw==\n\
-----END PRIVATE KEY-----\n";

/// A [`Verification`] that can be compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    Good,
    NeedKeys(IssuerId),
    Refused(TokenError),
}

fn trusted(issuer: &str, keys: KeySource) -> TrustedIssuer {
    TrustedIssuer {
        issuer: issuer.to_owned(),
        audiences: vec![RESOURCE.to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        types: vec![TokenType::AccessToken, TokenType::Jwt],
        claims: ClaimPaths {
            user: ClaimPath::claim("sub"),
            organization: None,
            roles: None,
            scopes: ClaimPath::claim("scope"),
        },
        clock_skew: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(3600),
        keys,
    }
}

fn inline(keys: &[Value]) -> KeySource {
    KeySource::Inline(json!({ "keys": keys }).to_string())
}

fn fetched() -> KeySource {
    KeySource::Fetch(KeyFetch {
        cluster: "login".into(),
        path: "/keys".into(),
        authority: "login.example.com".into(),
        refresh: Duration::from_secs(300),
        keep: Duration::from_secs(3600),
    })
}

fn jwk(key: &Ed25519KeyPair, kid: &str) -> Value {
    with_kid(&key.public_key().to_jwk(), kid)
}

fn with_kid(jwk: &str, kid: &str) -> Value {
    with(serde_json::from_str(jwk).unwrap(), "kid", json!(kid))
}

/// One issuer, whose key `k1` is in the policy.
fn verifier() -> Verifier {
    Verifier::new(vec![trusted(ISSUER, inline(&[jwk(&KEY, "k1")]))]).unwrap()
}

/// One issuer, whose keys have to be fetched.
fn fetching() -> Verifier {
    Verifier::new(vec![trusted(ISSUER, fetched())]).unwrap()
}

/// One issuer, whose key `k1` was fetched at `NOW`.
fn with_keys() -> Verifier {
    let mut verifier = fetching();
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW), Ok(()));
    verifier
}

fn deliver(verifier: &mut Verifier, keys: &[Value], now: u64) -> Result<(), KeySetError> {
    let document = json!({ "keys": keys }).to_string();
    verifier.keys_fetched(FIRST, Some(document.as_bytes()), now, 1.0)
}

fn fail(verifier: &mut Verifier, now: u64) {
    assert_eq!(verifier.keys_fetched(FIRST, None, now, 1.0), Ok(()));
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "u1", "aud": RESOURCE, "exp": NOW + 600, "iat": NOW - 10})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn sign(key: &Ed25519KeyPair, header: &str, claims: &str) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let signature = key.key_pair().as_ref().sk.sign(&text, None);
    format!("{text}.{}", encode(&signature[..]))
}

/// A token with a good signature.
fn token(header: &Value, claims: &Value) -> String {
    sign(&KEY, &header.to_string(), &claims.to_string())
}

fn good_token() -> String {
    token(&header(), &claims())
}

fn token_of_key(kid: &str) -> String {
    token(&with(header(), "kid", json!(kid)), &claims())
}

fn look(verifier: &mut Verifier, token: &str, now: u64) -> Outcome {
    let header = format!("Bearer {token}");
    match verifier.verify(&BearerToken::of_header(&header).unwrap(), now) {
        Verification::Verified(_) => Outcome::Good,
        Verification::Refused(error) => Outcome::Refused(error),
        Verification::NeedKeys(issuer) => Outcome::NeedKeys(issuer),
    }
}

fn verified(verifier: &mut Verifier, token: &str, now: u64) -> Rc<VerifiedToken> {
    let header = format!("Bearer {token}");
    match verifier.verify(&BearerToken::of_header(&header).unwrap(), now) {
        Verification::Verified(token) => token,
        other => panic!("{other:?}"),
    }
}

fn refused(token: &str) -> TokenError {
    match look(&mut verifier(), token, NOW) {
        Outcome::Refused(error) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses_header(header: &Value, error: TokenError) {
    assert_eq!(refused(&token(header, &claims())), error, "{header}");
}

#[track_caller]
fn refuses_claims(claims: &Value, error: TokenError) {
    assert_eq!(refused(&token(&header(), claims)), error, "{claims}");
}

#[track_caller]
fn accepts(claims: &Value) {
    let token = token(&header(), claims);
    assert_eq!(
        look(&mut verifier(), &token, NOW),
        Outcome::Good,
        "{claims}"
    );
}

// === what is accepted ===

fn jwt_claims() -> JWTClaims<NoCustomClaims> {
    let mut claims = Claims::create(jwt_simple::prelude::Duration::from_secs(1))
        .with_issuer(ISSUER)
        .with_subject("u1")
        .with_audience(RESOURCE);
    claims.issued_at = Some(UnixTimeStamp::from_secs(NOW));
    claims.invalid_before = Some(UnixTimeStamp::from_secs(NOW));
    claims.expires_at = Some(UnixTimeStamp::from_secs(NOW + 600));
    claims
}

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
        let mut issuer = trusted(ISSUER, inline(std::slice::from_ref(jwk)));
        issuer.algorithms = vec![*algorithm];
        let mut verifier = Verifier::new(vec![issuer.clone()]).unwrap();
        assert_eq!(
            look(&mut verifier, token, NOW),
            Outcome::Good,
            "{algorithm:?}"
        );

        // The key allows every RSA algorithm; the policy does not.
        issuer.keys = inline(&[
            jwk_of(&signed, *algorithm),
            jwk_of(&signed, other(*algorithm)),
        ]);
        issuer.algorithms = vec![other(*algorithm)];
        let mut verifier = Verifier::new(vec![issuer]).unwrap();
        let refused = Outcome::Refused(TokenError::Algorithm);
        assert_eq!(look(&mut verifier, token, NOW), refused, "{algorithm:?}");
    }
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
        Outcome::Refused(TokenError::Key)
    );
}

#[test]
fn a_good_token_says_who_is_calling() {
    let claims = with(claims(), "scope", json!("crm:read crm:write"));
    let token = verified(&mut verifier(), &token(&header(), &claims), NOW);
    assert_eq!(token.identity().user, "u1");
    assert_eq!(token.identity().scopes, ["crm:read", "crm:write"]);
    assert_eq!(token.issuer(), FIRST);
    assert_eq!(token.key_id(), Some("k1"));
}

#[test]
fn a_token_without_a_kid_is_checked_with_every_key_of_its_issuer() {
    let keys = [jwk(&OTHER_KEY, "k0"), jwk(&KEY, "k1")];
    let mut verifier = Verifier::new(vec![trusted(ISSUER, inline(&keys))]).unwrap();
    let token = token(&without(header(), "kid"), &claims());
    assert_eq!(look(&mut verifier, &token, NOW), Outcome::Good);
}

#[test]
fn the_age_counts_from_the_sign_in_and_else_from_the_issue() {
    let age = |claims: &Value| {
        let token = verified(&mut verifier(), &token(&header(), claims), NOW);
        token.age(NOW)
    };
    assert_eq!(age(&claims()), Some(10));
    assert_eq!(
        age(&with(claims(), "auth_time", json!(NOW - 500))),
        Some(500)
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

// === headers ===

#[test]
fn b38_algorithms_that_prove_nothing_are_refused() {
    for name in [
        "none", "None", "NONE", "", "HS256", "eddsa", "Ed25519", "ES256K", "ES512", "RS1",
    ] {
        refuses_header(&with(header(), "alg", json!(name)), TokenError::Algorithm);
    }
    refuses_header(&without(header(), "alg"), TokenError::Algorithm);
    for odd in [json!(null), json!(["EdDSA"]), json!({"a": 1})] {
        refuses_header(&with(header(), "alg", odd), TokenError::Header);
    }
    let unsigned = good_token();
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    assert_eq!(refused(&format!("{unsigned}.")), TokenError::Encoding);
}

#[test]
fn b38_the_public_key_is_no_shared_secret() {
    let public = RS256KeyPair::from_pem(RSA).unwrap().public_key();
    for secret in [
        public.to_pem().unwrap().into_bytes(),
        public.to_der().unwrap(),
        public.to_jwk().into_bytes(),
    ] {
        let keys = inline(&[with_kid(&public.to_jwk(), "k1")]);
        let mut verifier = Verifier::new(vec![trusted(ISSUER, keys)]).unwrap();
        let key = HS256Key::from_bytes(&secret).with_key_id("k1");
        let token = key.authenticate(jwt_claims()).unwrap();
        let refused = Outcome::Refused(TokenError::Algorithm);
        assert_eq!(look(&mut verifier, &token, NOW), refused);
    }
}

#[test]
fn b38_a_header_that_brings_a_key_or_asks_for_more_is_refused() {
    let own = jwk(&OTHER_KEY, "k1");
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", own),
        ("x5u", json!("https://evil.example/cert")),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("epk", json!({})),
        ("kid", json!(1)),
        ("kid", json!(null)),
        ("kid", json!(["k1"])),
        ("typ", json!(["at+jwt"])),
    ] {
        refuses_header(&with(header(), name, value), TokenError::Header);
    }
}

#[test]
fn b38_only_access_tokens_are_access_tokens() {
    for typ in [
        "oauth-id-jag+jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "JWE",
        "application/jwt",
        "",
    ] {
        refuses_header(&with(header(), "typ", json!(typ)), TokenError::Type);
    }
    refuses_header(&without(header(), "typ"), TokenError::Type);
    for (claim, value) in [
        ("at_hash", json!("h")),
        ("c_hash", json!("h")),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("typ", json!("Logout")),
        ("events", json!({})),
        ("at_hash", json!(null)),
    ] {
        refuses_claims(&with(claims(), claim, value), TokenError::Type);
    }
    accepts(&with(claims(), "typ", json!("Bearer")));
    // Some issuers write the sign-in's nonce into access tokens, too.
    accepts(&with(claims(), "nonce", json!("n")));
}

#[test]
fn typ_is_read_whatever_its_case() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt"] {
        let token = token(&with(header(), "typ", json!(typ)), &claims());
        assert_eq!(look(&mut verifier(), &token, NOW), Outcome::Good, "{typ}");
    }
    let mut issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
    issuer.types = vec![TokenType::Absent];
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    let absent = token(&without(header(), "typ"), &claims());
    assert_eq!(look(&mut verifier, &absent, NOW), Outcome::Good);
    let wrong = Outcome::Refused(TokenError::Type);
    assert_eq!(look(&mut verifier, &good_token(), NOW), wrong);
}

#[test]
fn b38_a_token_bound_to_a_key_is_no_bearer_token() {
    let bound = with(claims(), "cnf", json!({"jkt": "x"}));
    refuses_claims(&bound, TokenError::Bound);
    refuses_claims(&with(claims(), "cnf", json!(null)), TokenError::Bound);
}

// === form ===

#[test]
fn b38_huge_headers_and_tokens_are_refused_unread() {
    let header = with(header(), "kid", json!("k".repeat(4096)));
    refuses_header(&header, TokenError::TooLarge);
    let claims = with(claims(), "padding", json!("x".repeat(16 * 1024)));
    refuses_claims(&claims, TokenError::TooLarge);
    accepts(&with(
        self::claims(),
        "padding",
        json!("x".repeat(11 * 1024)),
    ));
}

#[test]
fn b38_a_token_has_one_spelling() {
    let token = good_token();
    let (rest, last) = token.split_at(token.len() - 1);
    // The last of 86 characters holds two bits; the other four are zero.
    let loose = ["R", "h", "x", "B"].map(|letter| format!("{rest}{letter}"));
    assert!(["A", "Q", "g", "w"].contains(&last));
    let parts: Vec<&str> = token.split('.').collect();
    let padded = parts
        .iter()
        .map(|part| token.replace(part, &format!("{part}=")));
    let with_character = |character: &str| {
        let mut token = token.clone();
        token.replace_range(5..6, character);
        token
    };
    let others = [
        format!("{token}=="),
        format!("{token}."),
        format!("{token}.{}", parts[2]),
        format!(".{token}"),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        with_character("+"),
        with_character("/"),
        with_character("~"),
        "..".to_owned(),
        "a".to_owned(),
    ];
    for odd in loose.into_iter().chain(padded).chain(others) {
        let error = refused(&odd);
        let malformed = matches!(error, TokenError::Encoding | TokenError::Json(_));
        assert!(malformed, "{odd}: {error:?}");
    }
}

#[test]
fn b38_duplicate_members_are_refused_however_they_are_spelled() {
    let header = header().to_string();
    let claims = claims().to_string();
    let twice = |object: &str, member: &str| object.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (header.clone(), twice(&claims, r#""sub":"admin""#)),
        (header.clone(), twice(&claims, r#""s\u0075b":"admin""#)),
        (header.clone(), twice(&claims, r#""exp":9999999999"#)),
        (header.clone(), twice(&claims, r#""a":{"b":1,"\u0062":2}"#)),
        (twice(&header, r#""alg":"none""#), claims.clone()),
        (twice(&header, r#""\u006bid":"k0""#), claims.clone()),
    ] {
        let error = refused(&sign(&KEY, &header, &claims));
        let duplicate =
            matches!(error, TokenError::Json(json) if json.fault == Fault::DuplicateKey);
        assert!(duplicate, "{header} {claims}: {error:?}");
    }
}

#[test]
fn b38_header_and_claims_are_strict_json_objects() {
    let good = (header().to_string(), claims().to_string());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(20), "]".repeat(20));
    for odd in [
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{}{}",
        "{} x",
        "\u{feff}{}",
        "{'a':1}",
        &deep,
    ] {
        for (header, claims) in [(odd, good.1.as_str()), (good.0.as_str(), odd)] {
            let error = refused(&sign(&KEY, header, claims));
            let malformed = matches!(error, TokenError::Encoding | TokenError::Json(_));
            assert!(malformed, "{odd}: {error:?}");
        }
    }
}

#[test]
fn b38_any_changed_byte_spoils_the_signature() {
    let token = good_token();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut verifier = verifier();
    for index in 0..signature.len() {
        let mut changed = signature.clone();
        changed[index] ^= 1;
        let changed = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(changed));
        let spoiled = Outcome::Refused(TokenError::Signature);
        assert_eq!(look(&mut verifier, &changed, NOW), spoiled, "byte {index}");
    }
    for (header, claims) in [
        (header(), with(claims(), "sub", json!("u2"))),
        (without(header(), "kid"), claims()),
    ] {
        let (changed, _) = self::token(&header, &claims)
            .rsplit_once('.')
            .map(|(text, _)| (text.to_owned(), ()))
            .unwrap();
        let changed = format!("{changed}.{}", BASE64_URL_SAFE_NO_PAD.encode(&signature));
        let spoiled = Outcome::Refused(TokenError::Signature);
        assert_eq!(look(&mut verifier, &changed, NOW), spoiled);
    }
    for length in [1, 63, 65, 128] {
        let short = BASE64_URL_SAFE_NO_PAD.encode(vec![7; length]);
        assert_eq!(refused(&format!("{text}.{short}")), TokenError::Signature);
    }
    assert_eq!(look(&mut verifier, &token, NOW), Outcome::Good);
}

// === claims ===

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
        (NOW, Outcome::Good),
        (NOW + 29, Outcome::Good),
        (NOW + 30, Outcome::Refused(TokenError::Expired)),
        (NOW + 31, Outcome::Refused(TokenError::Expired)),
    ] {
        assert_eq!(look(&mut verifier(), &token, now), expected, "{now}");
    }
    let mut issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
    issuer.clock_skew = Duration::ZERO;
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    assert_eq!(look(&mut verifier, &token, NOW - 1), Outcome::Good);
    let expired = Outcome::Refused(TokenError::Expired);
    assert_eq!(look(&mut verifier, &token, NOW), expired);
}

#[test]
fn a_user_is_required() {
    refuses_claims(&without(claims(), "sub"), TokenError::Claim("user"));
    refuses_claims(&with(claims(), "sub", json!("")), TokenError::Claim("user"));
    for odd in [json!(42), json!(null), json!(["u1"])] {
        refuses_claims(&with(claims(), "sub", odd), TokenError::Claim("sub"));
    }
    refuses_claims(&with(claims(), "jti", json!(1)), TokenError::Claim("jti"));
    refuses_claims(
        &with(claims(), "nonce", json!(1)),
        TokenError::Claim("nonce"),
    );
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

// === issuers ===

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
    let key = Outcome::Refused(TokenError::Key);
    let signature = Outcome::Refused(TokenError::Signature);
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
    assert_eq!(error, (IssuerId(1), KeySetError::Empty));
}

// === memory ===

#[test]
fn a_verified_token_is_remembered_until_it_expires() {
    let mut verifier = verifier();
    let token = good_token();
    let first = verified(&mut verifier, &token, NOW);
    assert!(Rc::ptr_eq(
        &first,
        &verified(&mut verifier, &token, NOW + 629)
    ));
    let expired = Outcome::Refused(TokenError::Expired);
    assert_eq!(look(&mut verifier, &token, NOW + 630), expired);
    // A clock that goes back does not bring a token forward.
    let not_yet = Outcome::Refused(TokenError::NotYet);
    assert_eq!(look(&mut verifier, &token, NOW - 41), not_yet);
}

#[test]
fn b38_a_remembered_token_is_not_another_ones_signature() {
    let mut verifier = verifier();
    let token = good_token();
    verified(&mut verifier, &token, NOW);
    let (text, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64]));
    let refused = Outcome::Refused(TokenError::Signature);
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
    let unknown = Outcome::Refused(TokenError::Key);
    assert_eq!(look(&mut verifier, &token, NOW + 20), unknown);
    // The name of its key is given to another.
    assert_eq!(
        deliver(&mut verifier, &[jwk(&OTHER_KEY, "k1")], NOW + 30),
        Ok(())
    );
    let signature = Outcome::Refused(TokenError::Signature);
    assert_eq!(look(&mut verifier, &token, NOW + 30), signature);
}

#[test]
fn b40_a_remembered_token_is_not_accepted_longer_than_its_keys() {
    let mut verifier = with_keys();
    let token = token(&header(), &with(claims(), "exp", json!(NOW + 3630)));
    assert_eq!(look(&mut verifier, &token, NOW), Outcome::Good);
    assert_eq!(look(&mut verifier, &token, NOW + 3600), Outcome::Good);
    let fetch = Outcome::NeedKeys(FIRST);
    assert_eq!(look(&mut verifier, &token, NOW + 3601), fetch);
    fail(&mut verifier, NOW + 3601);
    let unavailable = Outcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW + 3601), unavailable);
}

// === fetching ===

#[test]
fn b40_keys_are_fetched_when_the_first_token_needs_them() {
    let mut verifier = fetching();
    let token = good_token();
    assert_eq!(look(&mut verifier, &token, NOW), Outcome::NeedKeys(FIRST));
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], NOW), Ok(()));
    assert_eq!(look(&mut verifier, &token, NOW), Outcome::Good);
}

#[test]
fn b40_an_unknown_kid_leads_to_one_fetch() {
    let mut verifier = with_keys();
    let later = NOW + 30;
    let token = token_of_key("k2");
    assert_eq!(look(&mut verifier, &token, later), Outcome::NeedKeys(FIRST));
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
    assert_eq!(deliver(&mut verifier, &[jwk(&KEY, "k1")], later), Ok(()));
    let unknown = || Outcome::Refused(TokenError::Key);
    for now in later..later + 30 {
        assert_eq!(look(&mut verifier, &token, now), unknown());
    }
    assert_eq!(
        look(&mut verifier, &token, later + 30),
        Outcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_a_rotated_key_is_found() {
    let mut verifier = with_keys();
    let header = with(header(), "kid", json!("k2")).to_string();
    let token = sign(&OTHER_KEY, &header, &claims().to_string());
    assert_eq!(
        look(&mut verifier, &token, NOW + 40),
        Outcome::NeedKeys(FIRST)
    );
    let both = [jwk(&KEY, "k1"), jwk(&OTHER_KEY, "k2")];
    assert_eq!(deliver(&mut verifier, &both, NOW + 40), Ok(()));
    assert_eq!(look(&mut verifier, &token, NOW + 40), Outcome::Good);
    assert_eq!(look(&mut verifier, &good_token(), NOW + 40), Outcome::Good);
}

/// Sends a token with a new `kid` each second, answers each fetch after two, and counts them.
fn fetches_in_a_flood(seconds: u64, answer: Option<&[Value]>) -> usize {
    let mut verifier = with_keys();
    let mut fetches = 0;
    let mut started = None;
    for now in NOW..NOW + seconds {
        let outcome = look(&mut verifier, &token_of_key(&format!("x{now}")), now);
        if outcome == Outcome::NeedKeys(FIRST) && verifier.keys_mut(FIRST).unwrap().start_fetch() {
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
        assert_eq!(look(&mut verifier, &good_token(), now), Outcome::Good);
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
            matches!(outcome, Outcome::Refused(_)),
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
        assert_eq!(look(&mut verifier, &token, now), Outcome::Good, "{now}");
    }
    let broken = verifier.keys_fetched(FIRST, Some(b"<html>"), NOW + 3600, 1.0);
    assert_eq!(broken, Err(KeySetError::Format));
    assert_eq!(
        deliver(&mut verifier, &[], NOW + 3600),
        Err(KeySetError::Empty)
    );
    assert_eq!(look(&mut verifier, &token, NOW + 3600), Outcome::Good);
    fail(&mut verifier, NOW + 3601);
    let unavailable = Outcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW + 3605), unavailable);
    assert_eq!(
        look(&mut verifier, &token, NOW + 3606),
        Outcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_after_a_failed_first_fetch_requests_are_refused_for_a_moment() {
    let mut verifier = fetching();
    let token = good_token();
    fail(&mut verifier, NOW);
    let unavailable = || Outcome::Refused(TokenError::KeysUnavailable);
    assert_eq!(look(&mut verifier, &token, NOW), unavailable());
    assert_eq!(look(&mut verifier, &token, NOW + 4), unavailable());
    assert_eq!(
        look(&mut verifier, &token, NOW + 5),
        Outcome::NeedKeys(FIRST)
    );
}

#[test]
fn b40_one_fetch_at_a_time_and_everybody_waits_for_it() {
    let mut verifier = fetching();
    assert_eq!(
        look(&mut verifier, &good_token(), NOW),
        Outcome::NeedKeys(FIRST)
    );
    let keys = verifier.keys_mut(FIRST).unwrap();
    assert!(keys.start_fetch());
    assert!(!keys.start_fetch());
    assert_eq!(
        look(&mut verifier, &good_token(), NOW + 1),
        Outcome::NeedKeys(FIRST)
    );
    assert_eq!(verifier.due(NOW + 1), []);
    fail(&mut verifier, NOW + 2);
    assert!(verifier.keys_mut(FIRST).unwrap().start_fetch());
}

#[test]
fn keys_are_fetched_again_only_while_they_are_used() {
    let mut verifier = with_keys();
    assert_eq!(verifier.due(NOW + 10_000), []);
    assert_eq!(look(&mut verifier, &good_token(), NOW + 10), Outcome::Good);
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
    assert_eq!(look(&mut verifier, &token, NOW + 310), Outcome::Good);
    assert_eq!(look(&mut verifier, &token, NOW + 311), Outcome::Good);
    assert_eq!(verifier.due(NOW + 601), [FIRST]);
}

#[test]
fn refreshes_are_spread_and_never_below_half_the_time() {
    for (jitter, first) in [(1.0, 300), (0.75, 225), (0.0, 150), (7.0, 300)] {
        let mut verifier = fetching();
        let document = json!({"keys": [jwk(&KEY, "k1")]}).to_string();
        let fetched = verifier.keys_fetched(FIRST, Some(document.as_bytes()), NOW, jitter);
        assert_eq!(fetched, Ok(()));
        assert_eq!(look(&mut verifier, &good_token(), NOW), Outcome::Good);
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
        assert_ne!(outcome, Outcome::Good);
        if let Outcome::NeedKeys(issuer) = outcome {
            assert_eq!(issuer, FIRST);
        }
        let fetch = format!("{:?}", verifier.keys_mut(FIRST).unwrap().fetch());
        assert_eq!(fetch, of_policy);
    }
}

#[test]
fn b41_keys_in_the_policy_are_never_fetched() {
    let mut verifier = verifier();
    let unknown = Outcome::Refused(TokenError::Key);
    assert_eq!(look(&mut verifier, &token_of_key("k2"), NOW), unknown);
    assert_eq!(look(&mut verifier, &good_token(), NOW), Outcome::Good);
    assert_eq!(verifier.due(u64::MAX), []);
    assert!(verifier.keys_mut(FIRST).unwrap().fetch().is_none());
    assert!(verifier.keys_mut(IssuerId(1)).is_none());
}
