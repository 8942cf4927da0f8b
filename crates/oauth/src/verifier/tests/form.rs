//! Headers and encoding.

use super::*;

#[test]
fn b38_algorithms_that_prove_nothing_are_refused() {
    for name in [
        "none", "None", "NONE", "", "HS256", "eddsa", "ed25519", "Ed448", "ES256K", "ES512", "RS1",
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
        let refused = TokenOutcome::Refused(TokenError::Algorithm);
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
        ("jwk", own),
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
fn r8_urls_of_keys_are_ignored() {
    for name in ["jku", "x5u"] {
        let header = with(header(), name, json!("https://evil.example/keys"));
        let good = token(&header, &claims());
        assert_eq!(
            look(&mut verifier(), &good, NOW),
            TokenOutcome::Good,
            "{name}"
        );
        // The key is the policy's.
        let forged = sign(&OTHER_KEY, &header.to_string(), &claims().to_string());
        assert_eq!(refused(&forged), TokenError::Signature, "{name}");
        let foreign = with(header, "kid", json!("evil")).to_string();
        let foreign = sign(&OTHER_KEY, &foreign, &claims().to_string());
        assert_eq!(refused(&foreign), TokenError::Key, "{name}");
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
        assert_eq!(
            look(&mut verifier(), &token, NOW),
            TokenOutcome::Good,
            "{typ}"
        );
    }
    let issuer = trusted(ISSUER, inline(&[jwk(&KEY, "k1")]));
    let issuer = accepting(issuer, |accepted| accepted.types = vec![TokenType::Absent]);
    let mut verifier = Verifier::new(vec![issuer]).unwrap();
    let absent = token(&without(header(), "typ"), &claims());
    assert_eq!(look(&mut verifier, &absent, NOW), TokenOutcome::Good);
    let wrong = TokenOutcome::Refused(TokenError::Type);
    assert_eq!(look(&mut verifier, &good_token(), NOW), wrong);
}

#[test]
fn b38_a_token_bound_to_a_key_is_no_bearer_token() {
    let bound = with(claims(), "cnf", json!({"jkt": "x"}));
    refuses_claims(&bound, TokenError::Bound);
    refuses_claims(&with(claims(), "cnf", json!(null)), TokenError::Bound);
}

#[test]
fn b38_huge_headers_and_tokens_are_refused_unread() {
    let header = with(header(), "kid", json!("k".repeat(4096)));
    refuses_header(&header, TokenError::TooLarge);
    let claims = with(claims(), "padding", json!("x".repeat(24 * 1024)));
    refuses_claims(&claims, TokenError::TooLarge);
    accepts(&with(
        self::claims(),
        "padding",
        json!("x".repeat(23 * 1024)),
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
            matches!(error, TokenError::Json(json) if json.kind == JsonErrorKind::DuplicateKey);
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
        let spoiled = TokenOutcome::Refused(TokenError::Signature);
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
        let spoiled = TokenOutcome::Refused(TokenError::Signature);
        assert_eq!(look(&mut verifier, &changed, NOW), spoiled);
    }
    for length in [1, 63, 65, 128] {
        let short = BASE64_URL_SAFE_NO_PAD.encode(vec![7; length]);
        assert_eq!(refused(&format!("{text}.{short}")), TokenError::Signature);
    }
    assert_eq!(look(&mut verifier, &token, NOW), TokenOutcome::Good);
}
