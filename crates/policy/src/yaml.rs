//! The YAML of policies, as Envoy reads it.

use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};
use serde_json::{Map, Value};

use super::error::PolicyError;

/// The maximum nesting depth of a policy.
const MAX_DEPTH: usize = 64;

/// A mistake in YAML.
#[derive(Debug)]
pub struct YamlMistake {
    /// Its position.
    pub at: Marker,
    /// What was found and what was expected.
    pub message: String,
}

impl From<YamlMistake> for PolicyError {
    fn from(mistake: YamlMistake) -> Self {
        let (line, column) = (mistake.at.line(), mistake.at.col().saturating_add(1));
        Self::new(
            "",
            format!("line {line}, column {column}: {}", mistake.message),
        )
    }
}

/// Reads all documents of a text. Repeated keys are refused.
///
/// # Errors
///
/// The first mistake.
pub fn read_all(text: &str) -> Result<Vec<MarkedYaml<'_>>, YamlMistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    MarkedYaml::load_from_str(text).map_err(|error| {
        let message = match error.info() {
            "duplicated key in mapping" => "this key is there twice".to_owned(),
            info if info.contains("anchor or alias") => {
                format!("not YAML: {info}; write a value that starts with `*` or `&` in quotes")
            }
            info => format!("not YAML: {info}"),
        };
        YamlMistake {
            at: *error.marker(),
            message,
        }
    })
}

/// A value as JSON, in the form that Envoy gives to the filter.
///
/// # Errors
///
/// A value that JSON does not have, or that Envoy reads otherwise.
pub fn to_json(node: &MarkedYaml<'_>) -> Result<Value, YamlMistake> {
    value(node, MAX_DEPTH)
}

/// A text with one document as JSON.
///
/// # Errors
///
/// The first mistake.
pub fn text_to_json(text: &str) -> Result<Value, PolicyError> {
    let documents = read_all(text)?;
    match documents.as_slice() {
        [only] => Ok(to_json(only)?),
        [] => Err(PolicyError::new(
            "",
            "the policy is empty: `resource` is missing",
        )),
        [_, second, ..] => Err(refuse(second, "a second document; a policy is one").into()),
    }
}

fn refuse(node: &MarkedYaml<'_>, message: &str) -> YamlMistake {
    YamlMistake {
        at: node.span.start,
        message: message.to_owned(),
    }
}

fn value(node: &MarkedYaml<'_>, depth: usize) -> Result<Value, YamlMistake> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(refuse(node, "nested too deeply"));
    };
    match &node.data {
        YamlData::Value(scalar) => {
            scalar_to_json(scalar).ok_or_else(|| refuse(node, "not a number that JSON has"))
        }
        YamlData::Sequence(items) => {
            let items = items.iter().map(|item| value(item, depth));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        YamlData::Mapping(members) => {
            let mut object = Map::new();
            for (key, member) in members {
                object.insert(key_text(key)?.to_owned(), value(member, depth)?);
            }
            Ok(Value::Object(object))
        }
        YamlData::Tagged(..) => Err(refuse(
            node,
            "YAML tags are not accepted; write the value without it",
        )),
        YamlData::Alias(_) | YamlData::BadValue | YamlData::Representation(..) => {
            Err(refuse(node, "not a value that JSON has"))
        }
    }
}

fn scalar_to_json(scalar: &Scalar<'_>) -> Option<Value> {
    Some(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::FloatingPoint(value) => {
            Value::Number(serde_json::Number::from_f64(value.into_inner())?)
        }
        Scalar::String(text) => Value::String(text.clone().into_owned()),
    })
}

/// A key, which in a policy is always a string.
fn key_text<'n>(key: &'n MarkedYaml<'_>) -> Result<&'n str, YamlMistake> {
    match &key.data {
        // Envoy does not merge: it would read this as a name.
        YamlData::Value(Scalar::String(text)) if text == "<<" => Err(refuse(
            key,
            "merge keys are not accepted; use an alias for a whole value, or repeat the keys",
        )),
        YamlData::Value(Scalar::String(text)) => Ok(text),
        _ => Err(refuse(
            key,
            "expected a string as key; put quotes around it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text_to_json(text).unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_one_document() {
        let json = text_to_json("a: &list [x, 1, 2.5, true, null]\nb: *list\n").unwrap();
        let list = serde_json::json!(["x", 1, 2.5, true, null]);
        assert_eq!(json, serde_json::json!({"a": list, "b": list}));
        assert_eq!(
            refused("# nothing\n"),
            "the policy is empty: `resource` is missing"
        );
        assert!(refused("a: 1\n---\nb: 2\n").contains("a second document"));
    }

    #[test]
    fn a_mistake_has_its_line() {
        assert_eq!(
            refused("a: 1\na: 2\n"),
            "line 2, column 1: this key is there twice"
        );
        assert!(refused("a: [1\n").contains("not YAML"));
        assert!(refused(&"[".repeat(200)).contains("not YAML"));
    }

    #[test]
    fn aliases_that_stand_for_too_much_are_refused() {
        // Each level doubles what the one before it stands for.
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let before = level - 1;
            text.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}]\n"));
        }
        assert!(refused(&text).contains("alias expansion exceeded"));
    }
}
