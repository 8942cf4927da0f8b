//! A token from a file, for `mcp-auth explain`.

use std::fmt;
use std::time::{Duration, SystemTime};

use base::json::Reader;
use base::time::UnixTime;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use oauth::{
    Algorithm, Identity, KeySet, KeySource, Signatures, TokenCheck, TokenType, TrustedIssuer,
};
use policy::Policy;
use serde_json::{Map, Value, json};

use crate::caller_token::{MAX_DEPTH, Token, new_key};
use crate::error::ExplainError;
use crate::proof::Prover;

/// A JWT, not verified.
pub struct GivenToken {
    text: String,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Without the token.
impl fmt::Debug for GivenToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GivenToken")
    }
}

impl GivenToken {
    /// A token, alone or as a header has it. `None`: it is no JWT.
    pub fn of_text(text: &str) -> Option<Self> {
        let text = text.split_whitespace().last()?;
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            text: text.to_owned(),
        })
    }

    /// The token as a request has it. Its signature is checked if a key set is given, or if the policy has it.
    /// Otherwise the claims are signed with a new key, so that all other checks are those of the token.
    pub(crate) fn present(
        &self,
        policy: &mut Policy,
        jwks: Option<&str>,
    ) -> Result<Token, ExplainError> {
        let as_it_is = |is_verified| Token {
            text: self.text.clone(),
            filled_in: Vec::new(),
            prover: None,
            is_verified,
        };
        if let Some(jwks) = jwks {
            for issuer in &mut policy.issuers {
                if let TokenCheck::Signature(signatures) = &mut issuer.check {
                    signatures.keys = KeySource::Inline(jwks.to_owned());
                }
            }
        }
        // A token that is refused for its issuer or algorithm is refused before keys are needed.
        let Some(issuer) = self.issuer(policy) else {
            return Ok(as_it_is(false));
        };
        if let TokenCheck::Signature(signatures) = &issuer.check {
            let algorithm = self.header_text("alg").and_then(Algorithm::named);
            let is_accepted =
                algorithm.is_some_and(|algorithm| signatures.algorithms.contains(&algorithm));
            let is_inline = matches!(signatures.keys, KeySource::Inline(_));
            if is_inline || !is_accepted {
                return Ok(as_it_is(is_inline));
            }
        }
        let mut claims = self.claims.clone();
        let prover = match &policy.dpop {
            Some(rules) => Prover::of(rules, &mut claims)?,
            None => None,
        };
        let key = new_key(&mut policy.issuers, |check| match check {
            TokenCheck::Signature(signatures) => signatures.types.clone(),
            TokenCheck::Introspection(..) => {
                vec![TokenType::AccessToken, TokenType::Jwt, TokenType::Absent]
            }
        })?;
        let mut header = self.header.clone();
        header.remove("alg");
        header.remove("kid");
        header.entry("typ").or_insert(Value::Null);
        let text = key.sign(&Value::Object(header), &Value::Object(claims));
        Ok(Token {
            text: text?,
            filled_in: Vec::new(),
            prover,
            is_verified: false,
        })
    }

    /// The issuer in the policy that the token names.
    fn issuer<'p>(&self, policy: &'p Policy) -> Option<&'p TrustedIssuer> {
        let name = self.claims.get("iss")?.as_str()?;
        policy.issuers.iter().find(|issuer| issuer.is_named(name))
    }

    fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// What the token says, as the policy reads it.
    pub(crate) fn facts(&self, policy: &Policy, jwks: Option<&str>, now: UnixTime) -> TokenFacts {
        let expires = self
            .claims
            .get("exp")
            .and_then(Value::as_u64)
            .map(UnixTime::from_secs);
        let identity = self.issuer(policy).map(|issuer| {
            let identity = Identity::of_claims(&self.claims, &issuer.claims);
            identity.map_err(|error| error.to_string())
        });
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        TokenFacts {
            issuer: text(self.claims.get("iss")),
            algorithm: text(self.header.get("alg")),
            identity,
            signature: self.signature(policy, jwks),
            expires,
            now,
        }
    }

    /// Whether its signature verifies, also if it is refused for what it says.
    fn signature(&self, policy: &Policy, jwks: Option<&str>) -> SignatureCheck {
        let issuer = self.issuer(policy);
        let inline = issuer.and_then(|issuer| match &issuer.check {
            TokenCheck::Signature(Signatures {
                keys: KeySource::Inline(keys),
                ..
            }) => Some(keys.as_str()),
            _ => None,
        });
        let Some(keys) = jwks.or(inline) else {
            return SignatureCheck::NotChecked;
        };
        let algorithm = self.header_text("alg").and_then(Algorithm::named);
        let set = KeySet::parse(keys.as_bytes(), &Algorithm::ALL).ok();
        let (Some(algorithm), Some(set)) = (algorithm, set) else {
            return SignatureCheck::NoKey;
        };
        let key_id = self.header_text("kid");
        let name = self.claims.get("iss").and_then(Value::as_str);
        let tenant = issuer.and_then(|issuer| issuer.named_tenant(name?));
        match (
            set.knows(algorithm, key_id),
            set.verify(&self.text, algorithm, key_id, tenant, None),
        ) {
            (false, _) => SignatureCheck::NoKey,
            (true, false) => SignatureCheck::DoesNotVerify,
            (true, true) => SignatureCheck::Verifies,
        }
    }
}

/// Whether the signature of a token verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    /// There is no key set.
    NotChecked,
    /// The key set does not have its key.
    NoKey,
    /// It is not the signature of the key.
    DoesNotVerify,
    /// It is.
    Verifies,
}

/// A part of a JWT.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let mut reader = Reader::new(&bytes, MAX_DEPTH);
    reader.skip().and_then(|_| reader.end()).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What a token says, as a policy reads it.
#[derive(Debug)]
pub struct TokenFacts {
    issuer: Option<String>,
    algorithm: Option<String>,
    /// `None`: the policy does not know the issuer.
    identity: Option<Result<Identity, String>>,
    /// Whether its signature verifies.
    pub signature: SignatureCheck,
    expires: Option<UnixTime>,
    now: UnixTime,
}

impl TokenFacts {
    /// One line for each fact. `keys`: the name of the key set.
    pub fn lines(&self, keys: &str) -> Vec<String> {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let list = |list: &[String]| match list {
            [] => "none".to_owned(),
            list => list.join(", "),
        };
        let read = match &self.identity {
            None => "its issuer is not in the policy, which reads nothing of it".to_owned(),
            Some(Err(error)) => format!("the policy reads no caller from it: {error}"),
            Some(Ok(identity)) => format!(
                "the policy reads: user {}; organization {}; roles {}; scopes {}",
                or_none(&identity.user),
                or_none(&identity.organization),
                list(&identity.roles),
                list(&identity.scopes)
            ),
        };
        let signature = match self.signature {
            SignatureCheck::NotChecked => {
                "signature NOT checked: give the key set of its issuer with --jwks FILE".to_owned()
            }
            SignatureCheck::NoKey => format!("signature NOT checked: {keys} does not have its key"),
            SignatureCheck::DoesNotVerify => format!("signature does NOT verify with {keys}"),
            SignatureCheck::Verifies => format!("signature verifies with {keys}"),
        };
        vec![
            signature,
            format!(
                "issuer {}, algorithm {}",
                or_none(&self.issuer),
                or_none(&self.algorithm)
            ),
            read,
            self.expiry(),
        ]
    }

    fn expiry(&self) -> String {
        let Some(expires) = self.expires else {
            return "it has no `exp`".to_owned();
        };
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires.as_secs()));
        let time = time.map_or_else(String::new, |time| {
            humantime::format_rfc3339_seconds(time).to_string()
        });
        let words = |duration: Duration| {
            humantime::format_duration(Duration::from_secs(duration.as_secs()))
        };
        match expires > self.now {
            true => format!(
                "it expires at {time}, in {}",
                words(expires.since(self.now))
            ),
            false => format!(
                "it expired at {time}, {} ago",
                words(self.now.since(expires))
            ),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let identity = self
            .identity
            .as_ref()
            .and_then(|identity| identity.as_ref().ok());
        json!({
            "signature": match self.signature {
                SignatureCheck::NotChecked => "not_checked",
                SignatureCheck::NoKey => "no_key",
                SignatureCheck::DoesNotVerify => "does_not_verify",
                SignatureCheck::Verifies => "verifies",
            },
            "issuer": self.issuer,
            "algorithm": self.algorithm,
            "user": identity.and_then(|identity| identity.user.as_ref()),
            "organization": identity.and_then(|identity| identity.organization.as_ref()),
            "roles": identity.map(|identity| &identity.roles),
            "scopes": identity.map(|identity| &identity.scopes),
            "expires": self.expires.map(|expires| expires.as_secs()),
            "expired": self.expires.is_some_and(|expires| expires <= self.now),
        })
    }
}
