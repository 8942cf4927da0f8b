//! Arguments that get the value of a field of the record, so that the server refuses the call if the record has
//! changed since.

use super::MessageParts;
use crate::refusal::LookupFault;
use base::json::{JsonError, Reader};
use mcp::method::Era;
use policy::{Misspelled, NoRecord, may_be_misread};

/// The value of an argument: its name, and the value in JSON.
pub(crate) type ExpectedValue = (String, String);

/// The message with these arguments. `None`: it has them already.
pub(super) fn with_expected(
    message: &[u8],
    expected: &[ExpectedValue],
) -> Result<Option<Vec<u8>>, LookupFault> {
    let parts = MessageParts::of(message, Era::Legacy).unwrap_or_default();
    let span = parts.arguments.unwrap_or_default();
    let arguments = message.get(span.clone()).unwrap_or_default();
    let mut members = Vec::new();
    let read = Reader::new(arguments, usize::MAX).object(|reader, member| {
        let value = reader.skip()?;
        members.push((member.key.value.into_owned(), value));
        Ok::<(), JsonError>(())
    });
    if read.is_err() {
        return Err(LookupFault::NotPossible("the call has no arguments"));
    }
    let mut added = String::new();
    for (name, value) in expected {
        if members.iter().any(|(key, _)| may_be_misread(key, name)) {
            return Err(NoRecord::from(Misspelled::Otherwise(name.clone())).into());
        }
        let stated = members.iter().find(|(key, _)| key == name);
        match stated.and_then(|(_, span)| arguments.get(span.clone())) {
            Some(stated) if is_same(stated, value.as_bytes()) => {}
            Some(_) => return Err(LookupFault::Changed(name.clone())),
            None => {
                let key = serde_json::Value::from(name.as_str());
                added.push_str(&format!("{key}:{value},"));
            }
        }
    }
    if added.is_empty() {
        return Ok(None);
    }
    if members.is_empty() {
        added.pop();
    }
    let at = span.start.saturating_add(1);
    let (before, behind) = message.split_at_checked(at).unwrap_or((message, &[]));
    Ok(Some([before, added.as_bytes(), behind].concat()))
}

/// Whether two JSON texts are the same text or number.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let read = |text| serde_json::from_slice::<serde_json::Value>(text).ok();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => {
            one == other || one.is_number() && one.as_f64() == other.as_f64()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(arguments: &str, value: &str) -> Result<Option<String>, LookupFault> {
        let message = format!(r#"{{"id":1,"params":{{"name":"x","arguments":{arguments}}}}}"#);
        let expected = [("version".to_owned(), value.to_owned())];
        let changed = with_expected(message.as_bytes(), &expected)?;
        Ok(changed.map(|changed| {
            let changed = String::from_utf8(changed).unwrap();
            let start = changed.find("\"arguments\":").unwrap() + 12;
            changed.get(start..changed.len() - 2).unwrap().to_owned()
        }))
    }

    #[test]
    fn l1_an_expected_argument_is_added_or_compared() {
        for (arguments, value, expected) in [
            ("{}", "3", Some(r#"{"version":3}"#)),
            (
                r#"{ "id":1}"#,
                r#""a\"b""#,
                Some(r#"{"version":"a\"b", "id":1}"#),
            ),
            (r#"{"version":3}"#, "3", None),
            (r#"{"version":3.0}"#, "3", None),
            (r#"{"version":"\u0061"}"#, r#""a""#, None),
        ] {
            assert_eq!(
                with(arguments, value).unwrap().as_deref(),
                expected,
                "{arguments}"
            );
        }
        let changed = || Err(LookupFault::Changed("version".to_owned()));
        for arguments in [
            r#"{"version":4}"#,
            r#"{"version":"3"}"#,
            r#"{"version":null}"#,
        ] {
            assert_eq!(with(arguments, "3"), changed(), "{arguments}");
        }
        for arguments in [r#"{"Version":3}"#, r#"{"version":3,"version[]":4}"#] {
            let fault = with(arguments, "3").unwrap_err();
            assert!(matches!(
                fault,
                LookupFault::NoRecord(NoRecord::Misspelled(_))
            ));
        }
    }
}
