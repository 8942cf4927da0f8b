//! The actors of a delegated token: its `act` claim (RFC 8693 section 4.1).

use serde_json::{Map, Value};

use super::claims::text;
use super::error::TokenError;

/// The longest accepted chain of actors. The access log holds whole chains.
const MAX_ACTORS: usize = 5;

/// Whether delegated tokens of an issuer are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// Tokens may have `act`.
    Accepted {
        /// The accepted actors; `None` accepts all.
        actors: Option<Vec<String>>,
        /// Whether tokens without `act` are refused.
        required: bool,
    },
    /// Tokens with `act` are refused.
    Refused,
}

impl Default for Delegation {
    fn default() -> Self {
        Self::Accepted {
            actors: None,
            required: false,
        }
    }
}

impl Delegation {
    /// The actors of an accepted token, the current one first.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        issuer: &str,
    ) -> Result<Vec<String>, TokenError> {
        let chain = actors(claims, issuer)?;
        match (self, chain.first()) {
            (Self::Refused, Some(_)) => Err(TokenError::Delegated),
            (Self::Accepted { required: true, .. }, None) => Err(TokenError::NotDelegated),
            // Earlier actors do not count for access control (RFC 8693 section 4.1).
            (
                Self::Accepted {
                    actors: Some(accepted),
                    ..
                },
                Some(current),
            ) if !accepted.contains(current) => Err(TokenError::Actor),
            _ => Ok(chain),
        }
    }
}

/// All actors of the chain. An actor of another issuer is named `issuer|sub`: two issuers may use one
/// `sub`.
fn actors(claims: &Map<String, Value>, issuer: &str) -> Result<Vec<String>, TokenError> {
    const ACT: TokenError = TokenError::Claim("act");
    let mut found = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        let act = act
            .as_object()
            .filter(|_| found.len() < MAX_ACTORS)
            .ok_or(ACT)?;
        let named = |name| match act.get(name) {
            Some(value) if value.is_string() => text(value).map(Some).ok_or(ACT),
            Some(_) => Err(ACT),
            None => Ok(None),
        };
        let subject = named("sub")?.ok_or(ACT)?;
        found.push(match named("iss")? {
            Some(other) if other != issuer => format!("{other}|{subject}"),
            _ => subject,
        });
        next = act.get("act");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn check(delegation: &Delegation, act: Value) -> Result<Vec<String>, TokenError> {
        let claims = json!({ "act": act });
        delegation.check(claims.as_object().unwrap(), ISSUER)
    }

    fn only(actors: &[&str]) -> Delegation {
        Delegation::Accepted {
            actors: Some(actors.iter().map(|actor| (*actor).to_owned()).collect()),
            required: false,
        }
    }

    /// A chain of actors `a1` to `a<depth>`, the first one calling.
    fn chain(depth: usize) -> Value {
        (1..=depth).rev().fold(Value::Null, |inner, number| {
            let mut act = json!({"sub": format!("a{number}")});
            if !inner.is_null() {
                act["act"] = inner;
            }
            act
        })
    }

    #[test]
    fn actors_are_listed_from_the_current_one() {
        let any = Delegation::default();
        assert_eq!(check(&any, chain(2)).unwrap(), ["a1", "a2"]);
        assert_eq!(check(&any, chain(5)).unwrap().len(), 5);
        assert_eq!(any.check(&Map::new(), ISSUER), Ok(Vec::new()));
        let own = json!({"sub": "a1", "iss": ISSUER, "act": {"sub": "a1", "iss": "https://b"}});
        assert_eq!(check(&any, own).unwrap(), ["a1", "https://b|a1"]);
    }

    #[test]
    fn long_and_malformed_chains_are_refused() {
        for act in [
            chain(6),
            json!(null),
            json!("a1"),
            json!([]),
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "a\nb"}),
            json!({"sub": "a1", "iss": 7}),
            json!({"sub": "a1", "act": null}),
            json!({"sub": "a1", "act": {"iss": ISSUER}}),
        ] {
            let found = check(&Delegation::default(), act.clone());
            assert_eq!(found, Err(TokenError::Claim("act")), "{act}");
        }
    }

    #[test]
    fn the_current_actor_must_be_accepted() {
        assert!(check(&only(&["a1"]), chain(2)).is_ok());
        assert_eq!(check(&only(&["a2"]), chain(2)), Err(TokenError::Actor));
        let another = json!({"sub": "a1", "iss": "https://b"});
        assert_eq!(check(&only(&["a1"]), another), Err(TokenError::Actor));
        assert_eq!(only(&["a1"]).check(&Map::new(), ISSUER), Ok(Vec::new()));
    }

    #[test]
    fn delegation_may_be_refused_or_required() {
        assert_eq!(
            check(&Delegation::Refused, chain(1)),
            Err(TokenError::Delegated)
        );
        assert_eq!(
            Delegation::Refused.check(&Map::new(), ISSUER),
            Ok(Vec::new())
        );
        let required = Delegation::Accepted {
            actors: None,
            required: true,
        };
        assert!(check(&required, chain(1)).is_ok());
        assert_eq!(
            required.check(&Map::new(), ISSUER),
            Err(TokenError::NotDelegated)
        );
    }
}
