use std::cell::Cell;

use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use serde_json::json;
use superboring::{hash::MessageDigest, pkey::PKey, rsa::Padding, rsa::Rsa, sign::Verifier};

use super::known_signatures::{RSA_SIGNATURE, TEXT, decode};
use super::{HostCheck, HostSignature, is_reliable};
use crate::signing::SigningKey;
use crate::{Algorithm, KeySet};

/// Checks as a proxy does: the kind of key is read from its DER, for each signature.
fn host(given: &HostSignature<'_>) -> Option<bool> {
    let HostSignature {
        hash,
        key,
        text,
        signature,
    } = *given;
    if let Ok(key) = Rsa::public_key_from_der(key) {
        let hash = match hash {
            "sha256" => MessageDigest::sha256(),
            "sha384" => MessageDigest::sha384(),
            "sha512" => MessageDigest::sha512(),
            _ => return None,
        };
        let key = PKey::from_rsa(key).ok()?;
        let mut verifier = Verifier::new(hash, &key).ok()?;
        verifier.set_rsa_padding(Padding::PKCS1).ok()?;
        verifier.update(text).ok()?;
        return Some(verifier.verify(signature).unwrap_or(false));
    }
    match (hash, p256::PublicKey::from_public_key_der(key)) {
        ("sha256", Ok(key)) => {
            let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
            let key = p256::ecdsa::VerifyingKey::from(key);
            Some(key.verify(text, &signature).is_ok())
        }
        ("sha384", Err(_)) => {
            let key = p384::PublicKey::from_public_key_der(key).ok()?;
            let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
            let key = p384::ecdsa::VerifyingKey::from(key);
            Some(key.verify(text, &signature).is_ok())
        }
        _ => None,
    }
}

#[test]
fn a_host_is_used_only_if_it_is_right_about_known_signatures() {
    assert!(is_reliable(host));
    let wrong: [(&str, HostCheck); 8] = [
        ("accepts all", |_| Some(true)),
        ("refuses all", |_| Some(false)),
        ("cannot tell", |_| None),
        ("ignores the text", |given| {
            host(&HostSignature {
                text: TEXT,
                ..*given
            })
        }),
        ("ignores the hash", |given| {
            let hash = if given.hash == "sha512" {
                "sha256"
            } else {
                given.hash
            };
            host(&HostSignature { hash, ..*given })
        }),
        ("reads the text only", |given| Some(given.text == TEXT)),
        ("knows RSA only", |given| {
            Rsa::public_key_from_der(given.key).ok()?;
            host(given)
        }),
        ("reads the start of a signature", |given| {
            let good = decode(RSA_SIGNATURE);
            match given.signature.get(..200) == good.get(..200) {
                true => Some(given.text == TEXT),
                false => host(given),
            }
        }),
    ];
    for (name, check) in wrong {
        assert!(!is_reliable(check), "{name}");
    }
}

#[test]
fn the_host_and_the_module_agree_about_every_shape_of_a_signature() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = SigningKey::generate(algorithm).unwrap().with_key_id("k1");
        let token = signer.sign(&json!({}), &json!({"sub": "dana"})).unwrap();
        let set = signer.key_set().to_string();
        let set = KeySet::parse(set.as_bytes(), &Algorithm::ALL).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let shorter = signature.split_at(signature.len() - 4).0;
        let shapes = [
            token.clone(),
            format!("{text}."),
            format!("{text}.{shorter}"),
            format!("{text}.{shorter}AAAA"),
            format!("{text}.{signature}AAAA"),
            format!("{text}x.{signature}"),
            format!("{text}.{}", "A".repeat(signature.len())),
            format!("{text}.{}", "_".repeat(signature.len())),
            format!("{text}.AAAA{}", signature.split_at(4).1),
        ];
        for (at, token) in shapes.iter().enumerate() {
            let by_module = set.verify(token, algorithm, Some("k1"), None, None);
            let by_host = set.verify(token, algorithm, Some("k1"), None, Some(host));
            assert_eq!(
                (by_module, by_host),
                (at == 0, at == 0),
                "{algorithm:?} {at}"
            );
        }
        // The same key with another hash function, padding or curve.
        for other in Algorithm::ALL
            .into_iter()
            .filter(|other| *other != algorithm)
        {
            assert!(
                !set.verify(&token, other, Some("k1"), None, Some(host)),
                "{other:?}"
            );
        }
    }
}

#[test]
fn the_module_checks_if_the_host_cannot_tell() {
    thread_local!(static ASKED: Cell<u32> = const { Cell::new(0) });
    let cannot_tell: HostCheck = |_| {
        ASKED.set(ASKED.get() + 1);
        None
    };
    let signer = SigningKey::generate(Algorithm::RS256).unwrap();
    let token = signer.sign(&json!({}), &json!({"sub": "dana"})).unwrap();
    let set = signer.key_set().to_string();
    let set = KeySet::parse(set.as_bytes(), &[Algorithm::RS256]).unwrap();
    assert!(set.verify(&token, Algorithm::RS256, None, None, Some(cannot_tell)));
    let forged = format!("{}AAAA", token.split_at(token.len() - 4).0);
    assert!(!set.verify(&forged, Algorithm::RS256, None, None, Some(cannot_tell)));
    assert_eq!(ASKED.get(), 2);
}
