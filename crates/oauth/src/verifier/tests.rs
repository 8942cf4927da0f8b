//! Tokens good and bad, and the keys they are checked with. Time is given.

mod accepted;
mod bound;
mod claims;
mod fetching;
mod form;
mod id_token;
mod introspection;
mod issuers;
mod logout;
mod memory;
mod providers;

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Value, json};

use super::{Verification, VerifiedToken, Verifier};
use crate::signing::SigningKey;
use crate::{
    Algorithm, BearerToken, ClaimPaths, ClaimSource, ClientNetwork, Delegation, FetchStart,
    IssuerId, KeyFetch, KeySetError, KeySource, PendingFetch, SetupError, Signatures, TokenCheck,
    TokenError, TokenType, TrustedIssuer, VerifiedBy,
};
use base::json::JsonErrorKind;
use base::time::UnixTime;

const NOW: u64 = 1_900_000_000;
const ISSUER: &str = "https://login.example.com";
const OTHER_ISSUER: &str = "https://other.example.com";
const RESOURCE: &str = "https://crm.example.com/mcp";
const FIRST: IssuerId = IssuerId(0);
/// A client whose address is not known.
const CLIENT: Option<ClientNetwork> = Some(ClientNetwork::UNKNOWN);

static KEY: LazyLock<SigningKey> = LazyLock::new(new_key);
static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(new_key);

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
enum TokenOutcome {
    Good,
    NeedKeys(IssuerId),
    NeedToken(PendingFetch),
    Refused(TokenError),
}

fn trusted(issuer: &str, keys: KeySource) -> TrustedIssuer {
    TrustedIssuer {
        issuer: issuer.to_owned(),
        tenants: Vec::new(),
        authorization_server: issuer.to_owned(),
        audiences: vec![RESOURCE.to_owned()],
        without_audience: None,
        claims: ClaimPaths {
            user: ClaimSource::claim("sub"),
            organization: None,
            roles: None,
            scopes: ClaimSource::claim("scope"),
            conversation: None,
            view_as: None,
        },
        clock_skew: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(3600),
        delegation: Delegation::default(),
        check: TokenCheck::Signature(Signatures {
            algorithms: Algorithm::ALL.to_vec(),
            types: vec![TokenType::AccessToken, TokenType::Jwt],
            keys,
        }),
    }
}

/// The same issuer with other rules for its signatures.
fn accepting(mut issuer: TrustedIssuer, change: impl FnOnce(&mut Signatures)) -> TrustedIssuer {
    if let TokenCheck::Signature(signatures) = &mut issuer.check {
        change(signatures);
    }
    issuer
}

fn inline(keys: &[Value]) -> KeySource {
    KeySource::Inline(json!({ "keys": keys }).to_string())
}

fn fetched() -> KeySource {
    KeySource::Fetch(KeyFetch {
        endpoint: base::http::Endpoint {
            cluster: "login".into(),
            path: "/keys".into(),
            authority: "login.example.com".into(),
        },
        refresh: Duration::from_secs(300),
        keep: Duration::from_secs(3600),
    })
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA).unwrap()
}

fn jwk(key: &SigningKey, kid: &str) -> Value {
    with(key.jwk(), "kid", json!(kid))
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
    verifier.keys_fetched(
        FIRST,
        Some(document.as_bytes()),
        UnixTime::from_secs(now),
        1.0,
    )
}

fn fail(verifier: &mut Verifier, now: u64) {
    assert_eq!(
        verifier.keys_fetched(FIRST, None, UnixTime::from_secs(now), 1.0),
        Ok(())
    );
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

fn sign(key: &SigningKey, header: &str, claims: &str) -> String {
    key.sign_text(header, claims).unwrap()
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

fn look(verifier: &mut Verifier, token: &str, now: u64) -> TokenOutcome {
    let header = format!("Bearer {token}");
    match verifier.verify(
        &BearerToken::of_header(&header).unwrap(),
        CLIENT,
        UnixTime::from_secs(now),
    ) {
        Verification::Verified(_) => TokenOutcome::Good,
        Verification::Refused(refused) => TokenOutcome::Refused(refused.error),
        Verification::PendingFetch(PendingFetch::Keys(issuer)) => TokenOutcome::NeedKeys(issuer),
        Verification::PendingFetch(need) => TokenOutcome::NeedToken(need),
        Verification::NeedsClient => panic!("the client is known"),
    }
}

fn verified(verifier: &mut Verifier, token: &str, now: u64) -> Rc<VerifiedToken> {
    let header = format!("Bearer {token}");
    match verifier.verify(
        &BearerToken::of_header(&header).unwrap(),
        CLIENT,
        UnixTime::from_secs(now),
    ) {
        Verification::Verified(token) => token,
        other => panic!("{other:?}"),
    }
}

fn refused(token: &str) -> TokenError {
    match look(&mut verifier(), token, NOW) {
        TokenOutcome::Refused(error) => error,
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
        TokenOutcome::Good,
        "{claims}"
    );
}

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
