//! The identity in a token's claims.

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::TokenError;
use base::time::UnixTime;

/// The path of a claim: the names of the objects that hold it, and its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// The claims that identify the caller.
#[derive(Debug, Clone)]
pub struct ClaimPaths {
    /// The user. Every token must have it.
    pub user: ClaimPath,
    /// The organization.
    pub organization: Option<ClaimPath>,
    /// Role names.
    pub roles: Option<ClaimPath>,
    /// Scopes.
    pub scopes: ClaimPath,
    /// The conversation that the token is used in.
    pub conversation: Option<ClaimPath>,
    /// The test user or role that the caller asks to act as.
    pub view_as: Option<ClaimPath>,
}

/// The caller, as the token identifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user id, never empty. `None` for an anonymous caller.
    pub user: Option<String>,
    /// The organization.
    pub organization: Option<String>,
    /// Role names, as the issuer writes them.
    pub roles: Vec<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// The actors of a delegated token (RFC 8693 section 4.1), the current one first.
    pub actors: Vec<String>,
}

impl ClaimPath {
    /// A claim at the top level.
    pub fn claim(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// The identifier at this path: never empty, without control characters.
    pub fn identifier(&self, claims: &Map<String, Value>) -> Option<String> {
        text(self.find(claims)?)
    }

    fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter()
            .try_fold(claims.get(first)?, |value, name| value.get(name))
            .filter(|value| !value.is_null())
    }
}

impl ClaimPaths {
    /// The test user or role that the token asks to act as.
    pub(super) fn view_as(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<Option<String>, TokenError> {
        let path = self.view_as.as_ref();
        let value = path.and_then(|path| path.find(claims));
        value
            .map(|value| text(value).ok_or(TokenError::Claim("view_as")))
            .transpose()
    }
}

impl Identity {
    /// The identity of a caller without a token.
    pub fn anonymous() -> &'static Self {
        static ANONYMOUS: Identity = Identity {
            user: None,
            organization: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            actors: Vec::new(),
        };
        &ANONYMOUS
    }

    /// Whether the caller has no token.
    pub fn is_anonymous(&self) -> bool {
        self.user.is_none()
    }

    /// The identity in a token's claims.
    ///
    /// # Errors
    ///
    /// The user is missing, or a claim has the wrong type.
    pub fn of_claims(claims: &Map<String, Value>, paths: &ClaimPaths) -> Result<Self, TokenError> {
        let user = match paths.user.find(claims) {
            Some(value) => text(value).ok_or(TokenError::Claim("user"))?,
            None => return Err(TokenError::Claim("user")),
        };
        let organization = match paths
            .organization
            .as_ref()
            .and_then(|path| path.find(claims))
        {
            Some(value) => Some(text(value).ok_or(TokenError::Claim("organization"))?),
            None => None,
        };
        let roles = paths.roles.as_ref().and_then(|path| path.find(claims));
        Ok(Self {
            user: Some(user),
            organization,
            roles: names(roles, one).ok_or(TokenError::Claim("roles"))?,
            scopes: names(paths.scopes.find(claims), split_scopes)
                .ok_or(TokenError::Claim("scopes"))?,
            actors: Vec::new(),
        })
    }
}

/// An identifier: a string or an integer. Control characters and outer spaces are refused: they could
/// split a header or a log line.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    let sound = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
    sound.then_some(text)
}

/// A list of names: an array of strings, or a text, which `read` reads.
fn names(value: Option<&Value>, read: fn(&str) -> Vec<String>) -> Option<Vec<String>> {
    match value {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(read(text)),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| {
                value
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
            })
            .collect(),
        Some(_) => None,
    }
}

/// A text is one role, whatever is in it: `Regional manager` is not `manager`.
fn one(role: &str) -> Vec<String> {
    let role = Some(role).filter(|role| !role.is_empty());
    role.map(str::to_owned).into_iter().collect()
}

/// Scopes in a text have spaces between them, and no other character separates them (RFC 6749 section
/// 3.3).
fn split_scopes(text: &str) -> Vec<String> {
    let scopes = text.split(' ').filter(|scope| !scope.is_empty());
    scopes.map(str::to_owned).collect()
}

/// A `NumericDate` (RFC 7519 section 2) in whole seconds.
pub(super) fn numeric_date(value: &Value) -> Option<UnixTime> {
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        // Above this, an f64 does not hold every second.
        (0.0..1e15)
            .contains(&seconds)
            .then(|| seconds.floor() as u64)
    });
    seconds.map(UnixTime::from_secs)
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClaimPathVisitor)
    }
}

struct ClaimPathVisitor;

impl<'de> Visitor<'de> for ClaimPathVisitor {
    type Value = ClaimPath;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a claim name, names with dots between them, or a list of names")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ClaimPath, E> {
        sound_path(text.split('.').map(str::to_owned).collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ClaimPath, A::Error> {
        let mut path = Vec::new();
        while let Some(name) = names.next_element()? {
            path.push(name);
        }
        sound_path(path)
    }
}

fn sound_path<E: serde::de::Error>(path: Vec<String>) -> Result<ClaimPath, E> {
    if path.is_empty() || path.iter().any(String::is_empty) {
        return Err(E::custom("a claim path has no empty names"));
    }
    Ok(ClaimPath(path))
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ClaimPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A claim: its name, names with dots between them, or a list of names.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity(claims: Value) -> Result<Identity, TokenError> {
        let paths = ClaimPaths {
            user: ClaimPath::claim("sub"),
            organization: serde_json::from_value(json!(["https://example.com/org"])).unwrap(),
            roles: serde_json::from_value(json!("realm_access.roles")).unwrap(),
            scopes: ClaimPath::claim("scope"),
            conversation: None,
            view_as: None,
        };
        Identity::of_claims(claims.as_object().unwrap(), &paths)
    }

    #[test]
    fn roles_and_scopes_are_lists_or_strings_at_a_path() {
        let found = identity(json!({
            "sub": 42, "https://example.com/org": "acme",
            "realm_access": {"roles": ["support", "manager"]}, "scope": "a  b",
        }));
        assert_eq!(
            found,
            Ok(Identity {
                user: Some("42".into()),
                organization: Some("acme".into()),
                roles: vec!["support".into(), "manager".into()],
                scopes: vec!["a".into(), "b".into()],
                actors: Vec::new(),
            })
        );
    }

    #[test]
    fn s8_a_text_is_one_role_and_only_spaces_separate_scopes() {
        for role in [
            "Regional manager",
            "manager,admin",
            "manager\tadmin",
            "manager;admin",
            " manager",
            "manager\u{a0}admin",
            "manager\nadmin",
        ] {
            let found = identity(json!({
                "sub": "u", "realm_access": {"roles": role}, "scope": "a\u{a0}b c\td  e",
            }));
            let found = found.unwrap();
            assert_eq!(found.roles, [role]);
            assert_eq!(found.scopes, ["a\u{a0}b", "c\td", "e"]);
        }
        let none = identity(json!({"sub": "u", "realm_access": {"roles": ""}, "scope": ""}));
        let none = none.unwrap();
        assert!(none.roles.is_empty() && none.scopes.is_empty());
    }

    #[test]
    fn a_missing_user_and_wrong_types_are_refused() {
        for claims in [
            json!({}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": ["a"]}),
            json!({"sub": "a\nb"}),
            json!({"sub": 1.5}),
            json!({"sub": " a"}),
        ] {
            assert_eq!(
                identity(claims.clone()),
                Err(TokenError::Claim("user")),
                "{claims}"
            );
        }
        let roles = json!({"sub": "a", "realm_access": {"roles": [1]}});
        assert_eq!(identity(roles), Err(TokenError::Claim("roles")));
        let organization = json!({"sub": "a", "https://example.com/org": {"id": 1}});
        assert_eq!(
            identity(organization),
            Err(TokenError::Claim("organization"))
        );
    }
}
