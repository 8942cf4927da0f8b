use super::*;
use crate::condition::Misspelled;

fn lookup(values: &[&str]) -> Lookup {
    let value = |value: &&str| (String::new(), LookupValue::of(&(*value).into()).unwrap());
    Lookup::Tool {
        name: "crm.get_ticket".to_owned(),
        arguments: values.iter().map(value).collect(),
    }
}

fn records(values: &[&str], arguments: &str) -> Result<Vec<String>, NoRecord> {
    let records = lookup(values).records(arguments.as_bytes())?;
    let value = |value: &RecordValue| match value {
        RecordValue::Argument(text) => text.clone(),
        RecordValue::Constant(constant) => constant.to_string(),
    };
    let record = |values: &Vec<RecordValue>| {
        let values: Vec<String> = values.iter().map(value).collect();
        values.join(" ")
    };
    Ok(records.iter().map(record).collect())
}

#[test]
fn l1_a_call_names_its_records_as_written() {
    for (values, arguments, expected) in [
        (&["args.id"][..], r#"{"id":"t-4"}"#, &["\"t-4\""][..]),
        (&["args.id"], r#"{"id":1.50e1,"x":2}"#, &["1.50e1"]),
        (&["args.id"], r#"{"id":["a","b","a"]}"#, &["\"a\"", "\"b\""]),
        (&["args.id"], r#"{"id":[["a"],["b"]]}"#, &["\"a\"", "\"b\""]),
        (
            &["args.items.id"],
            r#"{"items":[{"id":1},{"id":2}]}"#,
            &["1", "2"],
        ),
        (
            &["args.p", "args.id", "full"],
            r#"{"p":"x","id":[1,2]}"#,
            &["\"x\" 1 \"full\"", "\"x\" 2 \"full\""],
        ),
    ] {
        assert_eq!(records(values, arguments).unwrap(), expected, "{arguments}");
    }
}

#[test]
fn l3_a_call_that_names_no_record_is_an_error() {
    let missing = Err(NoRecord::Argument("id".to_owned()));
    for arguments in [
        "{}",
        r#"{"id":null}"#,
        r#"{"id":true}"#,
        r#"{"id":{}}"#,
        r#"{"id":{"$ne":"x"}}"#,
        r#"{"id":[]}"#,
        r#"{"id":["a",null]}"#,
        r#"{"id":["a",[]]}"#,
        r#"{"id":["a",{"id":"b"}]}"#,
    ] {
        assert_eq!(records(&["args.id"], arguments), missing, "{arguments}");
    }
    let lists = records(&["args.p", "args.id"], r#"{"p":[1,2],"id":[1,2]}"#);
    assert_eq!(lists, Err(NoRecord::Lists));
    let many: Vec<String> = (0..17).map(|id| id.to_string()).collect();
    let many = records(&["args.id"], &format!(r#"{{"id":[{}]}}"#, many.join(",")));
    assert_eq!(many, Err(NoRecord::TooMany(17)));
    let missing = records(&["args.items.id"], r#"{"items":[{"id":1},{}]}"#);
    assert_eq!(missing, Err(NoRecord::Argument("items.id".to_owned())));
}

#[test]
fn l3_an_argument_that_a_server_could_read_instead_is_an_error() {
    for other in [
        "ID", "_id", "id[]", "id[0]", "id.x", "id__in", "/id", "I-D", "\\uff49d",
    ] {
        let arguments = format!(r#"{{"id":"t-1","{other}":"t-4"}}"#);
        let expected = NoRecord::Misspelled(Misspelled::Otherwise("id".to_owned()));
        assert_eq!(records(&["args.id"], &arguments), Err(expected), "{other}");
    }
    assert!(records(&["args.id"], r#"{"id":"t-1","ids":[],"idle":1}"#).is_ok());
}

#[test]
fn a_constant_integer_stays_one() {
    for (written, expected) in [
        ("5.0", "5"),
        ("5", "5"),
        ("5.5", "5.5"),
        ("1e30", "1e30"),
        ("true", "true"),
        ("\"x\"", "\"x\""),
    ] {
        let Scalar(value) = serde_json::from_str(written).unwrap();
        assert_eq!(value, serde_json::from_str::<Json>(expected).unwrap());
    }
}

#[test]
fn a_uri_has_arguments_in_braces() {
    let written = "crm://tickets/{args.ticket.id}/x";
    let parts = uri_parts(written).unwrap();
    assert_eq!(Lookup::Resource(parts).written(), written);
    for bad in [
        "crm://{",
        "crm://}",
        "crm://{id}",
        "crm://{args.}",
        "crm://{args.a}}",
    ] {
        assert_eq!(uri_parts(bad), None, "{bad}");
    }
}
