//! Hidden fields in columns, and beside their names.

use serde_json::{Value, json};

use super::{judged, structured};

const SSN: &str = "123-45-6789";

fn hides() -> Value {
    json!([{"tools": ["*"], "redact": ["ssn", "card.number"], "text": "keep"}])
}

/// The forms in which databases and their tools write tables.
fn tables(name: &str) -> Vec<Value> {
    vec![
        json!({"columns": [name], "rows": [[SSN]]}),
        json!({"columns": ["id", name, "city"], "rows": [[1, SSN, "X"], [2, SSN, "Y"]]}),
        json!({"columns": [{"name": "id", "type": "int"}, {"name": name}], "data": [[1, SSN]]}),
        json!({"fields": [{"name": name, "dataTypeID": 25}], "rows": [[SSN]], "rowCount": 1}),
        json!({"columns": ["id", name], "index": [0], "data": [[1, SSN]]}),
        json!([["id", name], ["1", SSN], ["2", SSN]]),
        json!({"values": [["id", name], [1, SSN]]}),
        json!({"schema": {"fields": [{"name": name}]}, "rows": [{"f": [{"v": SSN}]}]}),
        json!({"columnMetadata": [{"name": name}], "records": [[{"stringValue": SSN}]]}),
        json!({"manifest": {"schema": {"columns": [{"name": name}]}}, "result": {"data_array": [[SSN]]}}),
        json!({"resultSetMetaData": {"rowType": [{"name": name}]}, "data": [[SSN]]}),
        json!({"ResultSet": {"Rows": [{"Data": [{"VarCharValue": name}]}, {"Data": [{"VarCharValue": SSN}]}]}}),
        json!({"columns": ["id", name], "values": ["1", SSN]}),
        json!({"rows": [[SSN]], "columns": [name]}),
        json!([{"name": name, "value": SSN}]),
        json!({"fields": [{"key": name, "value": {"stringValue": SSN}}]}),
        json!([{"fieldName": name, "field_value": SSN}]),
        json!({"columns": [{"name": name, "values": [SSN]}]}),
        json!([["id", "1"], [name, SSN]]),
    ]
}

#[test]
fn s19_a_hidden_column_is_hidden() {
    for name in [
        "ssn",
        "SSN",
        "customer.ssn",
        "s_s-n",
        "card_number",
        "card.number",
    ] {
        for table in tables(name) {
            for content in [
                table.clone(),
                json!({"result": table}),
                json!({"result": table.to_string()}),
                json!([{"a": [table]}]),
            ] {
                let message = json!({"result": {"structuredContent": content}});
                let judged = judged(hides(), &message).unwrap();
                let body = String::from_utf8(judged.body.unwrap_or_default()).unwrap();
                assert!(!body.is_empty() && !body.contains(SSN), "{content}: {body}");
                assert_eq!(judged.redacted.len(), 1, "{content}");
            }
        }
    }
}

#[test]
fn s19_other_columns_stay() {
    let content = json!({"columns": ["id", "ssn", "city"], "rows": [[1, SSN, "Ulm"], [2, null, "Bonn"]], "tags": ["a", "b"]});
    let expected = json!({"columns": ["id", "ssn", "city"], "rows": [[1, "***", "Ulm"], [2, null, "Bonn"]], "tags": ["a", "b"]});
    assert_eq!(structured(hides(), content).unwrap(), expected);
    for content in [
        json!({"columns": ["id", "city"], "rows": [[1, "X"]]}),
        json!({"missing": ["ssn"], "errors": ["no such customer"], "items": [{"id": 1}]}),
        json!({"type": "object", "required": ["ssn"], "examples": ["a"]}),
        json!([{"name": "city", "value": "Ulm"}, {"id": "1", "values": [1, 2]}]),
        json!({"matrix": [[1, 2], [3, 4]]}),
        json!({"columns": ["id", "ssn"], "types": ["int", "text"], "n": 0}),
    ] {
        assert_eq!(structured(hides(), content.clone()).unwrap(), content);
    }
}

#[test]
fn s19_rows_without_an_owner_are_refused() {
    let rules = super::owner(json!({}));
    let table =
        json!({"columns": ["organization_id", "name"], "rows": [["acme", "A"], ["globex", "B"]]});
    assert!(structured(rules, table).is_err());
}
