//! Logout tokens: who signed out at an issuer.

use super::*;
use crate::{ClientNetwork, LogoutVerification, VerifiedLogout};
use base::secret::Secret;
use base::time::UnixTime;

fn logout_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "u1", "sid": "s-1", "aud": "mcp-pages", "iat": NOW, "exp": NOW + 120,
        "jti": "j-1", "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

fn logout_header(typ: Value) -> Value {
    json!({"alg": "EdDSA", "typ": typ, "kid": "k1"})
}

fn look(token: String) -> Result<VerifiedLogout, TokenError> {
    let sends = |issuer: IssuerId| (issuer == FIRST).then(|| "mcp-pages".to_owned());
    let sent = (&Secret::new(token), ClientNetwork::UNKNOWN);
    match verifier().verify_logout(sent, sends, UnixTime::from_secs(NOW))? {
        (FIRST, LogoutVerification::Verified(logout)) => Ok(logout),
        other => panic!("{other:?}"),
    }
}

fn logout(claims: &Value) -> Result<VerifiedLogout, TokenError> {
    look(token(&logout_header(json!("logout+jwt")), claims))
}

#[test]
fn a_logout_token_names_the_user() {
    let verified = logout(&logout_claims()).unwrap();
    assert_eq!(verified.user.as_deref(), Some("u1"));
    assert_eq!(verified.session.as_deref(), Some("s-1"));
    assert_eq!(verified.id, "j-1");
    for claims in [
        without(logout_claims(), "sub"),
        without(logout_claims(), "sid"),
        without(logout_claims(), "exp"),
        with(logout_claims(), "aud", json!(["mcp-pages", "other"])),
    ] {
        assert!(logout(&claims).is_ok(), "{claims}");
    }
    for typ in ["JWT", "logout+jwt", "application/logout+jwt"] {
        let header = logout_header(json!(typ));
        assert!(look(token(&header, &logout_claims())).is_ok(), "{typ}");
    }
    let untyped = json!({"alg": "EdDSA", "kid": "k1"});
    assert!(look(token(&untyped, &logout_claims())).is_ok());
}

#[test]
fn b42_what_is_no_logout_token_is_refused() {
    for (name, value, error) in [
        ("iss", json!("https://evil.example.com"), TokenError::Issuer),
        ("iss", json!(OTHER_ISSUER), TokenError::Issuer),
        ("aud", json!("other"), TokenError::Audience),
        ("aud", json!(RESOURCE), TokenError::Audience),
        ("events", json!({}), TokenError::Claim("events")),
        ("events", json!("x"), TokenError::Claim("events")),
        ("nonce", json!("n"), TokenError::Claim("nonce")),
        ("iat", json!(NOW + 60), TokenError::NotYet),
        ("iat", json!(NOW - 400), TokenError::Expired),
        ("exp", json!(NOW - 60), TokenError::Expired),
        ("sub", json!(1.5), TokenError::Claim("sub")),
        ("sid", json!(""), TokenError::Claim("sid")),
        ("jti", json!("j".repeat(600)), TokenError::Claim("jti")),
    ] {
        let claims = with(logout_claims(), name, value);
        assert_eq!(logout(&claims), Err(error), "{claims}");
    }
    for name in ["iss", "aud", "iat", "jti", "events"] {
        assert!(logout(&without(logout_claims(), name)).is_err(), "{name}");
    }
    let nobodys = without(without(logout_claims(), "sub"), "sid");
    assert_eq!(logout(&nobodys), Err(TokenError::Claim("sub")));
    for typ in [json!("at+jwt"), json!("dpop+jwt"), json!(1)] {
        assert!(
            look(token(&logout_header(typ.clone()), &logout_claims())).is_err(),
            "{typ}"
        );
    }
    let mut signed = token(&logout_header(json!("JWT")), &logout_claims());
    let other = token(
        &logout_header(json!("JWT")),
        &with(logout_claims(), "sub", json!("u2")),
    );
    signed.truncate(signed.rfind('.').unwrap());
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert_eq!(
        look(format!("{signed}.{signature}")),
        Err(TokenError::Signature)
    );
}

#[test]
fn a24_forged_logout_tokens_block_no_sign_outs_and_no_sign_ins() {
    let mut verifier = verifier();
    let sends = |_| Some("mcp-pages".to_owned());
    let network = |last| ClientNetwork::of(std::net::Ipv4Addr::new(192, 0, 2, last).into());
    let good = token(&logout_header(json!("logout+jwt")), &logout_claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let forged = Secret::new(format!("{signed}.{}", "A".repeat(signature.len())));
    let at = UnixTime::from_secs(NOW);
    let mut busy = 0;
    for _ in 0..2000 {
        let refused = verifier.verify_logout((&forged, network(1)), sends, at);
        match refused.map(|_| ()) {
            Err(TokenError::Signature) => {}
            Err(TokenError::ChecksBusy) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(busy > 0);
    // The issuer's own network, and the answers of its token endpoint, are checked.
    let good = Secret::new(good);
    for client in [network(2), ClientNetwork::UNKNOWN] {
        let verified = verifier.verify_logout((&good, client), sends, at);
        assert!(verified.is_ok(), "{verified:?}");
    }
}
