//! The keywords of JSON Schema that hold schemas (2020-12, and what earlier drafts call them).

use base::json::tree::{Child, Node, Value};

/// What the schemas under a keyword describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Describes {
    /// The same value.
    Same,
    /// Elements of it.
    Elements,
    /// Members of it, by these names.
    Members,
    /// Members of it whose names are not known, or a value of its own.
    Others,
}

/// How schemas stand under a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeywordForm {
    One,
    /// One, or a list of them.
    OneOrList,
    /// By name.
    Map,
}

/// The schemas that a keyword with its value holds, each under its name if it has one.
pub(super) fn schemas(keyword: &Child) -> Option<(Describes, Vec<(&str, &Node)>)> {
    let (describes, form) = form(&keyword.key)?;
    let value = &keyword.node;
    let schemas = match (form, &value.value) {
        (KeywordForm::One | KeywordForm::OneOrList, Value::Object(_)) => vec![("", value)],
        (KeywordForm::OneOrList, Value::Array(children))
        | (KeywordForm::Map, Value::Object(children)) => {
            let schemas = children.iter().map(|child| (&*child.key, &child.node));
            // `dependencies` has lists of names beside schemas.
            schemas.filter(|(_, node)| is_object(node)).collect()
        }
        _ => return None,
    };
    Some((describes, schemas))
}

/// The keywords that hold schemas for others to refer to.
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
