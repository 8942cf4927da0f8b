//! Headers of arguments that the policy declares.

use super::{MISMATCH, Single};
use base::json::tree::{Node, Value};
use mcp::headers::{HeaderEdit, HeaderMismatch, Headers, decode, encode};
use policy::ParamHeader;

/// The headers of declared arguments for the server. Some of the client's may be missing.
///
/// # Errors
///
/// A header differs from its argument, or only one of the two is present.
pub(super) fn rebuild(
    headers: &Headers,
    received: &[u8],
    sent: &[u8],
    declared: &[&ParamHeader],
    may_be_missing: impl Fn(&ParamHeader) -> bool,
) -> Result<Vec<HeaderEdit>, HeaderMismatch> {
    // The body was read strictly before.
    let read = |arguments| Node::read(arguments, usize::MAX);
    let received = read(received).map_err(|_| MISMATCH)?;
    let sent = read(sent).map_err(|_| MISMATCH)?;
    let mut edits = Vec::new();
    for declared in declared {
        let stated = stated(headers, &declared.header)?;
        let value = value_at(&received, &declared.argument);
        let left_out = stated.is_none() && may_be_missing(declared);
        let is_same = match (&stated, &value) {
            (Some(stated), Some(value)) => value.is_stated_by(stated),
            (stated, value) => stated.is_none() && value.is_none(),
        };
        if !left_out && !is_same {
            return Err(MISMATCH);
        }
        match value_at(&sent, &declared.argument) {
            now if now == value && !left_out => {}
            Some(now) => edits.push(HeaderEdit::Set(declared.header.clone(), encode(&now.text))),
            None if stated.is_none() => {}
            None => edits.push(HeaderEdit::Remove(declared.header.clone())),
        }
    }
    Ok(edits)
}

/// The decoded value of a header.
fn stated(headers: &Headers, name: &str) -> Result<Option<String>, HeaderMismatch> {
    let mut values = headers.all(name);
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.has(name) {
            true => Err(MISMATCH),
            false => Ok(None),
        };
    };
    let text = str::from_utf8(value).map_err(|_| MISMATCH)?;
    let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let decoded = decode(text.trim_matches([' ', '\t'])).filter(|_| visible);
    decoded.map(|text| Some(text.into_owned())).ok_or(MISMATCH)
}

/// The single value at a path. `None`: null or missing.
fn value_at(arguments: &Node, path: &[String]) -> Option<Single> {
    let node = path
        .iter()
        .try_fold(arguments, |node, key| node.member(key))?;
    let is_number = matches!(node.value, Value::Number(_));
    let text = match &node.value {
        Value::Text(text) | Value::Number(text) => text.into(),
        Value::Bool(value) => value.to_string(),
        Value::Array(_) | Value::Null | Value::Object(_) => return None,
    };
    Some(Single::new(text, is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(header: Option<&str>, received: &str, sent: &str) -> Result<Vec<HeaderEdit>, ()> {
        let pairs = header.map(|value| ("mcp-param-region".to_owned(), value.into()));
        let headers = Headers::new(pairs.into_iter().collect());
        let declared = ParamHeader {
            argument: vec!["where".to_owned(), "region".to_owned()],
            header: "mcp-param-region".to_owned(),
        };
        rebuild(
            &headers,
            received.as_bytes(),
            sent.as_bytes(),
            &[&declared],
            |_| false,
        )
        .map_err(|_| ())
    }

    #[test]
    fn b07_a_declared_header_says_what_its_argument_says() {
        let eu = r#"{"where":{"region":"eu"}}"#;
        assert_eq!(rebuilt(Some("eu"), eu, eu), Ok(vec![]));
        assert_eq!(rebuilt(Some("=?base64?ZXU=?="), eu, eu), Ok(vec![]));
        assert_eq!(
            rebuilt(
                Some("42.0"),
                r#"{"where":{"region":42}}"#,
                r#"{"where":{"region":42}}"#
            ),
            Ok(vec![])
        );
        assert_eq!(rebuilt(None, "{}", "{}"), Ok(vec![]));
        assert_eq!(
            rebuilt(None, r#"{"where":{"region":null}}"#, "{}"),
            Ok(vec![])
        );
        for (header, received) in [
            (None, eu),
            (Some("us"), eu),
            (Some("EU"), eu),
            (Some("7"), r#"{"where":{"region":"007"}}"#),
            (Some("eu"), "{}"),
            (Some("eu"), r#"{"region":"eu"}"#),
            (Some("7"), r#"{"where":{"region":"07"}}"#),
            (Some("1e2"), r#"{"where":{"region":"100"}}"#),
            (Some("=?base64?ZXU?="), eu),
            (Some("e\u{fc}"), r#"{"where":{"region":"eü"}}"#),
        ] {
            assert_eq!(
                rebuilt(header, received, received),
                Err(()),
                "{header:?} {received}"
            );
        }
    }

    #[test]
    fn a_declared_header_follows_what_is_sent() {
        let set = |value: &str| {
            Ok(vec![HeaderEdit::Set(
                "mcp-param-region".into(),
                value.into(),
            )])
        };
        assert_eq!(
            rebuilt(None, "{}", r#"{"where":{"region":"eu"}}"#),
            set("eu")
        );
        assert_eq!(
            rebuilt(None, "{}", r#"{"where":{"region":"ü"}}"#),
            set("=?base64?w7w=?=")
        );
        assert_eq!(
            rebuilt(Some("eu"), r#"{"where":{"region":"eu"}}"#, "{}"),
            Ok(vec![HeaderEdit::Remove("mcp-param-region".into())])
        );
    }
}
