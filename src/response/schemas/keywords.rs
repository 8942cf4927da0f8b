//! The keywords of JSON Schema that hold schemas (2020-12 and earlier drafts).

use base::json::tree::{Child, Node, Value};

/// The values that the schemas under a keyword describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Describes {
    /// The same value.
    Same,
    /// Its elements.
    Elements,
    /// Its members with these names.
    Members,
    /// Its members with unknown names, or another value.
    Others,
}

/// The forms of schemas under a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeywordForm {
    One,
    /// One schema, or a list.
    OneOrList,
    /// Schemas by name.
    Map,
}

/// The schemas under a keyword, with their names if they have any.
pub(super) fn schemas(keyword: &Child) -> Option<(Describes, impl Iterator<Item = (&str, &Node)>)> {
    let (describes, form) = form(&keyword.key)?;
    let value = &keyword.node;
    let (one, more) = match (form, &value.value) {
        (KeywordForm::One | KeywordForm::OneOrList, Value::Object(_)) => (Some(value), &[][..]),
        (KeywordForm::OneOrList, Value::Array(children))
        | (KeywordForm::Map, Value::Object(children)) => (None, children.as_slice()),
        _ => return None,
    };
    let more = more.iter().map(|child| (child.key.as_str(), &child.node));
    // `dependencies` has schemas and lists of names.
    let more = more.filter(|(_, node)| is_object(node));
    Some((
        describes,
        one.into_iter().map(|value| ("", value)).chain(more),
    ))
}

/// The keywords for definitions.
pub(super) const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The keywords that refer to a schema.
pub(super) const REFERENCES: [&str; 2] = ["$ref", "$dynamicRef"];

fn form(keyword: &str) -> Option<(Describes, KeywordForm)> {
    Some(match keyword {
        "properties" => (Describes::Members, KeywordForm::Map),
        "patternProperties" => (Describes::Others, KeywordForm::Map),
        "additionalProperties" | "unevaluatedProperties" | "contentSchema" => {
            (Describes::Others, KeywordForm::One)
        }
        "items" | "prefixItems" => (Describes::Elements, KeywordForm::OneOrList),
        "additionalItems" | "unevaluatedItems" | "contains" => {
            (Describes::Elements, KeywordForm::One)
        }
        "allOf" | "anyOf" | "oneOf" => (Describes::Same, KeywordForm::OneOrList),
        "not" | "if" | "then" | "else" => (Describes::Same, KeywordForm::One),
        "dependentSchemas" | "dependencies" => (Describes::Same, KeywordForm::Map),
        _ => return None,
    })
}

fn is_object(node: &Node) -> bool {
    matches!(node.value, Value::Object(_))
}
