use super::*;
use crate::signing::SigningKey;

const NOW: u64 = 1_900_000_000;

/// An RSA key for this test; the other keys are those of RFC 7515 appendix A.3 and RFC 8037 appendix A.1.
fn rsa() -> Value {
    let text = include_str!("tests/rsa.jwk.json");
    serde_json::from_str(text).unwrap()
}

fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    })
}

fn ed25519() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

fn with(mut jwk: Value, name: &str, value: Value) -> String {
    match value {
        Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
        value => jwk[name] = value,
    }
    jwk.to_string()
}

fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).unwrap();
    let part = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&part).unwrap()
}

#[test]
fn an_assertion_names_the_client_twice_and_expires() {
    let pem = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .to_pem()
        .unwrap();
    let one_line = pem.reveal().replace('\n', "\\n");
    for (text, algorithm) in [
        (rsa().to_string(), "RS256"),
        (with(rsa(), "alg", json!("PS256")), "PS256"),
        (with(rsa(), "use", json!("sig")), "RS256"),
        (with(p256(), "key_ops", json!(["sign"])), "ES256"),
        (with(ed25519(), "alg", json!("Ed25519")), "EdDSA"),
        (pem.reveal().to_owned(), "ES256"),
        (one_line, "ES256"),
    ] {
        let key = ClientKey::read(&text).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        let sign = |id| key.assertion("mcp", "https://as", &[id; 32], UnixTime::from_secs(NOW));
        let jwt = sign(1).unwrap();
        assert_eq!(
            part(jwt.reveal(), 0),
            json!({"alg": algorithm, "typ": "JWT"})
        );
        let expected = json!({
            "iss": "mcp", "sub": "mcp", "aud": "https://as", "iat": NOW, "exp": NOW + 120,
            "jti": BASE64_URL_SAFE_NO_PAD.encode([1; 32]),
        });
        assert_eq!(part(jwt.reveal(), 1), expected);
        assert_ne!(sign(2).unwrap().reveal(), jwt.reveal());
    }
    let named = with(p256(), "kid", json!("k1"));
    let named = with(
        serde_json::from_str(&named).unwrap(),
        "x5t#S256",
        json!("t"),
    );
    let key = ClientKey::read(&named).unwrap();
    let jwt = key.assertion("mcp", "a", &[1; 32], UnixTime::from_secs(NOW));
    let expected = json!({"alg": "ES256", "typ": "JWT", "kid": "k1", "x5t#S256": "t"});
    assert_eq!(part(jwt.unwrap().reveal(), 0), expected);
}

#[test]
fn signatures_verify_with_the_public_key() {
    use crate::KeySet;
    for (jwk, algorithm) in [
        (with(rsa(), "alg", json!("PS256")), Algorithm::PS256),
        (rsa().to_string(), Algorithm::RS256),
        (p256().to_string(), Algorithm::ES256),
        (ed25519().to_string(), Algorithm::EdDSA),
    ] {
        let key = ClientKey::read(&jwk).unwrap();
        let mut public: Value = serde_json::from_str(&jwk).unwrap();
        for name in ["d", "p", "q", "dp", "dq", "qi"] {
            public.as_object_mut().unwrap().remove(name);
        }
        let set = json!({"keys": [public]}).to_string();
        let set = KeySet::parse(set.as_bytes(), &[algorithm]).unwrap();
        let jwt = key
            .assertion("mcp", "a", &[1; 32], UnixTime::from_secs(NOW))
            .unwrap();
        assert!(
            set.verify(jwt.reveal(), algorithm, None, None, None),
            "{algorithm:?}"
        );
        let other = format!("{}x", jwt.reveal());
        assert!(
            !set.verify(&other, algorithm, None, None, None),
            "{algorithm:?}"
        );
    }
}

#[test]
fn wrong_keys_are_refused_when_they_are_read() {
    let (pem, jwk) = (KeyPairError::Pem.into(), KeyPairError::Jwk.into());
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    for (name, text, error) in [
        ("nothing", String::new(), pem),
        ("a secret", "s3cret".to_owned(), pem),
        ("a public PEM", public.to_owned(), pem),
        ("a broken PEM", public.replace("PUBLIC", "PRIVATE"), pem),
        (
            "a small RSA key",
            include_str!("tests/rsa1024.pem").to_owned(),
            pem,
        ),
        (
            "a large RSA key",
            include_str!("tests/rsa4224.pem").to_owned(),
            pem,
        ),
        (
            "an EC key on P-384",
            include_str!("tests/p384.pem").to_owned(),
            pem,
        ),
        (
            "an encrypted PEM",
            include_str!("tests/encrypted.pem").to_owned(),
            pem,
        ),
        ("no JWK", "{}".to_owned(), jwk),
        ("a set", json!({"keys": [p256()]}).to_string(), jwk),
        ("a public EC JWK", with(p256(), "d", Value::Null), jwk),
        ("a public RSA JWK", with(rsa(), "d", Value::Null), jwk),
        ("a public OKP JWK", with(ed25519(), "d", Value::Null), jwk),
        ("RSA without primes", with(rsa(), "p", Value::Null), jwk),
        (
            "RSA with a wrong prime",
            with(rsa(), "p", json!("AQAB")),
            jwk,
        ),
        (
            "RSA with another modulus",
            with(rsa(), "n", json!("AQAB")),
            jwk,
        ),
        ("EC of another point", with(p256(), "x", json!("AQAB")), jwk),
        ("EC without a point", with(p256(), "y", Value::Null), jwk),
        ("EC, a short d", with(p256(), "d", json!("AQAB")), jwk),
        (
            "EC, d is zero",
            with(p256(), "d", json!("A".repeat(43))),
            jwk,
        ),
        (
            "OKP of another point",
            with(ed25519(), "x", json!("A".repeat(43))),
            jwk,
        ),
        ("X25519", with(ed25519(), "crv", json!("X25519")), jwk),
        ("P-384", with(p256(), "crv", json!("P-384")), jwk),
        (
            "a symmetric key",
            json!({"kty": "oct", "k": "AQAB"}).to_string(),
            jwk,
        ),
        (
            "padding",
            with(
                p256(),
                "d",
                json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI="),
            ),
            jwk,
        ),
        (
            "a repeated member",
            format!(
                "{{\"kty\":\"EC\",{}",
                p256().to_string().trim_start_matches('{')
            ),
            jwk,
        ),
        (
            "HS256",
            with(rsa(), "alg", json!("HS256")),
            ClientKeyError::Algorithm,
        ),
        (
            "none",
            with(rsa(), "alg", json!("none")),
            ClientKeyError::Algorithm,
        ),
        (
            "RS512",
            with(rsa(), "alg", json!("RS512")),
            ClientKeyError::Algorithm,
        ),
        (
            "PS256 for EC",
            with(p256(), "alg", json!("PS256")),
            ClientKeyError::Algorithm,
        ),
        (
            "a number",
            with(p256(), "alg", json!(7)),
            ClientKeyError::Algorithm,
        ),
        ("kid", with(p256(), "kid", json!(7)), ClientKeyError::Header),
        (
            "encryption",
            with(rsa(), "use", json!("enc")),
            ClientKeyError::Use,
        ),
        (
            "verification",
            with(rsa(), "key_ops", json!(["verify"])),
            ClientKeyError::Use,
        ),
    ] {
        assert_eq!(ClientKey::read(&text).err(), Some(error), "{name}");
    }
}
