//! Who acts for the caller: the `act` claim of a delegated token (RFC 8693 section 4.1).

use serde_json::{Map, Value};

use super::claims::text;
use super::error::TokenError;

/// The longest chain of actors that is read. A longer one could not be logged whole.
const MAX_ACTORS: usize = 5;

/// Whether an issuer's tokens may say that somebody acts for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegation {
    /// They may.
    Accepted {
        /// Who may act; `None` for anybody the issuer names.
        actors: Option<Vec<String>>,
        /// Whether each token has to name an actor.
        required: bool,
    },
    /// They may not.
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
    /// The actors of a token that is accepted, the one who calls first.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        issuer: &str,
    ) -> Result<Vec<String>, TokenError> {
        let chain = actors(claims, issuer)?;
        match (self, chain.first()) {
            (Self::Refused, Some(_)) => Err(TokenError::Delegated),
            (Self::Accepted { required: true, .. }, None) => Err(TokenError::NotDelegated),
            // Earlier actors are information only, says the RFC.
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

/// Every actor of the chain. One of another issuer has that in front of its name: two issuers may
/// have given out the same `sub`.
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
    fn actors_are_read_from_the_one_who_calls() {
        let any = Delegation::default();
        assert_eq!(check(&any, chain(2)).unwrap(), ["a1", "a2"]);
        assert_eq!(check(&any, chain(5)).unwrap().len(), 5);
        assert_eq!(any.check(&Map::new(), ISSUER), Ok(Vec::new()));
        let own = json!({"sub": "a1", "iss": ISSUER, "act": {"sub": "a1", "iss": "https://b"}});
        assert_eq!(check(&any, own).unwrap(), ["a1", "https://b|a1"]);
    }

    #[test]
    fn what_cannot_be_logged_whole_is_refused() {
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
    fn the_one_who_calls_has_to_be_accepted() {
        assert!(check(&only(&["a1"]), chain(2)).is_ok());
        assert_eq!(check(&only(&["a2"]), chain(2)), Err(TokenError::Actor));
        let another = json!({"sub": "a1", "iss": "https://b"});
        assert_eq!(check(&only(&["a1"]), another), Err(TokenError::Actor));
        assert_eq!(only(&["a1"]).check(&Map::new(), ISSUER), Ok(Vec::new()));
    }

    #[test]
    fn delegation_is_refused_or_asked_for() {
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
