//! The claims that hold a part of the identity, and the forms in which issuers write them.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{ClaimPath, text};

/// The claims of one part of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSource {
    /// The claims. Of a single value the first claim that the token has counts; of lists all of them.
    pub paths: Vec<ClaimPath>,
    /// Where the values are in such a claim.
    pub form: ClaimForm,
}

/// Where the values of a claim are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimForm {
    /// A text is one value. A list has one value in each item.
    Plain,
    /// A text has several values with this text between them.
    Separated(String),
    /// An object, or each object of a list, has the value in this member.
    Member(String),
    /// The names of an object's members are the values. Members with `false` or `null` do not count.
    Keys,
}

/// Why the values of a claim cannot be read: it has another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongForm;

/// The keys of a source, as in the policy's document.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct ClaimSourceDocument {
    /// The claims. Of `user` and `organization` the first one that the token has counts; of `roles` and
    /// `scopes` all of them.
    claims: Vec<ClaimPath>,
    /// The text between several values in one text.
    separator: Option<String>,
    /// The member that has the value, in an object or in each object of a list.
    member: Option<String>,
    /// Whether the values are the names of an object's members.
    keys: bool,
}

impl ClaimSource {
    /// A claim at the top level.
    pub fn claim(name: &str) -> Self {
        Self::of(ClaimPath::claim(name))
    }

    fn of(path: ClaimPath) -> Self {
        Self {
            paths: vec![path],
            form: ClaimForm::Plain,
        }
    }

    /// The one value of the first claim that the token has. `None`: it has none of them.
    ///
    /// # Errors
    ///
    /// The claim has several values, or another form.
    pub fn identifier(&self, claims: &Map<String, Value>) -> Result<Option<String>, WrongForm> {
        for value in self.paths.iter().filter_map(|path| path.find(claims)) {
            let mut values = match (&self.form, value) {
                (ClaimForm::Plain, Value::Array(items)) => identifiers(items)?,
                (ClaimForm::Plain, value) => vec![text(value).ok_or(WrongForm)?],
                _ => self.values(value, |text| vec![text.to_owned()])?,
            };
            values.sort_unstable();
            values.dedup();
            let is_sound = |value: &String| text(&Value::from(value.as_str())).is_some();
            match values.as_slice() {
                [] => {}
                [value] if is_sound(value) => return Ok(values.pop()),
                _ => return Err(WrongForm),
            }
        }
        Ok(None)
    }

    /// The values of all claims. `split` reads a plain text.
    ///
    /// # Errors
    ///
    /// A claim has another form.
    pub fn list(
        &self,
        claims: &Map<String, Value>,
        split: fn(&str) -> Vec<String>,
    ) -> Result<Vec<String>, WrongForm> {
        let mut all: Vec<String> = Vec::new();
        for value in self.paths.iter().filter_map(|path| path.find(claims)) {
            let values = self.values(value, split)?;
            if all.is_empty() {
                all = values;
                continue;
            }
            let new = values.into_iter().filter(|value| !all.contains(value));
            let new: Vec<String> = new.collect();
            all.extend(new);
        }
        Ok(all)
    }

    fn values(
        &self,
        value: &Value,
        split: fn(&str) -> Vec<String>,
    ) -> Result<Vec<String>, WrongForm> {
        match (&self.form, value) {
            (ClaimForm::Plain, Value::String(text)) => Ok(split(text)),
            (ClaimForm::Separated(separator), Value::String(text)) => {
                let parts = text.split(separator.as_str()).map(str::trim);
                Ok(parts
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect())
            }
            (ClaimForm::Plain | ClaimForm::Separated(_), Value::Array(items)) => {
                items.iter().map(name).collect()
            }
            (ClaimForm::Member(member), Value::Object(_)) => Ok(vec![member_of(value, member)?]),
            (ClaimForm::Member(member), Value::Array(items)) => {
                items.iter().map(|item| member_of(item, member)).collect()
            }
            (ClaimForm::Keys, Value::Object(members)) => keys(members),
            (ClaimForm::Keys, Value::Array(items)) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(keys(item.as_object().ok_or(WrongForm)?)?);
                }
                Ok(all)
            }
            _ => Err(WrongForm),
        }
    }
}

fn identifiers(items: &[Value]) -> Result<Vec<String>, WrongForm> {
    items
        .iter()
        .map(|item| text(item).ok_or(WrongForm))
        .collect()
}

fn name(value: &Value) -> Result<String, WrongForm> {
    let name = value.as_str().filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or(WrongForm)
}

fn member_of(value: &Value, member: &str) -> Result<String, WrongForm> {
    value.get(member).and_then(text).ok_or(WrongForm)
}

/// The names of members. A value that is no object, list or boolean may mean anything.
fn keys(members: &Map<String, Value>) -> Result<Vec<String>, WrongForm> {
    let mut keys = Vec::new();
    for (key, value) in members {
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) | Value::Object(_) | Value::Array(_) if !key.is_empty() => {
                keys.push(key.clone());
            }
            _ => return Err(WrongForm),
        }
    }
    Ok(keys)
}

impl TryFrom<ClaimSourceDocument> for ClaimSource {
    type Error = &'static str;

    fn try_from(document: ClaimSourceDocument) -> Result<Self, &'static str> {
        if document.claims.is_empty() {
            return Err("`claims` has no claim");
        }
        let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if empty(&document.separator) || empty(&document.member) {
            return Err("`separator` and `member` are not empty");
        }
        let alphanumeric = |text: &String| text.contains(char::is_alphanumeric);
        if document.separator.as_ref().is_some_and(alphanumeric) {
            return Err("`separator` has no letters and digits");
        }
        let form = match (document.separator, document.member, document.keys) {
            (None, None, false) => ClaimForm::Plain,
            (Some(separator), None, false) => ClaimForm::Separated(separator),
            (None, Some(member), false) => ClaimForm::Member(member),
            (None, None, true) => ClaimForm::Keys,
            _ => return Err("one of `separator`, `member` and `keys` may be set"),
        };
        Ok(Self {
            paths: document.claims,
            form,
        })
    }
}

impl<'de> Deserialize<'de> for ClaimSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClaimSourceVisitor)
    }
}

struct ClaimSourceVisitor;

impl<'de> Visitor<'de> for ClaimSourceVisitor {
    type Value = ClaimSource;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a claim name, names with dots between them, a list of names, or a mapping with `claims`",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ClaimSource, E> {
        ClaimPath::of_text(text).map(ClaimSource::of)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<ClaimSource, A::Error> {
        let path = ClaimPath::deserialize(SeqAccessDeserializer::new(names))?;
        Ok(ClaimSource::of(path))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ClaimSource, A::Error> {
        let document = ClaimSourceDocument::deserialize(MapAccessDeserializer::new(map))?;
        ClaimSource::try_from(document).map_err(A::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ClaimSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimSource".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A claim, or several claims and the form of their values.",
            "anyOf": [
                generator.subschema_for::<ClaimPath>(),
                generator.subschema_for::<ClaimSourceDocument>(),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(written: Value) -> ClaimSource {
        serde_json::from_value(written).unwrap()
    }

    fn whole(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[track_caller]
    fn list(written: &Value, claims: Value) -> Result<Vec<String>, WrongForm> {
        source(written.clone()).list(claims.as_object().unwrap(), whole)
    }

    #[test]
    fn r8_roles_have_the_form_that_the_policy_names() {
        let separated = json!({"claims": ["r"], "separator": ","});
        let member = json!({"claims": ["r"], "member": "key"});
        let keys = json!({"claims": ["r"], "keys": true});
        let several =
            json!({"claims": ["realm_access.roles", ["resource_access", "crm", "roles"]]});
        for (written, claims, expected) in [
            (&json!("r"), json!({"r": ["a", "b"]}), vec!["a", "b"]),
            (&json!("r"), json!({"r": "a,b"}), vec!["a,b"]),
            (&json!("r"), json!({}), vec![]),
            (&separated, json!({"r": "a, b,,c"}), vec!["a", "b", "c"]),
            (&separated, json!({"r": ["a,b", "c"]}), vec!["a,b", "c"]),
            (
                &member,
                json!({"r": [{"key": "a", "x": 1}, {"key": "b"}]}),
                vec!["a", "b"],
            ),
            (&member, json!({"r": {"key": "a"}}), vec!["a"]),
            (&member, json!({"r": []}), vec![]),
            (
                &keys,
                json!({"r": {"a": {"1": "acme.example"}, "b": {}, "c": [], "d": true, "e": false, "f": null}}),
                vec!["a", "b", "c", "d"],
            ),
            (&keys, json!({"r": [{"a": {}}, {"b": {}}]}), vec!["a", "b"]),
            (
                &several,
                json!({"realm_access": {"roles": ["a", "b"]}, "resource_access": {"crm": {"roles": ["b", "c"]}}}),
                vec!["a", "b", "c"],
            ),
            (
                &several,
                json!({"realm_access": {"roles": ["a"]}}),
                vec!["a"],
            ),
        ] {
            let found = list(written, claims.clone());
            assert_eq!(
                found,
                Ok(expected.into_iter().map(str::to_owned).collect()),
                "{claims}"
            );
        }
    }

    #[test]
    fn r8_a_form_that_the_policy_does_not_name_is_wrong() {
        let member = json!({"claims": ["r"], "member": "key"});
        let keys = json!({"claims": ["r"], "keys": true});
        for (written, claims) in [
            (&json!("r"), json!({"r": {"a": {}}})),
            (&json!("r"), json!({"r": [{"key": "a"}]})),
            (&json!("r"), json!({"r": 1})),
            (&json!("r"), json!({"r": ["a", 1]})),
            (&json!("r"), json!({"r": [""]})),
            (&member, json!({"r": "a"})),
            (&member, json!({"r": ["a"]})),
            (&member, json!({"r": [{"key": "a"}, {"name": "b"}]})),
            (&member, json!({"r": {"key": {"a": 1}}})),
            (&keys, json!({"r": "a"})),
            (&keys, json!({"r": ["a"]})),
            (&keys, json!({"r": {"a": "false"}})),
            (&keys, json!({"r": {"a": 0}})),
            (&keys, json!({"r": {"": true}})),
        ] {
            assert_eq!(list(written, claims.clone()), Err(WrongForm), "{claims}");
        }
    }

    #[test]
    fn r8_an_identifier_is_one_value_of_the_first_claim_that_the_token_has() {
        let user = json!({"claims": ["sub", "client_id"]});
        let keys = json!({"claims": ["o"], "keys": true});
        let member = json!({"claims": ["o"], "member": "id"});
        let separated = json!({"claims": ["o"], "separator": ","});
        for (written, claims, expected) in [
            (
                &user,
                json!({"sub": "u1", "client_id": "c1"}),
                Ok(Some("u1")),
            ),
            (&user, json!({"client_id": "c1"}), Ok(Some("c1"))),
            (
                &user,
                json!({"sub": null, "client_id": "c1"}),
                Ok(Some("c1")),
            ),
            (&user, json!({"sub": 42}), Ok(Some("42"))),
            (&user, json!({"sub": "", "client_id": "c1"}), Err(WrongForm)),
            (
                &user,
                json!({"sub": {"id": 1}, "client_id": "c1"}),
                Err(WrongForm),
            ),
            (&user, json!({}), Ok(None)),
            (&json!("o"), json!({"o": ["acme"]}), Ok(Some("acme"))),
            (&json!("o"), json!({"o": [7]}), Ok(Some("7"))),
            (&json!("o"), json!({"o": []}), Ok(None)),
            (
                &json!("o"),
                json!({"o": ["acme", "globex"]}),
                Err(WrongForm),
            ),
            (&json!("o"), json!({"o": ["acme\n"]}), Err(WrongForm)),
            (&json!("o"), json!({"o": {"acme": {}}}), Err(WrongForm)),
            (&json!("o"), json!({"o": 1.5}), Err(WrongForm)),
            (&keys, json!({"o": {"acme": {"id": "1"}}}), Ok(Some("acme"))),
            (
                &keys,
                json!({"o": {"acme": {}, "globex": {}}}),
                Err(WrongForm),
            ),
            (&keys, json!({"o": {" acme": {}}}), Err(WrongForm)),
            (&member, json!({"o": [{"id": "acme"}]}), Ok(Some("acme"))),
            (
                &member,
                json!({"o": [{"id": "acme"}, {"id": "globex"}]}),
                Err(WrongForm),
            ),
            (&separated, json!({"o": "acme"}), Ok(Some("acme"))),
            (&separated, json!({"o": "acme,globex"}), Err(WrongForm)),
        ] {
            let found = source(written.clone()).identifier(claims.as_object().unwrap());
            assert_eq!(
                found,
                expected.map(|value| value.map(str::to_owned)),
                "{claims}"
            );
        }
    }

    #[test]
    fn a_source_names_one_form() {
        for wrong in [
            json!({}),
            json!({"claims": []}),
            json!({"claims": ["r"], "keys": true, "member": "key"}),
            json!({"claims": ["r"], "separator": ""}),
            json!({"claims": ["r"], "separator": "and"}),
            json!({"claims": ["r"], "member": ""}),
            json!({"claims": "r"}),
            json!({"claim": ["r"]}),
            json!(""),
            json!([]),
        ] {
            assert!(
                serde_json::from_value::<ClaimSource>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }
}
