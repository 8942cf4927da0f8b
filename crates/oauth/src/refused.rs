//! What the log says about a refused token: the claim, what it has, and the policy key that decides. The client
//! gets the text of the error only.

use std::fmt::Write;

use serde_json::{Map, Value};
use thiserror::Error;

use super::algorithm::{Algorithm, TokenType};
use super::bearer::{Jwt, REFUSED_PARAMETERS, other_token};
use super::claims::{ClaimSource, numeric_date};
use super::error::TokenError;
use super::issuer::{IssuerId, TrustedIssuer};
use base::time::UnixTime;

/// The maximum number of values and characters that a finding copies from a token.
const MAX_VALUES: usize = 4;
const MAX_CHARACTERS: usize = 128;

/// A token that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct RefusedToken {
    /// The error, for the client too.
    pub error: TokenError,
    /// For the log only: it has values of the token.
    pub finding: Option<Box<TokenFinding>>,
}

/// The part of a token that it is refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFinding {
    /// The claim, or `header.` and the parameter of the header.
    pub place: String,
    /// What is there: the value of an issuer, audience, type or algorithm; of other claims their form.
    pub found: String,
    /// The policy key that decides about it. `None`: no key accepts it.
    pub key: Option<String>,
    /// How the key accepts it.
    pub advice: Option<&'static str>,
}

impl From<TokenError> for RefusedToken {
    fn from(error: TokenError) -> Self {
        Self {
            error,
            finding: None,
        }
    }
}

impl RefusedToken {
    /// With a finding.
    pub(super) fn with(error: TokenError, finding: Option<TokenFinding>) -> Self {
        Self {
            error,
            finding: finding.map(Box::new),
        }
    }
}

impl TokenFinding {
    fn of(place: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            found: found.into(),
            key: None,
            advice: None,
        }
    }

    fn key(mut self, id: IssuerId, key: &str) -> Self {
        self.key = Some(format!("issuers[{}].{key}", id.0));
        self
    }

    fn advice(mut self, advice: Option<&'static str>) -> Self {
        self.advice = advice;
        self
    }

    /// A token that is too large.
    pub(super) fn size(bytes: usize) -> Self {
        Self::of("size", format!("{bytes} bytes"))
    }

    /// A time that does not fit, of a token that was verified before.
    pub(super) fn time(place: &str, time: UnixTime, now: UnixTime, id: IssuerId) -> Self {
        let found = match now >= time {
            true => format!("{} s ago", now.since(time).as_secs()),
            false => format!("in {} s", time.since(now).as_secs()),
        };
        Self::of(place, found).key(id, "clock_skew")
    }

    /// The issuer that a token names, if the policy does not trust it.
    pub(super) fn untrusted<'i>(
        iss: &str,
        issuers: impl Iterator<Item = &'i TrustedIssuer>,
    ) -> Self {
        let finding = Self::of("iss", shown(iss));
        let template = issuers
            .enumerate()
            .find(|(_, issuer)| issuer.named_tenant(iss).is_some());
        match template {
            Some((index, _)) => finding.key(IssuerId(index), "tenants"),
            None => Self {
                key: Some("issuers".to_owned()),
                ..finding
            },
        }
    }

    /// Why a JWT of a trusted issuer is refused. `None`: the error says it all.
    pub(super) fn of_jwt(
        error: TokenError,
        jwt: &Jwt,
        (issuer, id): (&TrustedIssuer, IssuerId),
        now: UnixTime,
    ) -> Option<Self> {
        let Jwt { header, claims } = jwt;
        match error {
            TokenError::Algorithm => {
                let alg = header.get("alg");
                let finding = Self::of("header.alg", value_or_form(alg));
                let known = alg.and_then(Value::as_str).and_then(Algorithm::named);
                Some(match known {
                    Some(_) => finding.key(id, "algorithms"),
                    None => finding,
                })
            }
            TokenError::Header => {
                let refused = REFUSED_PARAMETERS
                    .iter()
                    .find(|name| header.contains_key(**name));
                let malformed = ["typ", "kid", "alg"].into_iter();
                let mut malformed =
                    malformed.filter(|name| header.get(*name).is_some_and(|v| !v.is_string()));
                let name = refused.copied().or_else(|| malformed.next())?;
                Some(Self::of(format!("header.{name}"), form(header.get(name))))
            }
            TokenError::Type if other_token(claims).is_none() => {
                let typ = header.get("typ");
                let found = typ.map_or_else(|| "absent".to_owned(), |typ| value_or_form(Some(typ)));
                let finding = Self::of("header.typ", found);
                let known = TokenType::named(typ.and_then(Value::as_str));
                Some(match known.filter(|_| typ.is_none_or(Value::is_string)) {
                    Some(_) => finding.key(id, "types"),
                    None => finding,
                })
            }
            TokenError::Key | TokenError::KeyUnnamed => {
                let found = match header.contains_key("kid") {
                    true => "a key id that the key set does not have with this algorithm",
                    false => "absent",
                };
                Some(Self::of("header.kid", found).key(id, "jwks"))
            }
            error => Self::of_claims(error, claims, (issuer, id), now),
        }
    }

    /// Why claims are refused, of a JWT or of an introspection response.
    pub(super) fn of_claims(
        error: TokenError,
        claims: &Map<String, Value>,
        (issuer, id): (&TrustedIssuer, IssuerId),
        now: UnixTime,
    ) -> Option<Self> {
        let claim = |name: &str| claims.get(name);
        Some(match error {
            TokenError::Issuer => Self::of("iss", value_or_form(claim("iss"))).key(id, "issuer"),
            TokenError::Type => {
                let name = other_token(claims).unwrap_or("token_type");
                Self::of(name, value_or_form(claim(name)))
            }
            TokenError::Audience if !claims.contains_key("aud") => {
                let clients = issuer.without_audience.as_ref()?;
                let client = clients.claim.identifier(claims)?;
                Self::of(clients.claim.to_string(), shown(&client))
                    .key(id, "without_audience.values")
            }
            TokenError::Audience => {
                Self::of("aud", value_or_form(claim("aud"))).key(id, "audiences")
            }
            TokenError::Claim("aud") if claims.contains_key("aud") => {
                Self::of("aud", form(claim("aud")))
            }
            TokenError::Claim("aud") => Self::of("aud", "missing")
                .key(id, "without_audience")
                .advice(Some("it accepts the clients that it names")),
            TokenError::Claim("user") => {
                Self::of_source(&issuer.claims.user, claims).key(id, "identity.user")
            }
            TokenError::Claim("organization") => {
                let source = issuer.claims.organization.as_ref()?;
                Self::of_source(source, claims).key(id, "identity.organization")
            }
            TokenError::Claim("roles") => {
                let source = issuer.claims.roles.as_ref()?;
                Self::of_source(source, claims).key(id, "identity.roles")
            }
            TokenError::Claim("scopes") => {
                Self::of_source(&issuer.claims.scopes, claims).key(id, "identity.scopes")
            }
            TokenError::Claim("view_as") => {
                let path = issuer.claims.view_as.as_ref()?;
                Self::of(path.to_string(), form(path.find(claims))).key(id, "identity.view_as")
            }
            TokenError::Claim(name) => Self::of(name, form(claim(name))),
            TokenError::Expired => Self::of_time("exp", claims, now).key(id, "clock_skew"),
            TokenError::NotYet => {
                let names = ["nbf", "iat", "auth_time"].into_iter();
                let time = |name: &&str| claim(name).and_then(numeric_date);
                let latest = names.max_by_key(|name| time(name)).unwrap_or("nbf");
                Self::of_time(latest, claims, now).key(id, "clock_skew")
            }
            TokenError::Lifetime => Self::of_time("exp", claims, now).key(id, "max_lifetime"),
            TokenError::Actor => Self::of("act", form(claim("act"))).key(id, "actors"),
            TokenError::Delegated | TokenError::NotDelegated => {
                Self::of("act", form(claim("act"))).key(id, "delegation")
            }
            TokenError::Bound | TokenError::Unbound => Self {
                key: Some("dpop".to_owned()),
                ..Self::of("cnf", form(claim("cnf")))
            },
            _ => return None,
        })
    }

    fn of_time(name: &str, claims: &Map<String, Value>, now: UnixTime) -> Self {
        match claims.get(name).and_then(numeric_date) {
            Some(time) => Self {
                key: None,
                ..Self::time(name, time, now, IssuerId(0))
            },
            None => Self::of(name, form(claims.get(name))),
        }
    }

    fn of_source(source: &ClaimSource, claims: &Map<String, Value>) -> Self {
        let mut paths = source.paths.iter();
        let present = source
            .paths
            .iter()
            .find_map(|path| Some((path, path.find(claims)?)));
        match present {
            Some((path, value)) => {
                Self::of(path.to_string(), form(Some(value))).advice(advice_for(value))
            }
            None => {
                let mut all = String::new();
                for path in paths.by_ref() {
                    let comma = if all.is_empty() { "" } else { ", " };
                    let _ = write!(all, "{comma}{path}");
                }
                Self::of(all, "missing").advice(Some(
                    "`claims: [ONE, ANOTHER]` reads the first that is there",
                ))
            }
        }
    }
}

/// The key of a claim source that reads a value of this form.
fn advice_for(value: &Value) -> Option<&'static str> {
    let of_objects = |items: &Vec<Value>| items.iter().all(Value::is_object);
    match value {
        Value::Object(_) => {
            Some("`keys: true` reads the names of members, `member: NAME` one member")
        }
        Value::Array(items) if !items.is_empty() && of_objects(items) => {
            Some("`member: NAME` reads a member of each object, `keys: true` the names of members")
        }
        _ => None,
    }
}

/// A text, or several, as they are. Other values by their form.
fn value_or_form(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => shown(text),
        Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => {
            let texts = items.iter().filter_map(Value::as_str).take(MAX_VALUES);
            let mut all = texts.map(shown).collect::<Vec<_>>().join(", ");
            if let more @ 1.. = items.len().saturating_sub(MAX_VALUES) {
                let _ = write!(all, " and {more} more");
            }
            all
        }
        value => form(value),
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("`{}...`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// The form of a value, without the value.
fn form(value: Option<&Value>) -> String {
    let plain = match value {
        None => "missing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(text)) if text.is_empty() => "an empty text",
        Some(Value::String(_)) => "a text",
        Some(Value::Object(_)) => "an object",
        Some(Value::Array(items)) => {
            let what = match items {
                items if items.is_empty() => "an empty list",
                items if items.iter().all(Value::is_string) => "a list of texts",
                items if items.iter().all(Value::is_object) => "a list of objects",
                _ => "a list",
            };
            return match items.len() {
                0 => what.to_owned(),
                number => format!("{what} ({number})"),
            };
        }
    };
    plain.to_owned()
}
