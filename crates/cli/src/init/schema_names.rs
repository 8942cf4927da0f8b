//! Names in schemas and answers: of arguments, and of fields.

use serde_json::Value;

/// The nesting depth that is read.
const MAX_DEPTH: usize = 24;
/// Keys whose texts are the names of columns.
const COLUMNS: [&str; 4] = ["columns", "headers", "column_names", "fields"];

/// The names of the properties of a JSON Schema, at any depth, and whether each is required.
pub(crate) fn of_schema(schema: &Value) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    read_schema(schema, MAX_DEPTH, &mut names);
    names
}

fn read_schema(schema: &Value, depth: usize, names: &mut Vec<(String, bool)>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|each| each == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if !names.iter().any(|(known, _)| known == name) {
            names.push((name.clone(), is_required(name)));
        }
        read_schema(property, depth, names);
    }
    for key in ["$defs", "definitions"] {
        let definitions = schema.get(key).and_then(Value::as_object);
        for definition in definitions.into_iter().flat_map(serde_json::Map::values) {
            read_schema(definition, depth, names);
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for part in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            read_schema(part, depth, names);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(part) = schema.get(key) {
            read_schema(part, depth, names);
        }
    }
}

/// The names of fields in the result of a tool: in structured content, in JSON in texts, and of columns.
pub(super) fn of_result(result: &Value) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(structured) = result.get("structuredContent") {
        read_value(structured, MAX_DEPTH, &mut names);
    }
    for content in result
        .get("content")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = content
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Ok(value) = serde_json::from_str(text) {
            read_value(&value, MAX_DEPTH, &mut names);
        }
    }
    names
}

fn read_value(value: &Value, depth: usize, names: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                add(key);
                let is_columns = COLUMNS.contains(&key.to_ascii_lowercase().as_str());
                let texts = value.as_array().filter(|_| is_columns);
                texts
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .for_each(&mut add);
            }
            members
                .values()
                .for_each(|value| read_value(value, depth, names));
        }
        Value::Array(items) => items.iter().for_each(|item| read_value(item, depth, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_schemas_and_answers_are_found_at_any_depth() {
        let schema = json!({"properties": {"a": {"type": "array", "items": {"properties": {"b": {}}}}},
            "required": ["a"], "$defs": {"x": {"anyOf": [{"properties": {"c": {}}}]}}});
        let expected = [("a", true), ("b", false), ("c", false)];
        let expected = expected.map(|(name, required)| (name.to_owned(), required));
        assert_eq!(of_schema(&schema), expected);
        let result = json!({"content": [{"type": "text", "text": "[{\"d\": {\"e\": 1}}]"}],
            "structuredContent": {"columns": ["f"], "rows": [[1]]}});
        assert_eq!(of_result(&result), ["columns", "f", "rows", "d", "e"]);
    }
}
