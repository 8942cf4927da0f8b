//! The identity in a token's claims.

mod source;

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::TokenError;
use base::time::UnixTime;

pub use self::source::{ClaimForm, ClaimSource, WrongForm};

/// The path of a claim: the names of the objects that hold it, and its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath {
    steps: Vec<String>,
    /// Whether it is written as a text that was split at its dots.
    is_split: bool,
}

/// The claims that identify the caller.
#[derive(Debug, Clone)]
pub struct ClaimPaths {
    /// The user. Every token must have it.
    pub user: ClaimSource,
    /// The organization.
    pub organization: Option<ClaimSource>,
    /// Role names.
    pub roles: Option<ClaimSource>,
    /// Scopes.
    pub scopes: ClaimSource,
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
        Self {
            steps: vec![name.to_owned()],
            is_split: false,
        }
    }

    /// A text that is split at its dots.
    fn of_text<E: serde::de::Error>(text: &str) -> Result<Self, E> {
        let steps: Vec<_> = text.split('.').map(str::to_owned).collect();
        let is_split = steps.len() > 1;
        sound_path(steps, is_split)
    }

    /// The names of the objects that hold it, and its own name.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Whether it is a URL or URN that was split at its dots, which its author did not mean.
    pub fn is_split_url(&self) -> bool {
        let is_url = |step: &String| step.contains([':', '/']);
        self.is_split && self.steps.iter().any(is_url)
    }

    /// The identifier at this path: never empty, without control characters.
    pub fn identifier(&self, claims: &Map<String, Value>) -> Option<String> {
        text(self.find(claims)?)
    }

    pub(super) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let (first, rest) = self.steps.split_first()?;
        rest.iter()
            .try_fold(claims.get(first)?, |value, name| value.get(name))
            .filter(|value| !value.is_null())
    }
}

impl ClaimPaths {
    /// The role names in a token.
    pub(super) fn role_names(&self, claims: &Map<String, Value>) -> Result<Vec<String>, WrongForm> {
        let source = self.roles.as_ref();
        let roles = source.map(|source| source.list(claims, one)).transpose()?;
        Ok(roles.unwrap_or_default())
    }

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
        let malformed = |name| move |_: WrongForm| TokenError::Claim(name);
        let user = paths.user.identifier(claims).map_err(malformed("user"))?;
        let user = user.ok_or(TokenError::Claim("user"))?;
        let organization = paths.organization.as_ref();
        let organization = organization.map(|source| source.identifier(claims));
        let organization = organization
            .transpose()
            .map_err(malformed("organization"))?;
        let roles = paths.role_names(claims).map_err(malformed("roles"))?;
        let scopes = paths.scopes.list(claims, split_scopes);
        Ok(Self {
            user: Some(user),
            organization: organization.flatten(),
            roles,
            scopes: scopes.map_err(malformed("scopes"))?,
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
        ClaimPath::of_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ClaimPath, A::Error> {
        let mut path = Vec::new();
        while let Some(name) = names.next_element()? {
            path.push(name);
        }
        sound_path(path, false)
    }
}

fn sound_path<E: serde::de::Error>(steps: Vec<String>, is_split: bool) -> Result<ClaimPath, E> {
    if steps.is_empty() || steps.iter().any(String::is_empty) {
        return Err(E::custom("a claim path has no empty names"));
    }
    Ok(ClaimPath { steps, is_split })
}

/// As in a policy: names with dots between them.
impl fmt::Display for ClaimPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.steps.join("."))
    }
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
            user: ClaimSource::claim("sub"),
            organization: serde_json::from_value(json!(["https://example.com/org"])).unwrap(),
            roles: serde_json::from_value(json!("realm_access.roles")).unwrap(),
            scopes: ClaimSource::claim("scope"),
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
            json!({"sub": ["a", "b"]}),
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
