//! What a proof has to say, and who has to sign it.

use std::sync::LazyLock;

use jwt_simple::prelude::{ES256KeyPair, ES384KeyPair};
use serde_json::json;

use super::*;
use crate::signing::SigningKey;

const NOW: u64 = 1_900_000_000;
const URL: &str = "https://crm.example.com/mcp";
const TOKEN: &str = "Bearer the-token";

static KEY: LazyLock<SigningKey> = LazyLock::new(es256);
static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(es256);

fn rules() -> ProofRules {
    ProofRules {
        required: true,
        url: ProofUrl::of(URL).unwrap(),
        window: Duration::from_secs(300),
    }
}

fn bearer(header: &str) -> BearerToken<'_> {
    BearerToken::of_header(header).unwrap()
}

fn es256() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.jwk()})
}

fn claims() -> Value {
    let hash = hmac_sha256::Hash::hash(b"the-token");
    let ath = BASE64_URL_SAFE_NO_PAD.encode(hash);
    json!({"jti": "p1", "htm": "POST", "htu": URL, "iat": NOW, "ath": ath})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn encoded(header: &str, claims: &str) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", encode(header), encode(claims))
}

fn sign_with(key: &SigningKey, header: &str, claims: &str) -> String {
    key.sign_text(header, claims).unwrap()
}

fn signed(header: &Value, claims: &Value) -> String {
    sign_with(&KEY, &header.to_string(), &claims.to_string())
}

/// Whether a proof is accepted for a POST with the token, which is bound to `KEY`.
fn judge(proof: &str, now: u64) -> Result<(), ProofError> {
    let proof = Proof::read(
        proof,
        "POST",
        &bearer(TOKEN),
        &rules(),
        UnixTime::from_secs(now),
    )?;
    proof.check_signer(&Thumbprint(KEY.thumbprint()))
}

#[track_caller]
fn refuses_header(header: &Value, error: ProofError) {
    assert_eq!(
        judge(&signed(header, &claims()), NOW),
        Err(error),
        "{header}"
    );
}

#[track_caller]
fn refuses_claims(claims: &Value, error: ProofError) {
    assert_eq!(
        judge(&signed(&header(), claims), NOW),
        Err(error),
        "{claims}"
    );
}

#[test]
fn b44_a_proof_for_this_request_is_accepted() {
    assert_eq!(judge(&signed(&header(), &claims()), NOW), Ok(()));
    let more = with(with(claims(), "nonce", json!("n")), "exp", json!(NOW + 60));
    assert_eq!(
        judge(&signed(&with(header(), "kid", json!("k")), &more), NOW),
        Ok(())
    );
    let url = json!("https://CRM.example.com:443/mcp?query#fragment");
    assert_eq!(
        judge(&signed(&header(), &with(claims(), "htu", url)), NOW),
        Ok(())
    );
}

#[test]
fn b44_ed25519_proofs_are_accepted() {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    // The second name is RFC 9864's.
    for alg in ["EdDSA", "Ed25519"] {
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": key.jwk()});
        let proof = key.sign(&header, &claims()).unwrap();
        let token = bearer(TOKEN);
        let proof = Proof::read(&proof, "POST", &token, &rules(), UnixTime::from_secs(NOW))
            .unwrap_or_else(|error| panic!("{error}"));
        let own = Thumbprint(key.thumbprint());
        assert_eq!(proof.check_signer(&own), Ok(()));
        assert_eq!(
            proof.check_signer(&Thumbprint(OTHER_KEY.thumbprint())),
            Err(ProofError::Binding)
        );
    }
}

#[test]
fn b44_a_proof_for_another_request_is_refused() {
    for (name, value, error) in [
        ("htm", json!("GET"), ProofError::Method),
        ("htm", json!("post"), ProofError::Method),
        ("htm", json!(["POST"]), ProofError::Claim("htm")),
        ("htu", json!("https://crm.example.com/"), ProofError::Url),
        ("htu", json!("https://evil.example/mcp"), ProofError::Url),
        ("htu", json!("http://crm.example.com/mcp"), ProofError::Url),
        ("htu", json!("/mcp"), ProofError::Url),
        ("htu", json!(""), ProofError::Claim("htu")),
        (
            "ath",
            json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"),
            ProofError::Token,
        ),
        ("ath", json!("the-token"), ProofError::Token),
        ("ath", json!(null), ProofError::Claim("ath")),
        ("jti", json!(""), ProofError::Claim("jti")),
        ("jti", json!(1), ProofError::Claim("jti")),
        ("iat", json!("now"), ProofError::Claim("iat")),
        ("iat", json!(-1), ProofError::Claim("iat")),
        ("exp", json!(NOW), ProofError::Time),
        ("exp", json!("later"), ProofError::Claim("exp")),
        ("nbf", json!(NOW + 301), ProofError::Time),
    ] {
        refuses_claims(&with(claims(), name, value), error);
    }
    for name in ["htm", "htu", "ath", "jti", "iat"] {
        refuses_claims(&without(claims(), name), ProofError::Claim(name));
    }
}

#[test]
fn b44_a_proof_is_made_for_now() {
    let proof = signed(&header(), &claims());
    for now in [NOW - 300, NOW - 1, NOW + 1, NOW + 300] {
        assert_eq!(judge(&proof, now), Ok(()), "{now}");
    }
    for now in [NOW - 301, NOW + 301, 0, u64::MAX] {
        assert_eq!(judge(&proof, now), Err(ProofError::Time), "{now}");
    }
    refuses_claims(&with(claims(), "iat", json!(NOW * 1000)), ProofError::Time);
}

#[test]
fn b38_another_jwt_is_no_proof() {
    for typ in ["JWT", "at+jwt", "DPoP+JWT", "application/dpop+jwt", ""] {
        refuses_header(&with(header(), "typ", json!(typ)), ProofError::Type);
    }
    refuses_header(&without(header(), "typ"), ProofError::Type);
    refuses_header(
        &with(header(), "typ", json!(["dpop+jwt"])),
        ProofError::Type,
    );
}

#[test]
fn b38_the_algorithm_is_one_that_only_the_key_can_sign_with() {
    for alg in [
        "none", "HS256", "RS256", "PS256", "ES384", "ES256K", "es256", "EdDSA ",
    ] {
        refuses_header(&with(header(), "alg", json!(alg)), ProofError::Algorithm);
    }
    refuses_header(&without(header(), "alg"), ProofError::Algorithm);
    // A key of another kind than the algorithm.
    refuses_header(&with(header(), "alg", json!("EdDSA")), ProofError::Key);
}

#[test]
fn b38_the_key_is_a_public_one_in_the_proof() {
    let private: Value = serde_json::from_str(&ES256KeyPair::generate().to_jwk()).unwrap();
    let rsa = json!({"kty": "RSA", "n": "x", "e": "AQAB"});
    let es384: Value =
        serde_json::from_str(&ES384KeyPair::generate().public_key().to_jwk()).unwrap();
    for key in [
        private,
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        rsa,
        es384,
        json!({}),
        json!(null),
        json!(KEY.jwk().to_string()),
        json!([KEY.jwk()]),
        with(KEY.jwk(), "d", json!("x")),
        with(KEY.jwk(), "use", json!("enc")),
        with(KEY.jwk(), "x", json!("A".repeat(43))),
        without(KEY.jwk(), "y"),
    ] {
        refuses_header(&with(header(), "jwk", key), ProofError::Key);
    }
    refuses_header(&without(header(), "jwk"), ProofError::Key);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["x"])),
    ] {
        refuses_header(&with(header(), name, value), ProofError::Header);
    }
}

#[test]
fn b44_the_proofs_key_is_the_tokens() {
    let header = with(header(), "jwk", OTHER_KEY.jwk()).to_string();
    let own = sign_with(&OTHER_KEY, &header, &claims().to_string());
    assert_eq!(judge(&own, NOW), Err(ProofError::Binding));
    // The right key in the header, and another one's signature.
    let header = tests::header().to_string();
    let forged = sign_with(&OTHER_KEY, &header, &claims().to_string());
    assert_eq!(judge(&forged, NOW), Err(ProofError::Signature));
    let (text, _) = forged.rsplit_once('.').unwrap();
    for signature in [
        vec![0; 64],
        vec![0; 63],
        vec![1; 65],
        vec![48, 6, 2, 1, 1, 2, 1, 1],
    ] {
        let forged = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(judge(&forged, NOW), Err(ProofError::Signature));
    }
}

#[test]
fn b44_nothing_of_a_proof_can_be_changed() {
    let proof = signed(&header(), &claims());
    let (_, signature) = proof.rsplit_once('.').unwrap();
    let changed = with(claims(), "jti", json!("p2"));
    let changed = encoded(&header().to_string(), &changed.to_string());
    let changed = format!("{changed}.{signature}");
    assert_eq!(judge(&changed, NOW), Err(ProofError::Signature));
}

#[test]
fn b04_a_proof_is_read_in_one_way_only() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let twice = claims.replacen('{', r#"{"\u0068tm":"GET","#, 1);
    let key_twice = header.replacen(r#""kty""#, r#""kty":"EC","kty""#, 1);
    let good = sign_with(&KEY, &header, &claims);
    for proof in [
        String::new(),
        "a.b".into(),
        "a.b.c".into(),
        sign_with(&KEY, &header, &twice),
        sign_with(&KEY, &key_twice, &claims),
        sign_with(&KEY, &header, "[]"),
        sign_with(&KEY, "{", &claims),
        format!("{good},{good}"),
        format!("{good}.x"),
        format!(" {good}"),
        format!("{good}="),
        sign_with(
            &KEY,
            &header,
            &claims.replacen('{', &format!(r#"{{"x":"{}","#, "y".repeat(9000)), 1),
        ),
    ] {
        assert_eq!(judge(&proof, NOW), Err(ProofError::Malformed), "{proof}");
    }
}
