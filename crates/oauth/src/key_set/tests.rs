use jwt_simple::prelude::*;
use serde_json::{Value, json};

use super::{KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, check_us};
use crate::Algorithm;
use crate::signing::SigningKey;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};

/// A modulus of 1024 bits.
const WEAK: &str = "\
4IhgoLAbREDViVMnig1IeJY-4-YLPb9u5pNqgM0C_a0sqsxYXyNYKmplltVibj71k1vHaL2usxYpmuCEBfW_5dU3uUJqF-7L\
6wHSFcEuzs8gsybhJnHd9sITv8XMT72SOe5nv2BvjcQUwhkUd1lLFal2Ltk1WFbpDxKeYgXhpgM";

fn key(kid: &str) -> Value {
    let mut jwk: Value =
        serde_json::from_str(&Ed25519KeyPair::generate().public_key().to_jwk()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
    let document = json!({ "keys": keys }).to_string();
    KeySet::parse(document.as_bytes(), &Algorithm::ALL)
}

/// Checks that a key is skipped, alone and beside a good one.
#[track_caller]
fn skips(odd: &Value) {
    assert_eq!(
        parse(std::slice::from_ref(odd)).err(),
        Some(KeySetError::Empty),
        "{odd}"
    );
    let keys = parse(&[odd.clone(), key("good")]).unwrap();
    assert!(keys.knows(Algorithm::EdDSA, Some("good")));
    for algorithm in Algorithm::ALL {
        assert!(!keys.knows(algorithm, Some("odd")), "{odd}");
    }
}

#[test]
fn b38_weak_and_broken_keys_are_skipped() {
    let strong = RS256KeyPair::generate(1024);
    assert!(
        strong.is_err(),
        "the library should not make weak keys either"
    );
    skips(&json!({"kty": "RSA", "kid": "odd", "n": WEAK, "e": "AQAB"}));
    let doubled = format!("{WEAK}{WEAK}A");
    skips(&json!({"kty": "RSA", "kid": "odd", "n": doubled, "e": "AQ"}));
    skips(&json!({"kty": "RSA", "kid": "odd", "n": "", "e": "AQAB"}));
    skips(&json!({"kty": "RSA", "kid": "odd", "e": "AQAB"}));
    skips(
        &json!({"kty": "EC", "crv": "P-256", "kid": "odd", "x": "A".repeat(43), "y": "A".repeat(43)}),
    );
    skips(&json!({"kty": "EC", "crv": "P-521", "kid": "odd", "x": "AQ", "y": "AQ"}));
    skips(&with(key("odd"), "x", json!("AQ")));
}

#[test]
fn b38_keys_for_other_uses_and_algorithms_are_skipped() {
    skips(&json!({"kty": "oct", "kid": "odd", "k": "c2VjcmV0", "alg": "HS256"}));
    skips(&with(key("odd"), "use", json!("enc")));
    skips(&with(key("odd"), "alg", json!("ES256")));
    skips(&with(key("odd"), "crv", json!("X25519")));
    skips(&with(key("odd"), "key_ops", json!(["sign"])));
    skips(&json!(null));
    skips(&json!("odd"));
    skips(&with(key("odd"), "kid", json!(1)));
}

#[test]
fn b38_private_keys_are_skipped() {
    let jwk: Value = serde_json::from_str(&Ed25519KeyPair::generate().to_jwk()).unwrap();
    skips(&with(jwk, "kid", json!("odd")));
}

#[test]
fn b38_keys_with_duplicate_members_are_skipped() {
    let twice = key("odd")
        .to_string()
        .replacen('{', r#"{"\u006bty":"EC","#, 1);
    let document = format!(r#"{{"keys":[{twice}]}}"#);
    let keys = KeySet::parse(document.as_bytes(), &Algorithm::ALL);
    assert_eq!(keys.err(), Some(KeySetError::Empty));
}

#[test]
fn keys_for_unaccepted_algorithms_are_skipped() {
    let document = json!({"keys": [key("a")]}).to_string();
    let keys = KeySet::parse(document.as_bytes(), &[Algorithm::RS256, Algorithm::ES256]);
    assert_eq!(keys.err(), Some(KeySetError::Empty));
}

#[test]
fn a_key_is_found_by_exact_kid_and_algorithm() {
    let keys = parse(&[key("one"), key("two")]).unwrap();
    assert!(keys.knows(Algorithm::EdDSA, Some("one")));
    assert!(keys.knows(Algorithm::EdDSA, None));
    for kid in ["", "on", "ones", "ONE", "three"] {
        assert!(!keys.knows(Algorithm::EdDSA, Some(kid)), "{kid}");
    }
    assert!(!keys.knows(Algorithm::RS256, Some("one")));
    assert!(!keys.knows(Algorithm::RS256, None));
}

#[test]
fn a_key_without_kid_matches_no_kid() {
    let mut nameless = key("");
    nameless.as_object_mut().unwrap().remove("kid");
    let keys = parse(&[nameless]).unwrap();
    assert!(keys.knows(Algorithm::EdDSA, None));
    assert!(!keys.knows(Algorithm::EdDSA, Some("k1")));
    assert!(!keys.knows(Algorithm::EdDSA, Some("")));
}

#[test]
fn other_documents_are_refused() {
    for document in [
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]} x"#,
        "\u{feff}{\"keys\":[]}",
    ] {
        let keys = KeySet::parse(document.as_bytes(), &Algorithm::ALL);
        assert_eq!(keys.err(), Some(KeySetError::Format), "{document}");
    }
    assert_eq!(parse(&[]).err(), Some(KeySetError::Empty));
}

#[test]
fn size_and_number_of_keys_are_limited() {
    let padding = json!({"keys": [key("a")], "padding": "x".repeat(MAX_KEY_SET_BYTES)}).to_string();
    let keys = KeySet::parse(padding.as_bytes(), &Algorithm::ALL);
    assert_eq!(keys.err(), Some(KeySetError::TooLarge));
    let mut many = vec![json!({}); MAX_KEYS];
    many.push(key("late"));
    assert_eq!(parse(&many).err(), Some(KeySetError::Empty));
}

#[test]
fn k4_checks_with_longer_rsa_keys_cost_more() {
    let digits = |bits: usize| "A".repeat(bits.div_ceil(6));
    for (bits, cost_us) in [(2048, 700), (3072, 1_575), (4096, 2_800), (8192, 11_200)] {
        let cost = check_us(Algorithm::RS256, &digits(bits));
        assert!(cost.abs_diff(cost_us) < cost_us / 50, "{bits}: {cost}");
    }
}

#[test]
fn k4_keys_with_one_kid_cost_as_much_as_all_of_them() {
    let keys = parse(&[key("one"), key("two"), key("two")]).unwrap();
    let cost = |kid| keys.check_us(Algorithm::EdDSA, Some(kid));
    assert_eq!(cost("two"), 2 * cost("one"));
    assert_eq!(cost("three"), 0);
}

#[test]
fn b38_a_signature_of_another_shape_is_no_signature() {
    // One algorithm of each kind of key.
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = SigningKey::generate(algorithm).unwrap().with_key_id("k1");
        let token = signer.sign(&json!({}), &json!({"sub": "dana"})).unwrap();
        let set = signer.key_set().to_string();
        let set = KeySet::parse(set.as_bytes(), &[algorithm]).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let signature = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
        let public = &set.keys[0].public;
        assert!(public.has_signed(text.as_bytes(), &signature));
        assert!(!public.has_signed(b"another text", &signature));
        let length = signature.len();
        let longer = [&signature[..], &[0]].concat();
        let flipped: Vec<u8> = signature.iter().map(|byte| !byte).collect();
        for wrong in [
            &[][..],
            &signature[..1],
            &signature[..length - 1],
            &longer,
            &vec![0; length],
            &vec![0xff; length],
            &flipped,
        ] {
            assert!(
                !public.has_signed(text.as_bytes(), wrong),
                "{algorithm:?} {}",
                wrong.len()
            );
        }
    }
}
